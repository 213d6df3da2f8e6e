//! One export, which is polled once a minute, and a webhook that ends the wait when the export does.
//!
//! ```text
//! cd examples/webhook
//! cargo run
//! ```
//!
//! The service is simulated in this process, and its webhook too: three seconds after the submit, when the export is
//! done.

use std::error::Error;
use std::time::{Duration, Instant};

use longhaul::retries::Schedule;
use longhaul::testing::{self, Simulator};
use longhaul::{Client, PollPolicy};
use longhaul_webhook::{Secret, Waiting, routes};
use serde_json::{Value, json};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let done_after = Duration::from_secs(3);
    // A service that asks for a pause is not polled before its end, whatever a webhook says: this one asks for none.
    let service = Simulator::builder().task_duration(done_after).retry_after(Duration::ZERO).start().await?;
    let seldom = PollPolicy::standard().schedule(Schedule::constant(Duration::from_secs(60)));
    let client = testing::client(&service).poll_policy(seldom).build()?;

    let (waiting, secret) = (Waiting::default(), Secret::new("shared with the service")?);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let hooks = Client::builder(format!("http://{}", listener.local_addr()?)).no_proxy().build()?;
    tokio::spawn(axum::serve(listener, routes(waiting.clone(), secret.clone())).into_future());

    let begun = Instant::now();
    let task = client.task().post("exports").json(&json!({})).submit::<Value>().await?;
    let watched = waiting.watch(&task);
    let id = task.id().ok_or("the service gave no id")?;
    tokio::spawn(async move {
        tokio::time::sleep(done_after).await;
        let body = json!({ "id": id, "event": "export.finished" }).to_string();
        let hook = hooks.post("hooks/exports").header("x-signature", secret.sign(body.as_bytes()));
        match hook.body(body, "application/json").send().await {
            Ok(answer) => println!("the webhook was answered with {}", answer.status()),
            Err(error) => eprintln!("{error}"),
        }
    });
    let outcome = task.await?;
    drop(watched);
    let polls = outcome.last_update().polls();
    println!(
        "{} after {:.1} s, polls: {polls}, with a minute between two polls",
        outcome.state(),
        begun.elapsed().as_secs_f64()
    );
    Ok(())
}
