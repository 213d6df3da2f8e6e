//! Spans: a task, with its requests and waits inside.

#![cfg(test)]

use longhaul::testing::{self, Simulator};
use serde_json::{Value, json};
use tracing::instrument::WithSubscriber;

use support::{Log, subscriber};

#[path = "support/log.rs"]
mod support;

#[tokio::test]
async fn a_task_has_a_span_with_its_requests_and_waits_inside() {
    let log = Log::default();
    let service = Simulator::builder().hint_on_submit(true).start().await.unwrap();
    let client = testing::client(&service).build().unwrap();
    let telling = async {
        let task = client.task().post("exports").json(&json!({"duration_ms": 600})).submit::<Value>().await.unwrap();
        let id = task.id().unwrap();
        task.await.unwrap().download().to_memory(1 << 20).await.unwrap();
        id
    };
    let id = telling.with_subscriber(subscriber(&log)).await;
    let text = log.text();
    let closed = |span: &str| {
        text.lines().filter(|line| line.contains("close") && line.contains(span)).map(str::to_owned).collect::<Vec<_>>()
    };
    let submits = closed(":submit{");
    assert!(submits[0].contains(" task:submit{") && submits[0].contains("http.request.method=POST"), "{submits:?}");
    assert!(
        submits[0].contains("http.response.status_code=201") && submits[0].contains("server.address=\"127.0.0.1\"")
    );
    let polls = closed(":poll{");
    assert!(!polls.is_empty() && polls.iter().all(|poll| poll.contains(&format!("task.id=\"{id}\""))), "{polls:?}");
    assert!(polls[0].contains("otel.kind=\"client\"") && polls[0].contains("url.full=http://127.0.0.1"), "{polls:?}");
    assert!(!closed(":wait{").is_empty() && !closed("download{").is_empty(), "{text}");
    // It lasts from the answer to the next poll: what the answer told is logged within.
    let lines: Vec<_> = text.lines().filter(|line| line.contains("longhaul")).collect();
    let waits = lines.iter().enumerate().filter(|(_, line)| line.contains(":wait{") && line.ends_with("new"));
    let lasts = |(at, _): (usize, _)| {
        let after = lines.iter().skip(at);
        let ends = after.clone().position(|line| line.contains(":wait{") && line.contains("close"));
        ends.zip(after.clone().position(|line| line.contains(" update "))).is_some_and(|(ends, told)| told < ends)
    };
    assert!(waits.clone().any(lasts), "{text}");
    let of_the_task = |line: &&str| line.contains("longhaul::task::trace: close") && !line.contains("}:wait");
    let tasks: Vec<_> = text.lines().filter(of_the_task).collect();
    assert!(tasks.len() == 1 && tasks[0].contains("task.state=\"succeeded\""), "{tasks:?}");
}
