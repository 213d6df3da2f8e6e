//! What answers say of limits: budgets, hints in bodies, unknown limits; and what is malformed.

use std::collections::VecDeque;
use std::time::Duration;

use futures::future::{FutureExt, join_all};
use futures::stream::StreamExt;
use http::{HeaderMap, Method, StatusCode};
use longhaul::limits::{Feedback, HintFact, HintRule, Learned, Permit, Priority, RequestKey, Unit};
use longhaul::protocols::Source;
use longhaul::testing::{Canned, reply, script};
use longhaul::{Client, Event, Limit, Profile, RetryPolicy, Throttle};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::support::{SECOND, headers};

async fn get(client: &Client, path: &str) {
    let _ = client.request(Method::GET, path).send().await;
}

fn budget(remaining: u32, reset: u32) -> Canned {
    reply(200)
        .header("x-ratelimit-limit", "100")
        .header("x-ratelimit-remaining", &remaining.to_string())
        .header("x-ratelimit-reset", &reset.to_string())
}

#[tokio::test(start_paused = true)]
async fn what_is_left_of_a_budget_is_spread_and_a_reserve_is_kept() {
    // Half of it is gone: the rest less the reserve is spread over the 40 seconds.
    let service = script([budget(31, 40), budget(30, 38), budget(29, 36), budget(10, 34), budget(9, 34), reply(200)]);
    let client = service.client().build().unwrap();
    for path in ["tasks/1", "tasks/2", "tasks/3", "tasks/4"] {
        get(&client, path).await;
    }
    let gaps: Vec<_> = service.gaps().iter().map(Duration::as_millis).collect();
    assert_eq!(gaps[0], 0, "the first is not known yet");
    assert!(gaps[1..].iter().all(|gap| (1700..2100).contains(gap)), "{gaps:?}");
    // The tenth that is left is for submits, cancels and tokens.
    let keys = client.request_key(&Method::GET, "tasks/5").unwrap();
    let explained = client.throttle().explain(Priority::Poll, &keys);
    assert_eq!((explained.limit(), explained.at_least()), (Some("learned budget: 100"), 34 * SECOND));
    assert_eq!(client.throttle().explain(Priority::Submit, &keys).limit(), None);
    let other = client.throttle().explain(Priority::Poll, &client.request_key(&Method::GET, "other").unwrap());
    assert_eq!(other.limit(), Some("learned budget: 100"), "it is taken to be one for all routes");
    let begun = Instant::now();
    get(&client, "tasks/5").await;
    assert_eq!(begun.elapsed(), 34 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn what_an_answer_tells_counts_by_when_its_request_was_sent() {
    let throttle = Throttle::new();
    let take = || throttle.try_acquire(Priority::Poll, &RequestKey::new()).unwrap();
    let mut early = take();
    early.sent();
    sleep(SECOND).await;
    let mut late = take();
    late.sent();
    late.heard(StatusCode::OK, &headers(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "60")]));
    early.heard(StatusCode::OK, &headers(&[("x-ratelimit-remaining", "50"), ("x-ratelimit-reset", "60")]));
    let explained = throttle.explain(Priority::Poll, &RequestKey::new());
    assert_eq!((explained.limit(), explained.at_least()), (Some("learned budget"), 60 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn at_a_reset_one_goes_first_and_its_answer_tells() {
    let throttle = Throttle::new();
    let mut first = throttle.try_acquire(Priority::Poll, &RequestKey::new()).unwrap();
    first.sent();
    first.heard(StatusCode::OK, &headers(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "60")]));
    let begun = Instant::now();
    let at = join_all((0..9).map(|_| async {
        let mut permit = throttle.acquire(Priority::Poll, &RequestKey::new()).await.unwrap();
        permit.sent();
        let at = begun.elapsed().as_secs();
        sleep(SECOND).await;
        permit.heard(StatusCode::OK, &HeaderMap::new());
        at
    }))
    .await;
    assert_eq!(at, [60, 61, 61, 62, 62, 62, 62, 63, 63]);
}

#[tokio::test(start_paused = true)]
async fn feedback_that_is_off_reads_no_budget() {
    let service = script((0..4).map(|_| budget(0, 600)));
    let client = service.client().feedback(Feedback::Off).build().unwrap();
    for _ in 0..4 {
        get(&client, "tasks/1").await;
    }
    assert_eq!(service.gaps(), [Duration::ZERO; 3]);
}

#[tokio::test(start_paused = true)]
async fn a_stated_limit_is_kept_as_a_declared_one() {
    let policy = || reply(200).header("ratelimit-policy", "\"burst\";q=3;w=10");
    let service = script((0..9).map(|_| policy()));
    let client = service.client().build().unwrap();
    let mut events = client.throttle().events();
    for _ in 0..8 {
        get(&client, "tasks/1").await;
    }
    let at: Vec<_> = service.requests().iter().map(|seen| seen.at().as_secs()).collect();
    assert_eq!(at, [0, 0, 0, 0, 10, 10, 10, 20], "the first taught it");
    let learned = events.next().now_or_never().flatten();
    assert_eq!(learned, Some(Event::Learned { limit: "learned burst: 3 per 10s".into() }));
}

#[tokio::test(start_paused = true)]
async fn a_declared_limits_budget_paces_all_its_routes() {
    let headers = || {
        reply(200)
            .header("ratelimit-limit", "10, 10;w=60")
            .header("ratelimit-remaining", "1")
            .header("ratelimit-reset", "20")
    };
    let service = script([headers(), reply(200)]);
    let client = service.client().limit(Limit::per_minute(10)).build().unwrap();
    get(&client, "a").await;
    get(&client, "b").await;
    assert_eq!(service.gaps(), [20 * SECOND], "one is left, and kept for what is urgent");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_names_a_limit_pauses_that_one() {
    let refused = reply(429)
        .header("ratelimit-policy", "\"daily\";q=100;w=86400")
        .header("ratelimit", "\"daily\";r=0;t=50")
        .header("retry-after", "5");
    let service = script([refused, reply(200), reply(200)]);
    let client = service
        .client()
        .retry(RetryPolicy::none())
        .limit(Limit::per_second(50))
        .limit(Limit::per(5, 60 * SECOND).named("daily").scope(longhaul::limits::Scope::route("exports/**")))
        .build()
        .unwrap();
    get(&client, "exports").await;
    get(&client, "other").await;
    get(&client, "exports").await;
    let at: Vec<_> = service.requests().iter().map(|seen| seen.at().as_secs()).collect();
    assert_eq!(at, [0, 0, 50], "its budget is empty for longer than it asks to wait");
}

#[tokio::test(start_paused = true)]
async fn a_profile_says_where_a_body_asks_to_wait() {
    let profile =
        Profile::auto().hint(HintRule::new(Source::pointer("/RetryAfter"), HintFact::Delay).unit(Unit::Milliseconds));
    let text = serde_json::to_string(&profile).unwrap();
    assert_eq!(serde_json::from_str::<Profile>(&text).unwrap(), profile);
    let service = script([reply(429).json(json!({"RetryAfter": 90_000, "code": "slow down"})), reply(200)]);
    let client = service.client().profile(profile.clone()).build().unwrap();
    get(&client, "a").await;
    assert_eq!(service.gaps(), [90 * SECOND]);
    let service = script([reply(429).json(json!({"RetryAfter": 90_000, "code": "slow down"}))]);
    let client = service.client().profile(profile).retry(RetryPolicy::none()).build().unwrap();
    let error = client.request(Method::GET, "a").send().await.unwrap_err();
    assert_eq!((error.retry_after(), error.fault().unwrap().code()), (Some(90 * SECOND), Some("slow down")));
}

#[tokio::test(start_paused = true)]
async fn what_is_malformed_is_told_and_stalls_nobody() {
    let bad = [
        ("retry-after", "1000000000000"),
        ("retry-after", "-5"),
        ("retry-after", "soon"),
        ("x-ratelimit-reset", "-1"),
        ("x-ratelimit-reset", "Thu, 01 Jan 1970 00:00:07 GMT"),
        ("x-ratelimit-remaining", "many"),
        ("ratelimit", "\"burst;r=1"),
        ("x-ratelimit-limit", "99999999999999999999999"),
    ];
    for (name, value) in bad {
        let service = script([reply(429).header(name, value), reply(200)]);
        let client = service.client().build().unwrap();
        let mut events = client.throttle().events();
        get(&client, "a").await;
        assert!(service.gaps()[0] <= 2 * SECOND, "{name}: {value}: {:?}", service.gaps());
        let first = events.next().now_or_never().flatten();
        assert!(matches!(&first, Some(Event::Ignored { what }) if what.contains(name)), "{name}: {value}: {first:?}");
    }
    let contradicting = reply(200)
        .header("x-ratelimit-limit", "5")
        .header("x-ratelimit-remaining", "50")
        .header("x-ratelimit-reset", "3600");
    let service = script([contradicting, reply(200)]);
    let client = service.client().build().unwrap();
    get(&client, "a").await;
    get(&client, "a").await;
    assert_eq!(service.gaps(), [Duration::ZERO]);
}

#[tokio::test(start_paused = true)]
async fn refusals_without_a_hint_pause_for_longer_each_time() {
    let service = script((0..5).map(|_| reply(429)).chain([reply(200)]));
    let client = service.client().retry(RetryPolicy::none()).build().unwrap();
    for _ in 0..6 {
        get(&client, "a").await;
    }
    let gaps: Vec<_> = service.gaps().iter().map(Duration::as_secs).collect();
    assert_eq!(gaps, [1, 2, 4, 8, 16]);
}

/// A strict sliding window on the service's side, 20 ms away.
struct Strict {
    limit: usize,
    admitted: VecDeque<Instant>,
}

/// So many workers ask a service for so long, whose limit changes at these times; how many it admitted, and refused.
async fn greedy(throttle: &Throttle, workers: usize, during: Duration, limits: &[(Duration, usize)]) -> (usize, usize) {
    let service = std::cell::RefCell::new(Strict { limit: limits[0].1, admitted: VecDeque::new() });
    let counts = std::cell::Cell::new((0, 0));
    let begun = Instant::now();
    let work = || async {
        while begun.elapsed() < during {
            let mut permit: Permit = throttle.acquire(Priority::Call, &RequestKey::new()).await.unwrap();
            permit.sent();
            sleep(SECOND / 50).await;
            let admitted = {
                let (mut service, now) = (service.borrow_mut(), Instant::now());
                if let Some((_, limit)) = limits.iter().rev().find(|(since, _)| now - begun >= *since) {
                    service.limit = *limit;
                }
                while service.admitted.front().is_some_and(|at| *at + SECOND <= now) {
                    service.admitted.pop_front();
                }
                let admitted = service.admitted.len() < service.limit;
                if admitted {
                    service.admitted.push_back(now);
                }
                admitted
            };
            sleep(SECOND / 50).await;
            let (good, bad) = counts.get();
            counts.set(if admitted { (good + 1, bad) } else { (good, bad + 1) });
            let status = if admitted { StatusCode::OK } else { StatusCode::TOO_MANY_REQUESTS };
            permit.heard(status, &HeaderMap::new());
        }
    };
    join_all((0..workers).map(|_| work())).await;
    counts.get()
}

#[tokio::test(start_paused = true)]
async fn an_unknown_limit_is_found_and_given_back_at_the_next_start() {
    let throttle = Throttle::new();
    throttle.set_feedback(Feedback::Learn);
    let (good, bad) = greedy(&throttle, 50, 600 * SECOND, &[(Duration::ZERO, 15)]).await;
    println!("15 a second for 600 s: {good} of 9000 admitted, {bad} refused");
    assert!(good > 8910, "{good} of 9000");
    assert!(bad * 100 < good, "{bad} refused of {good}");
    let learned = throttle.learned();
    let limits: Vec<_> =
        learned.limits().map(|limit| (limit.origin(), limit.account(), limit.count(), limit.window())).collect();
    assert_eq!(limits, [("", "", 15, SECOND)]);
    let learned: Learned = serde_json::from_str(&serde_json::to_string(&learned).unwrap()).unwrap();
    let next = Throttle::new();
    next.recall(&learned);
    let (good, bad) = greedy(&next, 50, 10 * SECOND, &[(Duration::ZERO, 15)]).await;
    assert!(good >= 145 && bad <= 1, "{good} admitted and {bad} refused in the first 10 s");
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_moves_is_followed() {
    let throttle = Throttle::new();
    throttle.set_feedback(Feedback::Learn);
    let limits = [(Duration::ZERO, 15), (200 * SECOND, 5), (400 * SECOND, 15)];
    let (good, bad) = greedy(&throttle, 50, 600 * SECOND, &limits).await;
    println!("15, 5 and 15 a second for 200 s each: {good} of 7000 admitted, {bad} refused");
    assert!(good > 6790, "{good} of 7000");
    assert!(bad * 50 < good, "{bad} refused of {good}");
}
