//! Whose a stated budget is: one of all routes, until their answers contradict; and of one credential alone.

use http::StatusCode;
use longhaul::Throttle;
use longhaul::limits::Priority;
use tokio::time::{Instant, sleep};

use super::{HOUR, MINUTE, SECOND, get, goes, hears, left, passes, send};

#[tokio::test(start_paused = true)]
async fn credentials_have_budgets_of_their_own() {
    let throttle = Throttle::new();
    let (one, two) = (get("/a").credential("one"), get("/a").credential("two"));
    hears(&throttle, &one, &left(60, 59, 3600));
    hears(&throttle, &two, &left(60, 0, 3600));
    assert!(passes(&throttle, &one), "its own budget has 59 left: {}", throttle.explain(Priority::Call, &one));
}

#[tokio::test(start_paused = true)]
async fn routes_that_contradict_have_budgets_of_their_own() {
    let throttle = Throttle::new();
    hears(&throttle, &get("/a"), &left(60, 59, 3600));
    hears(&throttle, &get("/b"), &left(60, 0, 3600));
    let text = throttle.explain(Priority::Call, &get("/a"));
    assert!(passes(&throttle, &get("/a")), "its own budget has 59 left: {text}");
}

#[tokio::test(start_paused = true)]
async fn those_parked_at_a_shared_budget_go_when_it_is_contradicted() {
    let throttle = Throttle::new();
    let mut early = send(&throttle, &get("/b")).unwrap();
    hears(&throttle, &get("/a"), &left(100, 0, 3600));
    let parked = throttle.acquire(Priority::Call, &get("/b"));
    let parked = tokio::spawn(async move { parked.await.unwrap().answered() });
    sleep(SECOND).await;
    assert!(!parked.is_finished(), "nothing is known to be left");
    early.heard(StatusCode::OK, &left(1000, 999, 60));
    sleep(SECOND).await;
    assert!(passes(&throttle, &get("/b")), "a new one goes");
    sleep(2 * MINUTE).await;
    assert!(parked.is_finished(), "parked still");
}

#[tokio::test(start_paused = true)]
async fn a_shared_budget_stays_shared_over_its_reset() {
    let throttle = Throttle::new();
    let (one, two) = (get("/a"), get("/b"));
    // A window of a minute, which ends in 10 seconds.
    hears(&throttle, &one, &left(100, 50, 10));
    sleep(11 * SECOND).await;
    hears(&throttle, &two, &left(100, 99, 59));
    sleep(SECOND).await;
    hears(&throttle, &one, &left(100, 98, 58));
    sleep(SECOND).await;
    hears(&throttle, &one, &left(100, 0, 57));
    assert!(!passes(&throttle, &two), "the shared budget is spent");
}

#[tokio::test(start_paused = true)]
async fn a_shared_budget_stays_shared_after_a_burst_over_two_routes() {
    let throttle = Throttle::new();
    let (one, two) = (get("/a").credential("c"), get("/b").credential("c"));
    // All are on their way before anything is known.
    let burst: Vec<_> = [&one, &two].into_iter().cycle().take(40).map(|keys| send(&throttle, keys).unwrap()).collect();
    for (count, mut permit) in (0..).zip(burst) {
        permit.heard(StatusCode::OK, &left(100, 99 - count, 3600));
    }
    // Others spend it too, and one route alone tells.
    let begun = Instant::now();
    let seconds_left = || u32::try_from((HOUR - begun.elapsed()).as_secs()).unwrap();
    for remaining in [50, 41, 32, 23, 14, 11, 0] {
        let mut permit = throttle.acquire(Priority::Call, &one).await.unwrap();
        permit.sent();
        permit.heard(StatusCode::OK, &left(100, remaining, seconds_left()));
    }
    assert!(begun.elapsed() < HOUR - MINUTE, "the reset is to come: {:?}", begun.elapsed());
    assert!(!passes(&throttle, &two), "the shared budget is spent: {}", throttle.explain(Priority::Call, &two));
    goes(&throttle, &two).await;
    assert!(begun.elapsed() >= HOUR - SECOND, "it waits for the reset: {:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn paths_with_words_for_ids_meet_the_stated_budget() {
    let throttle = Throttle::new();
    let went = (b'a'..=b'z')
        .filter_map(|letter| send(&throttle, &get(&format!("/users/{}", char::from(letter)))))
        .map(|mut permit| permit.heard(StatusCode::OK, &left(10, 0, 3600)))
        .count();
    assert!(went <= 2, "{went} went, each told that nothing is left for an hour");
}
