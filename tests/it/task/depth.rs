//! A task to its depth: starts, tokens, pages, explanations. Over a script.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use longhaul::protocols::{Next, PageRule, Source};
use longhaul::testing::{reply, script};
use longhaul::{ErrorKind, Protocol, ResumeToken, State};
use serde_json::{Value, json};

use super::{exchange, submit};
use crate::support::{accepted, asked, client, secs};

#[tokio::test(start_paused = true)]
async fn a_secret_header_goes_along_and_not_into_the_token() {
    let service = script([accepted(), reply(200)]);
    let new = client(&service)
        .task()
        .post("x")
        .plain_header("X-Tenant", "t7")
        .header("X-Other", "o7")
        .secret_header("X-Mine", "hunter2");
    let task = new.submit::<Value>().await.unwrap();
    let token = task.token().to_string();
    assert!(token.contains("t7") && !token.contains("hunter2") && !token.contains("o7"), "{token}");
    task.await.unwrap();
    assert_eq!(service.requests()[1].header("x-mine"), Some("hunter2"));
}

#[tokio::test(start_paused = true)]
async fn a_state_fires_the_second_request() {
    let recording = Protocol::auto()
        .status_template("jobs/{id}")
        .start("READY", exchange(r#"PUT jobs/{id} {"state": "PROCESSING"}"#));
    let ready = || reply(200).json(json!({"state": "READY"}));
    let service = script([
        reply(200).json(json!({"id": "j", "state": "PENDING"})),
        ready(),
        reply(202).header("retry-after", "5"),
        ready(),
        reply(200).json(json!({"state": "FULFILLED"})),
    ]);
    let mut task = submit(&service, recording).await;
    let states: Vec<State> = task.updates().map_ok(|update| update.state()).try_collect().await.unwrap();
    assert_eq!(states, [State::Accepted, State::Running, State::Running, State::Succeeded]);
    assert_eq!(asked(&service)[1..4], ["GET /v1/jobs/j", "PUT /v1/jobs/j", "GET /v1/jobs/j"]);
    assert_eq!(service.requests()[2].body().as_ref(), br#"{"state": "PROCESSING"}"#);
    assert_eq!(service.gaps()[2], secs(5));
}

#[tokio::test(start_paused = true)]
async fn a_submit_that_moved_is_sent_again_to_its_own_origin_only() {
    for code in [307, 308] {
        let service =
            script([reply(code).header("location", "/v2/exports"), reply(202).header("location", "t"), reply(200)]);
        let task = client(&service).task().post("exports").json(&json!({"a": 1})).submit::<Value>().await.unwrap();
        task.await.unwrap();
        assert_eq!(asked(&service), ["POST /v1/exports", "POST /v2/exports", "GET /v2/t"]);
        assert_eq!(service.requests()[1].body().as_ref(), br#"{"a":1}"#);
    }
    for (code, location) in [(307, "https://evil.example/exports"), (302, "/v2/exports"), (301, "/v2/exports")] {
        let service = script([reply(code).header("location", location)]);
        let error = client(&service).task().post("exports").submit::<Value>().await.unwrap_err();
        assert_eq!((error.kind(), service.requests().len()), (ErrorKind::Rejected, 1), "{code} {location}");
        assert!(error.to_string().contains("redirected to"), "{error}");
    }
    let circle = script((0..20).map(|_| reply(307).header("location", "/v1/exports")));
    client(&circle).task().post("exports").submit::<Value>().await.unwrap_err();
    assert_eq!(circle.requests().len(), 6);
}

#[tokio::test(start_paused = true)]
async fn an_idempotency_key_is_in_the_token_and_not_on_the_polls() {
    let service = script([reply(503), accepted(), reply(200)]);
    let new = client(&service).task().post("exports").idempotency_key_in("operation-id", "k7");
    let task = new.submit::<Value>().await.unwrap();
    let token: ResumeToken = task.handle().token().to_string().parse().unwrap();
    assert_eq!(token.idempotency_key(), Some("k7"));
    task.await.unwrap();
    let sent: Vec<_> = service.requests().iter().map(|seen| seen.header("operation-id").is_some()).collect();
    assert_eq!(sent, [true, true, false]);
}

#[tokio::test(start_paused = true)]
async fn pages_come_one_after_the_other_and_only_when_they_are_wanted() {
    let paged = |next: Next| {
        Protocol::auto()
            .status_template("jobs/{id}")
            .pages(PageRule::new("jobs/{id}/rows?size=2", Source::pointer("/rows/*")).next(next))
    };
    let by_cursor = paged(Next::cursor(Source::pointer("/cursor"), "cursor"));
    let begin = || [reply(202).json(json!({"id": "j"})), reply(200).json(json!({"state": "done"}))];
    let service = script(begin().into_iter().chain([
        reply(200).json(json!({"rows": [1, 2], "cursor": "a&b"})),
        reply(503),
        reply(200).json(json!({"rows": [3], "cursor": "null"})),
    ]));
    let outcome = submit(&service, by_cursor.clone()).await.await.unwrap();
    let mut pages = outcome.pages::<u32>();
    assert_eq!(pages.next().await.unwrap().unwrap(), 1);
    assert_eq!(service.requests().len(), 3);
    let rest: Vec<u32> = pages.try_collect().await.unwrap();
    assert_eq!(rest, [2, 3]);
    assert_eq!(
        asked(&service)[2..],
        [
            "GET /v1/jobs/j/rows?size=2",
            "GET /v1/jobs/j/rows?size=2&cursor=a%26b",
            "GET /v1/jobs/j/rows?size=2&cursor=a%26b",
        ]
    );

    let by_url = paged(Next::url(Source::pointer("/next")));
    let service = script(begin().into_iter().chain([
        reply(200).json(json!({"rows": [1], "next": "/v1/jobs/j/rows?page=2"})),
        reply(200).json(json!({"rows": ["x"]})),
    ]));
    let outcome = submit(&service, by_url.clone()).await.await.unwrap();
    let rows: Vec<_> = outcome.pages::<u32>().collect().await;
    assert_eq!((rows.len(), rows[1].as_ref().unwrap_err().kind()), (2, ErrorKind::Decode));

    for (answer, kind) in [
        (reply(200).json(json!({"rows": [], "next": "/v1/jobs/j/rows?size=2"})), ErrorKind::ResultUnavailable),
        (reply(200).body("<html>"), ErrorKind::ResultUnavailable),
        (reply(404), ErrorKind::Rejected),
    ] {
        let service = script(begin().into_iter().chain([answer]));
        let outcome = submit(&service, by_url.clone()).await.await.unwrap();
        let rows: Vec<_> = outcome.pages::<u32>().collect().await;
        assert_eq!((rows.len(), rows[0].as_ref().unwrap_err().kind()), (1, kind));
    }
    let service = script([reply(200).json(json!(1))]);
    let outcome = submit(&service, Protocol::auto()).await.await.unwrap();
    let error = outcome.pages::<u32>().next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResultShape);
}

#[tokio::test(start_paused = true)]
async fn a_task_explains_itself() {
    let service = script([
        reply(202).header("operation-location", "/v1/ops/7?sig=S3CRET").header("retry-after", "9"),
        reply(200).json(json!({"status": "bezig"})),
        reply(410),
    ]);
    let mut task = submit(&service, Protocol::auto()).await;
    let text = task.explain();
    for part in [
        "protocol: auto",
        "the status URL stands at header:operation-location",
        "status URL: https://api.example.com/v1/ops/7?… (a monitor: its word gives the state)",
        "next poll: 9s after the last (the service asked for 9s)",
    ] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
    task.advance().await;
    task.advance().await;
    let text = task.handle().explain();
    assert!(text.contains("the word at /status is not known") && text.contains("Protocol::word"), "{text}");
    assert!(text.contains("`bezig`") && text.contains("the service last asked for 9s"), "{text}");
    let error = task.await.unwrap_err();
    let text = error.explain().unwrap();
    assert!(text.contains("410: the status is gone"), "{text}");
    assert!(!text.contains("S3CRET"), "{text}");

    let service = script([reply(202).body("ok")]);
    let error = client(&service).task().post("exports").submit::<Value>().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoStatusUrl);
    assert!(error.explain().unwrap().contains("202 without a status URL"), "{error:?}");
    assert_eq!(error.fault().unwrap().body(), b"ok");
}

#[tokio::test(start_paused = true)]
async fn the_callers_headers_go_to_the_api_and_not_to_storage() {
    for (location, expected) in [("/v1/files/7", [true, true]), ("https://store.example.net/7?sig=x", [true, false])] {
        let answers = [accepted(), reply(303).header("location", location)];
        let fetched = (location.starts_with('/')).then(|| reply(200).body(vec![7_u8; 2000]));
        let service = script(answers.into_iter().chain(fetched).chain([reply(200).body(vec![7_u8; 2000])]));
        let client = service.client().body_limit(1000).build().unwrap();
        let new = client.task().post("exports").header("X-Tenant", "t7");
        let outcome = new.submit::<Value>().await.unwrap().await.unwrap();
        outcome.download().to_memory(10_000).await.unwrap();
        let seen = service.requests();
        let sent: Vec<_> = [0, seen.len() - 1].map(|at| seen[at].header("x-tenant").is_some()).into();
        assert_eq!(sent, expected, "{location}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_token_of_a_task_that_was_finished_at_once_says_so() {
    let service = script([reply(200).json(json!(1))]);
    let task = submit(&service, Protocol::auto()).await;
    let error = client(&service).resume::<Value>(task.token()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidToken);
    assert!(error.to_string().contains("finished when it was submitted"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_start_of_unknown_fate_is_not_sent_twice() {
    let uploading = || reply(200).json(json!({"id": "j", "state": "UploadComplete"}));
    let protocol =
        || Protocol::auto().status_template("jobs/{id}").start("UploadComplete", exchange("POST jobs/{id}/start"));
    for (answers, starts) in [
        (vec![reply(0).lost()], 1),
        (vec![reply(200).body("cut").cut()], 1),
        (vec![reply(503), reply(200)], 2),
        ((0..5).map(|_| reply(0).unsent()).chain([uploading(), reply(200)]).collect(), 6),
    ] {
        let service = script([uploading()].into_iter().chain(answers));
        (0..5).for_each(|_| service.then(reply(200).json(json!({"state": "UploadComplete"}))));
        service.then(reply(200).json(json!({"state": "JobComplete"})));
        let client = client(&service);
        let task = client.task().protocol(protocol()).post("jobs").submit::<Value>().await.unwrap();
        if let Err(error) = task.await {
            let again: ResumeToken = error.token().unwrap().to_string().parse().unwrap();
            drop(client.resume_with::<Value>(again, protocol()).unwrap().await);
        }
        let posts = asked(&service).iter().filter(|line| line.ends_with("/start")).count();
        assert_eq!(posts, starts, "{:?}", asked(&service));
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_is_set_later_binds_what_is_under_way() {
    let service = script([accepted(), reply(200).silent()]);
    let mut task = submit(&service, Protocol::auto()).await;
    task.advance().await;
    assert!(tokio::time::timeout(secs(10), task.advance()).await.is_err());
    let begun = tokio::time::Instant::now();
    let error = task.timeout(secs(5)).await.unwrap_err();
    assert_eq!((error.kind(), begun.elapsed()), (ErrorKind::DeadlineExceeded, secs(5)));

    let service = script([accepted(), reply(200).json(json!(1))]);
    submit(&service, Protocol::auto()).await.timeout(Duration::MAX).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_resume_keeps_the_wait_of_a_redirect() {
    let service = script([accepted(), reply(307).header("location", "/v1/e").header("retry-after", "60"), reply(200)]);
    let mut task = submit(&service, Protocol::auto()).await;
    task.advance().await;
    assert!(tokio::time::timeout(secs(10), task.advance()).await.is_err());
    let token = task.token();
    drop(task);
    client(&service).resume::<Value>(token).unwrap().await.unwrap();
    assert!(service.gaps()[1] >= secs(60), "{:?}", service.gaps());
}

#[tokio::test(start_paused = true)]
async fn pages_that_lead_in_a_circle_end() {
    let paged = Protocol::auto()
        .status_template("jobs/{id}")
        .pages(PageRule::new("rows/a", Source::pointer("/rows/*")).next(Next::url(Source::pointer("/next"))));
    let page = |next: &str| reply(200).json(json!({"rows": [1], "next": next}));
    let begin = [reply(202).json(json!({"id": "j"})), reply(200).json(json!({"state": "done"}))];
    let service = script(begin.into_iter().chain([page("/v1/rows/b"), page("/v1/rows/a"), page("/v1/rows/b")]));
    let rows: Vec<_> = submit(&service, paged).await.await.unwrap().pages::<u32>().collect().await;
    assert_eq!((rows.len(), rows[2].as_ref().unwrap_err().kind()), (3, ErrorKind::ResultUnavailable));
}

#[tokio::test(start_paused = true)]
async fn keys_in_urls_are_not_in_plain_tokens() {
    let service =
        script([reply(202)
            .json(json!({"statusQueryGetUri": "/v1/s?code=SYSTEMKEY", "urls": {"cancel": "/v1/c?apikey=K3Y"}}))]);
    let client = service.client().credential(longhaul::Credential::api_key_query("apikey", "K3Y")).build().unwrap();
    let task = client.task().post("x").submit::<Value>().await.unwrap();
    let text = format!("{} {:?}", task.token(), task);
    assert!(!text.contains("SYSTEMKEY") && !text.contains("K3Y"), "{text}");
    assert!(!task.handle().token_with_signed_urls().to_string().contains("K3Y"));
}

#[test]
fn a_task_can_move_to_another_runtime() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let service = script([accepted().header("retry-after", "0.5"), reply(200).json(json!(1))]);
    let first = runtime();
    let task = first.block_on(submit(&service, Protocol::auto()));
    // Every timer of it is set there: that of the wait, and that of the heartbeat.
    let mut task = task.heartbeat(Duration::from_millis(200)).timeout(secs(60));
    first.block_on(async {
        task.advance().await;
        assert!(tokio::time::timeout(Duration::from_millis(10), task.advance()).await.is_err());
    });
    drop(first);
    runtime().block_on(async { tokio::time::timeout(secs(20), task).await }).expect("woken there").unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_named_link_is_downloaded_and_not_the_status_that_names_it() {
    let protocol = || Protocol::auto().result(Source::pointer("/file"), longhaul::protocols::ResultKind::Link);
    let running = || reply(200).json(json!({"status": "running"}));
    let status = json!({"status": "succeeded", "file": "https://store.example.net/7?sig=x"});
    let service = script([accepted(), running(), reply(200).json(status), reply(200).body("a,b")]);
    let task = submit(&service, protocol()).await;
    let handle = task.handle();
    let outcome = task.await.unwrap();
    assert_eq!(outcome.download().to_memory(100).await.unwrap().as_ref(), b"a,b");
    assert!(handle.explain().contains("last answer: the result stands at /file"), "{}", handle.explain());

    let service = script([accepted(), running(), reply(200).json(json!({"status": "succeeded", "url": "/f"}))]);
    let task = submit(&service, protocol()).await;
    let handle = task.handle();
    let outcome = task.await.unwrap();
    assert!(outcome.last_update().warning().unwrap().contains("place of the result, /file, has none"));
    assert!(
        handle.explain().contains("warning: the protocol's place of the result, /file, has none"),
        "{}",
        handle.explain()
    );
}

#[tokio::test(start_paused = true)]
async fn a_success_that_holds_an_error_says_so() {
    let service = script([reply(200).json(json!({"error": "rate limited"}))]);
    let task = submit(&service, Protocol::auto()).await;
    assert!(task.explain().contains("\nwarning: ") && task.explain().contains("rate limited"), "{}", task.explain());
    let outcome = task.await.unwrap();
    assert!(outcome.last_update().warning().unwrap().contains("rate limited"), "{outcome:?}");
}
