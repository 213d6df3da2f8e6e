//! Learned durations: polls that gather at the likely end of a task.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use futures::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use longhaul::http::{Bytes, Http, HttpError, Request, Response};
use longhaul::limits::Clock;
use longhaul::tasks::{LearnedDurations, TaskDurations};
use longhaul::{Client, ErrorKind, PollPolicy, Profile, Protocol, ResumeToken};
use serde_json::Value;
use tokio::time::Instant;

use crate::support::secs;

/// A service of one task at a time.
#[derive(Clone)]
struct Service(Arc<Mutex<Job>>);

struct Job {
    takes: Duration,
    /// The status document at the end.
    end: &'static str,
    retry_after: Option<&'static str>,
    begun: Instant,
    /// The ages of the polls.
    polls: Vec<Duration>,
}

impl Service {
    fn new(takes: Duration) -> Self {
        let end = r#"{"status": "succeeded"}"#;
        Self(Arc::new(Mutex::new(Job { takes, end, retry_after: None, begun: Instant::now(), polls: Vec::new() })))
    }

    fn set(&self, change: impl FnOnce(&mut Job)) {
        change(&mut self.0.lock().unwrap());
    }

    fn client(&self, policy: PollPolicy) -> Client {
        Client::builder("https://api.example.com/v1")
            .profile(Profile::auto().kind("export", Protocol::auto()))
            .http(self.clone())
            .clock(Clock::starting_at(SystemTime::UNIX_EPOCH + secs(1_700_000_000)))
            .poll_policy(policy)
            .build()
            .unwrap()
    }

    /// Runs a task, and returns the ages of its polls.
    async fn run(&self, client: &Client) -> Vec<Duration> {
        let ended = client.task().kind("export").post("tasks").submit::<Value>().await.unwrap().await;
        assert!(ended.is_ok() || ended.unwrap_err().kind() == ErrorKind::TaskFailed);
        self.0.lock().unwrap().polls.clone()
    }
}

impl Http for Service {
    fn send(&self, request: Request) -> BoxFuture<'static, Result<Response, HttpError>> {
        let mut job = self.0.lock().unwrap();
        let mut headers = HeaderMap::new();
        headers.extend(job.retry_after.map(|after| (http::header::RETRY_AFTER, HeaderValue::from_static(after))));
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        let mut status = StatusCode::ACCEPTED;
        let mut body = r#"{"status": "running"}"#;
        if request.method() == Method::POST {
            (job.begun, job.polls) = (Instant::now(), Vec::new());
            headers.insert("location", HeaderValue::from_static("https://api.example.com/v1/tasks/1"));
        } else {
            let age = job.begun.elapsed();
            job.polls.push(age);
            if age >= job.takes {
                (status, body) = (StatusCode::OK, job.end);
            }
        }
        let response = Response::new(status, request.url().clone())
            .headers_from(headers)
            .body_from(Bytes::from_static(body.as_bytes()));
        Box::pin(async move { Ok(response) })
    }
}

fn learning() -> PollPolicy {
    PollPolicy::standard().without_jitter().learn(secs(5))
}

#[tokio::test(start_paused = true)]
async fn polls_gather_at_the_end_that_earlier_tasks_had() {
    let service = Service::new(secs(100));
    let client = service.client(learning());
    let unlearned = service.run(&client).await;
    assert!(unlearned.len() > 20, "{unlearned:?}");
    for _ in 0..20 {
        service.run(&client).await;
    }
    let mut polls = 0;
    for _ in 0..8 {
        let ages = service.run(&client).await;
        assert!(*ages.last().unwrap() <= secs(102), "{ages:?}");
        polls += ages.len();
    }
    // One of the eight is probed.
    assert!(polls <= 10, "{polls}");
}

#[tokio::test(start_paused = true)]
async fn only_a_policy_that_learns_learns() {
    let service = Service::new(secs(100));
    let client = service.client(PollPolicy::standard().without_jitter());
    let first = service.run(&client).await;
    for _ in 0..3 {
        assert_eq!(service.run(&client).await, first);
    }
    assert!(client.durations().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_the_service_asks_for_takes_precedence() {
    let service = Service::new(secs(100));
    let client = service.client(learning());
    for _ in 0..5 {
        service.run(&client).await;
    }
    service.set(|job| (job.retry_after, job.takes) = (Some("30"), secs(50)));
    assert_eq!(service.run(&client).await, [secs(30), secs(60)]);
}

#[tokio::test(start_paused = true)]
async fn the_ceiling_bounds_a_learned_pause() {
    let service = Service::new(secs(100));
    let client = service.client(learning().ceiling(secs(40)));
    for _ in 0..5 {
        service.run(&client).await;
    }
    let ages = service.run(&client).await;
    let gaps = ages.iter().scan(Duration::ZERO, |last, age| Some(*age - std::mem::replace(last, *age)));
    assert!(gaps.clone().all(|gap| gap <= secs(40)) && ages.len() < 8, "{ages:?}");
}

#[tokio::test(start_paused = true)]
async fn durations_travel_to_the_next_process_as_data() {
    let service = Service::new(secs(100));
    let client = service.client(learning());
    for _ in 0..6 {
        service.run(&client).await;
    }
    let text = serde_json::to_string(&client.durations()).unwrap();
    let learned: LearnedDurations = serde_json::from_str(&text).unwrap();
    assert_eq!(learned, client.durations());
    assert_eq!(learned.tasks().map(|tasks| (tasks.kind(), tasks.count())).collect::<Vec<_>>(), [("export", 6)]);

    let next = service.client(learning());
    next.recall_durations(&learned);
    assert_eq!(next.durations(), learned);
    let ages = service.run(&next).await;
    assert!(ages.len() <= 4, "{ages:?}");
}

#[tokio::test(start_paused = true)]
async fn data_that_no_client_can_have_learned_is_ignored() {
    let client = Service::new(secs(1)).client(learning());
    let name = "n".repeat(101);
    for text in [
        r#"[{"kind": "a", "spans": [[5, 5]]}]"#.to_owned(),
        r#"[{"kind": "a", "spans": [[5, 18446744073709551615]]}]"#.to_owned(),
        r#"[{"kind": "a", "spans": []}]"#.to_owned(),
        format!(r#"[{{"kind": "{name}", "spans": [[5, 6]]}}]"#),
    ] {
        client.recall_durations(&serde_json::from_str(&text).unwrap());
        assert!(client.durations().is_empty(), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_an_end_and_a_cancellation_is_none() {
    let service = Service::new(secs(20));
    let client = service.client(learning());
    service.set(|job| job.end = r#"{"status": "canceled"}"#);
    let canceled = client.task().kind("export").post("tasks").submit::<Value>().await.unwrap().await;
    assert_eq!(canceled.unwrap_err().kind(), ErrorKind::TaskCanceled);
    assert!(client.durations().is_empty());
    service.set(|job| job.end = r#"{"status": "failed"}"#);
    service.run(&client).await;
    assert_eq!(client.durations().tasks().map(TaskDurations::count).sum::<usize>(), 1);
}

#[tokio::test(start_paused = true)]
async fn each_size_class_learns_apart_and_a_token_holds_its_name() {
    let service = Service::new(secs(100));
    let client = service.client(learning());
    let submit = || client.task().kind("export").size_class("large").post("tasks").submit::<Value>();
    let mut task = submit().await.unwrap();
    task.advance().await.unwrap().unwrap();
    let token: ResumeToken = task.token().to_string().parse().unwrap();
    drop(task);
    tokio::time::sleep(secs(30)).await;
    client.resume::<Value>(token).unwrap().await.unwrap();
    service.run(&client).await;
    let learned = client.durations();
    let classes: Vec<_> = learned.tasks().map(|tasks| (tasks.size_class(), tasks.count())).collect();
    assert_eq!(classes, [(None, 1), (Some("large"), 1)]);
    let text = serde_json::to_value(&learned).unwrap();
    // The age counts from the submit: 30 seconds before the resume.
    assert!(text.pointer("/1/spans/0/1").unwrap().as_u64().unwrap() >= 100_000, "{text}");

    let long = client.task().size_class("n".repeat(101)).post("tasks").submit::<Value>().await;
    assert_eq!(long.unwrap_err().kind(), ErrorKind::Request);
}
