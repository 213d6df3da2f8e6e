//! What becomes of a task whose process ends, at each step of its life.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::Method;
use longhaul::credentials::StoreError;
use longhaul::http::{Http, HttpError, Request, Response};
use longhaul::limits::Clock;
use longhaul::tasks::{
    Claimed, Intent, MemoryTaskStore, Recovered, StoredCounts, StoredState, TaskLease, TaskStore, TaskWrite, Written,
};
use longhaul::{Client, ClientBuilder, ErrorKind, Outcome};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::support::{headers, secs};

/// The step at which a process ends. From then on it writes, sends and receives nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    BeforeIntend,
    AfterIntend,
    /// The service has the submit, and its answer is lost.
    InSubmit,
    BeforeSubmitted,
    AfterSubmitted,
    AtPoll,
    BeforeAck,
    AfterAck,
    Never,
    /// None of the steps above.
    Other,
}

#[derive(Clone)]
struct Process {
    store: MemoryTaskStore,
    service: Service,
    dies: Step,
    is_dead: Arc<AtomicBool>,
    died: Arc<Notify>,
}

impl Process {
    fn new(store: &MemoryTaskStore, service: &Service, dies: Step) -> Self {
        Self { store: store.clone(), service: service.clone(), dies, is_dead: Arc::default(), died: Arc::default() }
    }

    fn client(&self) -> ClientBuilder {
        Client::builder("https://api.example.com/v1").http(self.clone()).task_store(self.clone())
    }

    /// Ends the process if this is the step.
    async fn at(&self, step: Step) {
        if self.dies == step {
            self.is_dead.store(true, Relaxed);
        }
        if self.is_dead.load(Relaxed) {
            self.died.notify_one();
            std::future::pending::<()>().await;
        }
    }
}

impl TaskStore for Process {
    fn intend(&self, name: Arc<str>, owner: Arc<str>, data: Vec<u8>) -> BoxFuture<'_, Result<Intent, StoreError>> {
        Box::pin(async {
            self.at(Step::BeforeIntend).await;
            let answer = self.store.intend(name, owner, data).await;
            self.at(Step::AfterIntend).await;
            answer
        })
    }

    fn write(&self, lease: TaskLease, change: TaskWrite) -> BoxFuture<'_, Result<Written, StoreError>> {
        Box::pin(async {
            let (before, after) = match change {
                TaskWrite::Submitted(_) => (Step::BeforeSubmitted, Step::AfterSubmitted),
                TaskWrite::Acknowledged => (Step::BeforeAck, Step::AfterAck),
                _ => (Step::Other, Step::Other),
            };
            self.at(before).await;
            let answer = self.store.write(lease, change).await;
            self.at(after).await;
            answer
        })
    }

    fn beat(&self, owner: Arc<str>, leases: Vec<TaskLease>) -> BoxFuture<'_, Result<Vec<TaskLease>, StoreError>> {
        Box::pin(async {
            self.at(Step::Other).await;
            self.store.beat(owner, leases).await
        })
    }

    fn claim(&self, owner: Arc<str>, most: usize) -> BoxFuture<'_, Result<Vec<Claimed>, StoreError>> {
        self.store.claim(owner, most)
    }

    fn counts(&self) -> BoxFuture<'_, Result<StoredCounts, StoreError>> {
        self.store.counts()
    }
}

impl Http for Process {
    fn send(&self, request: Request) -> BoxFuture<'static, Result<Response, HttpError>> {
        let process = self.clone();
        Box::pin(async move {
            process.at(Step::Other).await;
            let response = process.service.answer(&request);
            process.at(if request.method() == Method::POST { Step::InSubmit } else { Step::AtPoll }).await;
            Ok(response)
        })
    }
}

/// A service that starts one task for each key, and one for each submit without a key.
#[derive(Clone, Default)]
struct Service(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    tasks: u32,
    keys: BTreeMap<String, u32>,
    submits: Vec<Request>,
    polls: BTreeMap<String, u32>,
}

impl Service {
    fn answer(&self, request: &Request) -> Response {
        let mut state = self.0.lock().unwrap();
        let answer = |status: u16| Response::new(status.try_into().unwrap(), request.url().clone());
        if request.method() == Method::POST {
            state.submits.push(request.clone());
            let next = state.tasks + 1;
            let id = match request.headers().get("idempotency-key") {
                Some(key) => *state.keys.entry(key.to_str().unwrap().to_owned()).or_insert(next),
                None => next,
            };
            state.tasks = state.tasks.max(id);
            return answer(202).headers_from(headers(&[("location", &format!("/v1/tasks/{id}"))]));
        }
        let polls = state.polls.entry(request.url().path().to_owned()).or_default();
        *polls += 1;
        if *polls == 1 { answer(202) } else { answer(200).body_from(Bytes::from_static(b"7")) }
    }

    fn tasks(&self) -> u32 {
        self.0.lock().unwrap().tasks
    }

    fn submits(&self) -> usize {
        self.0.lock().unwrap().submits.len()
    }
}

fn store() -> MemoryTaskStore {
    let clock = Clock::starting_at(std::time::SystemTime::UNIX_EPOCH + secs(1_700_000_000));
    MemoryTaskStore::new().clock(clock)
}

async fn live(client: &Client, key: Option<&str>) -> Result<(), longhaul::Error> {
    let mut task = client.task().post("exports").stored_as("order-17").json(&[1, 2]);
    if let Some(key) = key {
        task = task.idempotency_key(key);
    }
    let outcome = task.submit::<u32>().await?.await?;
    assert_eq!(outcome.value()?, 7);
    outcome.ack().await
}

/// Recovers until there is something, or for ten minutes.
async fn recover(client: &Client) -> Vec<Recovered<u32>> {
    let begun = Instant::now();
    loop {
        let recovered = client.recover().await.unwrap();
        if !recovered.is_empty() || begun.elapsed() > Duration::from_secs(600) {
            return recovered;
        }
        sleep(secs(3)).await;
    }
}

/// What the next process finds: a result, an uncertain task, or nothing.
async fn next(process: &Process) -> &'static str {
    let client = process.client().build().unwrap();
    let mut recovered = recover(&client).await;
    let found = match recovered.pop() {
        Some(Recovered::Task(task)) => {
            assert_eq!(task.stored_as().as_deref(), Some("order-17"));
            let outcome: Outcome<u32> = task.await.unwrap();
            assert_eq!(outcome.value().unwrap(), 7);
            outcome.ack().await.unwrap();
            outcome.ack().await.unwrap();
            "result"
        }
        Some(Recovered::Uncertain(task)) => {
            assert_eq!((task.method(), task.stored_as()), (Some("POST"), "order-17"));
            assert!(task.why().contains("no idempotency key"), "{task:?}");
            assert_eq!(process.store.counts().await.unwrap().uncertain, 1);
            task.ack().await.unwrap();
            "uncertain"
        }
        Some(other) => panic!("{other:?}"),
        None => "nothing",
    };
    assert!(recovered.is_empty());
    assert!(client.recover::<u32>().await.unwrap().is_empty());
    let counts = client.stored_tasks().await.unwrap();
    assert_eq!(counts.open(), 0, "{counts:?}");
    found
}

#[tokio::test(start_paused = true)]
async fn no_step_of_a_death_loses_a_task_or_submits_it_twice() {
    for (dies, keyed, tasks, unkeyed, submitted) in [
        // Nothing was sent, and the caller knows of nothing.
        (Step::BeforeIntend, "nothing", 0, "nothing", 0),
        (Step::AfterIntend, "result", 1, "uncertain", 0),
        (Step::InSubmit, "result", 1, "uncertain", 1),
        (Step::BeforeSubmitted, "result", 1, "uncertain", 1),
        (Step::AfterSubmitted, "result", 1, "result", 1),
        (Step::AtPoll, "result", 1, "result", 1),
        (Step::BeforeAck, "result", 1, "result", 1),
        // The acknowledgement is in the store.
        (Step::AfterAck, "nothing", 1, "nothing", 1),
    ] {
        for (key, found, tasks) in [(Some("key-17"), keyed, tasks), (None, unkeyed, submitted)] {
            let (store, service) = (store(), Service::default());
            let first = Process::new(&store, &service, dies);
            let client = first.client().build().unwrap();
            tokio::select! {
                lived = live(&client, key) => panic!("{dies:?} {lived:?}"),
                () = first.died.notified() => {}
            }
            drop(client);
            let process = Process::new(&store, &service, Step::Never);
            assert_eq!(next(&process).await, found, "{dies:?} {key:?}");
            assert_eq!(service.tasks(), tasks, "{dies:?} {key:?}");
            if key.is_none() {
                assert!(service.submits() <= 1, "{dies:?}: it was submitted again");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_submit_under_a_name_is_refused_before_it_is_sent() {
    let (store, service) = (store(), Service::default());
    let client = Process::new(&store, &service, Step::Never).client().build().unwrap();
    let submit = || client.task().post("exports").stored_as("order-17").submit::<u32>();
    let task = submit().await.unwrap();
    let error = submit().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyStored);
    assert!(error.to_string().contains("`order-17`: it was submitted"), "{error}");
    task.await.unwrap().ack().await.unwrap();
    assert!(submit().await.unwrap_err().to_string().contains("it was acknowledged"));
    assert_eq!(service.submits(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_living_process_keeps_its_tasks_and_a_sleeping_one_is_told_that_it_lost_them() {
    let (store, service) = (store(), Service::default());
    let one = Process::new(&store, &service, Step::Never);
    let client = one.client().build().unwrap();
    let task = client.task().post("exports").submit::<u32>().await.unwrap();
    let handle = task.handle();
    let other = Process::new(&store, &service, Step::Never).client().build().unwrap();
    for _ in 0..100 {
        sleep(secs(5)).await;
        assert!(other.recover::<u32>().await.unwrap().is_empty(), "it is alive");
    }
    // It sleeps, and wakes after its task was taken over.
    one.is_dead.store(true, Relaxed);
    let taken = recover(&other).await;
    assert_eq!(taken.len(), 1);
    assert_eq!(store.counts().await.unwrap().free, 0);
    one.is_dead.store(false, Relaxed);
    assert_eq!(handle.ack().await.unwrap_err().kind(), ErrorKind::TakenOver);
    assert_eq!(task.await.unwrap_err().kind(), ErrorKind::TakenOver);
    assert_eq!(store.counts().await.unwrap().submitted, 1);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_task_is_free_at_once_and_a_handle_or_an_outcome_keeps_it() {
    let (store, service) = (store(), Service::default());
    let client = Process::new(&store, &service, Step::Never).client().build().unwrap();
    let task = client.task().post("exports").submit::<u32>().await.unwrap();
    let handle = task.handle();
    drop(task);
    assert!(client.recover::<u32>().await.unwrap().is_empty());
    drop(handle);
    let Some(Recovered::Task(task)) = client.recover::<u32>().await.unwrap().pop() else { panic!("it is free") };
    let outcome = task.await.unwrap();
    assert!(client.recover::<u32>().await.unwrap().is_empty());
    drop(outcome);
    let counts = client.stored_tasks().await.unwrap();
    assert_eq!((counts.finished, counts.free), (1, 1));
    // The work was not acknowledged: somebody does it again.
    let Some(Recovered::Task(task)) = client.recover::<u32>().await.unwrap().pop() else { panic!("it is free") };
    task.await.unwrap().ack().await.unwrap();
    assert_eq!(client.stored_tasks().await.unwrap().open(), 0);
    assert_eq!(service.submits(), 1);
}

#[tokio::test(start_paused = true)]
async fn tasks_go_to_one_process_each() {
    let (store, service) = (store(), Service::default());
    let process = || Process::new(&store, &service, Step::Never).client().build().unwrap();
    let first = process();
    for number in 0..20 {
        drop(first.task().post("exports").stored_as(format!("t{number}")).submit::<u32>().await.unwrap());
    }
    first.settle().await;
    drop(first);
    let clients: Vec<Client> = (0..4).map(|_| process()).collect();
    let mut held = Vec::new();
    for client in &clients {
        let recovered = client.recover::<u32>().at_most(5).await.unwrap();
        assert_eq!(recovered.len(), 5);
        held.extend(recovered);
    }
    assert!(clients[0].recover::<u32>().await.unwrap().is_empty());
    let mut names: Vec<_> = held
        .iter()
        .map(|recovered| match recovered {
            Recovered::Task(task) => task.stored_as().unwrap(),
            other => panic!("{other:?}"),
        })
        .collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 20);
}

#[tokio::test(start_paused = true)]
async fn without_a_store_nothing_is_stored_and_the_calls_say_so() {
    let service = Service::default();
    let process = Process::new(&store(), &service, Step::Never);
    let client = Client::builder("https://api.example.com/v1").http(process).build().unwrap();
    let error = client.recover::<u32>().await.unwrap_err();
    assert!(error.kind() == ErrorKind::Config && error.to_string().contains("task_store"), "{error}");
    let error = client.task().post("exports").stored_as("a").submit::<u32>().await.unwrap_err();
    assert!(error.kind() == ErrorKind::Config && error.to_string().contains("task_store"), "{error}");
    assert_eq!(service.submits(), 0);
    let outcome = client.task().post("exports").submit::<u32>().await.unwrap().await.unwrap();
    assert_eq!(outcome.stored_as(), None);
    outcome.ack().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_name_is_short_and_not_empty() {
    let (store, service) = (store(), Service::default());
    let client = Process::new(&store, &service, Step::Never).client().build().unwrap();
    for name in ["".to_owned(), "x".repeat(201)] {
        let error = client.task().post("exports").stored_as(name).submit::<u32>().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Request, "{error}");
    }
    drop(client.task().post("exports").stored_as("x".repeat(200)).submit::<u32>().await.unwrap());
    assert_eq!((store.counts().await.unwrap().open(), StoredState::Submitted.as_str()), (1, "submitted"));
}
