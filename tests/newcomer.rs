//! What a new user meets first: slips of the pen, and what is said of them.

#![cfg(test)]

use std::time::Duration;

use http::Method;
use longhaul::testing::{reply, script};
use longhaul::{Client, Credential, ErrorKind, Limit, OAuth, Scope};
use serde_json::{Value, json};

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

#[test]
fn a_route_that_could_match_nothing_is_refused_at_the_build() {
    for (pattern, named) in [
        ("GTE farms", "`GTE` is no method"),
        ("get farms", "`get` is no method"),
        ("POTS exports", "`POTS` is no method"),
        ("GET", "a method without a path: write the path behind it, such as `GET farms/*`"),
        ("DELETE ", "a method without a path"),
        ("https://api.example.com/farms", "without scheme and host"),
    ] {
        let limit = Limit::per_second(4).scope(Scope::route(pattern));
        let error = Client::builder("https://api.example.com/v1").limit(limit).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(named), "{pattern}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn progress_is_kept_where_an_answer_does_not_name_it() {
    let at = |percent: Value| reply(200).json(json!({"status": "running", "percentComplete": percent}));
    let service = script([
        reply(202).header("location", "tasks/1"),
        at(json!(10)),
        reply(200).json(json!({"status": "running"})),
        reply(503),
        reply(0).lost(),
        at(json!(40)),
        at(json!(30)),
        at(Value::Null),
        reply(200).json(json!({"status": "succeeded", "result": 7})),
    ]);
    let client = service.client().build().unwrap();
    let mut task = client.task().post("exports").submit::<Value>().await.unwrap();
    let mut told = Vec::new();
    while let Some(update) = task.advance().await {
        told.push(update.unwrap().percent());
    }
    let percents =
        [None, Some(10.0), Some(10.0), Some(10.0), Some(10.0), Some(40.0), Some(30.0), Some(30.0), Some(100.0)];
    assert_eq!(told, percents);
    assert_eq!(task.await.unwrap().last_update().percent(), Some(100.0));
}

#[tokio::test(start_paused = true)]
async fn a_failed_task_keeps_how_far_it_was() {
    let service = script([
        reply(202).header("location", "tasks/1"),
        reply(200).json(json!({"status": "running", "percentComplete": 70})),
        reply(200).json(json!({"status": "failed"})),
    ]);
    let client = service.client().build().unwrap();
    let error = client.task().post("exports").submit::<Value>().await.unwrap().await.unwrap_err();
    assert_eq!(error.last_update().unwrap().percent(), Some(70.0));
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_a_path_is_given_to_that_path_alone() {
    let token = |text| reply(200).json(json!({"access_token": text, "expires_in": 100})).at("/token");
    let service =
        script([token("one"), reply(200).json(1), token("two"), reply(201).at("farms/7"), reply(200).json(2)]);
    let oauth = OAuth::client_credentials("https://login.example.com/token", "id", "secret");
    let client = service.client().credential(Credential::oauth(oauth)).build().unwrap();
    let ask = async |path: &str| client.request(Method::GET, path).send().await;
    assert_eq!(ask("farms").await.unwrap().json::<u32>().await.unwrap(), 1);
    tokio::time::sleep(secs(200)).await;
    // The refresh stands between the two, and takes none of their answers.
    assert_eq!(ask("farms?page=2").await.unwrap().json::<u32>().await.unwrap(), 2);
    assert_eq!(ask("farms/7?fresh").await.unwrap().status(), 201);
    assert_eq!(service.left(), 0);
    let paths: Vec<_> = service.requests().iter().map(|seen| seen.url().path().to_owned()).collect();
    assert_eq!(paths, ["/token", "/v1/farms", "/token", "/v1/farms", "/v1/farms/7"]);
    // A path of its own gets no other's answer.
    service.then(reply(200).json(3));
    let error = ask("farms/7").await.unwrap_err();
    assert_eq!(error.status().unwrap(), 501);
    assert_eq!(service.left(), 1);
    service.then(reply(202).at("/v1/farms/7"));
    assert_eq!(ask("farms/7").await.unwrap().status(), 202);
}
