//! A task is a stream too: watch its state and progress until it ends, then take its outcome.
//!
//! ```text
//! cargo run --example stream_progress                              # a simulated service in this process
//! cargo run --example stream_progress -- https://api.example.com/v1   # yours, with its token in LONGHAUL_BEARER
//! ```

#![expect(clippy::print_stdout, reason = "an example that shows what it saw")]

use std::error::Error;
use std::{env, time::Duration};

use futures::TryStreamExt;
use longhaul::testing::{self, Simulator};
use longhaul::{Client, Credential};
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let service = Simulator::builder().task_duration(Duration::from_secs(2)).hint_on_submit(true).start().await?;
    let builder = match env::args().nth(1) {
        Some(url) => {
            let token = env::var("LONGHAUL_BEARER").map_err(|_| "set LONGHAUL_BEARER to the token of the service")?;
            Client::builder(url).credential(Credential::bearer(token))
        }
        None => testing::client(&service),
    };
    let mut task = builder.build()?.task().post("exports").json(&json!({})).submit::<Value>().await?;

    let mut updates = task.updates();
    while let Some(update) = updates.try_next().await? {
        let percent = update.percent().map_or_else(|| "?".into(), |percent| format!("{percent:.0}"));
        println!("{:9} {percent:>3} %, next poll in {:?}", update.state().as_str(), update.next_poll());
    }
    // The stream shows how the task ended, also when it failed; the awaited task makes that an error.
    println!("{}", task.await?.state());
    Ok(())
}
