//! Refusals: whom a 429 and a 503 stop, for how long, and what a budget holds that one route told of.

use std::time::Duration;

use futures::future::join_all;
use http::{HeaderMap, Method, StatusCode};
use longhaul::limits::{Priority, RequestKey, Scope};
use longhaul::telemetry::RefusalCause;
use longhaul::testing::{reply, script};
use longhaul::{Client, ErrorKind, Event, Limit, Profile, ResumeToken, RetryPolicy, Throttle};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use crate::support::{HOUR, SECOND, headers, keys, left, passes, send};

const REFUSED: StatusCode = StatusCode::TOO_MANY_REQUESTS;
const UNAVAILABLE: StatusCode = StatusCode::SERVICE_UNAVAILABLE;

fn get(path: &str) -> RequestKey {
    keys("api", &Method::GET, path)
}

fn post(path: &str) -> RequestKey {
    keys("api", &Method::POST, path)
}

fn hears(throttle: &Throttle, keys: &RequestKey, status: StatusCode, headers: &HeaderMap) {
    send(throttle, keys).expect("it goes at once").heard(status, headers);
}

fn asks(seconds: &str) -> HeaderMap {
    headers(&[("retry-after", seconds)])
}

/// With and without a declared limit, of every kind that counts all of the account.
fn throttles() -> Vec<Throttle> {
    [None, Some(Limit::per_second(50)), Some(Limit::concurrent(50)), Some(Limit::per_day(10_000, "UTC"))]
        .into_iter()
        .map(|limit| {
            let throttle = Throttle::new();
            limit.map(|limit| throttle.add_limit(limit)).transpose().unwrap();
            throttle
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_503_stops_its_route_alone() {
    for throttle in throttles() {
        hears(&throttle, &get("/tasks/1"), UNAVAILABLE, &asks("30"));
        assert!(!passes(&throttle, &get("/tasks/2")), "the same route");
        assert!(passes(&throttle, &get("/farms")) && passes(&throttle, &post("/tasks/1")), "{throttle:?}");
        sleep(30 * SECOND).await;
        assert!(passes(&throttle, &get("/tasks/2")));
    }
}

#[tokio::test(start_paused = true)]
async fn several_routes_that_are_unavailable_together_stop_their_host() {
    for throttle in throttles() {
        hears(&throttle, &get("/tasks/1"), UNAVAILABLE, &asks("30"));
        hears(&throttle, &get("/farms"), UNAVAILABLE, &asks("30"));
        assert!(!passes(&throttle, &get("/other")) && !passes(&throttle, &post("/exports")), "the host");
        assert!(passes(&throttle, &keys("files", &Method::GET, "/other")), "another host: {throttle:?}");
        assert!(passes(&throttle, &RequestKey::new()));
    }
}

#[tokio::test(start_paused = true)]
async fn routes_of_two_hosts_or_of_two_times_stop_themselves() {
    for throttle in throttles() {
        hears(&throttle, &get("/tasks/1"), UNAVAILABLE, &asks("30"));
        hears(&throttle, &keys("files", &Method::GET, "/farms"), UNAVAILABLE, &asks("30"));
        assert!(passes(&throttle, &get("/other")) && passes(&throttle, &keys("files", &Method::GET, "/other")));
        sleep(2 * SECOND).await;
        hears(&throttle, &get("/farms"), UNAVAILABLE, &asks("30"));
        assert!(passes(&throttle, &get("/other")), "two seconds lie between them");
    }
}

#[tokio::test(start_paused = true)]
async fn a_503_that_names_the_accounts_limit_stops_the_account() {
    let throttle = Throttle::new();
    throttle.add_limit(Limit::per_second(50).named("account")).unwrap();
    let mut names = asks("30");
    names.extend(headers(&[("ratelimit", "\"account\";r=0;t=30")]));
    hears(&throttle, &get("/tasks/1"), UNAVAILABLE, &names);
    assert!(!passes(&throttle, &get("/farms")) && !passes(&throttle, &RequestKey::new()));
}

#[tokio::test(start_paused = true)]
async fn a_429_still_stops_the_account_whose_limit_counts_it() {
    let throttle = Throttle::new();
    throttle.add_limit(Limit::per_second(50)).unwrap();
    hears(&throttle, &get("/tasks/1"), REFUSED, &asks("30"));
    assert!(!passes(&throttle, &get("/farms")));
}

#[tokio::test(start_paused = true)]
async fn tasks_go_on_beside_one_that_is_unavailable() {
    // One route answers 503 to each fourth request, for five minutes.
    let throttle = Throttle::new();
    throttle.add_limit(Limit::per_second(10)).unwrap();
    let (mut sent, mut refused) = (0, 0);
    let begun = Instant::now();
    while begun.elapsed() < 300 * SECOND {
        if passes(&throttle, &get("/farms")) {
            sent += 1;
        }
        if let Some(mut permit) = send(&throttle, &get("/tasks/1")) {
            refused += 1;
            let status = if refused % 4 == 0 { UNAVAILABLE } else { StatusCode::OK };
            permit.heard(status, &HeaderMap::new());
        }
        sleep(SECOND / 4).await;
    }
    assert_eq!(sent, 1200, "nothing stands because of another route");
    assert!(refused > 200, "and the route goes on after each pause: {refused}");
}

#[tokio::test(start_paused = true)]
async fn a_refused_route_with_a_limit_of_its_own_pauses_that() {
    for own in [
        Limit::per_second(20).scope(Scope::route("GET /reports/**")),
        Limit::per_second(20).scope(Scope::route("/reports/{report}")),
        Limit::per_second(20).scope(Scope::Kind("report".into())),
    ] {
        let throttle = Throttle::new();
        throttle.add_limit(Limit::per_second(50)).unwrap();
        throttle.add_limit(own.clone()).unwrap();
        let report = || get("/reports/daily").kind("report");
        hears(&throttle, &report(), REFUSED, &asks("30"));
        assert!(!passes(&throttle, &report()), "{own}");
        assert!(passes(&throttle, &get("/farms")), "{own}: {}", throttle.explain(Priority::Call, &get("/farms")));
        // Another route that is refused together with it is a sign of what counts both.
        hears(&throttle, &get("/farms"), REFUSED, &asks("30"));
        assert!(!passes(&throttle, &get("/other")), "{own}");
    }
}

#[tokio::test(start_paused = true)]
async fn two_routes_refused_together_stop_the_account() {
    let throttle = Throttle::new();
    throttle.add_limit(Limit::per_second(50)).unwrap();
    for route in ["/reports/**", "/lists/**"] {
        throttle.add_limit(Limit::per_second(20).scope(Scope::route(route))).unwrap();
    }
    hears(&throttle, &get("/reports/daily"), REFUSED, &asks("30"));
    assert!(passes(&throttle, &get("/farms")));
    hears(&throttle, &get("/lists/one"), REFUSED, &asks("30"));
    assert!(!passes(&throttle, &get("/farms")));
}

#[tokio::test(start_paused = true)]
async fn a_pause_without_a_hint_is_the_limits_own() {
    for (status, limit) in [
        (REFUSED, Limit::per_second(50).pause_without_hint(90 * SECOND)),
        (REFUSED, Limit::per_second(50).scope(Scope::route("/tasks/**")).pause_without_hint(90 * SECOND)),
    ] {
        let throttle = Throttle::new();
        throttle.add_limit(limit).unwrap();
        for _ in 0..3 {
            hears(&throttle, &get("/tasks/1"), status, &HeaderMap::new());
            let wait = throttle.explain(Priority::Call, &get("/tasks/1")).at_least();
            assert_eq!(wait, 90 * SECOND, "{status}: not doubled");
            sleep(90 * SECOND).await;
        }
        hears(&throttle, &get("/tasks/1"), status, &asks("2"));
        let wait = throttle.explain(Priority::Call, &get("/tasks/1")).at_least();
        assert_eq!(wait, 2 * SECOND, "{status}: what the service asks is kept");
    }
}

#[tokio::test(start_paused = true)]
async fn a_503_without_a_hint_does_not_pause_for_as_long_as_a_limit_would() {
    let throttle = Throttle::new();
    throttle.add_limit(Limit::per_second(50).pause_without_hint(90 * SECOND)).unwrap();
    hears(&throttle, &get("/tasks/1"), UNAVAILABLE, &HeaderMap::new());
    assert_eq!(throttle.explain(Priority::Call, &get("/tasks/1")).at_least(), SECOND);
}

#[test]
fn a_pause_without_a_hint_is_data_and_checked() {
    let text = r#"{"limits":[{"windows":[{"count":4,"seconds":1}],"pause_without_hint":90}]}"#;
    let profile: Profile = serde_json::from_str(text).unwrap();
    let limit = Limit::per_second(4).pause_without_hint(90 * SECOND);
    assert_eq!(profile, Profile::auto().limit(limit.clone()));
    assert_eq!(serde_json::from_value::<Limit>(serde_json::to_value(&limit).unwrap()).unwrap(), limit);
    assert!(limit.to_string().contains("90s"), "{limit}");
    for pause in [Duration::ZERO, 401 * 24 * HOUR, Duration::MAX] {
        let limit = Limit::per_second(4).pause_without_hint(pause);
        let error = Client::builder("https://api.example.com").limit(limit).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("pause without a hint"), "{error}");
    }
    let throttle = Throttle::new();
    throttle.add_limit(limit).unwrap();
    assert!(throttle.add_limit(Limit::per_second(4)).is_err(), "it contradicts the other");
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_a_submit_has_spent_does_not_hold_its_polls() {
    let spent = |answer: longhaul::testing::Canned| {
        let answer = answer.header("x-ratelimit-limit", "5").header("x-ratelimit-remaining", "0");
        answer.header("x-ratelimit-reset", "3600")
    };
    let accepted = reply(202).header("location", "/v1/exports/1");
    let service = script([spent(accepted), reply(202), reply(200).json(json!(7)), reply(202)]);
    let client = service.client().build().unwrap();
    let task = client.task().post("exports").submit::<Value>().await.unwrap();
    let begun = Instant::now();
    assert_eq!(task.await.unwrap().value().unwrap(), json!(7));
    assert!(begun.elapsed() < 10 * SECOND, "{:?}", begun.elapsed());
    // Another submit is of the budget.
    let next = client.task().post("exports").timeout(60 * SECOND).submit::<Value>().await;
    assert_eq!(next.unwrap_err().retry_after().map(|wait| wait.as_secs().div_ceil(100)), Some(36));
}

#[tokio::test(start_paused = true)]
async fn a_budget_holds_another_method_once_that_is_seen_to_share_it() {
    for (one, other) in [
        (post("/exports"), get("/exports/1")),
        (get("/exports/1"), post("/exports")),
        (post("/exports"), keys("api", &Method::DELETE, "/exports/1")),
        (post("/exports"), get("/farms")),
    ] {
        let throttle = Throttle::new();
        hears(&throttle, &one, StatusCode::OK, &left(60, 0, 3600));
        assert!(!passes(&throttle, &one));
        let mut probe = send(&throttle, &other).expect("never seen to share it");
        assert!(!passes(&throttle, &other), "one is asked first");
        probe.heard(StatusCode::OK, &left(60, 0, 3600));
        assert!(!passes(&throttle, &other), "it is one budget");

        let throttle = Throttle::new();
        hears(&throttle, &one, StatusCode::OK, &left(60, 0, 3600));
        hears(&throttle, &other, StatusCode::OK, &HeaderMap::new());
        assert!(passes(&throttle, &other), "it is none of it");
        hears(&throttle, &other, StatusCode::OK, &left(60, 59, 3600));
        assert!(passes(&throttle, &other) && !passes(&throttle, &one), "each has its own");
    }
}

#[tokio::test(start_paused = true)]
async fn a_budget_of_reads_holds_all_that_read() {
    let throttle = Throttle::new();
    hears(&throttle, &get("/exports/1"), StatusCode::OK, &left(60, 0, 3600));
    assert!(!passes(&throttle, &get("/farms")) && !passes(&throttle, &keys("api", &Method::HEAD, "/farms")));
}

#[tokio::test(start_paused = true)]
async fn a_request_dropped_in_flight_holds_its_slot_until_its_end() {
    // The service stands still for 20 seconds, and then counts at once what it has received.
    let service = script((0..40).map(|_| reply(200).silent()));
    let client = service.client().limit(Limit::per_second(4)).attempt_timeout(30 * SECOND).retry(RetryPolicy::none());
    let client = client.build().unwrap();
    for _ in 0..20 {
        let burst = join_all((0..4).map(|_| client.request(Method::GET, "farms").send()));
        timeout(SECOND, burst).await.unwrap_err();
    }
    assert_eq!(service.requests().len(), 4, "more than a second allows were sent to a service that stands still");
    // Each is over after its timeout and a second; then the window runs.
    sleep(13 * SECOND).await;
    timeout(SECOND, client.request(Method::GET, "farms").send()).await.unwrap_err();
    assert_eq!(service.requests().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_permit_dropped_after_its_send_lasts_as_long_as_was_said() {
    for (hold, opens) in [(None, 2), (Some(30 * SECOND), 31), (Some(SECOND / 2), 2)] {
        let throttle = Throttle::new();
        throttle.add_limit(Limit::per_second(1)).unwrap();
        let acquire = throttle.acquire(Priority::Call, &RequestKey::new());
        let mut permit = match hold {
            Some(hold) => acquire.hold(hold).await.unwrap(),
            None => acquire.await.unwrap(),
        };
        permit.sent();
        drop(permit);
        let begun = Instant::now();
        throttle.acquire(Priority::Call, &RequestKey::new()).await.unwrap().answered();
        assert_eq!(begun.elapsed(), opens * SECOND, "{hold:?}");
    }
}

/// Tokens of tasks that another run has begun.
async fn tokens(count: usize) -> Vec<ResumeToken> {
    let service = script((0..count).map(|number| reply(202).header("location", &format!("/v1/tasks/{number}"))));
    let client = service.client().build().unwrap();
    let begun = join_all((0..count).map(|_| client.task().post("exports").submit::<Value>())).await;
    begun.into_iter().map(|task| task.unwrap().token()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_restart_begins_slowly_where_a_token_tells_of_a_run_before() {
    for (slow, first) in [(true, vec![1, 2, 4]), (false, vec![20])] {
        let service = script((0..20).map(|_| reply(200).json(7).after(SECOND)));
        let client = service.client().slow_start(slow).build().unwrap();
        let tasks: Vec<_> = tokens(20).await.into_iter().map(|token| client.resume::<Value>(token).unwrap()).collect();
        join_all(tasks).await.into_iter().for_each(|outcome| drop(outcome.unwrap()));
        let at: Vec<_> = service.requests().iter().map(|seen| seen.at().as_secs()).collect();
        let bursts: Vec<_> = at.chunk_by(|a, b| a == b).map(<[u64]>::len).collect();
        assert_eq!(bursts[..first.len()], first, "{at:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_has_begun_is_slowed_by_no_token() {
    let service = script((0..21).map(|_| reply(200).json(7).after(SECOND)));
    let client = service.client().build().unwrap();
    client.request(Method::GET, "farms").send().await.unwrap();
    let tasks: Vec<_> = tokens(20).await.into_iter().map(|token| client.resume::<Value>(token).unwrap()).collect();
    join_all(tasks).await.into_iter().for_each(|outcome| drop(outcome.unwrap()));
    let at: Vec<_> = service.requests().iter().skip(1).map(|seen| seen.at().as_secs()).collect();
    assert!(at.iter().all(|second| *second == at[0]), "{at:?}");
}

#[tokio::test(start_paused = true)]
async fn a_slow_start_by_hand_loses_one_request_to_a_refusal() {
    let throttle = Throttle::new();
    throttle.start_slowly();
    let first: Vec<_> = (0..60).filter_map(|_| send(&throttle, &get("/farms"))).collect();
    assert_eq!(first.len(), 1);
    first.into_iter().for_each(|mut permit| permit.heard(REFUSED, &asks("30")));
    assert!(!passes(&throttle, &get("/farms")));
    let account = throttle.account(&"https://api.example.com/".parse().unwrap(), "other");
    assert!(passes(&account, &get("/farms")) && passes(&account, &get("/farms")), "an account that came later");
}

#[tokio::test(start_paused = true)]
async fn an_event_names_the_unavailable_route_and_whose_fault_it_is() {
    use futures::{FutureExt, StreamExt};
    for (limit, expected) in
        [(None, RefusalCause::NoKnownLimit), (Some(Limit::per_second(50)), RefusalCause::WithinKnownLimits)]
    {
        let throttle = Throttle::new();
        limit.map(|limit| throttle.add_limit(limit)).transpose().unwrap();
        let mut events = throttle.events();
        hears(&throttle, &get("/tasks/1"), UNAVAILABLE, &asks("30"));
        let told: Vec<Event> = std::iter::from_fn(|| events.next().now_or_never().flatten()).collect();
        let refused = told.iter().find_map(|event| match event {
            Event::Refused { limit, cause, .. } => Some((limit.to_string(), *cause)),
            _ => None,
        });
        assert_eq!(refused, Some(("the route GET api.example.com/tasks/*".into(), expected)), "{told:?}");
    }
}
