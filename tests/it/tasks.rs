//! Many tasks of one client, as one stream.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use http::Method;
use longhaul::http::{Http, HttpError, Request, Response};
use longhaul::tasks::{MemoryTaskStore, TaskEvent, TaskId, Tasks};
use longhaul::{Client, ClientBuilder, ErrorKind, PollPolicy, State, TaskBuilder, Update};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::support::{Folder, headers, secs};

/// A service whose tasks run for a number of polls, and that knows how many requests are under way.
#[derive(Clone, Default)]
struct Service(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    tasks: u64,
    polls: BTreeMap<u64, u64>,
    /// The number under way and the most of them, for submits and for others.
    under_way: [(usize, usize); 2],
    canceled: Vec<u64>,
    at: Vec<Instant>,
}

const POLLS: u64 = 3;

impl Http for Service {
    fn send(&self, request: Request) -> BoxFuture<'static, Result<Response, HttpError>> {
        let service = self.clone();
        Box::pin(async move {
            let side = usize::from(request.method() != Method::POST);
            {
                let mut seen = service.0.lock().unwrap();
                seen.under_way[side].0 += 1;
                seen.under_way[side].1 = seen.under_way[side].1.max(seen.under_way[side].0);
                seen.at.push(Instant::now());
            }
            sleep(Duration::from_millis(50)).await;
            let mut seen = service.0.lock().unwrap();
            seen.under_way[side].0 -= 1;
            Ok(seen.answer(&request))
        })
    }
}

impl Seen {
    fn answer(&mut self, request: &Request) -> Response {
        let answer = |status: u16| Response::new(status.try_into().unwrap(), request.url().clone());
        if request.method() == Method::POST {
            if request.body().as_ref() == b"\"bad\"" {
                return answer(400);
            }
            self.tasks += 1;
            let location = format!("/v1/tasks/{}", self.tasks);
            return answer(202).headers_from(headers(&[("location", &location), ("retry-after", "10")]));
        }
        let id: u64 = request.url().path_segments().unwrap().next_back().unwrap().parse().unwrap();
        if request.method() == Method::DELETE {
            self.canceled.push(id);
            return if id == 1 { answer(405) } else { answer(202) };
        }
        if self.canceled.contains(&id) && id != 1 {
            return answer(200).body_from(Bytes::from_static(b"{\"status\": \"canceled\"}"));
        }
        let polls = self.polls.entry(id).or_default();
        *polls += 1;
        if *polls < POLLS {
            let text = json!({"status": "running", "percentComplete": *polls * 30}).to_string();
            return answer(202).body_from(Bytes::from(text));
        }
        answer(200).body_from(Bytes::from(json!({"status": "succeeded", "result": id}).to_string()))
    }
}

impl Service {
    fn builder(&self) -> ClientBuilder {
        Client::builder("https://api.example.com/v1")
            .http(self.clone())
            .poll_policy(PollPolicy::standard().without_jitter())
    }

    fn client(&self) -> Client {
        self.builder().build().unwrap()
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.0.lock().unwrap()
    }
}

fn task(client: &Client) -> TaskBuilder {
    client.task().post("exports")
}

/// All events, by task.
async fn all(tasks: &mut Tasks<u64>) -> BTreeMap<u64, Vec<String>> {
    let mut all: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    while let Some((id, event)) = tasks.next().await {
        all.entry(id.number()).or_default().push(said(&event));
    }
    all
}

fn said(event: &TaskEvent<u64>) -> String {
    match event {
        TaskEvent::Update(update) => {
            let percent = update.percent().map_or(String::new(), |percent| format!(" {percent}"));
            format!("{}{percent} {}", update.state(), update.polls())
        }
        TaskEvent::Done(outcome) => format!("done {}", outcome.value().unwrap()),
        TaskEvent::Failed(failed) => format!("failed {}", failed.error().kind().as_str()),
        TaskEvent::NotCanceled(error) => format!("not canceled {:?}", error.status().map(|status| status.as_u16())),
        other => format!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn thousands_of_tasks_end_with_few_requests_at_a_time() {
    let service = Service::default();
    let client = service.client();
    let mut tasks = client.tasks::<u64>();
    tasks.feed((0..3_000).map({
        let client = client.clone();
        move |_| task(&client)
    }));
    let all = all(&mut tasks).await;
    assert_eq!(all.len(), 3_000);
    for (id, events) in &all {
        let [accepted, first, second, last, done] = &events[..] else { panic!("{id}: {events:?}") };
        assert_eq!([accepted, first, second, last], ["accepted 0", "running 30 1", "running 60 2", "succeeded 100 3"]);
        assert!(done.starts_with("done "), "{done}");
    }
    let seen = service.seen();
    assert_eq!(seen.under_way[0], (0, 16));
    let (left, most) = seen.under_way[1];
    assert!(left == 0 && most <= 128, "{most}");
    assert_eq!(seen.polls.values().sum::<u64>(), 3_000 * POLLS);
    assert_eq!((tasks.progress().done, tasks.progress().percent()), (3_000, 100.0));
    assert_eq!(client.stats().tasks().alive_in_all(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_bounds_can_be_set_and_tasks_added_at_any_time() {
    let service = Service::default();
    let client = service.client();
    let mut tasks = client.tasks::<u64>().submits_at_once(4).polls_at_once(3);
    let ids: Vec<TaskId> = (0..20).map(|_| tasks.submit(task(&client))).collect();
    assert_eq!((ids[19].number(), tasks.progress().queued), (19, 20));
    assert_eq!(all(&mut tasks).await.len(), 20);
    assert_eq!(service.seen().under_way.map(|(_, most)| most), [4, 3]);
    // After the end, too.
    let added = tasks.add(task(&client).submit().await.unwrap());
    let all = all(&mut tasks).await;
    assert_eq!((added.number(), all.len()), (20, 1));
    assert_eq!(all[&20].last().unwrap(), "done 21");
}

#[tokio::test(start_paused = true)]
async fn a_submit_that_fails_is_told_and_the_others_go_on() {
    let service = Service::default();
    let client = service.client();
    let mut tasks = client.tasks::<u64>();
    tasks.submit(task(&client).json("bad"));
    tasks.submit(task(&client));
    let all = all(&mut tasks).await;
    assert_eq!(all[&0], ["failed rejected"]);
    assert_eq!(all[&1].last().unwrap(), "done 1");
    let progress = tasks.progress();
    assert_eq!((progress.done, progress.failed, progress.running, progress.total()), (1, 1, 0, 2));
}

#[tokio::test(start_paused = true)]
async fn the_progress_is_that_of_all() {
    let service = Service::default();
    let client = service.client();
    let mut tasks = client.tasks::<u64>().submits_at_once(1);
    for _ in 0..4 {
        tasks.submit(task(&client));
    }
    let mut last = 0.0;
    let mut seen = Vec::new();
    while let Some((_, event)) = tasks.next().await {
        if !matches!(event, TaskEvent::Update(_)) {
            seen.push((tasks.progress().done, tasks.progress().percent().round()));
        }
        assert!(tasks.progress().percent() >= last, "it fell");
        last = tasks.progress().percent();
    }
    assert_eq!(seen[0].0, 1);
    assert!(seen[0].1 >= 60.0, "{seen:?}");
    assert_eq!(seen[3], (4, 100.0));
}

#[tokio::test(start_paused = true)]
async fn all_are_canceled_and_watched_to_their_true_end() {
    let service = Service::default();
    let client = service.client();
    let mut tasks = client.tasks::<u64>();
    for _ in 0..40 {
        tasks.submit(task(&client));
    }
    let mut accepted = 0;
    while accepted < 20 {
        let Some((_, TaskEvent::Update(update))) = tasks.next().await else { panic!("none has ended") };
        accepted += u32::from(update.state() == State::Accepted);
    }
    tasks.cancel_all();
    let begun = Instant::now();
    let all = all(&mut tasks).await;
    let submitted = service.seen().tasks;
    assert!((20..=40).contains(&submitted), "{submitted}");
    let ends: Vec<_> = all.values().map(|events| events.last().unwrap().clone()).collect();
    // The service lets nobody cancel its first task.
    assert_eq!(ends.iter().filter(|end| *end == "done 1").count(), 1, "{ends:?}");
    assert!(all.values().any(|events| events.contains(&"not canceled Some(405)".to_owned())));
    let canceled = ends.iter().filter(|end| *end == "failed task_canceled").count();
    // Submits that were under way were not known yet, and end by themselves.
    let late = ends.iter().filter(|end| end.starts_with("done ")).count() - 1;
    assert!(canceled >= 19 && late <= 32 && (canceled + late + 1) as u64 == submitted, "{ends:?}");
    assert!(begun.elapsed() < secs(60));
    assert_eq!(tasks.progress().queued, 0);
}

#[tokio::test(start_paused = true)]
async fn a_nudge_of_a_handle_polls_one_task_sooner() {
    let service = Service::default();
    // No wait is asked for at the submit's answer here: the pause is the client's own.
    let client = service.builder().poll_policy(PollPolicy::standard().without_jitter().floor(secs(0))).build().unwrap();
    let mut tasks = client.tasks::<u64>();
    let submitted = client.task().post("exports").submit::<u64>().await.unwrap();
    let handle = submitted.handle();
    tasks.add(submitted);
    let begun = Instant::now();
    assert!(tasks.next().await.is_some());
    let nudging = async {
        sleep(secs(11)).await;
        handle.nudge();
        sleep(secs(1000)).await;
    };
    let watching = async {
        while let Some((_, event)) = tasks.next().await {
            if matches!(&event, TaskEvent::Update(update) if update.polls() == 1) {
                break;
            }
        }
        let first = begun.elapsed();
        assert_eq!(first, Duration::from_millis(10_050));
        while let Some((_, event)) = tasks.next().await {
            if matches!(&event, TaskEvent::Update(update) if update.polls() == 2) {
                break;
            }
        }
    };
    tokio::select! { () = nudging => panic!("it was not polled"), () = watching => {} }
    // The service's own wait of 10 seconds holds against the nudge.
    assert!(begun.elapsed() >= secs(20), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_task_in_a_set_is_polled_as_a_task_alone() {
    let (alone, set) = (Service::default(), Service::default());
    let build = |client: &Client| {
        client.task().post("exports").plain_header("x-tenant", "acme").timeout(Duration::from_secs(25)).submit::<u64>()
    };
    let client = alone.client();
    let mut task = build(&client).await.unwrap();
    let mut expected: Vec<Update> = Vec::new();
    let error = loop {
        match task.advance().await {
            Some(Ok(update)) => expected.push(update),
            Some(Err(error)) => break error,
            None => panic!("the deadline is before its end"),
        }
    };
    let client = set.client();
    let mut tasks = client.tasks::<u64>();
    tasks.add(build(&client).await.unwrap());
    let mut found = Vec::new();
    while let Some((_, event)) = tasks.next().await {
        match event {
            TaskEvent::Update(update) => found.push(update),
            TaskEvent::Failed(failed) => {
                assert_eq!(failed.error().to_string(), error.to_string());
                assert_eq!(failed.error().polls(), error.polls());
                assert_eq!(failed.error().token().unwrap().to_string().len(), error.token().unwrap().to_string().len());
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(found, expected);
    assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
    assert_eq!(alone.seen().at.len(), set.seen().at.len());
    assert_eq!(client.stats().tasks().alive_in_all(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_set_that_is_dropped_gives_its_stored_tasks_back() {
    let service = Service::default();
    let client = service.builder().task_store(MemoryTaskStore::new()).build().unwrap();
    let mut tasks = client.tasks::<u64>();
    for number in 0..10 {
        tasks.submit(task(&client).stored_as(format!("t{number}")));
    }
    for _ in 0..15 {
        tasks.next().await;
    }
    assert!(client.recover::<u64>().await.unwrap().is_empty(), "they are held");
    drop(tasks);
    let mut tasks = client.tasks::<u64>();
    assert!(tasks.add_recovered(client.recover().await.unwrap()).is_empty());
    let mut done = 0;
    while let Some((_, event)) = tasks.next().await {
        if let TaskEvent::Done(outcome) = event {
            outcome.ack().await.unwrap();
            done += 1;
        }
    }
    assert_eq!((done, client.stored_tasks().await.unwrap().open()), (10, 0));
}

#[tokio::test(start_paused = true)]
async fn all_results_are_downloaded_each_into_a_folder_of_its_own() {
    let service = Service::default();
    let client = service.client();
    let folder = Folder::new();
    let mut tasks = client.tasks::<u64>();
    for _ in 0..6 {
        tasks.submit(task(&client));
    }
    tasks.submit(task(&client).json("bad"));
    let mut downloads = tasks.download_all(folder.at("results"));
    let mut found = BTreeMap::new();
    while let Some((id, downloaded)) = downloads.next().await {
        match downloaded {
            Ok(downloaded) => {
                let path = downloaded.receipts()[0].path().unwrap().to_owned();
                assert!(path.starts_with(folder.at("results").join(id.to_string())), "{path:?}");
                found.insert(id.number(), std::fs::metadata(path).unwrap().len());
            }
            Err(failed) => assert_eq!((id.number(), failed.error().kind()), (6, ErrorKind::Rejected)),
        }
    }
    assert_eq!(found.len(), 6);
    assert!(found.values().all(|length| *length > 0));
    assert_eq!(downloads.progress().done, 6);
}

#[test]
fn outside_of_a_runtime_each_task_says_so() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let service = Service::default();
    let client = service.client();
    let mut tasks = client.tasks::<u64>();
    runtime.block_on(async {
        for _ in 0..2 {
            tasks.submit(task(&client));
        }
        for _ in 0..2 {
            tasks.next().await;
        }
    });
    // Nothing is pending, so that no executor is needed.
    let ends: Vec<_> = tasks.map(|(_, event)| said(&event)).collect::<Vec<_>>().now_or_never().unwrap();
    assert_eq!(ends, ["failed config", "failed config"]);
}
