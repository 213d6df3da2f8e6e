//! A task from submit to outcome.

mod cancel;
mod depth;
mod durations;
mod life;
mod nothing_lost;
mod pages;
mod polls;
mod progress;
mod results;
mod shared_polls;

use longhaul::protocols::Exchange;
use longhaul::testing::Script;
use longhaul::{Protocol, Task};
use serde_json::Value;

use crate::support::client;

fn exchange(text: &str) -> Exchange {
    text.parse().unwrap()
}

async fn submit(service: &Script, protocol: Protocol) -> Task<Value> {
    client(service).task().protocol(protocol).post("exports?api-version=3&x=1").submit().await.unwrap()
}
