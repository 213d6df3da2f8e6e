//! What a client counts and tells of: numbers, events, alerts, tasks. Over a script, on a paused clock.

mod advice;
mod alerts;
mod events;
mod metrics;
mod numbers;
mod spans;
mod tasks;

use std::time::Duration;

use http::Method;
use longhaul::testing::{Canned, Script, reply, script};
use longhaul::{Client, ClientBuilder, RetryPolicy};

use crate::support::{millis, secs};

/// A client that repeats nothing.
fn plain(service: &Script) -> ClientBuilder {
    service.client().retry(RetryPolicy::none())
}

/// Asks once, whatever the answer.
async fn ask(client: &Client, path: &str) {
    let _ = client.request(Method::GET, path).send().await;
}

/// Is answered so, once each.
async fn answers(client: &Client, service: &Script, answers: impl IntoIterator<Item = Canned>) {
    for answer in answers {
        service.then(answer);
        ask(client, "farms").await;
    }
}

fn empty() -> Script {
    script([])
}

fn ok() -> Canned {
    reply(200)
}
