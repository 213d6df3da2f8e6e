//! One export, which is polled once a minute, and a channel that ends the wait when the export does.
//!
//! ```text
//! cd examples/notifications
//! cargo run
//! ```
//!
//! The service is simulated in this process, and its channel too. The channel breaks its first connection at once, and on
//! the next one tells three seconds later that the export is done.

use std::error::Error;
use std::time::{Duration, Instant};

use futures_util::SinkExt;
use longhaul::PollPolicy;
use longhaul::retries::Schedule;
use longhaul::testing::{self, Simulator};
use longhaul_notifications::{Waiting, follow};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::Message;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // A service that asks for a pause is not polled before its end, whatever a message says: this one asks for none.
    let duration = Duration::from_secs(3);
    let service = Simulator::builder().task_duration(duration).retry_after(Duration::ZERO).start().await?;
    let seldom = PollPolicy::standard().schedule(Schedule::constant(Duration::from_secs(60)));
    let client = testing::client(&service).poll_policy(seldom).build()?;

    let begun = Instant::now();
    let task = client.task().post("exports").json(&json!({})).submit::<Value>().await?;
    let waiting = Waiting::default();
    let _watched = waiting.watch(&task);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("ws://{}/notifications", listener.local_addr()?);
    let id = task.id().ok_or("the service gave no id")?;
    tokio::spawn(async move {
        if let Err(error) = simulate(&listener, &id, duration).await {
            eprintln!("the simulated channel: {error}");
        }
    });

    // From a second to a minute, so that a channel that is down is not called in a tight loop.
    let pauses = Schedule::exponential(Duration::from_secs(1), Duration::from_secs(60));
    let outcome = tokio::select! {
        outcome = task => outcome?,
        never = follow(&url, &waiting, &pauses) => match never {},
    };
    let polls = outcome.last_update().polls();
    let took = begun.elapsed().as_secs_f64();
    println!("{} after {took:.1} s, polls: {polls}, with a minute between two polls", outcome.state());
    Ok(())
}

/// The channel of the service: one connection that breaks, and one that tells of the end.
async fn simulate(listener: &TcpListener, id: &str, done_after: Duration) -> Result<(), Box<dyn Error>> {
    drop(listener.accept().await?);
    let mut channel = accept_async(listener.accept().await?.0).await?;
    tokio::time::sleep(done_after).await;
    channel.send(Message::text(json!({ "id": id, "event": "export.finished" }).to_string())).await?;
    channel.close(None).await?;
    Ok(())
}
