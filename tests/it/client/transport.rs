//! The pipeline: retries, credentials, origins, calls. Over a script, on a paused clock.

use std::time::Duration;

use http::Method;
use longhaul::testing::{Canned, reply, script};
use longhaul::{Client, Credential, ErrorKind, RetryPolicy};
use serde_json::{Value, json};

use crate::support::{client, secs};

/// Sends one request to a service with these answers; tells how it ended and how often it was asked.
async fn ask(method: Method, answers: impl IntoIterator<Item = Canned>) -> (Result<u16, ErrorKind>, Vec<Duration>) {
    let service = script(answers);
    let sent = client(&service).request(method, "farms").send().await;
    (sent.map(|response| response.status().as_u16()).map_err(|error| error.kind()), service.gaps())
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_repeated_after_the_longer_of_hint_and_schedule() {
    let answers = [
        reply(503).header("retry-after", "10"),
        reply(500).header("retry-after", "1"),
        reply(0).lost(),
        reply(500),
        reply(200),
    ];
    assert_eq!(ask(Method::GET, answers).await, (Ok(200), vec![secs(10), secs(2), secs(4), secs(8)]));
}

#[tokio::test(start_paused = true)]
async fn the_last_answer_is_what_the_error_carries() {
    let service =
        script((0..9).map(|_| reply(502).header("x-request-id", "r7").json(json!({"code": "Q", "message": "m"}))));
    let error = client(&service).request(Method::GET, "farms?secret=1").send().await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Rejected, 5));
    assert_eq!(error.status().unwrap(), 502);
    let fault = error.fault().unwrap();
    assert_eq!((fault.code(), fault.message(), fault.correlation_id()), (Some("Q"), Some("m"), Some("r7")));
    assert_eq!(
        error.to_string(),
        "the service refused the request: answered with 502: Q: m [correlation id r7] \
         (status 502, https://api.example.com/v1/farms?…, 5 attempts, no retries are left)"
    );
}

#[tokio::test(start_paused = true)]
async fn a_post_is_repeated_only_where_that_is_safe() {
    for (failure, times) in [
        (reply(429), 2),
        (reply(503), 2),
        (reply(0).unsent(), 2),
        (reply(500), 1),
        (reply(502), 1),
        (reply(0).lost(), 1),
        (reply(200).silent(), 1),
        (reply(400), 1),
    ] {
        let service = script([failure.clone(), reply(200)]);
        let sent = client(&service).request(Method::POST, "farms").json(&json!({"a": 1})).send().await;
        assert_eq!((sent.is_ok(), service.requests().len()), (times == 2, times), "{failure:?}");
        assert!(service.requests().iter().all(|seen| seen.body().as_ref() == b"{\"a\":1}"));

        let keyed = script([failure.clone(), reply(200).json(7)]);
        let new = client(&keyed).task().post("exports").idempotency_key("k7");
        let task = new.submit::<Value>().await;
        let retried = !format!("{failure:?}").contains("400");
        assert_eq!(
            (task.is_ok(), keyed.requests().len()),
            (retried, if retried { 2 } else { 1 }),
            "{failure:?} with a key"
        );
        assert!(keyed.requests().iter().all(|seen| seen.header("idempotency-key") == Some("k7")));
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_submit_says_that_the_service_may_have_acted() {
    let service = script([reply(0).lost()]);
    let error = client(&service).task().post("exports").submit::<Value>().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(error.to_string().contains("the service may have acted"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_the_retries() {
    let service = script([reply(503).header("retry-after", "60"), reply(200)]);
    let error = client(&service).request(Method::GET, "farms").timeout(secs(30)).send().await.unwrap_err();
    assert_eq!((error.kind(), error.retry_after()), (ErrorKind::Throttled, Some(secs(60))));
    let service = script([reply(200).silent()]);
    let error = client(&service).request(Method::GET, "farms").timeout(secs(30)).send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
}

#[tokio::test(start_paused = true)]
async fn a_credential_goes_whole_to_its_origin_and_nowhere_else() {
    let credential = Credential::bearer("T0KEN")
        .and(Credential::api_key_header("Ocp-Apim-Subscription-Key", "K3Y"))
        .and(Credential::api_key_query("apikey", "Q3Y"));
    let elsewhere = reply(202).header("location", "https://other.example/x");
    let service = script((0..3).map(|_| reply(200)).chain([elsewhere, reply(200)]));
    let client = service.client().credential(credential).allow_origin("https://eu.example.com").build().unwrap();
    for path in ["farms", "https://api.example.com:443/x", "https://eu.example.com/x"] {
        client.request(Method::GET, path).header("X-Mine", "1").header("Cookie", "c").send().await.unwrap();
    }
    let task = client.task().post("exports").header("X-Mine", "1").header("Cookie", "c");
    task.submit::<Value>().await.unwrap().await.unwrap();
    let seen: Vec<_> = service
        .requests()
        .iter()
        .map(|seen| {
            let has = |name| seen.header(name).is_some();
            [
                has("authorization"),
                has("ocp-apim-subscription-key"),
                seen.url().as_str().contains("Q3Y"),
                has("x-mine"),
                has("cookie"),
            ]
        })
        .collect();
    assert_eq!(seen, [[true; 5], [true; 5], [true; 5], [true; 5], [false; 5]]);
    let untrusted = client.request(Method::GET, "http://api.example.com/x").send().await.unwrap_err();
    assert_eq!(untrusted.kind(), ErrorKind::Untrusted);
    assert_eq!(service.requests().len(), 5, "nothing was sent");
}

#[tokio::test(start_paused = true)]
async fn paths_and_queries_join_below_the_base() {
    let service = script((0..5).map(|_| reply(200)));
    let client = client(&service);
    for path in ["farms", "./farms", "/farms", "farms:count", "farms?a=1"] {
        client.request(Method::GET, path).query([("q", "a b&c")]).send().await.unwrap();
    }
    let urls: Vec<_> = service.requests().iter().map(|seen| seen.url().to_string()).collect();
    assert_eq!(
        urls,
        [
            "https://api.example.com/v1/farms?q=a+b%26c",
            "https://api.example.com/v1/farms?q=a+b%26c",
            "https://api.example.com/farms?q=a+b%26c",
            "https://api.example.com/v1/farms:count?q=a+b%26c",
            "https://api.example.com/v1/farms?a=1&q=a+b%26c",
        ]
    );
    let wrong = client.request(Method::GET, "not a path").send().await.unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::Request);
    let wrong = client.request(Method::GET, "farms").header("X Mine", "1").send().await.unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::Request);
    assert_eq!(service.requests().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_body_is_read_up_to_its_limit() {
    let service = script([
        reply(200).body(vec![b'x'; 2000]),
        reply(200).json(json!([1, 2])),
        reply(200).body("{"),
        reply(200).body("half").cut(),
    ]);
    let client = service.client().body_limit(1000).build().unwrap();
    let get = || client.request(Method::GET, "farms").send();
    assert_eq!(get().await.unwrap().bytes().await.unwrap_err().kind(), ErrorKind::TooLarge);
    assert_eq!(get().await.unwrap().json::<Vec<u32>>().await.unwrap(), [1, 2]);
    assert_eq!(get().await.unwrap().json::<Vec<u32>>().await.unwrap_err().kind(), ErrorKind::Decode);
    assert_eq!(get().await.unwrap().text().await.unwrap_err().kind(), ErrorKind::Network);
}

#[tokio::test(start_paused = true)]
async fn statistics_count_what_went_through() {
    let service = script([reply(503), reply(0).lost(), reply(200), reply(404)]);
    let client = service.client().retry(RetryPolicy::standard()).build().unwrap();
    client.request(Method::GET, "farms").send().await.unwrap();
    client.clone().request(Method::GET, "farms").send().await.unwrap_err();
    let stats = client.stats();
    assert_eq!((stats.requests(), stats.succeeded(), stats.failed()), (4, 1, 1));
    assert_eq!((stats.throttled(), stats.broken(), stats.retries(), stats.pauses()), (1, 1, 2, 1));
}

#[test]
fn what_is_set_up_wrongly_is_named_when_the_client_is_built() {
    for (builder, named) in [
        (Client::builder("exports"), "base URL is no absolute URL"),
        (
            Client::builder("api.example.com/v1"),
            "base URL `api.example.com/v1` has no scheme: write https://api.example.com/v1",
        ),
        (Client::builder("localhost:8080"), "write http://localhost:8080"),
        (Client::builder("ftp://api.example.com"), "neither http nor https"),
        (Client::builder("https://u:p@api.example.com"), "names a user"),
        (Client::builder("https://api.example.com/?v=1"), "query"),
        (Client::builder("https://api.example.com").allow_origin("eu"), "allowed origin"),
        (Client::builder("https://api.example.com").allow_origin("eu.example.com"), "write https://eu.example.com"),
        (Client::builder("https://api.example.com").proxy("::"), "proxy"),
        (Client::builder("https://api.example.com").root_certificate("no PEM"), "root certificate"),
        (Client::builder("https://api.example.com").user_agent("a\nb"), "user agent"),
        (Client::builder("https://api.example.com").credential(Credential::bearer("a\nb")), "credential"),
    ] {
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.to_string().contains(named), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_preferred_wait_goes_to_the_service_that_is_asked() {
    let service = script([reply(200).silent()]);
    let client = service.client().retry(RetryPolicy::none()).build().unwrap();
    let begun = tokio::time::Instant::now();
    let error = client.request(Method::GET, "farms").header("Prefer", "wait=3600").send().await.unwrap_err();
    assert_eq!((error.kind(), begun.elapsed()), (ErrorKind::Network, secs(3610)));

    // Another origin is not asked to hold its answer, and is not waited for.
    let location = "https://other.example.net/tasks/7";
    let service = script([reply(202).header("location", location), reply(200).silent(), reply(200)]);
    let client = service.client().build().unwrap();
    let task = client.task().post("exports").header("Prefer", "wait=3600").submit::<Value>();
    task.await.unwrap().await.unwrap();
    assert_eq!(service.requests()[1].header("prefer"), None);
    assert!((secs(60)..secs(70)).contains(&service.gaps()[1]), "{:?}", service.gaps());
}
