//! Polls: conditions, cookies, bodies, moves, and when the next is due.

use futures::TryStreamExt;
use longhaul::protocols::Source;
use longhaul::testing::{reply, script};
use longhaul::{ErrorKind, PollPolicy, Protocol, ResumeToken, State, Update};
use serde_json::{Value, json};

use super::{exchange, submit};
use crate::support::{accepted, asked, client, secs};

#[tokio::test(start_paused = true)]
async fn an_etag_is_of_the_url_that_gave_it() {
    let service = script([
        accepted(),
        reply(202).header("etag", "\"1\"").header("location", "/v1/tasks/8"),
        reply(202),
        reply(200),
    ]);
    submit(&service, Protocol::auto().conditional()).await.await.unwrap();
    assert!(service.requests().iter().all(|seen| seen.header("if-none-match").is_none()), "{:?}", asked(&service));
}

#[tokio::test(start_paused = true)]
async fn a_blip_is_asked_after_soon() {
    let service = script([accepted(), reply(500), reply(202), reply(200)]);
    submit(&service, Protocol::auto().default_interval(secs(300))).await.await.unwrap();
    assert_eq!(service.gaps(), [secs(1), secs(1), secs(300)]);
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_shows_life_between_polls() {
    let service = script([accepted().header("retry-after", "10"), reply(200).json(json!(1))]);
    let mut task = submit(&service, Protocol::auto()).await.heartbeat(secs(3));
    let updates: Vec<Update> = task.updates().try_collect().await.unwrap();
    let told: Vec<_> = updates.iter().map(|update| (update.state(), update.is_heartbeat())).collect();
    let accepted = |beat| (State::Accepted, beat);
    assert_eq!(told, [accepted(false), accepted(true), accepted(true), accepted(true), (State::Succeeded, false)]);
    assert_eq!(service.gaps(), [secs(10)]);
}

#[tokio::test(start_paused = true)]
async fn an_unchanged_status_costs_no_body() {
    let service = script([
        accepted(),
        reply(202).header("etag", "\"1\"").json(json!({"status": "running", "percentComplete": 5})),
        reply(304),
        reply(200).json(json!(1)),
    ]);
    let mut task = submit(&service, Protocol::auto().conditional()).await;
    let states: Vec<State> = task.updates().map_ok(|update| update.state()).try_collect().await.unwrap();
    assert_eq!(states, [State::Accepted, State::Running, State::Running, State::Succeeded]);
    let sent: Vec<_> = service.requests().iter().map(|seen| seen.header("if-none-match").map(str::to_owned)).collect();
    assert_eq!(sent, [None, None, Some("\"1\"".into()), Some("\"1\"".into())]);
}

#[tokio::test(start_paused = true)]
async fn a_cookie_belongs_to_its_task_and_its_token() {
    let answers = || [accepted().header("set-cookie", "node=n7; Path=/v1; HttpOnly"), reply(202), reply(200)];
    let service = script(answers());
    let mut task = submit(&service, Protocol::auto().with_cookies()).await;
    task.advance().await;
    task.advance().await;
    let token: ResumeToken = task.handle().token().to_string().parse().unwrap();
    client(&service).resume_with::<Value>(token, Protocol::auto().with_cookies()).unwrap().await.unwrap();
    let sent: Vec<_> = service.requests().iter().map(|seen| seen.header("cookie").map(str::to_owned)).collect();
    assert_eq!(sent, [None, Some("node=n7".into()), Some("node=n7".into())]);

    // Also one that a refusal sets, and for one task alone.
    let service = script([reply(503).header("set-cookie", "try=1"), accepted(), reply(200)]);
    let new = client(&service).task().with_cookies().post("exports");
    new.submit::<Value>().await.unwrap().await.unwrap();
    let sent: Vec<_> = service.requests().iter().map(|seen| seen.header("cookie").map(str::to_owned)).collect();
    assert_eq!(sent, [None, Some("try=1".into()), Some("try=1".into())]);

    let service = script(answers());
    submit(&service, Protocol::auto()).await.await.unwrap();
    assert!(service.requests().iter().all(|seen| seen.header("cookie").is_none()), "only where it was asked for");
}

#[tokio::test(start_paused = true)]
async fn polls_repeat_the_query_that_the_api_wants() {
    let service = script([accepted(), reply(202).header("location", "/v1/tasks/8?api-version=4"), reply(200)]);
    submit(&service, Protocol::auto().repeat_query("api-version")).await.await.unwrap();
    assert_eq!(
        asked(&service),
        ["POST /v1/exports?api-version=3&x=1", "GET /v1/tasks/7?api-version=3", "GET /v1/tasks/8?api-version=4",]
    );
}

#[tokio::test(start_paused = true)]
async fn a_poll_can_be_a_post_with_a_body() {
    let check = Protocol::auto()
        .state(Source::pointer("/.tag"))
        .id(Source::pointer("/async_job_id"))
        .status_template("check")
        .poll(exchange(r#"POST check {"async_job_id": "{id}"}"#));
    let service = script([
        reply(200).json(json!({".tag": "async_job_id", "async_job_id": "j\"7\""})),
        reply(200).json(json!({".tag": "in_progress"})),
        reply(200).json(json!({".tag": "complete", "n": 1})),
    ]);
    let outcome = submit(&service, check).await.await.unwrap();
    assert_eq!(outcome.value().unwrap(), json!({".tag": "complete", "n": 1}));
    assert_eq!(asked(&service)[1..], ["POST /v1/check", "POST /v1/check"]);
    assert_eq!(service.requests()[1].body().as_ref(), br#"{"async_job_id": "j\"7\""}"#);
    assert_eq!(service.requests()[1].header("content-type"), Some("application/json"));
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_moved_for_once_is_asked_there_once() {
    let service = script([accepted(), reply(307).header("location", "/v1/elsewhere"), reply(202), reply(200)]);
    let outcome = submit(&service, Protocol::auto()).await.await.unwrap();
    assert_eq!(asked(&service)[1..], ["GET /v1/tasks/7", "GET /v1/elsewhere", "GET /v1/tasks/7"]);
    assert_eq!(outcome.last_update().polls(), 2, "a redirect is part of its poll");
}

#[tokio::test(start_paused = true)]
async fn a_held_answer_is_waited_for() {
    let service = script([reply(200).json(json!(1)).after(secs(100))]);
    let new = client(&service).task().post("exports").prefer_async(Some(secs(120)));
    new.submit::<Value>().await.unwrap().await.unwrap();
    assert_eq!(service.requests()[0].header("prefer"), Some("respond-async, wait=120"));

    let service = script([accepted(), reply(200)]);
    submit(&service, Protocol::auto().prefer("respond-async")).await.await.unwrap();
    let sent: Vec<_> = service.requests().iter().map(|seen| seen.header("prefer").is_some()).collect();
    assert_eq!(sent, [true, false]);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_drops_idle_tasks_is_asked_in_time() {
    let service = script([accepted()].into_iter().chain((0..20).map(|_| reply(202))).chain([reply(200)]));
    let protocol = Protocol::auto().default_interval(secs(300)).keep_alive(secs(60));
    submit(&service, protocol).await.await.unwrap();
    assert!(service.gaps()[1..].iter().all(|gap| *gap == secs(60)), "{:?}", service.gaps());
}

#[tokio::test(start_paused = true)]
async fn the_visibility_grace_can_be_set() {
    let service = script([accepted()].into_iter().chain((0..100).map(|_| reply(404))));
    let client = service.client().poll_policy(PollPolicy::standard().without_jitter()).build().unwrap();
    let protocol = Protocol::auto().visibility(secs(5));
    let error = client.task().protocol(protocol).post("x").submit::<Value>().await.unwrap().await.unwrap_err();
    assert_eq!((error.kind(), error.polls()), (ErrorKind::Gone, Some(5)));
}

#[tokio::test(start_paused = true)]
async fn a_wait_after_a_refusal_is_not_the_pace_from_then_on() {
    let service = script([accepted(), reply(429).header("retry-after", "60"), reply(202), reply(200)]);
    submit(&service, Protocol::auto()).await.await.unwrap();
    let gaps = service.gaps();
    assert_eq!(gaps[..2], [secs(1), secs(60)]);
    assert!(gaps[2] < secs(10), "{gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn conditional_polls_end_too() {
    let service = script([
        reply(202).header("operation-location", "/v1/o"),
        reply(200).header("etag", "\"1\"").json(json!({"status": "Succeeded", "resourceLocation": "/v1/r"})),
        reply(202),
        reply(200).header("etag", "\"1\"").json(json!({"status": "Succeeded", "result": 7})),
    ]);
    assert_eq!(submit(&service, Protocol::auto().conditional()).await.await.unwrap().value().unwrap(), json!(7));
    assert!(service.requests().iter().all(|seen| seen.header("if-none-match").is_none()));
}
