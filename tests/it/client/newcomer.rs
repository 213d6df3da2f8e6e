//! What a new user meets first: what an answer is taken for, and what is said of a slip.

use std::time::Duration;

use futures::TryStreamExt;
use http::Method;
use longhaul::protocols::{PageRule, Source};
use longhaul::testing::{reply, script};
use longhaul::{Client, Credential, ErrorKind, OAuth};
use serde_json::{Value, json};

use crate::support::secs;

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

#[tokio::test(start_paused = true)]
async fn the_deadline_of_a_client_holds_for_each_task_that_has_none() {
    let running = || reply(200).header("retry-after", "60").json(json!({"status": "running"}));
    let accepted = || reply(202).header("location", "tasks/1").header("retry-after", "60");
    let answers = || [accepted()].into_iter().chain((0..9).map(|_| running())).chain([reply(200).json(7)]);
    let client = |service: &longhaul::testing::Script| service.client().task_timeout(secs(150)).build().unwrap();
    let waited = async |task: longhaul::Task<u32>| {
        let begun = tokio::time::Instant::now();
        (task.await.map(|outcome| outcome.value().unwrap()).map_err(|error| error.kind()), begun.elapsed())
    };

    let service = script(answers());
    let (end, took) = waited(client(&service).task().post("exports").submit().await.unwrap()).await;
    assert_eq!((end, took), (Err(ErrorKind::DeadlineExceeded), secs(120)), "the next poll would come after it");

    // One of its own wins, whether it is longer, shorter, or none; also where the client's could not be kept at all.
    for (own, end) in [(secs(1000), Ok(7)), (secs(61), Err(ErrorKind::DeadlineExceeded)), (Duration::MAX, Ok(7))] {
        let service = script(answers());
        let new = client(&service).task().post("exports").timeout(own);
        assert_eq!(waited(new.submit().await.unwrap()).await.0, end, "{own:?}");
        let service = script(answers());
        let short = service.client().task_timeout(secs(30)).build().unwrap();
        let task = short.task().post("exports").submit().await.unwrap().timeout(own);
        assert_eq!(waited(task).await.0, end, "{own:?}");
    }

    // A resumed task has it from its resume on.
    let service = script(answers());
    let client = client(&service);
    let task = client.task().post("exports").submit::<u32>().await.unwrap();
    let token = task.token();
    drop(task);
    tokio::time::advance(secs(1000)).await;
    assert_eq!(waited(client.resume(token.clone()).unwrap()).await.0, Err(ErrorKind::DeadlineExceeded));
    let service = script((0..9).map(|_| running()).chain([reply(200).json(7)]));
    let client = service.client().task_timeout(secs(150)).build().unwrap();
    assert_eq!(waited(client.resume(token).unwrap().timeout(secs(1000))).await.0, Ok(7));

    let error = Client::builder("https://api.example.com").task_timeout(Duration::ZERO).build().unwrap_err();
    assert!(error.to_string().contains("task_timeout(0ns)"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_wrong_rule_for_pages_says_where_the_rows_may_be() {
    for (rows, page, said) in [
        (
            "/items/*",
            json!({"farms": [{"id": 1}]}),
            Some("if the rows are at `/farms/*`, set that with PageRule::rows"),
        ),
        ("/farms/*", json!([1, 2]), Some("if the rows are at `/*`")),
        ("/*", json!({"farms": [1]}), Some("if the rows are at `/farms/*`")),
        ("/farms", json!({"farms": [1, 2]}), Some("`/farms` is a list: set the place of its rows, `/farms/*`")),
        ("/farms/*", json!({"error": {"message": "no such thing"}}), Some("holds nothing but an error")),
        // A page without rows.
        ("/farms/*", json!({"total": 0}), None),
        ("/farms/*", json!({"farms": [], "warnings": ["w"]}), None),
        ("/farms/*", json!({"farms": null, "warnings": ["w"]}), None),
        ("/FARMS/*", json!({"farms": [], "warnings": ["w"]}), None),
        ("/*", json!([]), None),
        ("/a/*/b/*", json!({"a": [{"b": []}]}), None),
    ] {
        let service = script([reply(200).json(page.clone())]);
        let client = service.client().build().unwrap();
        let listing = client.pages::<Value>(Method::GET, "farms", PageRule::rows(Source::pointer(rows)));
        match (listing.try_collect::<Vec<_>>().await, said) {
            (Ok(rows), None) => assert!(rows.is_empty(), "{page}"),
            (Err(error), Some(said)) => assert!(error.to_string().contains(said), "{rows} {page}: {error}"),
            (came, _) => panic!("{rows} {page}: {came:?}"),
        }
    }
}
