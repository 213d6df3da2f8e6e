//! What counts for which key, and for how long: keys, sweeps, changes, bytes, days.

use std::time::SystemTime;

use futures::future::{FutureExt, join_all};
use http::Method;
use longhaul::limits::{Anchor, Clock, Priority, RequestKey, Scope};
use longhaul::testing::{reply, script};
use longhaul::{Client, Limit, Throttle};
use tokio::time::{Instant, sleep, timeout};

use super::{DAY, HOUR, SECOND, get, how_many_pass, passes, send};

fn clock(text: &str) -> Clock {
    Clock::starting_at(SystemTime::from(text.parse::<jiff::Timestamp>().unwrap()))
}

#[tokio::test(start_paused = true)]
async fn relative_routes_of_two_bases_are_two_limits() {
    let throttle = Throttle::new();
    let service = script((0..9).map(|_| reply(200)));
    let build = |base: &str| {
        Client::builder(base)
            .http(service.clone())
            .storage_http(service.clone())
            .throttle(&throttle)
            .limit(Limit::per_second(1).scope(Scope::route("GET stats")))
            .build()
            .unwrap()
    };
    let (_one, two) = (build("https://api.example.com/a"), build("https://api.example.com/b"));
    let begun = Instant::now();
    join_all((0..3).map(|_| two.request(Method::GET, "stats").send())).await;
    assert_eq!(begun.elapsed().as_secs(), 2, "3 at 1 a second");
}

#[test]
fn a_limit_that_contradicts_itself_is_an_error() {
    let throttle = Throttle::new();
    let error = throttle.add_limit(Limit::per_second(10).and_per(4, SECOND)).unwrap_err();
    assert!(error.to_string().contains("10"), "{error}");
}

#[test]
fn keys_of_which_nothing_is_known_meet_the_account_alone() {
    let throttle = Throttle::new();
    throttle.add_limit(Limit::per_second(1).scope(Scope::Host)).unwrap();
    assert_eq!(how_many_pass(2, &throttle, &RequestKey::new()), 2);
}

#[test]
fn a_host_is_the_same_in_any_case() {
    let throttle = Throttle::new();
    throttle.add_limit(Limit::per_second(1).scope(Scope::Host)).unwrap();
    let keys = |uri: &str| RequestKey::uri(&Method::GET, &uri.parse().unwrap());
    assert!(passes(&throttle, &keys("https://api.example.com/x")));
    assert!(!passes(&throttle, &keys("https://API.example.com/x")), "one host, two budgets");
}

/// A throttle of one a second for each credential and each list, whose 255 credentials are all idle,
/// so that the next key that is not known yet begins a sweep.
async fn before_a_sweep() -> Throttle {
    let throttle = Throttle::new();
    throttle.add_limit(Limit::per_second(1).scope(Scope::Credential)).unwrap();
    throttle.add_limit(Limit::per_second(1).scope(Scope::route("/lists/{list}"))).unwrap();
    for number in 0..255 {
        assert!(passes(&throttle, &get("/x").credential(format!("c{number}"))));
    }
    sleep(5 * SECOND).await;
    assert!(passes(&throttle, &get("/x").credential("c8")));
    throttle
}

#[tokio::test(start_paused = true)]
async fn a_sweep_leaves_what_a_request_meets() {
    let throttle = before_a_sweep().await;
    let out: Vec<_> = (0..20)
        .filter_map(|number| {
            throttle.acquire(Priority::Call, &get(&format!("/lists/{number}")).credential("c7")).now_or_never()
        })
        .collect();
    assert_eq!(out.len(), 1, "at once under one credential, of 1 a second");
}

#[tokio::test(start_paused = true)]
async fn a_sweep_in_the_middle_of_a_request_leaves_it_its_counters() {
    let throttle = before_a_sweep().await;
    let keys = get("/lists/1").credential("c7");
    let permit = throttle.acquire(Priority::Call, &keys).now_or_never().unwrap().unwrap();
    // Others take the freed numbers while it is out.
    for number in 0..300 {
        assert!(passes(&throttle, &get("/x").credential(format!("d{number}"))));
    }
    assert!(!passes(&throttle, &keys), "it is out still");
    drop(permit);
    assert!(passes(&throttle, &keys), "what it took is given back to its own counters");
}

#[tokio::test(start_paused = true)]
async fn keys_of_a_calendar_day_are_forgotten_after_it() {
    let throttle = Throttle::new();
    throttle.add_limit(Limit::per_day(5, "UTC").scope(Scope::Credential)).unwrap();
    throttle.set_clock(clock("2026-03-03T12:00:00Z"));
    for day in 0..5 {
        for number in 0..1000 {
            assert!(passes(&throttle, &get("/x").credential(format!("{day}/{number}"))));
        }
        sleep(3 * DAY).await;
    }
    let text = format!("{throttle:?}");
    let counters = text.split_once("counters: ").unwrap().1.split([',', ' ', '}']).next().unwrap();
    assert!(counters.parse::<u32>().unwrap() < 2500, "of 5,000 that were met: {text}");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_was_a_day_ahead_gives_no_day_twice() {
    let throttle = Throttle::new();
    throttle.set_clock(clock("2026-03-03T12:00:00Z"));
    throttle.add_limit(Limit::per_day(10, "UTC")).unwrap();
    assert_eq!(how_many_pass(5, &throttle, &get("/x")), 5);
    throttle.set_clock(clock("2026-03-04T12:00:00Z"));
    assert_eq!(how_many_pass(5, &throttle, &get("/x")), 5);
    throttle.set_clock(clock("2026-03-03T12:00:10Z"));
    assert_eq!(how_many_pass(20, &throttle, &get("/x")), 0, "10 are used already");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_to_the_next_day_opens_the_limit_for_the_queue_alone() {
    let throttle = Throttle::new();
    throttle.set_clock(clock("2026-03-03T12:00:00Z"));
    throttle.add_limit(Limit::per_day(1, "UTC")).unwrap();
    assert!(passes(&throttle, &get("/x")));
    let mut waiting = throttle.acquire(Priority::Call, &get("/x"));
    assert!((&mut waiting).now_or_never().is_none());
    throttle.set_clock(clock("2026-03-04T12:00:00Z"));
    // The limiter is open, and the queue is checked within a minute: until then its request is ahead.
    for class in [Priority::Call, Priority::Batch] {
        assert!(throttle.explain(class, &get("/x")).limit().is_some(), "{class:?}");
        assert!(throttle.try_acquire(class, &get("/x")).is_none(), "{class:?}");
    }
    drop(waiting.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_change_of_the_anchor_frees_who_is_on_the_way() {
    let throttle = Throttle::new();
    throttle.add_limit(Limit::per_second(1).anchor(Anchor::ResponseLessRoundTrip)).unwrap();
    let mut permit = send(&throttle, &RequestKey::new()).unwrap();
    throttle.change_limit(Limit::per_second(1).anchor(Anchor::Send)).unwrap();
    permit.answered();
    sleep(HOUR).await;
    assert!(passes(&throttle, &RequestKey::new()), "{}", throttle.explain(Priority::Call, &RequestKey::new()));
}

#[tokio::test(start_paused = true)]
async fn a_change_keeps_what_a_queueing_service_was_sent() {
    let throttle = Throttle::new();
    throttle.add_limit(Limit::per_second(5).and_server_queue(10)).unwrap();
    let mut sent = 0;
    for count in [5, 6, 5, 6, 5] {
        throttle.change_limit(Limit::per_second(count).and_server_queue(10)).unwrap();
        sent += how_many_pass(20, &throttle, &RequestKey::new());
    }
    assert!((5..=6).contains(&sent), "{sent} at once of 5 or 6 a second");
}

#[tokio::test(start_paused = true)]
async fn bytes_leave_their_window_while_another_downloads() {
    let throttle = Throttle::new();
    throttle.add_limit(Limit::bytes_per(100, SECOND)).unwrap();
    let mut permit = send(&throttle, &get("/x")).unwrap();
    permit.charge(90);
    permit.answered();
    drop(permit);
    let _long = send(&throttle, &get("/x")).unwrap();
    let next = timeout(30 * SECOND, throttle.acquire(Priority::Call, &get("/x"))).await;
    assert!(next.is_ok(), "the window is 1 s: {}", throttle.explain(Priority::Call, &get("/x")));
}

#[tokio::test(start_paused = true)]
async fn absurd_numbers_of_bytes_are_counted() {
    let throttle = Throttle::new();
    throttle.add_limit(Limit::bytes_per(5, 256 * SECOND)).unwrap();
    let mut permit = send(&throttle, &RequestKey::new()).unwrap();
    for _ in 0..3 {
        permit.charge(1 << 63);
        sleep(2 * SECOND).await;
    }
    assert!(!passes(&throttle, &RequestKey::new()), "more than 2^64 of 5 bytes");
    permit.answered();
    sleep(HOUR).await;
    assert!(passes(&throttle, &RequestKey::new()), "{}", throttle.explain(Priority::Call, &RequestKey::new()));
}

#[tokio::test(start_paused = true)]
async fn a_soft_limit_of_one_in_400_days_stops_nobody() {
    let throttle = Throttle::new();
    throttle.add_limit(Limit::per(1, 400 * DAY).and_server_queue(1).soft()).unwrap();
    assert_eq!(how_many_pass(600, &throttle, &RequestKey::new()), 600);
}
