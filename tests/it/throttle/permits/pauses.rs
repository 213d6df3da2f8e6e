//! Delays: whom they reach, and when they end.

use futures::future::{FutureExt, join_all};
use futures::stream::StreamExt;
use http::{HeaderMap, Method, StatusCode};
use longhaul::limits::{Feedback, Priority, RequestKey};
use longhaul::testing::{Script, reply, script};
use longhaul::{Client, Event, Limit, RetryPolicy, Throttle};
use tokio::time::{Instant, sleep, timeout};

use super::{HOUR, MINUTE, SECOND, get, goes, headers, passes, send};

/// When each of 40 that ask at once is sent, in milliseconds, within 29 seconds.
async fn sent_by_40(client: &Client, service: &Script) -> Vec<u128> {
    let all = join_all((0..40).map(|_| client.request(Method::GET, "x").send()));
    assert!(timeout(29 * SECOND, all).await.is_err(), "some wait for the end of the pause");
    service.requests().iter().map(|seen| seen.at().as_millis()).collect()
}

fn refusal() -> longhaul::testing::Canned {
    reply(429).header("retry-after", "30")
}

#[tokio::test(start_paused = true)]
async fn a_pause_of_a_route_reaches_those_in_the_queue() {
    let service = script([reply(200), reply(200)].into_iter().chain((0..91).map(|_| refusal())));
    let client = service.client().retry(RetryPolicy::none()).feedback(Feedback::Learn).build().unwrap();
    let at = sent_by_40(&client, &service).await;
    assert!(at.len() <= 4, "the third is refused for 30 s: {at:?}");
}

#[tokio::test(start_paused = true)]
async fn a_pause_of_a_route_reaches_those_behind_the_account() {
    let service = script((0..90).map(|_| refusal()));
    let client = service.client().retry(RetryPolicy::none()).build().unwrap();
    client.throttle().pause(SECOND);
    let at = sent_by_40(&client, &service).await;
    assert_eq!(at.len(), 1, "it is refused for 30 s: {at:?}");
}

#[tokio::test(start_paused = true)]
async fn one_that_hangs_does_not_keep_a_pause_from_ending() {
    let throttle = Throttle::new();
    throttle.add_limit(Limit::per_second(10)).unwrap();
    let _hangs = send(&throttle, &RequestKey::new()).unwrap();
    let mut refused = send(&throttle, &RequestKey::new()).unwrap();
    refused.heard(StatusCode::SERVICE_UNAVAILABLE, &headers(&[("retry-after", "1")]));
    let begun = Instant::now();
    goes(&throttle, &RequestKey::new()).await;
    assert!(begun.elapsed() < 5 * SECOND, "{:?} for a pause of 1 s", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn refusals_of_one_burst_count_once_and_a_longer_pause_is_told() {
    let throttle = Throttle::new();
    throttle.add_limit(Limit::per_second(10)).unwrap();
    let mut events = throttle.events();
    let mut burst: Vec<_> = (0..3).map(|_| send(&throttle, &RequestKey::new()).unwrap()).collect();
    burst[0].heard(StatusCode::TOO_MANY_REQUESTS, &HeaderMap::new());
    burst[1].heard(StatusCode::TOO_MANY_REQUESTS, &HeaderMap::new());
    let wait = throttle.explain(Priority::Call, &RequestKey::new()).at_least();
    assert!(wait <= SECOND, "two of one burst: {wait:?}");
    burst[2].heard(StatusCode::TOO_MANY_REQUESTS, &headers(&[("retry-after", "7200")]));
    let told: Vec<Event> = std::iter::from_fn(|| events.next().now_or_never().flatten()).collect();
    assert_eq!(told.iter().filter(|event| matches!(event, Event::Refused { .. })).count(), 3, "{told:?}");
    assert!(
        told.iter().any(|event| matches!(event, Event::Paused { during, .. } if *during == 2 * HOUR)),
        "two hours, and not a word: {told:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_route_refused_hours_later_stops_itself_alone() {
    let throttle = Throttle::new();
    let refuse = |path: &str, seconds: &str| {
        let mut permit = send(&throttle, &get(path)).unwrap();
        permit.heard(StatusCode::TOO_MANY_REQUESTS, &headers(&[("retry-after", seconds)]));
    };
    refuse("/a", "86400");
    sleep(5 * HOUR).await;
    refuse("/b", "3600");
    assert!(!passes(&throttle, &get("/a")) && !passes(&throttle, &get("/b")));
    assert!(passes(&throttle, &get("/c")), "{}", throttle.explain(Priority::Call, &get("/c")));
}

#[tokio::test(start_paused = true)]
async fn a_pause_by_hand_counts_as_no_refusal() {
    let throttle = Throttle::new();
    for _ in 0..6 {
        throttle.pause(SECOND / 100);
        sleep(SECOND).await;
    }
    let mut refused = send(&throttle, &RequestKey::new()).unwrap();
    refused.heard(StatusCode::TOO_MANY_REQUESTS, &HeaderMap::new());
    let wait = throttle.explain(Priority::Call, &RequestKey::new()).at_least();
    assert!(wait <= SECOND, "it is the first: {wait:?}");
}

#[tokio::test(start_paused = true)]
async fn a_pause_of_all_holds_accounts_that_come_later() {
    let throttle = Throttle::new();
    throttle.pause(MINUTE);
    let account = throttle.account(&"https://api.example.com/".parse().unwrap(), "x");
    assert!(!passes(&account, &RequestKey::new()), "all are stopped");
    sleep(MINUTE).await;
    goes(&account, &RequestKey::new()).await;
}
