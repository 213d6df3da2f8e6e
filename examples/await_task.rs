//! A task is a future: submit it, await it, and take its value.
//!
//! `cargo run --example await_task`

#![expect(clippy::print_stdout, reason = "an example that shows what it got")]

use std::error::Error;

use longhaul::Limit;
use longhaul::testing::{self, Simulator};
use serde_json::json;

/// The service's result once the export is done.
#[derive(serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Exported {
    rows: u64,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let service = Simulator::builder().hint_on_submit(true).start().await?;
    // For your own service: Client::builder("https://…"), with its profile and credential.
    let client = testing::client(&service).limit(Limit::per_second(4)).build()?;

    // The first await ends when the service has accepted, the second when the task is done.
    let task = client.task().post("exports").json(&json!({ "size": 1_000 })).submit::<Exported>().await?;
    let outcome = task.await?;

    let exported = outcome.value()?;
    println!("{} after {} polls: {} rows", outcome.state(), outcome.last_update().polls(), exported.rows);
    assert_eq!(exported.rows, 10);
    Ok(())
}
