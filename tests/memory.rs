//! What a waiting task costs: heap bytes, counted by the allocator.
//!
//! Alone in its process: the allocator is the program's, and counts what all threads do.

#![cfg(test)]

use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use longhaul::http::{Http, HttpError, Request, Response};
use longhaul::limits::{Priority, Scope};
use longhaul::protocols::Cursor;
use longhaul::{Client, Limit, State, Task};
use peak_alloc::PeakAlloc;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

const TASKS: usize = 10_000;
/// Beside the token's data, which is the cursor and the text of its URLs.
const ALLOWED: usize = 512;
const ALLOWED_IN_A_SET: usize = 256;

/// Accepts everything, and remembers nothing.
struct Accepting;

impl Http for Accepting {
    fn send(&self, request: Request) -> BoxFuture<'static, Result<Response, HttpError>> {
        let headers: HeaderMap = [("location", LOCATION), ("retry-after", "60")]
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .into_iter()
            .collect();
        let response = Response::new(StatusCode::ACCEPTED, request.url().clone()).headers_from(headers);
        Box::pin(async move { Ok(response) })
    }
}

const LOCATION: &str = "https://api.example.com/v1/tasks/0f8fad5b-d9cb-469f-a165-70867728950e";

/// What a place in the throttle's queue may cost above a waiting task: a ticket, and not a built request.
const TICKET: usize = 512;

#[test]
fn ten_thousand_waiting_tasks_are_small() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let client = Client::builder("https://api.example.com/v1").http(Accepting).build().unwrap();
        let mut tasks: Vec<Task<u32>> = Vec::with_capacity(TASKS);
        // The first warms up what all share.
        client.task().post("exports").submit::<u32>().await.unwrap().advance().await;
        let before = HEAP.current_usage();
        for _ in 0..TASKS {
            let mut task = client.task().post("exports").submit::<u32>().await.unwrap();
            // It has told what it knows, and waits with its timer set.
            task.advance().await.unwrap().unwrap();
            assert!(tokio::time::timeout(Duration::ZERO, task.advance()).await.is_err());
            tasks.push(task);
        }
        let heap = (HEAP.current_usage() - before) / TASKS + size_of::<Task<u32>>();
        let token = tasks[0].handle().token();
        let data = size_of::<Cursor>() + LOCATION.len() + "https://api.example.com/v1/exports".len();
        println!(
            "a waiting task: {heap} bytes, of which {} in the Task itself, and {data} the token's data (as JSON {} bytes)",
            size_of::<Task<u32>>(),
            token.to_string().len(),
        );
        assert_eq!(tasks[0].last_update().state(), State::Accepted);
        assert!(heap - data <= ALLOWED, "{heap} bytes, {data} of them the token's data");

        // All polls are due, and none may go.
        client.throttle().add_limit(Limit::per(1, Duration::from_secs(1_000_000)).scope(Scope::route("tasks/*"))).unwrap();
        let keys = client.request_key(&Method::GET, "tasks/1").unwrap();
        let mut permit = client.throttle().acquire(Priority::Poll, &keys).await.unwrap();
        permit.answered();
        tokio::time::advance(Duration::from_secs(100)).await;
        for task in &mut tasks {
            assert!(tokio::time::timeout(Duration::ZERO, task.advance()).await.is_err());
        }
        let queued = (HEAP.current_usage() - before) / TASKS + size_of::<Task<u32>>();
        println!("a task in the throttle's queue: {queued} bytes");
        assert_eq!(client.throttle().explain(Priority::Poll, &keys).ahead() as usize, TASKS);
        assert!(queued <= heap + TICKET, "{queued} bytes in the queue, {heap} without");
        drop(tasks);
        waiting_tasks_of_a_set_are_smaller(data).await;
    });
}

/// All that a set takes for a waiting task: the task, its place in the set, and its time.
async fn waiting_tasks_of_a_set_are_smaller(data: usize) {
    let client = Client::builder("https://api.example.com/v1").http(Accepting).build().unwrap();
    let mut set = client.tasks::<u32>();
    let before = HEAP.current_usage();
    set.feed((0..TASKS).map({
        let client = client.clone();
        move |_| client.task().post("exports")
    }));
    for _ in 0..TASKS {
        set.next().await.unwrap();
    }
    assert!(tokio::time::timeout(Duration::ZERO, set.next()).await.is_err());
    let heap = (HEAP.current_usage() - before) / TASKS;
    println!("a waiting task of a set: {heap} bytes, {data} of them the token's data");
    assert_eq!(set.progress().running, TASKS as u64);
    assert!(heap - data <= ALLOWED_IN_A_SET, "{heap} bytes, {data} of them the token's data");
}
