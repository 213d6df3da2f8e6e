//! Against pygeoapi: the jobs of OGC API Processes.
//!
//! `tests/run.sh` installs it with `LONGHAUL_LONG=1`; without it these tests are skipped.

use std::time::Duration;

use futures::TryStreamExt;
use longhaul::{Client, ErrorKind, PollPolicy, State, profiles};
use serde_json::{Value, json};

use super::python::Server;

fn client(server: &Server) -> Client {
    Client::builder(&server.url)
        .profile(profiles::ogc_processes())
        .poll_policy(PollPolicy::standard().ceiling(Duration::from_millis(300)))
        .no_proxy()
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_job_runs_and_its_result_is_fetched() {
    let Some(server) = Server::start("processes.py") else { return };
    let task = client(&server).task().post("processes/slow/execution").json(&json!({"inputs": {"text": "hello"}}));
    let mut task = task.submit::<Value>().await.unwrap();
    let mut states = Vec::new();
    let mut updates = task.updates();
    while let Some(update) = updates.try_next().await.unwrap() {
        states.push(update.state());
    }
    assert_eq!((states.first(), states.last()), (Some(&State::Accepted), Some(&State::Succeeded)));
    // A second of work, and a look at it each 300 ms.
    assert!(states.len() >= 3, "{states:?}");
    let outcome = task.await.unwrap();
    assert_eq!(outcome.value().unwrap(), json!({"echo": "hello"}));
}

#[tokio::test]
async fn a_job_that_fails_says_why() {
    let Some(server) = Server::start("processes.py") else { return };
    let task = client(&server).task().post("processes/broken/execution").json(&json!({"inputs": {"text": "x"}}));
    let error = task.submit::<Value>().await.unwrap().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TaskFailed);
    assert!(error.fault().unwrap().message().unwrap().contains("no such field"), "{error}");
}
