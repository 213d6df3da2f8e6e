//! A sequence of the crate `backoff` drives the polls of a task that its service says nothing about.
//!
//! ```text
//! cargo run --example backoff_polls                              # a simulated service in this process
//! cargo run --example backoff_polls -- https://api.example.com/v1   # yours, with its token in LONGHAUL_BEARER
//! ```

#![expect(clippy::print_stdout, reason = "an example that shows what it saw")]

use std::env;
use std::error::Error;
use std::time::Duration;

use backoff::ExponentialBackoff;
use futures::TryStreamExt;
use longhaul::retries::Schedule;
use longhaul::testing::{self, Simulator};
use longhaul::{Client, Credential, PollPolicy};
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // To be asked to come back in no time at all is to be asked nothing.
    let silent = Duration::ZERO;
    let service = Simulator::builder().task_duration(Duration::from_secs(2)).retry_after(silent).start().await?;
    let backoff = ExponentialBackoff {
        initial_interval: Duration::from_millis(300),
        randomization_factor: 0.0,
        ..ExponentialBackoff::default()
    };
    let builder = match env::args().nth(1) {
        Some(url) => {
            let token = env::var("LONGHAUL_BEARER").map_err(|_| "set LONGHAUL_BEARER to the token of the service")?;
            Client::builder(url).credential(Credential::bearer(token))
        }
        None => testing::client(&service),
    };
    let client = builder.poll_policy(PollPolicy::standard().schedule(Schedule::backoff(backoff))).build()?;
    let mut task = client.task().post("exports").json(&json!({})).submit::<Value>().await?;

    // Each pause is the one before by 1.5, the sequence's own factor, unless the service asks for a longer one.
    let mut updates = task.updates();
    while let Some(update) = updates.try_next().await? {
        println!("{:9} next poll in {:?}", update.state().as_str(), update.next_poll());
    }
    println!("{}", task.await?.state());
    Ok(())
}
