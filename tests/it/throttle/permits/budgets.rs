//! Budgets that a service states in its answers: what is believed of them, whom they reach, and for how long.

use futures::future::join_all;
use http::{HeaderMap, StatusCode};
use longhaul::limits::{Feedback, Priority, RequestKey, Scope};
use longhaul::{Limit, Throttle};
use tokio::time::{Instant, sleep};

use super::{MINUTE, SECOND, get, goes, headers, hears, how_many_pass, left, passes, send};

/// How many of so many go at once, each answered so.
fn how_many_hear(most: usize, throttle: &Throttle, keys: &RequestKey, headers: &HeaderMap) -> usize {
    (0..most).filter(|_| send(throttle, keys).map(|mut permit| permit.heard(StatusCode::OK, headers)).is_some()).count()
}

#[tokio::test(start_paused = true)]
async fn a_stated_limit_of_zero_stalls_nobody() {
    let throttle = Throttle::new();
    hears(&throttle, &get("/x"), &left(0, 0, 86400));
    assert!(passes(&throttle, &get("/x")), "it says 200, and: {}", throttle.explain(Priority::Call, &get("/x")));
}

#[tokio::test(start_paused = true)]
async fn a_stated_window_of_400_days_stalls_nobody() {
    let throttle = Throttle::new();
    hears(&throttle, &get("/x"), &headers(&[("ratelimit-policy", "\"a\";q=1;w=34560000")]));
    assert!(passes(&throttle, &get("/x")));
    assert!(passes(&throttle, &get("/x")), "{}", throttle.explain(Priority::Call, &get("/x")));
}

#[tokio::test(start_paused = true)]
async fn a_stated_limit_that_rises_is_believed() {
    let throttle = Throttle::new();
    let policy = |count: &str| headers(&[("ratelimit-policy", &format!("{count};w=60")), ("ratelimit-limit", count)]);
    hears(&throttle, &get("/x"), &policy("10"));
    hears(&throttle, &get("/x"), &policy("100"));
    let passed = how_many_hear(60, &throttle, &get("/x"), &policy("100"));
    assert!(passed >= 50, "{passed} of 100: {}", throttle.explain(Priority::Call, &get("/x")));
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_is_told_twice_is_taken_once() {
    let throttle = Throttle::new();
    let policy = headers(&[("ratelimit-policy", "\"a\";q=10;w=60")]);
    hears(&throttle, &get("/x"), &policy);
    hears(&throttle, &RequestKey::new(), &policy);
    let passed = how_many_pass(20, &throttle, &get("/x"));
    assert!(passed >= 8, "{passed} of 10: {}", throttle.explain(Priority::Call, &get("/x")));
}

#[tokio::test(start_paused = true)]
async fn policies_without_names_both_hold() {
    let throttle = Throttle::new();
    let policies = headers(&[("ratelimit-policy", "5;w=1, 1000;w=3600")]);
    let (mut passed, begun) = (0, Instant::now());
    while begun.elapsed() < SECOND / 2 {
        passed += how_many_hear(1, &throttle, &get("/x"), &policies);
        sleep(SECOND / 1000).await;
    }
    assert!(passed <= 6, "{passed} in half a second of 5 a second");
    while begun.elapsed() < 5 * MINUTE {
        passed += how_many_hear(1, &throttle, &get("/x"), &policies);
        sleep(SECOND / 10).await;
    }
    assert!((900..=1001).contains(&passed), "{passed} in 5 minutes of 1,000 an hour");
}

#[tokio::test(start_paused = true)]
async fn what_is_left_counts_more_than_what_we_counted() {
    let throttle = Throttle::new();
    let answer = |remaining: usize, reset: usize| {
        headers(&[("ratelimit", &format!("\"a\";r={remaining};t={reset}")), ("ratelimit-policy", "\"a\";q=100;w=3600")])
    };
    // The service's hour ends in a minute.
    hears(&throttle, &get("/x"), &answer(99, 60));
    let mut used = 0;
    while used < 99 {
        if how_many_hear(1, &throttle, &get("/x"), &answer(98 - used, 60)) == 1 {
            used += 1;
        } else {
            sleep(SECOND).await;
            if used > 80 {
                break;
            }
        }
    }
    sleep(61 * SECOND).await;
    for fresh in 1..=50 {
        assert_eq!(
            how_many_hear(1, &throttle, &get("/x"), &answer(99 - fresh, 3600)),
            1,
            "{fresh} of 100 that the service has anew: {}",
            throttle.explain(Priority::Call, &get("/x"))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_go_at_a_reset_than_the_service_states() {
    let throttle = Throttle::new();
    hears(&throttle, &get("/x"), &left(5, 0, 10));
    let begun = Instant::now();
    // All ask before the first of them is sent.
    let all: Vec<_> = (0..200)
        .map(|_| {
            let waiting = throttle.acquire(Priority::Call, &get("/x"));
            tokio::spawn(async move {
                let mut permit = waiting.await.unwrap();
                permit.sent();
                let at = begun.elapsed().as_secs();
                sleep(SECOND / 10).await;
                permit.answered();
                at
            })
        })
        .collect();
    let at_reset = join_all(all).await.into_iter().filter(|at| *at.as_ref().unwrap() == 10).count();
    assert!(at_reset <= 5, "{at_reset} at once, of 5 that the service states");
}

#[tokio::test(start_paused = true)]
async fn a_budget_counts_who_was_on_the_way_when_it_was_told() {
    let throttle = Throttle::new();
    let mut out: Vec<_> = (0..10).map(|_| send(&throttle, &get("/x")).unwrap()).collect();
    let answer = headers(&[("ratelimit", "\"a\";r=9;t=60"), ("ratelimit-policy", "\"a\";q=10;w=60")]);
    out[0].heard(StatusCode::OK, &answer);
    // Nine are on their way still, and ten is all there is.
    assert_eq!(how_many_pass(20, &throttle, &get("/x")), 0, "more than the service has");
}

#[tokio::test(start_paused = true)]
async fn a_budget_reaches_those_in_the_queue() {
    let throttle = Throttle::new();
    throttle.add_limit(Limit::per_second(5)).unwrap();
    let mut first = send(&throttle, &get("/x")).unwrap();
    for _ in 0..50 {
        let throttle = throttle.clone();
        tokio::spawn(async move { goes(&throttle, &get("/x")).await });
    }
    sleep(SECOND / 100).await;
    first.heard(StatusCode::OK, &left(1000, 0, 3600));
    sleep(MINUTE).await;
    let text = format!("{throttle:?}");
    assert!(text.contains("waiting: 46"), "all went, though nothing is left for an hour: {text}");
}

#[tokio::test(start_paused = true)]
async fn a_key_whose_budget_is_told_is_not_forgotten() {
    let throttle = Throttle::new();
    throttle.add_limit(Limit::per_second(10).scope(Scope::Credential).named("a")).unwrap();
    let keys = get("/x").credential("k");
    hears(&throttle, &keys, &headers(&[("ratelimit", "\"a\";r=0;t=3600")]));
    assert!(!passes(&throttle, &keys));
    sleep(5 * SECOND).await;
    for number in 0..300 {
        assert!(passes(&throttle, &get("/x").credential(format!("n{number}"))));
    }
    assert!(!passes(&throttle, &keys), "nothing is left of its budget for an hour");
}

#[tokio::test(start_paused = true)]
async fn resume_ends_the_pause_of_a_stated_budget() {
    let throttle = Throttle::new();
    hears(&throttle, &get("/x"), &left(100, 50, 60));
    let mut refusal = left(100, 0, 60);
    refusal.extend(headers(&[("retry-after", "3600")]));
    send(&throttle, &get("/x")).unwrap().heard(StatusCode::TOO_MANY_REQUESTS, &refusal);
    sleep(2 * MINUTE).await;
    assert!(!passes(&throttle, &get("/x")));
    throttle.resume();
    assert!(passes(&throttle, &get("/x")), "{}", throttle.explain(Priority::Call, &get("/x")));
}

#[tokio::test(start_paused = true)]
async fn off_forgets_what_was_told() {
    let throttle = Throttle::new();
    hears(&throttle, &get("/x"), &left(60, 0, 80000));
    throttle.set_feedback(Feedback::Off);
    assert!(passes(&throttle, &get("/x")), "{}", throttle.explain(Priority::Call, &get("/x")));
}

#[tokio::test(start_paused = true)]
async fn off_lets_those_go_who_wait_for_a_declared_limits_quota() {
    let throttle = Throttle::new();
    throttle.add_limit(Limit::per(100, MINUTE)).unwrap();
    let answer = headers(&[("ratelimit-policy", "\"a\";q=100;w=60"), ("ratelimit", "\"a\";r=0;t=3600")]);
    hears(&throttle, &get("/x"), &answer);
    assert!(!passes(&throttle, &get("/x")), "{}", throttle.explain(Priority::Call, &get("/x")));
    let waiting = throttle.acquire(Priority::Call, &get("/x"));
    let waiting = tokio::spawn(async move { waiting.await.unwrap().answered() });
    sleep(SECOND).await;
    throttle.set_feedback(Feedback::Off);
    sleep(MINUTE).await;
    assert!(waiting.is_finished(), "waits on: {}", throttle.explain(Priority::Call, &get("/x")));
}

#[tokio::test(start_paused = true)]
async fn what_is_searched_for_does_not_grow_while_nobody_asks() {
    let throttle = Throttle::new();
    throttle.set_feedback(Feedback::Learn);
    for _ in 0..3 {
        goes(&throttle, &get("/x")).await;
    }
    let mut refused = throttle.acquire(Priority::Call, &get("/x")).await.unwrap();
    refused.sent();
    refused.heard(StatusCode::TOO_MANY_REQUESTS, &HeaderMap::new());
    sleep(2 * MINUTE).await;
    let passed = how_many_pass(500, &throttle, &get("/x"));
    assert!(passed <= 20, "{passed} at once, after a refusal at two a second and two minutes of nothing");
}

#[tokio::test(start_paused = true)]
async fn turning_learning_on_and_off_leaks_nothing() {
    let throttle = Throttle::new();
    for _ in 0..100 {
        throttle.set_feedback(Feedback::Learn);
        throttle.set_feedback(Feedback::Budgets);
    }
    let text = format!("{throttle:?}");
    assert!(text.contains("counters: 1,") || text.contains("counters: 2,"), "{text}");
}
