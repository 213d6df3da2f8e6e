//! Retries as a user meets them: what ends them, what they cost, what an envelope makes of an answer.

use http::{Method, StatusCode};
use longhaul::protocols::Source;
use longhaul::retries::{EnvelopeRule, Schedule};
use longhaul::testing::{Canned, Script, reply, script};
use longhaul::{Client, ClientBuilder, ErrorKind, Profile, RetryPolicy};
use serde_json::json;

use crate::support::SECOND;

fn every_second() -> RetryPolicy {
    RetryPolicy::standard().schedule(Schedule::exponential(SECOND, SECOND).without_jitter())
}

fn client(service: &Script) -> ClientBuilder {
    service.client().retry(every_second())
}

async fn get(client: &Client) -> longhaul::Result<longhaul::http::Response> {
    client.request(Method::GET, "farms").send().await
}

#[tokio::test(start_paused = true)]
async fn a_deadline_gives_the_last_answer_back() {
    // The next attempt would begin past it; hangs over it; stands in the queue over it.
    let hour = longhaul::Limit::per(1, 3600 * SECOND);
    for (answers, retry_after, limit) in [
        (vec![reply(503).json(json!({"code": "Q"}))], "60", None),
        (vec![reply(503).json(json!({"code": "Q"})), reply(200).silent()], "5", None),
        (vec![reply(503).json(json!({"code": "Q"}))], "5", Some(hour)),
    ] {
        let answers: Vec<Canned> =
            answers.into_iter().map(|answer| answer.header("retry-after", retry_after)).collect();
        let service = script(answers);
        let client = limit.into_iter().fold(client(&service), ClientBuilder::limit).build().unwrap();
        let call = client.request(Method::GET, "farms").timeout(10 * SECOND);
        let begun = tokio::time::Instant::now();
        let error = call.send().await.unwrap_err();
        assert!(begun.elapsed() <= 10 * SECOND);
        assert_eq!((error.kind(), error.status()), (ErrorKind::Throttled, Some(StatusCode::SERVICE_UNAVAILABLE)));
        assert_eq!(error.fault().and_then(|fault| fault.code()), Some("Q"));
        assert!(error.to_string().contains("the deadline comes before the next attempt"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_answer_comes_back_where_the_last_attempt_gets_none() {
    let answers = [reply(502).json(json!({"code": "Q"}))].into_iter().chain((0..4).map(|_| reply(0).lost()));
    let service = script(answers);
    let error = get(&client(&service).build().unwrap()).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Rejected, 1));
    assert!(error.to_string().contains("and then no answer came"), "{error}");
    assert_eq!(service.left(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_hint_that_is_too_long_is_given_up_and_told() {
    let service = script([reply(429).header("retry-after", "181"), reply(200)]);
    let client = client(&service).retry(every_second().give_up_over(180 * SECOND)).build().unwrap();
    let error = get(&client).await.unwrap_err();
    assert_eq!((error.kind(), error.retry_after()), (ErrorKind::Throttled, Some(181 * SECOND)));
    assert!(error.to_string().contains("longer than the retry policy allows"), "{error}");
    assert_eq!(service.requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_spent_budget_ends_retries_and_successes_fill_it_again() {
    // 12: two retries of 5; refusals for load are free.
    let answers = [500, 500, 500, 500, 429, 200, 200, 200, 500, 200].map(reply);
    let service = script(answers);
    let client = client(&service).retry(every_second().budget(12)).build().unwrap();
    let error = get(&client).await.unwrap_err();
    assert!(error.to_string().contains("the retry budget is spent"), "{error}");
    assert_eq!((error.attempts(), service.requests().len()), (3, 3));
    assert_eq!(get(&client).await.unwrap_err().attempts(), 1);
    // The 429 costs nothing; three successes give three back, and one retry takes the five.
    for _ in 0..3 {
        get(&client).await.unwrap();
    }
    get(&client).await.unwrap();
    assert_eq!(service.left(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_retry_waits_outside_of_its_slot() {
    let service = script([reply(500).header("retry-after", "50"), reply(200), reply(200)]);
    let limit = longhaul::Limit::concurrent(1);
    let client = client(&service).limit(limit).build().unwrap();
    let (slow, quick) = tokio::join!(get(&client), async {
        tokio::time::sleep(SECOND).await;
        // Read to its end, which is when it is no longer under way.
        get(&client).await.unwrap().bytes().await
    });
    slow.unwrap();
    quick.unwrap();
    assert_eq!(service.gaps(), [SECOND, 49 * SECOND]);
}

fn sitecore() -> Profile {
    Profile::auto()
        .envelope(EnvelopeRule::reads_as(429, Source::pointer("/Code"), ["429"]))
        .envelope(EnvelopeRule::reads_as(400, Source::pointer("/Code"), ["0"]).unless())
}

#[tokio::test(start_paused = true)]
async fn a_throttling_200_pauses_and_is_retried_like_a_429() {
    let limited = || reply(200).json(json!({"Code": 429, "Error": "RATE_LIMITING", "Context": null}));
    let good = || reply(200).json(json!({"Code": 0, "Error": null, "Context": 7}));
    let service = script([limited().header("retry-after", "30"), good(), good()]);
    let client = client(&service).profile(sitecore()).build().unwrap();
    // The second waits too: it is a refusal for all of the route.
    let (first, second) = tokio::join!(get(&client), async {
        tokio::time::sleep(SECOND).await;
        get(&client).await
    });
    let body: serde_json::Value = first.unwrap().json().await.unwrap();
    assert_eq!(body["Context"], 7);
    second.unwrap();
    assert!(service.gaps()[0] >= 30 * SECOND, "{:?}", service.gaps());
    assert_eq!(client.stats().throttled(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_error_inside_of_a_success_is_an_error_that_says_so() {
    let service = script([reply(200).json(json!({"Code": 501, "Error": "MEMBER_NOT_FOUND"}))]);
    let client = client(&service).profile(sitecore()).build().unwrap();
    let error = get(&client).await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::Rejected, Some(StatusCode::BAD_REQUEST)));
    assert!(error.to_string().contains("answered with 200, which its envelope makes 400"), "{error}");
    assert!(error.fault().unwrap().body().starts_with(b"{\"Code\":501"));
}

#[tokio::test(start_paused = true)]
async fn an_envelope_keeps_long_and_broken_bodies_whole() {
    let long = format!("[{}1]", "1,".repeat(100_000));
    let service = script([reply(200).body(long.clone()), reply(200).body("{\"Code\":").cut(), reply(200).body("a,b")]);
    let client = client(&service).profile(sitecore()).build().unwrap();
    assert_eq!(get(&client).await.unwrap().bytes().await.unwrap(), long);
    assert_eq!(get(&client).await.unwrap().bytes().await.unwrap_err().kind(), ErrorKind::Network);
    assert_eq!(get(&client).await.unwrap().bytes().await.unwrap(), "a,b");
}

#[tokio::test(start_paused = true)]
async fn a_file_that_looks_like_an_envelope_is_downloaded_as_it_is() {
    let file = "{\"Code\": 501, \"Error\": \"in the data\"}";
    let service = script([reply(200).header("content-type", "application/json").body(file)]);
    let client = client(&service).profile(sitecore()).build().unwrap();
    let bytes = client.download("https://api.example.com/v1/files/7").to_memory(1000).await.unwrap();
    assert_eq!(bytes, file);
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_an_envelope_refuses_waits_and_goes_on() {
    let service = script([
        reply(202).header("location", "tasks/1"),
        reply(200).json(json!({"Code": 429, "Error": "RATE_LIMITING"})).header("retry-after", "40"),
        reply(200).json(json!({"Code": 0, "status": "Succeeded"})),
    ]);
    let client = client(&service).profile(sitecore()).build().unwrap();
    let outcome = client.task().post("exports").submit::<serde_json::Value>().await.unwrap().await.unwrap();
    assert_eq!(outcome.state(), longhaul::State::Succeeded);
    assert!(service.gaps()[1] >= 40 * SECOND, "{:?}", service.gaps());
}

#[tokio::test(start_paused = true)]
async fn an_error_says_whether_a_post_of_unknown_fate_was_repeated() {
    for (key, sends, words) in [
        (None, 1, "the service may have acted; it was not repeated"),
        (Some("k1"), 5, "the service may have acted: the connection broke"),
    ] {
        let service = script((0..sends).map(|_| reply(0).lost()));
        let call = client(&service).build().unwrap().request(Method::POST, "farms");
        let call = key.into_iter().fold(call, longhaul::http::RequestBuilder::idempotency_key);
        let error = call.send().await.unwrap_err();
        assert_eq!((error.kind(), error.attempts(), service.left()), (ErrorKind::Network, sends, 0));
        assert!(error.to_string().contains(words), "{error}");
    }
}
