//! Limits as users say them: scopes, calendar days, bytes, requests at once, queues, changes, sharing.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt, join_all};
use futures::stream::{self, StreamExt};
use http::{Method, StatusCode};
use longhaul::http::{Body, Http, HttpError, Request, Response};
use longhaul::limits::{Anchor, Clock, Priority, RequestKey, Scope};
use longhaul::testing::{Script, reply, script};
use longhaul::{Client, ClientBuilder, ErrorKind, Event, Limit, Profile, RetryPolicy, Throttle};
use tokio::time::{Instant, sleep, timeout};

use crate::support::SECOND;

fn answers(count: usize) -> Script {
    script((0..count).map(|_| reply(200)))
}

/// When each of these requests, asked for at once, was seen: in seconds since the first.
async fn seen(builder: ClientBuilder, service: &Script, requests: &[&str]) -> Vec<u64> {
    let client = builder.build().unwrap();
    join_all(requests.iter().map(|request| {
        let (method, path) = request.split_once(' ').unwrap();
        client.request(method.parse().unwrap(), path).send()
    }))
    .await
    .into_iter()
    .for_each(|sent| drop(sent.unwrap()));
    service.requests().iter().map(|seen| seen.at().as_secs()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_route_counts_by_method_pattern_and_named_segment() {
    let service = answers(9);
    let builder = service
        .client()
        .limit(Limit::per_second(1).scope(Scope::route("GET lists/{list}/members/*")))
        .limit(Limit::per(1, 2 * SECOND).scope(Scope::route("/v1/stats/**")));
    let requests = [
        "GET lists/a/members/1",
        "GET lists/b/members/1",
        "GET lists/a/members/2",
        "DELETE lists/a/members/2",
        "GET stats/x/y",
        "POST stats",
        "GET other",
    ];
    let at = seen(builder, &service, &requests).await;
    assert_eq!(at, [0, 0, 0, 0, 0, 1, 2]);
    let last: Vec<_> = service.requests().iter().skip(5).map(|seen| seen.url().path().to_owned()).collect();
    assert_eq!(last, ["/v1/lists/a/members/2", "/v1/stats"]);
}

#[tokio::test(start_paused = true)]
async fn hosts_credentials_kinds_and_tokens_have_budgets_of_their_own() {
    let service = answers(9);
    let builder =
        service.client().allow_origin("https://eu.example.com").limit(Limit::per_second(1).scope(Scope::Host));
    let at = seen(builder, &service, &["GET a", "GET https://eu.example.com/a", "GET b"]).await;
    assert_eq!(at, [0, 0, 1]);

    let throttle = Throttle::new();
    throttle.add_limit(Limit::per_second(1).scope(Scope::Credential)).unwrap();
    throttle.add_limit(Limit::per_second(1).scope(Scope::Kind("export".into()))).unwrap();
    throttle.add_limit(Limit::per_second(1).scope(Scope::TokenEndpoint)).unwrap();
    let goes = |class, keys: RequestKey| {
        let permit = throttle.try_acquire(class, &keys);
        let goes = permit.is_some();
        permit.into_iter().for_each(|mut permit| permit.answered());
        goes
    };
    for (credential, goes_now) in [("a", true), ("b", true), ("a", false)] {
        assert_eq!(goes(Priority::Call, RequestKey::new().credential(credential)), goes_now, "{credential}");
    }
    for (credential, kind, goes_now) in [("c", "export", true), ("d", "export", false), ("d", "report", true)] {
        assert_eq!(
            goes(Priority::Call, RequestKey::new().credential(credential).kind(kind)),
            goes_now,
            "{credential} {kind}"
        );
    }
    assert!(goes(Priority::Token, RequestKey::new()) && !goes(Priority::Token, RequestKey::new()));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_keys_that_nobody_uses_are_forgotten() {
    let throttle = Throttle::new();
    throttle.add_limit(Limit::per_second(1).scope(Scope::Credential)).unwrap();
    for round in 0..10 {
        for key in 0..500 {
            let keys = RequestKey::new().credential(format!("{round}/{key}"));
            throttle.try_acquire(Priority::Call, &keys).unwrap().answered();
            assert!(throttle.try_acquire(Priority::Call, &keys).is_none(), "one in use is kept");
        }
        sleep(2 * SECOND).await;
    }
    let shown = format!("{throttle:?}");
    let counters: usize = shown.split_once("counters: ").unwrap().1.split(',').next().unwrap().parse().unwrap();
    assert!(counters < 2100, "of 5,000 keys: {shown}");
}

#[tokio::test(start_paused = true)]
async fn a_calendar_day_begins_at_midnight_in_its_zone() {
    let service = answers(9);
    // 22:00 in Berlin.
    let evening: SystemTime = "2026-11-24T21:00:00Z".parse::<jiff::Timestamp>().unwrap().into();
    let builder = service
        .client()
        .clock(Clock::starting_at(evening))
        .limit(Limit::per_day(2, "Europe/Berlin").and_per(9, SECOND));
    let at = seen(builder, &service, &["GET a", "GET a", "GET a", "GET a", "GET a"]).await;
    let midnight = 2 * 60 * 60 + 2;
    assert_eq!(at, [0, 0, midnight, midnight, midnight + 24 * 60 * 60]);
}

#[tokio::test(start_paused = true)]
async fn bytes_both_ways_count_and_an_overdraft_is_paid_off() {
    let service = script((0..9).map(|_| reply(200).body(vec![0; 400])));
    let client = service.client().limit(Limit::bytes_per(1000, 10 * SECOND)).build().unwrap();
    for _ in 0..4 {
        let sent = client.request(Method::POST, "a").body(vec![0; 100], "text/plain").send().await.unwrap();
        assert_eq!(sent.bytes().await.unwrap().len(), 400);
    }
    let at: Vec<_> = service.requests().iter().map(|seen| seen.at().as_secs()).collect();
    assert_eq!(at, [0, 0, 10, 10], "500 and 500 are the window");
}

/// Answers at once, with a body of five parts that takes five seconds.
struct Slow;

impl Http for Slow {
    fn send(&self, request: Request) -> BoxFuture<'static, Result<Response, HttpError>> {
        let parts = stream::iter(0..5).then(async |_| {
            sleep(SECOND).await;
            Ok(Bytes::from_static(b"part "))
        });
        let response = Response::new(StatusCode::OK, request.url().clone()).body_from(Body::stream(parts));
        async { Ok(response) }.boxed()
    }
}

#[tokio::test(start_paused = true)]
async fn requests_at_once_are_counted_to_the_end_of_the_body() {
    let client = Client::builder("https://a.example").http(Slow).limit(Limit::concurrent(2)).build().unwrap();
    let begun = Instant::now();
    let whole = || async { client.request(Method::GET, "a").send().await.unwrap().bytes().await.unwrap().len() };
    assert_eq!(join_all((0..6).map(|_| whole())).await, [25; 6]);
    assert_eq!(begun.elapsed(), 15 * SECOND);
    // A body that is dropped half-way, or never read, is over too.
    let held = [
        client.request(Method::GET, "a").send().await.unwrap(),
        client.request(Method::GET, "a").send().await.unwrap(),
    ];
    assert!(timeout(SECOND, whole()).await.is_err());
    drop(held);
    assert_eq!(whole().await, 25);
}

#[tokio::test(start_paused = true)]
async fn a_limit_changes_while_it_is_kept_and_who_waits_is_timed_anew() {
    let service = answers(40);
    let client = service.client().limit(Limit::per(1, 10 * SECOND)).build().unwrap();
    let begun = Instant::now();
    let calls = join_all((0..12).map(|_| client.request(Method::GET, "a").send()));
    let change = async {
        sleep(SECOND).await;
        client.throttle().change_limit(Limit::per(6, 10 * SECOND)).unwrap();
    };
    futures::future::join(calls, change).await;
    let at: Vec<_> = service.requests().iter().map(|seen| seen.at().as_secs()).collect();
    assert_eq!(at, [0, 1, 1, 1, 1, 1, 10, 11, 11, 11, 11, 11]);
    assert_eq!(begun.elapsed(), 11 * SECOND);
    client.throttle().change_limit(Limit::per(0, 10 * SECOND)).unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn only_what_is_kept_is_changed() {
    let service = answers(40);
    let throttle = Throttle::new();
    let limit = Limit::per(1, 10 * SECOND).and_concurrent(9).soft().named("slow");
    let client = service.client().throttle(&throttle).limit(limit).limit(Limit::per_minute(2)).build().unwrap();
    for (handle, other) in [
        (&throttle, Limit::per_minute(3)),
        (client.throttle(), Limit::per(3, 11 * SECOND)),
        (client.throttle(), Limit::per_minute(3).and_per(3, 11 * SECOND)),
        (client.throttle(), Limit::per_minute(3).scope(Scope::Host)),
    ] {
        let error = handle.change_limit(other).unwrap_err();
        assert!(error.to_string().contains("matches none of the limits"), "{error}");
    }
    client.throttle().change_limit(Limit::per(4, 10 * SECOND)).unwrap();
    let kept: Vec<_> = client.throttle().limits().iter().map(ToString::to_string).collect();
    assert_eq!(
        kept,
        ["slow: 4 per 10s of the account, soft", "slow: 9 at once of the account, soft", "2 per 60s of the account"]
    );
    assert!(throttle.limits().is_empty());
    let calls = join_all((0..6).map(|_| client.request(Method::GET, "a").send()));
    let remove = async {
        sleep(SECOND).await;
        assert!(
            client.throttle().remove_limit(&Limit::per_minute(1))
                && !client.throttle().remove_limit(&Limit::per_minute(2))
        );
    };
    futures::future::join(calls, remove).await;
    let at: Vec<_> = service.requests().iter().map(|seen| seen.at().as_secs()).collect();
    assert_eq!(at, [0, 0, 1, 1, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn what_contradicts_is_an_error_and_what_agrees_is_kept_once() {
    let throttle = Throttle::new();
    let client = |base: &str, account: &str, limit: Limit| {
        Client::builder(base).throttle(&throttle).account(account).limit(limit).build()
    };
    client("https://a.example/x", "", Limit::per_second(4)).unwrap();
    client("https://a.example/y", "", Limit::per_second(4).and_per(100, 60 * SECOND)).unwrap();
    let error = client("https://a.example/z", "", Limit::per_second(5)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("`5 per 1s of the account` contradicts `4 per 1s of the account`"), "{error}");
    client("https://a.example/z", "", Limit::per_second(4).anchor(Anchor::Send)).unwrap_err();
    let twice = client("https://d.example", "", Limit::per_second(4).and_per(5, SECOND)).unwrap_err();
    assert!(twice.to_string().contains("two windows as long as `5 per 1s`"), "{twice}");
    let soft = client("https://a.example/z", "", Limit::per_second(4).soft()).unwrap_err();
    assert!(soft.to_string().contains("`4 per 1s of the account, soft` contradicts `4 per 1s"), "{soft}");
    let kind = client("https://a.example/z", "", Limit::per_second(1).scope(Scope::Kind("exprot".into()))).unwrap_err();
    assert!(kind.to_string().contains("its kinds are []"), "{kind}");
    // Another account, another service, another scope.
    client("https://a.example/z", "partner", Limit::per_second(10)).unwrap();
    client("https://b.example", "", Limit::per_second(5)).unwrap();
    client("https://a.example", "", Limit::per_second(5).scope(Scope::Host)).unwrap();
    let profile = Profile::auto().limit(Limit::per_second(4));
    let own =
        |profile: Profile| Client::builder("https://c.example").profile(profile).limit(Limit::per_second(10)).build();
    assert!(own(profile.clone()).is_err() && own(profile.without_limits()).is_ok());
}

#[tokio::test(start_paused = true)]
async fn accounts_share_a_throttle_and_no_budget() {
    let service = script([reply(429).header("retry-after", "30")].into_iter().chain((0..9).map(|_| reply(200))));
    let throttle = Throttle::new();
    let client = |account: &str| {
        let builder = service.client().throttle(&throttle).account(account).retry(RetryPolicy::none());
        builder.limit(Limit::per_second(1)).build().unwrap()
    };
    let (one, other) = (client("1"), client("2"));
    one.request(Method::GET, "a").send().await.unwrap_err();
    other.request(Method::GET, "a").send().await.unwrap();
    client("1").request(Method::GET, "b").send().await.unwrap();
    let at: Vec<_> = service.requests().iter().map(|seen| seen.at().as_secs()).collect();
    assert_eq!(at, [0, 0, 30]);
    // A limit of the throttle's own counts for all.
    throttle.add_limit(Limit::per(2, 100 * SECOND)).unwrap();
    for client in [&one, &other, &one] {
        client.request(Method::GET, "c").send().await.unwrap();
    }
    assert_eq!(service.requests().last().unwrap().at().as_secs(), 131);
}

#[tokio::test(start_paused = true)]
async fn a_soft_limit_reports_and_holds_nothing_back() {
    let service = answers(9);
    let client = service.client().limit(Limit::per(2, 60 * SECOND).soft().named("fair use")).build().unwrap();
    let mut events = client.throttle().events();
    for _ in 0..5 {
        client.request(Method::GET, "a").send().await.unwrap();
    }
    assert_eq!(service.requests().last().unwrap().at(), Duration::ZERO);
    let told: Vec<Event> = std::iter::from_fn(|| events.next().now_or_never().flatten()).collect();
    assert_eq!(told, [Event::Exceeded { limit: "fair use: 2 per 60s of the account".into() }]);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_cannot_be_met_names_the_limit_at_once() {
    let service = script((0..9).map(|_| reply(200).after(SECOND / 10)));
    let client = service.client().limit(Limit::per(2, 10 * SECOND)).build().unwrap();
    let call = |deadline| client.request(Method::GET, "a").timeout(deadline).send();
    let begun = Instant::now();
    let (first, second, third, fourth) =
        tokio::join!(call(5 * SECOND), call(5 * SECOND), call(5 * SECOND), call(20 * SECOND));
    assert!(first.is_ok() && second.is_ok() && fourth.is_ok());
    assert_eq!(begun.elapsed(), Duration::from_millis(10_200));
    let error = third.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
    assert!(
        error
            .to_string()
            .contains("`2 per 10s of the account` admits it in 10.0s at the earliest, and its deadline is in 5.0s"),
        "{error}"
    );
    // One that waits already fails when a pause takes its time away.
    let begun = Instant::now();
    let pause = async {
        sleep(SECOND).await;
        client.throttle().pause(30 * SECOND);
    };
    let (_, waited, ()) = tokio::join!(call(20 * SECOND), call(20 * SECOND), pause);
    let waited = waited.unwrap_err();
    assert_eq!((waited.kind(), begun.elapsed()), (ErrorKind::DeadlineExceeded, SECOND));
    assert!(waited.to_string().contains("`the account`, which pauses after a refusal, admits it in 30.0s"), "{waited}");
}

#[tokio::test(start_paused = true)]
async fn urgent_classes_go_first_and_none_starves() {
    let throttle = Throttle::new();
    throttle.add_limit(Limit::per_second(1)).unwrap();
    let order = std::sync::Mutex::new(Vec::new());
    let go = |class, name: &'static str| {
        let (throttle, order) = (throttle.clone(), &order);
        async move {
            throttle.acquire(class, &RequestKey::new()).await.unwrap().answered();
            order.lock().unwrap().push(name);
        }
    };
    throttle.try_acquire(Priority::Call, &RequestKey::new()).unwrap().answered();
    let (polls, cancel, submit) = (
        join_all((0..40).map(|_| go(Priority::Poll, "poll"))),
        go(Priority::Cancel, "cancel"),
        go(Priority::Submit, "submit"),
    );
    let download = go(Priority::Download, "download");
    let batch = go(Priority::Batch, "batch");
    tokio::join!(batch, download, polls, submit, cancel);
    let order = order.into_inner().unwrap();
    assert_eq!(order[..3], ["cancel", "submit", "poll"]);
    let place = |name| order.iter().position(|other| *other == name).unwrap();
    assert_eq!((place("download"), place("batch")), (16, 17), "after sixteen turns of others: {order:?}");
}

#[tokio::test(start_paused = true)]
async fn tasks_of_one_class_take_turns() {
    let throttle = Throttle::new();
    throttle.add_limit(Limit::per_second(1)).unwrap();
    let order = std::sync::Mutex::new(String::new());
    let go = |task: u64, name: char| {
        let (throttle, order) = (throttle.clone(), &order);
        async move {
            throttle.acquire(Priority::Poll, &RequestKey::new().task(task)).await.unwrap().answered();
            order.lock().unwrap().push(name);
        }
    };
    throttle.try_acquire(Priority::Poll, &RequestKey::new()).unwrap().answered();
    tokio::join!(
        join_all((0..6).map(|_| go(1, 'a'))),
        join_all((0..2).map(|_| go(2, 'b'))),
        join_all((0..3).map(|_| go(0, '-')))
    );
    assert_eq!(order.into_inner().unwrap(), "ab-ab-a-aaa");
}

#[tokio::test(start_paused = true)]
async fn waiters_of_one_limit_do_not_stand_behind_another() {
    let service = answers(99);
    let client = service
        .client()
        .limit(Limit::per(1, 60 * SECOND).scope(Scope::route("GET slow")))
        .limit(Limit::per_second(2))
        .build()
        .unwrap();
    let mut calls: Vec<_> = (0..10).map(|_| client.request(Method::GET, "slow").send().boxed()).collect();
    calls.extend((0..10).map(|_| client.request(Method::GET, "fast").send().boxed()));
    let begun = Instant::now();
    join_all(calls).await;
    let at = |path: &str| -> Vec<u64> {
        let seen = service.requests();
        seen.iter().filter(|seen| seen.url().path() == path).map(|seen| seen.at().as_secs()).collect()
    };
    assert_eq!(at("/v1/fast"), [0, 1, 1, 2, 2, 3, 3, 4, 4, 5]);
    assert_eq!(at("/v1/slow"), (0..10).map(|minute| minute * 60).collect::<Vec<_>>());
    assert_eq!(begun.elapsed(), 540 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn two_limits_never_free_together_let_a_request_through() {
    // Half a second apart, and in the same moment.
    crossing(SECOND / 2).await;
    crossing(Duration::ZERO).await;
}

async fn crossing(apart: Duration) {
    let throttle = Throttle::new();
    throttle.add_limit(Limit::per_second(1).scope(Scope::route("/a/**"))).unwrap();
    throttle.add_limit(Limit::per_second(1).scope(Scope::Host)).unwrap();
    let go = async |path: &str, host: &str| {
        let keys = RequestKey::request(&Method::GET, &format!("https://{host}{path}").parse().unwrap());
        throttle.acquire(Priority::Call, &keys).await.unwrap().answered();
    };
    // One of them is always taken when the other is free.
    let flood = async |begins: Duration, path: &str, host: &str| {
        sleep(begins).await;
        loop {
            tokio::join!(go(path, host), go(path, host), go(path, host));
        }
    };
    let both = async {
        sleep(3 * SECOND).await;
        // More than once: what it held is given back.
        for _ in 0..4 {
            timeout(20 * SECOND, go("/a/2", "h1")).await.expect("it is let through");
        }
    };
    tokio::select! {
        () = flood(Duration::ZERO, "/a/1", "h2") => unreachable!(),
        () = flood(apart, "/b/1", "h1") => unreachable!(),
        () = both => {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_queue_is_given_its_rate_and_never_more_than_it_holds() {
    let throttle = Throttle::new();
    throttle.add_limit(Limit::per_second(15).and_server_queue(100)).unwrap();
    let begun = Instant::now();
    let at = join_all((0..130).map(|_| async {
        let mut permit = throttle.acquire(Priority::Call, &RequestKey::new()).await.unwrap();
        permit.sent();
        let at = begun.elapsed();
        sleep(SECOND / 20).await;
        permit.answered();
        at
    }))
    .await;
    assert_eq!(at.iter().filter(|at| at.is_zero()).count(), 15, "as many at once as the service takes");
    let last = at.iter().max().unwrap().as_secs_f64();
    assert!((7.66..7.72).contains(&last), "115 at 15 a second: {last}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_queue_is_sent_no_more_than_it_holds() {
    let throttle = Throttle::new();
    throttle.add_limit(Limit::per_second(2).and_server_queue(5)).unwrap();
    let mut sent = Vec::new();
    while let Ok(permit) = timeout(20 * SECOND, throttle.acquire(Priority::Call, &RequestKey::new())).await {
        let mut permit = permit.unwrap();
        permit.sent();
        sent.push(permit);
        assert!(sent.len() <= 7, "5 in its queue, and 2 of this second");
    }
    assert_eq!(sent.len(), 7);
    sent.pop().unwrap().answered();
    let next = timeout(SECOND, throttle.acquire(Priority::Call, &RequestKey::new())).await.expect("one left its queue");
    assert!(next.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_given_up_costs_one_slot() {
    for (anchor, opens) in [(Anchor::Send, 1000), (Anchor::Response, 2000)] {
        let throttle = Throttle::new();
        throttle.add_limit(Limit::per_second(2).anchor(anchor)).unwrap();
        let begun = Instant::now();
        let mut given_up = throttle.try_acquire(Priority::Call, &RequestKey::new()).unwrap();
        given_up.sent();
        drop(given_up);
        let mut second = throttle.try_acquire(Priority::Call, &RequestKey::new()).expect("it costs one of two");
        second.sent();
        assert!(throttle.try_acquire(Priority::Call, &RequestKey::new()).is_none());
        throttle.acquire(Priority::Call, &RequestKey::new()).await.unwrap().answered();
        assert_eq!(begun.elapsed().as_millis(), opens, "{anchor:?}: a second for what may still be on its way");
    }
}

#[tokio::test(start_paused = true)]
async fn a_waiting_request_is_explained() {
    let service = answers(9);
    let client = service.client().limit(Limit::per(1, 10 * SECOND).named("slow")).build().unwrap();
    let keys = client.request_key(&Method::GET, "a").unwrap();
    assert_eq!(client.throttle().explain(Priority::Call, &keys).to_string().lines().next(), Some("it may go at once"));
    client.request(Method::GET, "a").send().await.unwrap();
    let waiting = client.request(Method::GET, "a").send();
    tokio::pin!(waiting);
    assert!(timeout(SECOND, waiting.as_mut()).await.is_err());
    let explained = client.throttle().explain(Priority::Call, &keys);
    assert_eq!((explained.limit(), explained.ahead()), (Some("slow: 1 per 10s of the account"), 1));
    assert_eq!(explained.at_least(), 19 * SECOND);
    let text = explained.to_string();
    assert!(text.starts_with("bound by `slow: 1 per 10s of the account`: 1 before it, 19.0s at least"), "{text}");
    assert!(text.contains("slow: 1 per 10s of the account: 100 % used, 0 on their way, 1 waiting"), "{text}");
}
