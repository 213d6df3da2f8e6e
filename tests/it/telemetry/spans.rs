//! Spans: a task, with its requests and waits inside.

use std::fmt;
use std::sync::{Arc, Mutex};

use longhaul::testing::{self, Simulator, reply, script};
use serde_json::{Value, json};
use tracing::field::{Field, Visit};
use tracing::instrument::WithSubscriber;
use tracing::span;
use tracing::{Event, Metadata, Subscriber};

use crate::support::callsites::ask_at_every_event;
use crate::support::log::{Log, subscriber};

#[tokio::test]
async fn a_task_has_a_span_with_its_requests_and_waits_inside() {
    ask_at_every_event();
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

#[tokio::test(start_paused = true)]
async fn a_line_of_a_task_does_not_grow_with_its_polls() {
    ask_at_every_event();
    let log = Log::default();
    let polls = (0..1000).map(|_| reply(202).header("retry-after", "1"));
    let submit = reply(202).header("location", "tasks/1").header("retry-after", "1").json(json!({"id": "t1"}));
    let service = script([submit].into_iter().chain(polls).chain([reply(200).json(7)]));
    let telling = async {
        let client = service.client().build().unwrap();
        let task = client.task().post("exports").submit::<Value>().await.unwrap();
        task.await.unwrap();
    };
    telling.with_subscriber(subscriber(&log)).await;
    let text = log.text();
    let updates: Vec<_> = text.lines().filter(|line| line.contains(": update ")).map(str::len).collect();
    assert!(updates.len() >= 1000, "{}", updates.len());
    // The number of polls in it has one digit more from time to time.
    let (first, last) = (updates[1], updates[updates.len() - 2]);
    assert!(last <= first + 8, "a line of {first} bytes became one of {last}");
    let ids = text.lines().map(|line| line.matches("task.id=").count()).max();
    assert_eq!(ids, Some(1));
}

/// Counts how often each field of the spans called `task` is recorded after the span's begin.
#[derive(Clone, Default)]
struct Records(Arc<Mutex<Vec<String>>>);

impl Subscriber for Records {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span() && metadata.name() == "task"
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, values: &span::Record<'_>) {
        struct Names<'a>(&'a mut Vec<String>);
        impl Visit for Names<'_> {
            fn record_debug(&mut self, field: &Field, _: &dyn fmt::Debug) {
                self.0.push(field.name().to_owned());
            }
        }
        values.record(&mut Names(&mut self.0.lock().unwrap()));
    }

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, _: &Event<'_>) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[tokio::test(start_paused = true)]
async fn each_field_of_a_task_is_recorded_once_however_it_ends() {
    ask_at_every_event();
    let accepted = || reply(202).header("location", "tasks/1").json(json!({"id": "t1"}));
    let running = || reply(200).json(json!({"status": "running"}));
    let once = ["task.id", "task.polls", "task.state"];
    for (end, dropped) in [
        (reply(200).json(json!({"status": "succeeded"})), false),
        (reply(200).json(json!({"status": "failed"})), false),
        (reply(410), false),
        (running(), true),
    ] {
        let records = Records::default();
        let service = script([accepted(), running(), running(), running(), end]);
        let telling = async {
            let client = service.client().build().unwrap();
            let mut task = client.task().post("exports").submit::<Value>().await.unwrap();
            for _ in 0..4 {
                task.advance().await.unwrap().unwrap();
            }
            if !dropped {
                let _ = task.await;
            }
        };
        telling.with_subscriber(records.clone()).await;
        let mut told = records.0.lock().unwrap().clone();
        told.sort_unstable();
        assert_eq!(told, once);
    }
}
