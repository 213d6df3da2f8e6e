//! A task is a future: submit it, await it, and take its value.
//!
//! ```text
//! cargo run --example await_task                              # a simulated service in this process
//! cargo run --example await_task -- https://api.example.com/v1   # yours, with its token in LONGHAUL_BEARER
//! ```

#![expect(clippy::print_stdout, reason = "an example that shows what it got")]

use std::env;
use std::error::Error;

use longhaul::testing::{self, Simulator};
use longhaul::{Client, Credential, Limit};
use serde_json::json;

/// What the simulated service answers once the export is done: put the members of yours here.
#[derive(serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Exported {
    rows: u64,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let service = Simulator::builder().hint_on_submit(true).start().await?;
    let builder = match env::args().nth(1) {
        Some(url) => {
            let token = env::var("LONGHAUL_BEARER").map_err(|_| "set LONGHAUL_BEARER to the token of the service")?;
            Client::builder(url).credential(Credential::bearer(token))
        }
        None => testing::client(&service),
    };
    let client = builder.limit(Limit::per_second(4)).build()?;

    // The first await ends when the service has accepted, the second when the task is done.
    let task = client.task().post("exports").json(&json!({ "size": 1_000 })).submit::<Exported>().await?;
    let outcome = task.await?;

    let (polls, exported) = (outcome.last_update().polls(), outcome.value()?);
    println!("{} after {polls} polls: {} rows", outcome.state(), exported.rows);
    Ok(())
}
