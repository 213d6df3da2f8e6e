//! A task is a stream too: watch its state and progress until it ends, then take its outcome.
//!
//! `cargo run --example stream_progress`

#![expect(clippy::print_stdout, reason = "an example that shows what it saw")]

use std::error::Error;
use std::time::Duration;

use futures::TryStreamExt;
use longhaul::State;
use longhaul::testing::{self, Simulator};
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let service = Simulator::builder().task_duration(Duration::from_secs(2)).hint_on_submit(true).start().await?;
    let client = testing::client(&service).build()?;
    let mut task = client.task().post("exports").json(&json!({})).submit::<Value>().await?;

    let mut states = Vec::new();
    let mut updates = task.updates();
    while let Some(update) = updates.try_next().await? {
        let percent = update.percent().map_or_else(|| "?".into(), |percent| format!("{percent:.0}"));
        println!("{:9} {percent:>3} %, next poll in {:?}", update.state().as_str(), update.next_poll());
        states.push(update.state());
    }
    // The stream reports how the task ended, also if it failed; the awaited task turns a failure into an error.
    let outcome = task.await?;

    assert_eq!(states.first(), Some(&State::Accepted));
    assert!(states.contains(&State::Running));
    assert_eq!(states.last(), Some(&outcome.state()));
    Ok(())
}
