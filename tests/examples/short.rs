//! The short examples, without arguments and against a service that is not their own.

use std::process::{Command, Output};

use longhaul::testing::{Finish, Simulator};
use longhaul::{Client, Profile};
use serde_json::{Value, json};

use crate::folder::Folder;
use crate::program;

#[test]
fn each_shows_what_it_promises() {
    let small = [
        ("await_task", " polls: 10 rows"),
        ("stream_progress", "succeeded 100 %, next poll in None"),
        ("download_sas", "1000000 bytes, after 2 breaks"),
        ("backoff_polls", "next poll in Some(450ms)"),
    ];
    for (example, fact) in small {
        let shown = run(example, &[]);
        assert!(shown.contains(fact) && !shown.contains("sig="), "{example}: {shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_runs_against_another_service() {
    let service = Simulator::builder().open().start().await.unwrap();
    let url = service.url();
    for example in ["await_task", "stream_progress", "backoff_polls"] {
        let shown = run(example, &[url.as_str()]);
        assert!(shown.contains("succeeded"), "{example}: {shown}");
    }
    assert_eq!(service.counts().submits(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_of_elsewhere_is_downloaded() {
    let service = Simulator::builder().finish(Finish::Signed).open().start().await.unwrap();
    let url = service.url();
    let client = Client::builder(url).profile(Profile::smag_task()).no_proxy().build().unwrap();
    let task = client.task().post("exports").json(&json!({ "size": 70_000 })).submit::<Value>().await.unwrap();
    let (id, outcome) = (task.id().unwrap(), task.await.unwrap());
    let link = outcome.links()[0].expose();
    let folder = Folder::new();
    let shown = run("download_sas", &[link, &folder.file("farms.parquet")]);
    assert!(shown.contains("70000 bytes") && !shown.contains("sig="), "{shown}");
    let file = std::fs::File::open(folder.at("farms.parquet")).unwrap();
    assert!(service.expected(&id).unwrap().verify(file).unwrap());
}

#[test]
fn a_slip_is_shown_in_words() {
    for (token, url, shown) in [
        (
            Some("t"),
            "api.example.net/v1",
            "the base URL `api.example.net/v1` has no scheme: write https://api.example.net/v1",
        ),
        (Some("t"), "http://127.0.0.1:1/v1", "refused"),
        (None, "https://api.example.net/v1", "set LONGHAUL_BEARER to the token of the service"),
    ] {
        let mut command = Command::new(program("await_task"));
        command
            .arg(url)
            .env_remove("LONGHAUL_BEARER")
            .env("NO_PROXY", "127.0.0.1")
            .envs(token.map(|token| ("LONGHAUL_BEARER", token)));
        let Output { status, stderr, .. } = command.output().unwrap();
        let said = String::from_utf8(stderr).unwrap();
        assert!(!status.success() && said.lines().count() == 1 && said.contains(shown), "{url}: {said}");
        assert!(said.starts_with("Error: ") && !said.contains(" { "), "{url}: {said}");
    }
}

pub(crate) fn run(example: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(program(example));
    let Output { status, stdout, stderr } =
        command.args(arguments).env("LONGHAUL_BEARER", "t").env("NO_PROXY", "127.0.0.1").output().unwrap();
    assert!(status.success(), "{example}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}
