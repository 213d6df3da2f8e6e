//! A message makes the poll come at once, a broken channel is connected anew, and without one the polls go on.

use std::error::Error;
use std::time::Duration;

use futures_util::SinkExt;
use longhaul::retries::Schedule;
use longhaul::testing::{Script, reply, script};
use longhaul::{PollPolicy, Task};
use longhaul_notifications::{Waiting, follow};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, accept_async};

type Outcome = Result<(), Box<dyn Error>>;

/// The longest pause of a poll policy.
const LONG: Duration = Duration::from_secs(600);
/// Only a test that fails waits for this long.
const GUARD: Duration = Duration::from_secs(20);

/// A task with the id 7, with this pause between its polls.
async fn task(service: &Script, pause: Duration) -> longhaul::Result<Task<Value>> {
    service.then(reply(202).header("location", "tasks/7").json(json!({"id": "7"})));
    let policy = PollPolicy::standard().floor(Duration::from_millis(1)).schedule(Schedule::constant(pause));
    service.client().poll_policy(policy).build()?.task().post("exports").submit().await
}

fn running() -> longhaul::testing::Canned {
    reply(200).json(json!({"status": "running"}))
}

fn done() -> longhaul::testing::Canned {
    reply(200).json(json!({"status": "succeeded"}))
}

async fn listen() -> Result<(TcpListener, String), std::io::Error> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("ws://{}/notifications", listener.local_addr()?);
    Ok((listener, url))
}

async fn accept(listener: &TcpListener) -> Result<WebSocketStream<TcpStream>, Box<dyn Error>> {
    Ok(accept_async(listener.accept().await?.0).await?)
}

/// Waits until the service has got this many requests.
async fn asked(service: &Script, count: usize) {
    while service.requests().len() < count {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn messages_end_pauses_and_each_connect_polls_once() -> Outcome {
    let (service, waiting) = (script([]), Waiting::default());
    let task = task(&service, LONG).await?;
    let _watched = waiting.watch(&task).ok_or("no id")?;
    // A poll for each of two connects, and one for the message.
    [running(), running(), done()].into_iter().for_each(|answer| service.then(answer));
    let (listener, url) = listen().await?;
    let server = async {
        // No channel, a channel that closes, and one that tells of the end.
        drop(listener.accept().await?);
        let mut channel = accept(&listener).await?;
        asked(&service, 2).await;
        channel.close(None).await?;
        drop(channel);
        let mut channel = accept(&listener).await?;
        asked(&service, 3).await;
        for text in ["no JSON", r#"{"id": "of another"}"#, r#"{"id": "7", "event": "export.finished"}"#] {
            channel.send(Message::text(text)).await?;
        }
        std::future::pending::<Outcome>().await
    };
    let pauses = Schedule::constant(Duration::from_millis(10));
    let outcome = timeout(GUARD, async {
        tokio::select! {
            outcome = task => outcome.map_err(Into::into),
            ended = server => Err(ended.err().unwrap_or_else(|| "the server has ended".into())),
            never = follow(&url, &waiting, &pauses) => match never {},
        }
    });
    let outcome: Result<_, Box<dyn Error>> = outcome.await?;
    assert_eq!(outcome?.last_update().polls(), 3);
    assert_eq!(service.left(), 0);
    Ok(())
}

#[tokio::test]
async fn a_task_ends_by_its_own_polls_while_the_channel_is_down() -> Outcome {
    let (service, waiting) = (script([]), Waiting::default());
    let task = task(&service, Duration::from_millis(20)).await?;
    let _watched = waiting.watch(&task).ok_or("no id")?;
    [running(), running(), done()].into_iter().for_each(|answer| service.then(answer));
    // Nobody listens there any more.
    let (_, url) = listen().await?;
    let pauses = Schedule::constant(Duration::from_millis(10));
    let outcome = timeout(GUARD, async {
        tokio::select! {
            outcome = task => outcome,
            never = follow(&url, &waiting, &pauses) => match never {},
        }
    });
    assert_eq!(outcome.await??.last_update().polls(), 3);
    Ok(())
}
