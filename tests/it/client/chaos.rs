//! Trouble on the way: hosts that are gone for a while, bodies that break off or never end, links that age, and links that
//! lead where no request may go. In memory, on a paused clock.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::{BoxFuture, join_all};
use futures::{FutureExt, TryStreamExt};
use http::{Method, StatusCode};
use longhaul::http::{Body, Http, HttpError, Request, Response};
use longhaul::protocols::{Next, PageRule, Source};
use longhaul::testing::{Canned, Script, reply, script};
use longhaul::{Client, ErrorKind, Limit, Profile, Protocol, RetryPolicy};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::support::{millis, secs};

/// A service as a function.
struct Service<F>(F);

impl<F: Fn(Request) -> BoxFuture<'static, Result<Response, HttpError>> + Send + Sync + 'static> Http for Service<F> {
    fn send(&self, request: Request) -> BoxFuture<'static, Result<Response, HttpError>> {
        self.0(request)
    }
}

fn answer(request: &Request, status: u16) -> Response {
    Response::new(StatusCode::from_u16(status).unwrap(), request.url().clone())
}

/// A service that takes no connection until so long after now, and what it was asked.
fn away(host: &'static str, until: Duration) -> (impl Http, Arc<AtomicU32>) {
    let (back, tries) = (Instant::now() + until, Arc::new(AtomicU32::new(0)));
    let counted = tries.clone();
    let service = Service(move |request: Request| {
        if request.url().host_str() != Some(host) || Instant::now() >= back {
            return async move { Ok(answer(&request, 200).body_from(bytes::Bytes::from_static(b"7"))) }.boxed();
        }
        counted.fetch_add(1, SeqCst);
        async { Err(HttpError::connect()) }.boxed()
    });
    (service, tries)
}

fn client(http: impl Http) -> Client {
    Client::builder("https://api.example.com/v1").http(http).build().unwrap()
}

// A host that takes no connection.

#[tokio::test(start_paused = true)]
async fn a_restart_under_500_submits_fails_none_of_them() {
    for down in [millis(100), secs(1), secs(5), secs(10)] {
        let (service, tries) = away("api.example.com", down);
        let client = client(service);
        let submits = (0..500).map(|_| client.task().post("exports").submit::<Value>());
        let begun = Instant::now();
        let ended = join_all(submits).await;
        assert!(ended.iter().all(Result::is_ok), "{down:?}: {:?}", ended.iter().find_map(|task| task.as_ref().err()));
        assert!(begun.elapsed() <= down + secs(6), "{down:?}: {:?}", begun.elapsed());
        let tries = tries.load(SeqCst);
        assert!(tries <= 12, "{down:?}: {tries} attempts while it was away");
        assert_eq!(client.stats().unsent(), u64::from(tries));
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_away_for_good_is_an_error_within_the_patience() {
    for (policy, least, most) in [
        (RetryPolicy::standard(), 30, 40),
        (RetryPolicy::standard().wait_for_host(secs(90)), 90, 100),
        (RetryPolicy::batch(), 30, 40),
        (RetryPolicy::standard().wait_for_host(Duration::ZERO), 0, 0),
        (RetryPolicy::none(), 0, 0),
    ] {
        let (service, _) = away("api.example.com", secs(1_000_000));
        let client = Client::builder("https://api.example.com").http(service).retry(policy.clone()).build().unwrap();
        let begun = Instant::now();
        let error = client.request(Method::POST, "farms").send().await.unwrap_err();
        let took = begun.elapsed();
        assert!(took >= secs(least) && took <= secs(most), "{policy:?}: {took:?}");
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::Network, 0), "{error}");
        assert!(error.to_string().contains("the request was not sent: no connection to the host"), "{error}");
        // Those who come later wait as long, and no longer.
        let begun = Instant::now();
        let late = join_all((0..50).map(|_| client.request(Method::GET, "farms").send())).await;
        assert!(late.iter().all(Result::is_err));
        assert!(begun.elapsed() <= secs(most), "{:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_the_wait_for_a_host_and_says_so() {
    let (service, _) = away("api.example.com", secs(1_000_000));
    let client = client(service);
    let begun = Instant::now();
    let calls = (0..5).map(|_| client.request(Method::GET, "farms").timeout(secs(3)).send());
    for ended in join_all(calls).await {
        let error = ended.unwrap_err();
        // The one that asked for the host has an error of its own.
        assert!(matches!(error.kind(), ErrorKind::DeadlineExceeded | ErrorKind::Network), "{error}");
        assert!(error.to_string().contains("connection") && error.to_string().contains("deadline"), "{error}");
        assert!(error.url().is_some() && error.attempts() == 0, "{error}");
    }
    assert_eq!(begun.elapsed(), secs(3));
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_away_costs_no_budget_and_no_place() {
    let (service, _) = away("api.example.com", secs(20));
    let client = Client::builder("https://api.example.com")
        .http(service)
        .allow_origin("https://eu.example.com")
        .limit(Limit::concurrent(1))
        .retry(RetryPolicy::standard().budget(0))
        .build()
        .unwrap();
    let begun = Instant::now();
    let waits = join_all((0..9).map(|_| client.request(Method::POST, "farms").send().map(|sent| sent.map(drop))));
    let others = async {
        sleep(secs(1)).await;
        for _ in 0..9 {
            client.request(Method::GET, "https://eu.example.com/x").send().await.unwrap();
        }
        assert!(begun.elapsed() < secs(2), "{:?}", begun.elapsed());
    };
    let (waited, ()) = tokio::join!(waits, others);
    assert!(waited.iter().all(Result::is_ok));
}

#[tokio::test(start_paused = true)]
async fn a_poll_and_a_download_wait_for_their_host_too() {
    let (service, tries) = away("store.example.net", secs(9));
    let client = Client::builder("https://api.example.com").http(script([])).storage_http(service).build().unwrap();
    let downloads =
        join_all((0..100).map(|_| client.download("https://store.example.net/7?sig=S").to_memory(10))).await;
    assert!(downloads.iter().all(|bytes| bytes.as_ref().is_ok_and(|bytes| bytes == "7")), "{downloads:?}");
    assert!(tries.load(SeqCst) < 20, "{tries:?}");

    let service = script([
        reply(202).header("location", "tasks/1"),
        reply(0).unsent(),
        reply(0).unsent(),
        reply(200).json(json!(7)),
    ]);
    let task = service.client().build().unwrap().task().post("exports").submit::<u32>().await.unwrap();
    assert_eq!(task.await.unwrap().value().unwrap(), 7);
}

#[tokio::test(start_paused = true)]
async fn connections_that_a_restart_breaks_together_are_paid_for_once() {
    for (together, fails) in [(true, 0), (false, 450)] {
        let seen = Arc::new(Mutex::new(std::collections::HashSet::new()));
        let service = Service(move |request: Request| {
            let key = request.headers()["idempotency-key"].to_str().unwrap().to_owned();
            let first = seen.lock().unwrap().insert(key.clone());
            let number: u64 = key.parse().unwrap();
            async move {
                sleep(if together { millis(100) } else { secs(2 * number) }).await;
                if first { Err(HttpError::broken()) } else { Ok(answer(&request, 200)) }
            }
            .boxed()
        });
        let client = Client::builder("https://api.example.com")
            .http(service)
            .attempt_timeout(secs(10_000))
            .retry(RetryPolicy::standard().schedule(longhaul::retries::Schedule::constant(secs(5000))))
            .build()
            .unwrap();
        let submits =
            (0..500).map(|number| client.task().post("exports").idempotency_key(number.to_string()).submit::<Value>());
        let failed = join_all(submits).await.iter().filter(|task| task.is_err()).count();
        assert_eq!(failed, fails, "together: {together}");
    }
}

// Answers that break off.

fn broken_answers() -> [(u16, ErrorKind); 6] {
    [
        (400, ErrorKind::Rejected),
        (401, ErrorKind::Unauthorized),
        (404, ErrorKind::Rejected),
        (409, ErrorKind::Rejected),
        (429, ErrorKind::Throttled),
        (503, ErrorKind::Throttled),
    ]
}

#[tokio::test(start_paused = true)]
async fn a_broken_error_body_keeps_status_words_attempts_and_hint() {
    for (status, kind) in broken_answers() {
        for body in ["the quota of Farm 7 is", r#"{"code": "Quota", "message": "the quota of Farm 7 is"#] {
            let service = script((0..9).map(|_| reply(status).header("retry-after", "7").body(body).cut()));
            let client = service.client().retry(RetryPolicy::none().retries(1)).build().unwrap();
            let error = client.request(Method::GET, "farms").send().await.unwrap_err();
            assert_eq!((error.kind(), error.status().map(|status| status.as_u16())), (kind, Some(status)), "{error}");
            assert_eq!(error.retry_after(), Some(secs(7)), "{error}");
            assert_eq!(error.attempts() as usize, service.requests().len(), "{error}");
            assert!(error.to_string().contains("the quota of Farm 7 is"), "{error}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stalled_error_body_keeps_what_came_until_the_deadline() {
    let service = Service(|request: Request| {
        let beginning = futures::stream::iter([Ok(bytes::Bytes::from_static(b"no more than 3"))]);
        let body = futures::StreamExt::chain(beginning, futures::stream::pending());
        async move { Ok(answer(&request, 409).body_from(Body::stream(body))) }.boxed()
    });
    let error = client(service).request(Method::POST, "farms").timeout(secs(5)).send().await.unwrap_err();
    assert_eq!((error.kind(), error.status(), error.attempts()), (ErrorKind::Rejected, Some(StatusCode::CONFLICT), 1));
    assert!(error.to_string().contains("no more than 3"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn the_error_of_a_submit_keeps_what_the_service_asked_to_wait() {
    for status in [400, 403, 404, 409, 422, 429, 500, 503] {
        let service = script([reply(status).header("retry-after", "7")]);
        let client = service.client().retry(RetryPolicy::none()).build().unwrap();
        let error = client.task().post("exports").submit::<Value>().await.map(drop).unwrap_err();
        assert_eq!((error.retry_after(), error.attempts()), (Some(secs(7)), 1), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_error_of_an_answer_says_how_often_it_was_asked_for() {
    let failing = || [reply(500), reply(0).lost()];
    let with = |last: Canned| script(failing().into_iter().chain([last]));
    let get = |service: &Script| {
        let client = service.client().body_limit(10).build().unwrap();
        async move { client.request(Method::GET, "farms").timeout(secs(60)).send().await.unwrap() }
    };
    assert_eq!(get(&with(reply(200).body("cut").cut())).await.bytes().await.unwrap_err().attempts(), 3);
    assert_eq!(get(&with(reply(200).body("12345678901"))).await.text().await.unwrap_err().attempts(), 3);
    assert_eq!(get(&with(reply(200).body("no json"))).await.json::<u32>().await.unwrap_err().attempts(), 3);
    let mut response = get(&with(reply(200).body("cut").cut())).await;
    response.chunk().await.unwrap();
    assert_eq!(response.chunk().await.unwrap_err().attempts(), 3);

    let silent = script(failing().into_iter().chain([reply(0).silent()]));
    let client = silent.client().build().unwrap();
    let error = client.request(Method::DELETE, "farms").timeout(secs(20)).send().await.unwrap_err();
    // It carries the answer that there was.
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Rejected, 1), "{error}");
    let silent = script([reply(0).silent()]);
    let client = silent.client().build().unwrap();
    let error = client.request(Method::GET, "farms").timeout(secs(20)).send().await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::DeadlineExceeded, 1), "{error}");
    assert!(error.url().is_some());
}

// Bodies that never end.

fn dripping(every: Duration) -> impl Http {
    Service(move |request: Request| {
        let body = futures::stream::unfold((), move |()| async move {
            sleep(every).await;
            Some((Ok(bytes::Bytes::from_static(b"7")), ()))
        });
        async move { Ok(answer(&request, 200).body_from(Body::stream(body))) }.boxed()
    })
}

#[tokio::test(start_paused = true)]
async fn the_deadline_of_a_call_covers_its_body() {
    for every in [millis(10), secs(1), secs(29)] {
        let client = client(dripping(every));
        let begun = Instant::now();
        let call = client.request(Method::GET, "farms").timeout(secs(40));
        let error = call.send().await.unwrap().bytes().await.unwrap_err();
        assert_eq!((error.kind(), begun.elapsed()), (ErrorKind::DeadlineExceeded, secs(40)), "{error}");
        let begun = Instant::now();
        let mut response = client.request(Method::GET, "farms").timeout(secs(40)).send().await.unwrap();
        let error = loop {
            match response.chunk().await {
                Ok(chunk) => assert!(chunk.is_some()),
                Err(error) => break error,
            }
        };
        assert_eq!((error.kind(), begun.elapsed()), (ErrorKind::DeadlineExceeded, secs(40)), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_drips_gives_its_place_back() {
    let client = Client::builder("https://api.example.com")
        .http(dripping(secs(29)))
        .limit(Limit::concurrent(1))
        .build()
        .unwrap();
    for _ in 0..3 {
        let begun = Instant::now();
        let error = client.request(Method::GET, "farms").send().await.unwrap().bytes().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Network, "{error}");
        assert!(error.to_string().contains("least rate"), "{error}");
        assert!(begun.elapsed() <= secs(120), "{:?}", begun.elapsed());
    }
    let patient = Client::builder("https://api.example.com").http(dripping(secs(29))).least_rate(0).build().unwrap();
    let reading = patient.request(Method::GET, "farms").send().await.unwrap().bytes();
    tokio::time::timeout(secs(10_000), reading).await.unwrap_err();
    // Read in chunks, it may be as slow as it likes.
    let mut response = client.request(Method::GET, "farms").send().await.unwrap();
    for _ in 0..100 {
        assert!(response.chunk().await.unwrap().is_some());
    }
}

// Links that expire.

const LINK: &str = "https://store.example.net/7?sig=S";

/// A finished task whose status gives the link.
fn finished() -> Canned {
    reply(200).json(json!({"status": "Succeeded", "result": {"url": LINK}}))
}

async fn outcome(service: &Script, answers: impl IntoIterator<Item = Canned>) -> longhaul::Outcome<Value> {
    service.then(reply(202).header("operation-location", "/v1/tasks/1"));
    service.then(finished());
    answers.into_iter().for_each(|answer| service.then(answer));
    let protocol = Protocol::auto().result(Source::pointer("/result/url"), longhaul::protocols::ResultKind::Link);
    let client = service.client().build().unwrap();
    client.task().protocol(protocol).post("exports").submit::<Value>().await.unwrap().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_fresh_link_that_was_waited_with_may_expire_as_any_other() {
    for pause in [
        vec![reply(503).header("retry-after", "100"), reply(403)],
        vec![reply(500), reply(403)],
        vec![reply(0).lost(), reply(403)],
        vec![reply(0).unsent(), reply(403)],
        vec![reply(403).after(secs(20))],
    ] {
        let service = script([]);
        let answers = [reply(403), finished()]
            .into_iter()
            .chain(pause.clone())
            .chain([finished(), reply(200).header("content-length", "1").body("7")]);
        let outcome = outcome(&service, answers).await;
        assert_eq!(outcome.download().to_memory(10).await.unwrap(), "7", "{pause:?}");
    }
    let service = script([]);
    let outcome = outcome(&service, [reply(403), finished(), reply(403)]).await;
    let error = outcome.download().to_memory(10).await.unwrap_err();
    assert!(error.to_string().contains("also with a fresh link"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_download_that_is_called_again_keeps_what_its_storage_asked() {
    for (status, asked) in [(429, 100), (503, 100), (500, 100), (503, 3_600)] {
        let service = script([reply(status).header("retry-after", &asked.to_string()), reply(200).body("7")]);
        let client = service.client().build().unwrap();
        let dropped = tokio::time::timeout(secs(10), client.download(LINK).to_memory(10)).await;
        dropped.unwrap_err();
        assert_eq!(client.download(LINK).to_memory(10).await.unwrap(), "7");
        assert_eq!(service.gaps(), [secs(asked)], "{status}");
    }
    // Of another host nothing was asked.
    let service = script([reply(503).header("retry-after", "100"), reply(200).body("7")]);
    let client = service.client().build().unwrap();
    tokio::time::timeout(secs(10), client.download(LINK).to_memory(10)).await.unwrap_err();
    client.download("https://other.example.net/7?sig=S").to_memory(10).await.unwrap();
    assert_eq!(service.gaps(), [secs(10)]);
}

#[tokio::test(start_paused = true)]
async fn a_storage_that_asks_for_too_long_is_given_up() {
    let service = script([reply(503).header("retry-after", "86400")]);
    let client = service.client().retry(RetryPolicy::standard().give_up_over(secs(180))).build().unwrap();
    for _ in 0..2 {
        let begun = Instant::now();
        let error = client.download(LINK).to_memory(10).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}");
        assert!(error.retry_after() > Some(secs(86_000)) && begun.elapsed() < secs(1), "{error}");
    }
}

/// A service with as many running tasks as there are, whose links have expired once.
fn exports() -> impl Http {
    Service(|request: Request| {
        let path = request.url().path().to_owned();
        let id = path.rsplit('/').next().unwrap_or_default().to_owned();
        let response = answer(&request, 200);
        let json = |value: Value| bytes::Bytes::from(value.to_string());
        let response = match (request.method().as_str(), id.as_str()) {
            ("POST", _) if path.ends_with("finished") => answer(&request, 202)
                .headers_from([(http::header::LOCATION, "/v1/tasks/done".parse().unwrap())].into_iter().collect()),
            ("POST", _) => answer(&request, 202)
                .headers_from([(http::header::LOCATION, "/v1/tasks/runs".parse().unwrap())].into_iter().collect()),
            (_, "done") => response.body_from(json(json!({
                "status": "Succeeded", "result": {"url": format!("{LINK}{}", fastrand::u32(1..))}
            }))),
            _ => response.body_from(json(json!({"status": "Running"}))),
        };
        async move {
            sleep(millis(20)).await;
            Ok(response)
        }
        .boxed()
    })
}

/// A storage that refuses its first requests: the first link of each download.
fn expiring(first: u32) -> impl Http {
    let asked = AtomicU32::new(0);
    Service(move |request: Request| {
        let refused = asked.fetch_add(1, SeqCst) < first;
        async move {
            let status = if refused { 403 } else { 200 };
            Ok(answer(&request, status).body_from(bytes::Bytes::from_static(b"7")))
        }
        .boxed()
    })
}

#[tokio::test(start_paused = true)]
async fn renewals_beside_2000_polling_tasks_are_quick() {
    let protocol = Protocol::auto().result(Source::pointer("/result/url"), longhaul::protocols::ResultKind::Link);
    let client = Client::builder("https://api.example.com/v1")
        .http(exports())
        .storage_http(expiring(20))
        .limit(Limit::per_second(100))
        .poll_policy(longhaul::PollPolicy::standard().floor(secs(1)).ceiling(secs(1)))
        .build()
        .unwrap();
    let mut outcomes = Vec::new();
    for _ in 0..20 {
        let task = client.task().protocol(protocol.clone()).post("finished").submit::<Value>().await.unwrap();
        outcomes.push(task.await.unwrap());
    }
    let tasks =
        join_all((0..2000).map(|_| client.task().protocol(protocol.clone()).post("runs").submit::<Value>())).await;
    let polling: Vec<_> = tasks.into_iter().map(|task| tokio::spawn(task.unwrap().into_future())).collect();
    sleep(secs(30)).await;
    let begun = Instant::now();
    let got = join_all(outcomes.iter().map(|outcome| outcome.download().to_memory(10))).await;
    assert!(got.iter().all(Result::is_ok), "{got:?}");
    assert!(begun.elapsed() <= secs(10), "{:?}", begun.elapsed());
    polling.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test(start_paused = true)]
async fn a_renewal_keeps_the_limits_of_its_kind() {
    let protocol = Protocol::auto().result(Source::pointer("/result/url"), longhaul::protocols::ResultKind::Link);
    let client = Client::builder("https://api.example.com/v1")
        .http(exports())
        .storage_http(expiring(5))
        .profile(Profile::auto().kind("export", protocol))
        .limit(Limit::per(1, secs(10)).scope(longhaul::limits::Scope::Kind("export".into())))
        .build()
        .unwrap();
    let task = client.task().kind("export").post("finished").submit::<Value>().await.unwrap();
    let outcome = task.await.unwrap();
    let begun = Instant::now();
    let got = join_all((0..5).map(|_| outcome.download().to_memory(10))).await;
    assert!(got.iter().all(Result::is_ok), "{got:?}");
    assert!(begun.elapsed() >= secs(40), "{:?}", begun.elapsed());
}

// From https to http.

#[tokio::test(start_paused = true)]
async fn nothing_leads_from_https_to_http_on_this_machine() {
    let redis = "http://127.0.0.1:6379/";
    let to = |url: &str| reply(302).header("location", url);
    let links = || Protocol::auto().result(Source::pointer("/result/url"), longhaul::protocols::ResultKind::Link);

    // A storage's redirect, at once and at the second hop; of a given link, a task's, and a renewed one.
    for hops in [vec![to(redis)], vec![to("https://b.example.net/7"), to(redis)], vec![to("http://localhost/x")]] {
        let service = script(hops.into_iter().chain([reply(200).body("secret")]));
        let client = service.client().build().unwrap();
        let error = client.download(LINK).to_memory(10).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Untrusted, "{error}");
        assert_eq!(service.left(), 1);
    }
    let service = script([]);
    let outcome = outcome(&service, [to(redis), reply(403), finished(), to(redis)]).await;
    for _ in 0..2 {
        assert_eq!(outcome.download().to_memory(10).await.unwrap_err().kind(), ErrorKind::Untrusted);
    }

    // From a client whose base is plain http on this machine, by way of https elsewhere: a poll, a result, a status URL, a
    // link, and a page.
    let status = |url: &str| reply(202).header("operation-location", url);
    for answers in [
        vec![to(redis)],
        vec![reply(303).header("location", redis)],
        vec![reply(202).header("operation-location", redis), reply(200).json(json!({"status": "Running"}))],
        vec![reply(200).json(json!({"status": "Succeeded", "resourceLocation": redis}))],
        vec![reply(200).json(json!({"status": "Succeeded", "result": {"url": redis}}))],
    ] {
        let service = script([status("https://s.example.net/status")].into_iter().chain(answers.clone()));
        (0..9).for_each(|_| service.then(reply(200).json(json!({"secret": 7}))));
        let client = Client::builder("http://127.0.0.1:9/v1").http(service.clone()).storage_http(service.clone());
        let task = client.build().unwrap().task().protocol(links()).post("exports").submit::<Value>().await.unwrap();
        let ended = tokio::time::timeout(secs(5), task.into_future()).await;
        if let Ok(Ok(outcome)) = &ended {
            let fetched = outcome.download().to_memory(100).await;
            assert!(fetched.is_err() || outcome.links().is_empty(), "{answers:?}");
        }
        let hosts: Vec<_> = service.requests().iter().map(|seen| seen.url().port()).collect();
        assert!(!hosts.contains(&Some(6379)), "{answers:?}: {hosts:?}");
    }

    let pages = PageRule::new("https://s.example.net/rows", Source::pointer("/rows/*"))
        .next(Next::url(Source::pointer("/next")));
    let service = script([
        reply(202).header("location", "tasks/1"),
        reply(200).json(json!({"status": "Succeeded"})),
        reply(200).json(json!({"rows": [1], "next": redis})),
        reply(200).json(json!({"rows": [2]})),
    ]);
    let client = Client::builder("http://127.0.0.1:9/v1").http(service.clone()).build().unwrap();
    let task = client.task().protocol(Protocol::auto().pages(pages)).post("exports").submit::<Value>().await.unwrap();
    let rows: Result<Vec<u32>, _> = task.await.unwrap().pages::<u32>().try_collect().await;
    assert_eq!(rows.unwrap_err().kind(), ErrorKind::Untrusted);
    assert_eq!(service.left(), 1);
}

#[tokio::test(start_paused = true)]
async fn plain_http_works_on_this_machine_and_where_it_was_given() {
    let to = |url: &str| reply(302).header("location", url);
    let service = script([to("http://[::1]:8/7"), reply(200).body("7")]);
    assert_eq!(service.client().build().unwrap().download("http://127.0.0.1:9/7").to_memory(9).await.unwrap(), "7");
    let service = script([to("http://store.example.net/7"), reply(200).body("7")]);
    let client = Client::builder("http://api.example.com/v1").http(service.clone()).storage_http(service);
    let client = client.allow_origin("http://store.example.net").build().unwrap();
    assert_eq!(client.download(LINK).to_memory(9).await.unwrap(), "7");
}
