//! A worker that is stopped for longer than its lease, while another takes its tasks over at a Redis server: whatever it
//! writes when it wakes is refused.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use longhaul::tasks::{Recovered, RedisTaskStore, TaskStore, TaskWrite, Written};
use longhaul::testing::Simulator;
use longhaul::{Client, Credential, ErrorKind, Profile, Task};
use serde_json::{Value, json};

use crate::child::{again, kill, signal, spawn};
use crate::redis_server::Redis;

const STORE: &str = "LONGHAUL_TEST_STORE";
const URL: &str = "LONGHAUL_TEST_URL";
const BEARER: &str = "LONGHAUL_TEST_BEARER";
const KEY: &str = "LONGHAUL_TEST_KEY";
const LEASE: Duration = Duration::from_millis(600);

fn store(url: &str) -> RedisTaskStore {
    RedisTaskStore::new(url, "workers").unwrap().lease_time(LEASE)
}

/// A process that holds tasks, says so, and goes on when it is told.
struct Worker {
    child: Child,
    says: BufReader<ChildStdout>,
}

impl Worker {
    fn start(test: &str, environment: &[(&str, &str)]) -> Self {
        let mut command: Command = again(env::current_exe().unwrap(), module_path!(), test);
        command.arg("--nocapture").envs(environment.iter().copied());
        let mut child = spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()));
        let says = BufReader::new(child.stdout.take().unwrap());
        Self { child, says }
    }

    /// Returns the rest of the next line that begins so.
    fn hear(&mut self, start: &str) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert!(self.says.read_line(&mut line).unwrap() > 0, "the worker has ended before `{start}`");
            if let Some(rest) = line.trim().strip_prefix(start) {
                return rest.trim().to_owned();
            }
        }
    }

    /// Wakes the worker, and lets it go on.
    fn wake(&mut self) {
        self.child.stdin.take().unwrap().write_all(b"go on\n").unwrap();
        signal(&self.child, "CONT");
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        kill(&mut self.child);
    }
}

/// Says a line, and waits until the worker is told to go on.
fn pause(line: &str) {
    println!("\n{line}");
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

#[tokio::test]
async fn every_write_of_a_worker_that_slept_past_its_lease_is_refused() {
    if let Ok(url) = env::var(STORE) {
        let store = store(&url);
        let mut leases = Vec::new();
        for name in ["a", "b", "c", "d", "e"] {
            match store.intend(name.into(), "sleeper".into(), b"{}".to_vec()).await.unwrap() {
                longhaul::tasks::Intent::Stored(lease) => leases.push(lease),
                other => panic!("{other:?}"),
            }
        }
        pause("held");
        let changes = [
            TaskWrite::Submitted(b"late".to_vec()),
            TaskWrite::Finished,
            TaskWrite::Uncertain,
            TaskWrite::Acknowledged,
            TaskWrite::Released,
        ];
        for (lease, change) in leases.iter().zip(changes) {
            println!("\nwrote {:?}", store.write(lease.clone(), change).await.unwrap());
        }
        println!("\nlost {}", store.beat("sleeper".into(), leases).await.unwrap().len());
        return;
    }
    let Some(redis) = Redis::start() else { return };
    let test = "every_write_of_a_worker_that_slept_past_its_lease_is_refused";
    let mut worker = Worker::start(test, &[(STORE, &redis.url())]);
    worker.hear("held");
    signal(&worker.child, "STOP");
    let store = store(&redis.url());
    let mut claimed = Vec::new();
    while claimed.len() < 5 {
        claimed.extend(store.claim("other".into(), 5).await.unwrap());
        store.beat("other".into(), claimed.iter().map(|claimed| claimed.lease().clone()).collect()).await.unwrap();
        tokio::time::sleep(LEASE / 10).await;
    }
    let before = store.counts().await.unwrap();
    worker.wake();
    for _ in 0..5 {
        assert_eq!(worker.hear("wrote"), format!("{:?}", Written::Lost));
    }
    assert_eq!(worker.hear("lost"), "5");
    // Nothing has changed, and the new holder's writes count.
    assert_eq!(format!("{:?}", store.counts().await.unwrap()), format!("{before:?}"));
    for claimed in claimed {
        assert_eq!(claimed.lease().fence(), 2);
        assert_eq!(store.write(claimed.lease().clone(), TaskWrite::Acknowledged).await.unwrap(), Written::Done);
    }
}

fn client(store_url: &str, url: &str, bearer: &str, key: &str) -> Client {
    Client::builder(url)
        .profile(Profile::smag_task())
        .credential(Credential::bearer(bearer).and(Credential::api_key_header("Ocp-Apim-Subscription-Key", key)))
        .no_proxy()
        .task_store(store(store_url))
        .task_store_key([7; 32])
        .build()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_slept_past_its_lease_does_not_acknowledge_the_task_of_another() {
    if let Ok(url) = env::var(STORE) {
        let var = |name| env::var(name).unwrap();
        let client = client(&url, &var(URL), &var(BEARER), &var(KEY));
        let task: Task<Value> =
            client.task().post("exports").stored_as("order-17").json(&json!({})).submit().await.unwrap();
        let outcome = task.await.unwrap();
        pause("done");
        println!("\nacknowledged {:?}", outcome.ack().await.map_err(|error| error.kind()));
        return;
    }
    let Some(redis) = Redis::start() else { return };
    let service = Simulator::builder().start().await.unwrap();
    let (url, bearer, key) = (service.url().to_string(), service.bearer(), service.subscription_key());
    let test = "a_client_that_slept_past_its_lease_does_not_acknowledge_the_task_of_another";
    let mut worker = Worker::start(test, &[(STORE, &redis.url()), (URL, &url), (BEARER, bearer), (KEY, key)]);
    worker.hear("done");
    signal(&worker.child, "STOP");
    let client = client(&redis.url(), &url, bearer, key);
    let task = loop {
        match client.recover::<Value>().await.unwrap().pop() {
            Some(Recovered::Task(task)) => break task,
            None => tokio::time::sleep(LEASE / 10).await,
            Some(other) => panic!("{other:?}"),
        }
    };
    assert_eq!(task.stored_as().as_deref(), Some("order-17"));
    worker.wake();
    assert_eq!(worker.hear("acknowledged"), format!("{:?}", Err::<(), _>(ErrorKind::TakenOver)));
    assert_eq!(client.stored_tasks().await.unwrap().open(), 1);
    task.await.unwrap().ack().await.unwrap();
    assert_eq!((client.stored_tasks().await.unwrap().open(), service.tasks().len()), (0, 1));
}
