//! Deadlines: refused at once where they cannot be kept, and only there.

use futures::future::FutureExt;
use longhaul::limits::{Clock, Priority, RequestKey, Scope};
use longhaul::{Limit, Throttle};
use std::time::SystemTime;
use tokio::time::{Instant, sleep, timeout};

use super::{HOUR, MINUTE, SECOND, get, goes, how_many_pass, passes};

/// So many that ask and wait, each in a task of its own.
fn queue(count: usize, throttle: &Throttle, keys: &RequestKey) {
    for _ in 0..count {
        let (throttle, keys) = (throttle.clone(), keys.clone());
        tokio::spawn(async move { goes(&throttle, &keys).await });
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_counts_the_turns_of_tasks() {
    let throttle = Throttle::new();
    throttle.add_limit(Limit::per_second(1)).unwrap();
    assert!(passes(&throttle, &RequestKey::new()));
    queue(100, &throttle, &RequestKey::new().task(1));
    sleep(SECOND / 100).await;
    // Another task has its turn after one of theirs, not after a hundred.
    let begun = Instant::now();
    let next = throttle.acquire(Priority::Call, &RequestKey::new().task(3)).deadline(begun + 20 * SECOND).await;
    assert!(next.is_ok(), "{}", next.unwrap_err());
    assert!(begun.elapsed() < 4 * SECOND, "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_deadline_does_not_count_who_waits_for_another_limit() {
    let throttle = Throttle::new();
    throttle.add_limit(Limit::per_second(1)).unwrap();
    throttle.add_limit(Limit::per(1, HOUR).scope(Scope::route("/slow"))).unwrap();
    assert!(passes(&throttle, &get("/slow")));
    queue(100, &throttle, &get("/slow"));
    sleep(5 * SECOND).await;
    assert!(passes(&throttle, &get("/fast")));
    let next = throttle.acquire(Priority::Call, &get("/fast")).deadline(Instant::now() + 10 * SECOND).await;
    assert!(next.is_ok(), "{}", next.unwrap_err());
}

#[tokio::test(start_paused = true)]
async fn a_deadline_counts_what_is_free_today() {
    let throttle = Throttle::new();
    let evening = "2026-03-03T23:00:00Z".parse::<jiff::Timestamp>().unwrap();
    throttle.set_clock(Clock::starting_at(SystemTime::from(evening)));
    throttle.add_limit(Limit::per_second(1).and_per_day(10, "UTC")).unwrap();
    for _ in 0..4 {
        assert!(passes(&throttle, &RequestKey::new()));
        sleep(2 * SECOND).await;
    }
    queue(12, &throttle, &RequestKey::new());
    sleep(SECOND / 100).await;
    // 6 go today, and 10 shortly after midnight, which is in an hour.
    let next = throttle.acquire(Priority::Call, &RequestKey::new()).deadline(Instant::now() + 2 * HOUR).await;
    assert!(next.is_ok(), "{}", next.unwrap_err());
}

#[tokio::test(start_paused = true)]
async fn a_deadline_holds_after_a_turn_was_passed_over() {
    let throttle = Throttle::new();
    throttle.add_limit(Limit::per_second(1)).unwrap();
    assert!(passes(&throttle, &RequestKey::new()));
    let begun = Instant::now();
    let mut slow =
        Box::pin(throttle.acquire(Priority::Call, &RequestKey::new()).deadline(begun + SECOND + SECOND / 100));
    assert!((&mut slow).now_or_never().is_none());
    // Its turn comes at 1.000 s; nobody polls it, and somebody else goes at 1.020 s, for an hour.
    let _long = throttle.acquire(Priority::Call, &RequestKey::new()).hold(HOUR).await.unwrap();
    let refused = timeout(MINUTE, slow).await.expect("its deadline is over");
    assert!(refused.is_err());
}

#[tokio::test(start_paused = true)]
async fn one_that_is_too_late_leaves_nothing_behind() {
    let throttle = Throttle::new();
    throttle.add_limit(Limit::concurrent(1).scope(Scope::Credential)).unwrap();
    let keys = get("/x").credential("c");
    let holder = throttle.try_acquire(Priority::Call, &keys).unwrap();
    let mut late = Box::pin(throttle.acquire(Priority::Call, &keys).deadline(Instant::now() + SECOND));
    assert!((&mut late).now_or_never().is_none());
    sleep(2 * SECOND).await;
    drop(late);
    assert!(!passes(&throttle, &keys), "the one is out still");
    drop(holder);
    assert_eq!(how_many_pass(3, &throttle, &keys), 3, "one after another");
}
