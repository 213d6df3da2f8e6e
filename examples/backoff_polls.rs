//! A sequence of the crate `backoff` drives the polls of a task whose service asks for no wait.
//!
//! `cargo run --example backoff_polls`

#![expect(clippy::print_stdout, reason = "an example that shows what it saw")]

use std::error::Error;
use std::time::Duration;

use backoff::ExponentialBackoff;
use futures::TryStreamExt;
use longhaul::PollPolicy;
use longhaul::retries::Schedule;
use longhaul::testing::{self, Simulator};
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // A request to come back after no time is no request at all.
    let silent = Duration::ZERO;
    let service = Simulator::builder().task_duration(Duration::from_secs(2)).retry_after(silent).start().await?;
    let backoff = ExponentialBackoff {
        initial_interval: Duration::from_millis(300),
        randomization_factor: 0.0,
        ..ExponentialBackoff::default()
    };
    let client =
        testing::client(&service).poll_policy(PollPolicy::standard().schedule(Schedule::backoff(backoff))).build()?;
    let mut task = client.task().post("exports").json(&json!({})).submit::<Value>().await?;

    let mut pauses = Vec::new();
    let mut updates = task.updates();
    while let Some(update) = updates.try_next().await? {
        println!("{:9} next poll in {:?}", update.state().as_str(), update.next_poll());
        pauses.extend(update.next_poll());
    }
    println!("{} after {} pauses", task.await?.state(), pauses.len());

    // Each pause is the previous one times 1.5, which is the sequence's own factor.
    assert_eq!(pauses.first(), Some(&Duration::from_millis(300)));
    assert!(pauses.iter().zip(pauses.iter().skip(1)).all(|(one, next)| *next == one.mul_f64(1.5)), "{pauses:?}");
    Ok(())
}
