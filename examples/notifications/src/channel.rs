//! The channel: it connects, listens, and connects again.

use std::convert::Infallible;

use futures_util::StreamExt;
use longhaul::retries::Schedule;
use serde::Deserialize;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::waiting::Waiting;

/// The part of a message that is used.
#[derive(Deserialize)]
struct Notice {
    id: String,
}

/// Nudges the tasks that the messages at this URL name, and never returns. After a connection that broke or was not made,
/// the next one follows after the next pause of the schedule, which begins anew with each connection; when the schedule
/// ends, its last pause stays.
///
/// Run it beside the tasks, in a `select!` or a task of its own, and drop it to end it.
pub async fn follow(url: &str, waiting: &Waiting, pauses: &Schedule) -> Infallible {
    let mut next = pauses.delays(0);
    let mut pause = next.next().unwrap_or_default();
    loop {
        match listen(url, waiting).await {
            Ok(()) => {
                println!("the channel is closed");
                next = pauses.delays(0);
            }
            Err(error) => eprintln!("the channel is down: {error}"),
        }
        pause = next.next().unwrap_or(pause);
        tokio::time::sleep(pause).await;
    }
}

/// Listens to one connection. An error means that there was none; one that breaks has ended.
async fn listen(url: &str, waiting: &Waiting) -> Result<(), Error> {
    let (mut channel, _) = connect_async(url).await?;
    waiting.nudge_all();
    // Pings are answered by the crate while messages are read.
    while let Some(Ok(message)) = channel.next().await {
        let Message::Text(text) = message else { continue };
        match serde_json::from_str::<Notice>(&text) {
            Ok(notice) => drop(waiting.nudge(&notice.id)),
            Err(error) => eprintln!("a message that is not understood: {error}"),
        }
    }
    Ok(())
}
