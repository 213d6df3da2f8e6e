//! Workers that share a task store, a file or a Redis server, and are killed at any time. The rounds with a server need
//! `LONGHAUL_REDIS`, its program, which tests/run.sh finds.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Child;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use longhaul::tasks::{FileTaskStore, Recovered, RedisTaskStore, TaskStore};
use longhaul::testing::Simulator;
use longhaul::{Client, Credential, ErrorKind, Outcome, Profile};
use serde_json::{Value, json};

use crate::child::{again, kill, spawn};
use crate::folder::plain::Folder;
use crate::redis_server::Redis;

const FOLDER: &str = "LONGHAUL_TEST_FOLDER";
const URL: &str = "LONGHAUL_TEST_URL";
const BEARER: &str = "LONGHAUL_TEST_BEARER";
const KEY: &str = "LONGHAUL_TEST_KEY";
/// The URL of the Redis server in which the tasks are, if it is not a file.
const STORE: &str = "LONGHAUL_TEST_STORE";
const KEYED: &str = "LONGHAUL_TEST_KEYED";
const TASKS: usize = 24;
const LEASE: Duration = Duration::from_millis(600);

fn client(folder: &Path) -> Client {
    let var = |name| env::var(name).unwrap();
    let store: Arc<dyn TaskStore> = match env::var(STORE) {
        Ok(url) => Arc::new(RedisTaskStore::new(&url, "workers").unwrap().lease_time(LEASE)),
        Err(_) => Arc::new(FileTaskStore::new(folder.join("tasks")).lease_time(LEASE)),
    };
    Client::builder(var(URL))
        .profile(Profile::smag_task())
        .credential(
            Credential::bearer(var(BEARER)).and(Credential::api_key_header("Ocp-Apim-Subscription-Key", var(KEY))),
        )
        .no_proxy()
        .task_store(store)
        .task_store_key([7; 32])
        .build()
        .unwrap()
}

/// Writes a line that a kill cannot cut.
fn note(folder: &Path, line: &str) {
    let mut file = fs::File::options().create(true).append(true).open(folder.join("done")).unwrap();
    file.write_all(format!("{line}\n").as_bytes()).unwrap();
}

async fn end(folder: &Path, name: &str, outcome: Outcome<Value>) {
    // The work of the application, which is done at least once.
    note(folder, &format!("done {name}"));
    match outcome.ack().await {
        Ok(()) => note(folder, &format!("ack {name}")),
        // This process was starved for longer than its lease.
        Err(error) => assert_eq!(error.kind(), ErrorKind::TakenOver, "{error}"),
    }
}

/// Works until all tasks are acknowledged.
async fn work(folder: &Path) {
    let client = client(folder);
    let is_keyed = env::var(KEYED).is_ok();
    for number in 0..TASKS {
        let name = format!("t{number}");
        let mut task = client.task().post("exports").stored_as(&name).json(&json!({"duration_ms": 30, "size": 10}));
        if is_keyed {
            task = task.idempotency_key(format!("key-{name}"));
        }
        match task.submit::<Value>().await {
            Ok(task) => match task.await {
                Ok(outcome) => end(folder, &name, outcome).await,
                Err(error) => assert_eq!(error.kind(), ErrorKind::TakenOver, "{error}"),
            },
            Err(error) => assert_eq!(error.kind(), ErrorKind::AlreadyStored, "{error}"),
        }
        recover(folder, &client).await;
    }
    while client.stored_tasks().await.unwrap().open() > 0 {
        recover(folder, &client).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn recover(folder: &Path, client: &Client) {
    for recovered in client.recover::<Value>().at_most(2).await.unwrap() {
        match recovered {
            Recovered::Task(task) => {
                let name = task.stored_as().unwrap();
                match task.await {
                    Ok(outcome) => end(folder, &name, outcome).await,
                    Err(error) => assert_eq!(error.kind(), ErrorKind::TakenOver, "{error}"),
                }
            }
            Recovered::Uncertain(task) => {
                let name = task.stored_as().to_owned();
                match task.ack().await {
                    Ok(()) => note(folder, &format!("uncertain {name}")),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::TakenOver, "{error}"),
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_killed_at_any_time_lose_no_task_and_submit_none_twice() {
    if let Ok(folder) = env::var(FOLDER) {
        // This is a process that will be killed, unless it is faster.
        work(Path::new(&folder)).await;
        return;
    }
    let rounds = if env::var("LONGHAUL_LONG").is_ok() { 20 } else { 1 };
    for _ in 0..rounds {
        let servers = [Redis::start(), Redis::start()];
        let files = [true, false].map(|is_keyed| round(is_keyed, None));
        let servers = [true, false].into_iter().zip(&servers);
        let servers = servers.filter_map(|(is_keyed, server)| Some(round(is_keyed, Some(server.as_ref()?))));
        join_all(files.into_iter().chain(servers)).await;
    }
}

async fn round(is_keyed: bool, server: Option<&Redis>) {
    let service = Simulator::builder().idempotency_keys().latency(Duration::from_millis(20)).start().await.unwrap();
    let folder = Folder::new();
    let start = || {
        let mut command = again(
            env::current_exe().unwrap(),
            module_path!(),
            "workers_killed_at_any_time_lose_no_task_and_submit_none_twice",
        );
        let log = fs::File::options().create(true).append(true).open(folder.at("log")).unwrap();
        command.arg("--nocapture").stdout(log.try_clone().unwrap()).stderr(log);
        if is_keyed {
            command.env(KEYED, "");
        }
        if let Some(server) = server {
            command.env(STORE, server.url());
        }
        spawn(
            command
                .env(FOLDER, folder.path())
                .env(URL, service.url().as_str())
                .env(BEARER, service.bearer())
                .env(KEY, service.subscription_key()),
        )
    };
    let mut workers: Vec<Child> = (0..2).map(|_| start()).collect();
    for number in 0..6 {
        tokio::time::sleep(Duration::from_millis(fastrand::u64(20..400))).await;
        let worker = &mut workers[number % 2];
        kill(worker);
        *worker = start();
    }
    for mut worker in workers {
        let ended = tokio::task::spawn_blocking(move || worker.wait().unwrap()).await.unwrap();
        assert!(ended.success(), "{}", folder.text("log"));
    }
    let text = folder.text("done");
    let mut counts: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    for line in text.lines() {
        *counts.entry(line.split_once(' ').unwrap()).or_default() += 1;
    }
    let names = |what: &str| -> BTreeSet<&str> {
        counts.keys().filter(|(word, _)| *word == what).map(|(_, name)| *name).collect()
    };
    let (done, uncertain) = (names("done"), names("uncertain"));
    assert_eq!(done.union(&uncertain).count(), TASKS, "lost: {text}");
    // A process may die between its acknowledgement and its line; none is acknowledged twice.
    assert!(counts.iter().filter(|((what, _), _)| *what != "done").all(|(_, count)| *count == 1), "{text}");
    let tasks = service.tasks().len();
    if is_keyed {
        assert!(uncertain.is_empty(), "{text}");
        assert_eq!(tasks, TASKS);
    } else {
        // An uncertain one is there or not.
        assert!(done.is_disjoint(&uncertain), "{text}");
        assert!((done.len()..=TASKS).contains(&tasks), "{tasks} {text}");
    }
    assert!(service.counts().submits() >= tasks as u64);
    println!(
        "keyed {is_keyed}, server {}: {} done, {} uncertain, {tasks} tasks",
        server.is_some(),
        done.len(),
        uncertain.len()
    );
}
