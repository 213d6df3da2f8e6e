//! Who needs several limits at once, each of which others ask for all the time, has its turn too.

use std::time::Duration;

use longhaul::limits::{Priority, RequestKey, Scope};
use longhaul::{Limit, Throttle};
use tokio::time::{Instant, advance, sleep, timeout};

use super::{SECOND, get_at, goes, passes};

/// Three ask, each again after a rest once it went, for ever.
fn flood(throttle: &Throttle, keys: &RequestKey, begins: Duration, rests: Duration) {
    for _ in 0..3 {
        let (throttle, keys) = (throttle.clone(), keys.clone());
        tokio::spawn(async move {
            pause(begins).await;
            loop {
                goes(&throttle, &keys).await;
                pause(rests).await;
            }
        });
    }
}

/// A sleep of nothing may last to the next millisecond.
async fn pause(time: Duration) {
    if !time.is_zero() {
        sleep(time).await;
    }
}

/// Moments on and off the grid of the timer, which has milliseconds.
const OFFSETS: [Duration; 2] = [Duration::ZERO, Duration::from_nanos(300_017)];

#[tokio::test(start_paused = true)]
async fn who_needs_windows_of_three_lengths_has_its_turn() {
    for (offset, flooded) in OFFSETS.into_iter().flat_map(|offset| [(offset, 2), (offset, 3)]) {
        advance(offset).await;
        let throttle = Throttle::new();
        throttle.add_limit(Limit::per_second(1).scope(Scope::Credential)).unwrap();
        throttle.add_limit(Limit::per(1, Duration::from_millis(1370)).scope(Scope::Host)).unwrap();
        throttle.add_limit(Limit::per(1, Duration::from_millis(730)).scope(Scope::route("/w"))).unwrap();
        // Each shares one key with the one that needs all.
        let others =
            [get_at("h", "/x").credential("o1"), get_at("i", "/x").credential("c"), get_at("j", "/w").credential("o2")];
        let rests = [Duration::ZERO, Duration::ZERO, Duration::from_micros(3)];
        for (keys, rests) in others.iter().zip(rests).take(flooded) {
            flood(&throttle, keys, Duration::ZERO, rests);
        }
        sleep(5 * SECOND).await;
        let (begun, keys) = (Instant::now(), get_at("h", "/w").credential("c"));
        for _ in 0..5 {
            timeout(200 * SECOND, goes(&throttle, &keys)).await.expect("it has its turn");
        }
        assert!(begun.elapsed() < 200 * SECOND, "{:?} for five, {flooded} flooded", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn who_needs_windows_that_open_in_turn_has_its_turn() {
    for offset in OFFSETS {
        sleep(SECOND).await;
        advance(offset).await;
        let throttle = Throttle::new();
        throttle.add_limit(Limit::per_second(1).scope(Scope::route("/a/**"))).unwrap();
        throttle.add_limit(Limit::per_second(1).scope(Scope::Host)).unwrap();
        throttle.add_limit(Limit::per_second(1).scope(Scope::Credential)).unwrap();
        // One of the three opens each third of a second, and is taken at once.
        flood(&throttle, &get_at("h2", "/a/1").credential("c2"), Duration::ZERO, Duration::ZERO);
        flood(&throttle, &get_at("h1", "/b/1").credential("c3"), SECOND / 3, Duration::ZERO);
        flood(&throttle, &get_at("h3", "/b/1").credential("c1"), SECOND * 2 / 3, Duration::ZERO);
        sleep(3 * SECOND).await;
        timeout(37 * SECOND, goes(&throttle, &get_at("h1", "/a/2").credential("c1"))).await.expect("it has its turn");
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_to_one_host_starves_no_other_host_of_the_credential() {
    let throttle = Throttle::new();
    throttle.add_limit(Limit::per_second(1).scope(Scope::Host)).unwrap();
    throttle.add_limit(Limit::per_second(1).scope(Scope::Credential)).unwrap();
    flood(&throttle, &get_at("h3", "/x").credential("c"), Duration::ZERO, Duration::ZERO);
    sleep(3 * SECOND).await;
    timeout(900 * SECOND, goes(&throttle, &get_at("h1", "/x").credential("c")))
        .await
        .expect("three stand before it, at 1 a second");
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_new_tasks_starves_no_old_one() {
    let throttle = Throttle::new();
    throttle.add_limit(Limit::per_second(1)).unwrap();
    assert!(passes(&throttle, &RequestKey::new()));
    let ask = |keys: &RequestKey| {
        let waiting = throttle.acquire(Priority::Call, keys);
        tokio::spawn(async move { waiting.await.unwrap().answered() })
    };
    let old: Vec<_> = (0..3).map(|_| ask(&RequestKey::new())).collect();
    tokio::task::yield_now().await;
    for number in 0..305 {
        ask(&RequestKey::new().task(number));
        if number >= 5 {
            sleep(SECOND).await;
        }
    }
    assert!(old.iter().all(tokio::task::JoinHandle::is_finished), "they came first, and wait for 5 minutes");
}
