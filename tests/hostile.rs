//! What a hostile review broke once: it holds.

#![cfg(test)]

use futures::future::{FutureExt, join_all};
use futures::stream::StreamExt;
use http::{HeaderMap, Method, StatusCode};
use longhaul::testing::{reply, script};
use longhaul::*;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, sleep, timeout};

const S: Duration = Duration::from_secs(1);
fn url(p: &str) -> url::Url {
    format!("https://api.example.com{p}").parse().unwrap()
}
fn get(p: &str) -> Keys {
    Keys::request(&Method::GET, &url(p))
}
fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(n, v)| (n.parse::<http::HeaderName>().unwrap(), v.parse::<http::HeaderValue>().unwrap()))
        .collect()
}
fn go(t: &Throttle, k: &Keys) -> Option<Permit> {
    t.try_acquire(Class::Call, k).map(|mut p| {
        p.sent();
        p
    })
}
fn used(t: &Throttle, k: &Keys) -> bool {
    go(t, k).map(|mut p| p.answered()).is_some()
}

fn poke<F: Future>(f: &mut Pin<Box<F>>) -> Option<F::Output> {
    match f.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(x) => Some(x),
        Poll::Pending => None,
    }
}
fn free(mut p: Permit) {
    p.answered();
}

/// One that starves stops everybody else at a limit of one, for as long as its *other* limit is closed.
#[tokio::test(start_paused = true)]
async fn relative_routes_of_two_bases_are_two_limits() {
    let t = Throttle::new();
    let service = script((0..9).map(|_| reply(200)));
    let build = |base: &str| {
        Client::builder(base)
            .http(service.clone())
            .storage_http(service.clone())
            .throttle(&t)
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
    let t = Throttle::new();
    let l = Limit::per_second(10).and_per(S, 4);
    if t.limit(l).is_err() {
        return;
    }
    let n = (0..20).filter(|_| used(&t, &Keys::new())).count();
    assert!(n <= 4, "{n} of 4 a second");
}
#[tokio::test(start_paused = true)]
async fn a_sweep_leaves_what_a_request_meets() {
    let t = Throttle::new();
    t.limit(Limit::per_second(1).scope(Scope::Credential)).unwrap();
    t.limit(Limit::per_second(1).scope(Scope::route("/lists/{list}"))).unwrap();
    for n in 0..255 {
        assert!(used(&t, &get("/x").credential(format!("c{n}"))));
    }
    println!("{t:?}");
    sleep(5 * S).await;
    used(&t, &get("/x").credential("c8"));
    // Known credential, unknown list: the sweep.
    let out: Vec<_> = (0..20)
        .filter_map(|n| t.acquire(Class::Call, &get(&format!("/lists/{n}")).credential("c7")).now_or_never())
        .collect();
    println!("{t:?}\n{}", t.explain(Class::Call, &get("/lists/0").credential("c7")));
    assert!(out.len() <= 1, "{} at once under one credential, of 1 a second", out.len());
}
#[tokio::test(start_paused = true)]
async fn a_sweep_in_the_middle_of_a_request_breaks_nothing() {
    let t = Throttle::new();
    t.limit(Limit::per_second(1).scope(Scope::Credential)).unwrap();
    t.limit(Limit::per_second(1).scope(Scope::route("/lists/{list}"))).unwrap();
    for n in 0..255 {
        assert!(used(&t, &get("/x").credential(format!("c{n}"))));
    }
    sleep(5 * S).await;
    used(&t, &get("/x").credential("c8"));
    let p = t.acquire(Class::Call, &get("/lists/1").credential("c7")).now_or_never().unwrap().unwrap();
    // Others take the freed numbers while it is out.
    for k in 0..300 {
        used(&t, &get("/x").credential(format!("d{k}")));
    }
    drop(p);
}
#[test]
fn keys_of_which_nothing_is_known_meet_the_account_alone() {
    let t = Throttle::new();
    t.limit(Limit::per_second(1).scope(Scope::Host)).unwrap();
    assert!(used(&t, &Keys::new()));
    assert!(used(&t, &Keys::new()), "`Keys::new` meets the limits of the account alone");
}
#[test]
fn a_host_is_the_same_in_any_case() {
    let t = Throttle::new();
    t.limit(Limit::per_second(1).scope(Scope::Host)).unwrap();
    let uri = |u: &str| Keys::uri(&Method::GET, &u.parse().unwrap());
    assert!(used(&t, &uri("https://api.example.com/x")));
    assert!(!used(&t, &uri("https://API.example.com/x")), "one host, two budgets");
}
#[tokio::test(start_paused = true)]
async fn keys_of_a_calendar_day_are_forgotten_after_it() {
    let t = Throttle::new();
    t.limit(Limit::per_day(5, "UTC").scope(Scope::Credential)).unwrap();
    t.clock(Clock::starting_at(SystemTime::now()));
    for day in 0..5 {
        for n in 0..1000 {
            assert!(used(&t, &get("/x").credential(format!("{day}/{n}"))));
        }
        sleep(3 * 86400 * S).await;
    }
    assert!(!format!("{t:?}").contains("counters: 5001"), "{t:?}");
}

// ---- change
#[tokio::test(start_paused = true)]
async fn a_change_leaks_no_slot() {
    let t = Throttle::new();
    t.limit(Limit::per_second(1).anchor(Anchor::ResponseLessRoundTrip)).unwrap();
    let p = go(&t, &Keys::new()).unwrap();
    t.change(Limit::per_second(1).anchor(Anchor::Send)).unwrap();
    free(p);
    sleep(3600 * S).await;
    assert!(used(&t, &Keys::new()), "{}", t.explain(Class::Call, &Keys::new()));
}
#[tokio::test(start_paused = true)]
async fn a_change_keeps_what_a_queueing_service_was_sent() {
    let t = Throttle::new();
    t.limit(Limit::per_second(5).and_server_queue(10)).unwrap();
    let mut n = 0;
    for c in [5, 6, 5, 6, 5] {
        t.change(Limit::per_second(c).and_server_queue(10)).unwrap();
        while used(&t, &Keys::new()) {
            n += 1;
        }
    }
    assert!(n <= 6, "{n} at once of 5 a second");
}
#[tokio::test(start_paused = true)]
async fn a_deadline_counts_the_turns_of_tasks() {
    let t = Throttle::new();
    t.limit(Limit::per_second(1)).unwrap();
    used(&t, &Keys::new());
    let mut flood: Vec<_> = (0..100).map(|_| Box::pin(t.acquire(Class::Poll, &Keys::new().task(1)))).collect();
    flood.iter_mut().for_each(|f| assert!(poke(f).is_none()));
    for f in flood {
        tokio::spawn(async move { free(f.await.unwrap()) });
    }
    let begun = Instant::now();
    let without = {
        let t = t.clone();
        tokio::spawn(async move {
            free(t.acquire(Class::Poll, &Keys::new().task(2)).await.unwrap());
            begun.elapsed()
        })
    }
    .await
    .unwrap();
    println!("without a deadline it took {without:?}");
    let got = t.acquire(Class::Poll, &Keys::new().task(3)).deadline(Instant::now() + 20 * S).await;
    assert!(got.is_ok(), "{}", got.unwrap_err());
}
#[tokio::test(start_paused = true)]
async fn a_deadline_does_not_count_who_waits_for_another_limit() {
    let t = Throttle::new();
    t.limit(Limit::per_second(1)).unwrap();
    t.limit(Limit::per(3600 * S, 1).scope(Scope::route("/slow"))).unwrap();
    assert!(used(&t, &get("/slow")));
    let mut slow: Vec<_> = (0..100).map(|_| Box::pin(t.acquire(Class::Call, &get("/slow")))).collect();
    slow.iter_mut().for_each(|f| assert!(poke(f).is_none()));
    sleep(5 * S).await;
    assert!(used(&t, &get("/fast")));
    println!("{}", t.explain(Class::Call, &get("/fast")));
    let got = t.acquire(Class::Call, &get("/fast")).deadline(Instant::now() + 10 * S).await;
    assert!(got.is_ok(), "{}", got.unwrap_err());
}
#[tokio::test(start_paused = true)]
async fn a_deadline_counts_what_is_free_today() {
    let t = Throttle::new();
    let noon: SystemTime = "2026-03-03T23:00:00Z".parse::<jiff::Timestamp>().unwrap().into();
    t.clock(Clock::starting_at(noon));
    t.limit(Limit::per_second(1).and_per_day(10, "UTC")).unwrap();
    for _ in 0..3 {
        assert!(used(&t, &Keys::new()));
        sleep(2 * S).await;
    }
    assert!(used(&t, &Keys::new()));
    for _ in 0..12 {
        let f = t.acquire(Class::Call, &Keys::new());
        tokio::spawn(async move { free(f.await.unwrap()) });
    }
    sleep(S / 100).await;
    // 6 go today, and 10 shortly after midnight, which is in an hour.
    let got = t.acquire(Class::Call, &Keys::new()).deadline(Instant::now() + 2 * 3600 * S).await;
    assert!(got.is_ok(), "{}", got.unwrap_err());
}
#[tokio::test(start_paused = true)]
async fn a_pause_of_a_route_reaches_those_in_the_queue() {
    let mut answers = vec![reply(200), reply(200), reply(429).header("retry-after", "30")];
    answers.extend((0..90).map(|_| reply(429).header("retry-after", "30")));
    let service = script(answers);
    let client = service.client().retry(RetryPolicy::none()).feedback(Feedback::Learn).build().unwrap();
    let _ = timeout(29 * S, join_all((0..40).map(|_| client.request(Method::GET, "x").send()))).await;
    let at: Vec<_> = service.requests().iter().map(|seen| seen.at().as_millis()).collect();
    assert!(at.len() <= 4, "{} requests while the route is stopped for 30 s: {at:?}", at.len());
}
#[tokio::test(start_paused = true)]
async fn a_pause_of_a_route_reaches_those_behind_the_account() {
    let service = script((0..90).map(|_| reply(429).header("retry-after", "30")));
    let client = service.client().retry(RetryPolicy::none()).build().unwrap();
    client.throttle().pause(S);
    let _ = timeout(29 * S, join_all((0..40).map(|_| client.request(Method::GET, "x").send()))).await;
    let at: Vec<_> = service.requests().iter().map(|seen| seen.at().as_millis()).collect();
    assert!(at.len() <= 1, "{} requests, each refused for 30 s", at.len());
}
#[tokio::test(start_paused = true)]
async fn one_that_hangs_does_not_keep_a_pause_from_ending() {
    let t = Throttle::new();
    t.limit(Limit::per_second(10)).unwrap();
    let hung = go(&t, &Keys::new()).unwrap();
    let mut p = go(&t, &Keys::new()).unwrap();
    p.heard(StatusCode::SERVICE_UNAVAILABLE, &headers(&[("retry-after", "1")]));
    let begun = Instant::now();
    free(t.acquire(Class::Call, &Keys::new()).await.unwrap());
    assert!(begun.elapsed() < 5 * S, "{:?} for a pause of 1 s", begun.elapsed());
    drop(hung);
}
#[tokio::test(start_paused = true)]
async fn refusals_of_one_burst_count_once_and_a_longer_pause_is_told() {
    let t = Throttle::new();
    t.limit(Limit::per_second(10)).unwrap();
    let mut events = t.events();
    let (mut a, mut b, mut c) =
        (go(&t, &Keys::new()).unwrap(), go(&t, &Keys::new()).unwrap(), go(&t, &Keys::new()).unwrap());
    a.heard(StatusCode::TOO_MANY_REQUESTS, &HeaderMap::new());
    println!("{:?}", t.explain(Class::Call, &Keys::new()).at_least());
    b.heard(StatusCode::TOO_MANY_REQUESTS, &HeaderMap::new());
    let two = t.explain(Class::Call, &Keys::new()).at_least();
    c.heard(StatusCode::TOO_MANY_REQUESTS, &headers(&[("retry-after", "7200")]));
    let told: Vec<Event> = std::iter::from_fn(|| events.next().now_or_never().flatten()).collect();
    println!("{:?} {told:?}", t.explain(Class::Call, &Keys::new()).at_least());
    assert!(told.iter().any(|e| matches!(e, Event::Refused { .. })), "every refusal is an event");
    assert!(
        told.iter().any(|e| matches!(e, Event::Paused { during, .. } if during.as_secs() == 7200)),
        "two hours, and not a word"
    );
    assert!(two <= S, "one burst, {two:?}");
}
#[tokio::test(start_paused = true)]
async fn a_second_route_hours_later_stops_itself_alone() {
    let t = Throttle::new();
    let mut p = go(&t, &get("/a")).unwrap();
    p.heard(StatusCode::TOO_MANY_REQUESTS, &headers(&[("retry-after", "86400")]));
    sleep(3600 * S * 5).await;
    let mut p = go(&t, &get("/b")).unwrap();
    p.heard(StatusCode::TOO_MANY_REQUESTS, &headers(&[("retry-after", "3600")]));
    assert!(used(&t, &get("/c")), "{}", t.explain(Class::Call, &get("/c")));
}
#[tokio::test(start_paused = true)]
async fn a_pause_by_hand_is_no_refusal() {
    let t = Throttle::new();
    for _ in 0..6 {
        t.pause(S / 100);
        sleep(S).await;
    }
    let mut p = go(&t, &Keys::new()).unwrap();
    p.heard(StatusCode::TOO_MANY_REQUESTS, &HeaderMap::new());
    let wait = t.explain(Class::Call, &Keys::new()).at_least();
    assert!(wait <= S, "the first refusal: {wait:?}");
}
#[tokio::test(start_paused = true)]
async fn a_pause_of_all_holds_accounts_that_come_later() {
    let t = Throttle::new();
    t.pause(60 * S);
    assert!(!used(&t.account(&url("/"), "x"), &Keys::new()), "all are stopped");
}

// ---- feedback
fn hears(t: &Throttle, k: &Keys, pairs: &[(&str, &str)]) {
    go(t, k).unwrap().heard(StatusCode::OK, &headers(pairs));
}
#[tokio::test(start_paused = true)]
async fn a_stated_limit_of_zero_stalls_nobody() {
    let t = Throttle::new();
    hears(
        &t,
        &get("/x"),
        &[("x-ratelimit-limit", "0"), ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "86400")],
    );
    assert!(used(&t, &get("/x")), "it says 200, and: {}", t.explain(Class::Call, &get("/x")));
}
#[tokio::test(start_paused = true)]
async fn a_stated_window_of_400_days_stalls_nobody() {
    let t = Throttle::new();
    hears(&t, &get("/x"), &[("ratelimit-policy", "\"a\";q=1;w=34560000")]);
    assert!(used(&t, &get("/x")));
    assert!(used(&t, &get("/x")), "{}", t.explain(Class::Call, &get("/x")));
}
#[tokio::test(start_paused = true)]
async fn what_is_left_counts_more_than_what_we_counted() {
    let t = Throttle::new();
    let _h = |r: &str, s: &str| {
        hears(
            &t,
            &get("/x"),
            &[("x-ratelimit-limit-hour", "100"), ("x-ratelimit-remaining-hour", r), ("ratelimit-reset", s)],
        );
    };
    hears(&t, &get("/x"), &[("ratelimit", "\"a\";r=99;t=60"), ("ratelimit-policy", "\"a\";q=100;w=3600")]);
    // The service's hour ends in a minute.
    let mut n = 0;
    while n < 99 {
        match go(&t, &get("/x")) {
            Some(mut p) => {
                n += 1;
                let r = (99 - n).to_string();
                p.heard(
                    StatusCode::OK,
                    &headers(&[
                        ("ratelimit", &format!("\"a\";r={r};t=60")),
                        ("ratelimit-policy", "\"a\";q=100;w=3600"),
                    ]),
                );
            }
            None => {
                sleep(S).await;
                if n > 80 {
                    break;
                }
            }
        }
    }
    sleep(61 * S).await;
    println!("{n} used");
    let mut fresh = 0;
    for _ in 0..50 {
        if let Some(mut p) = go(&t, &get("/x")) {
            fresh += 1;
            p.heard(
                StatusCode::OK,
                &headers(&[
                    ("ratelimit", &format!("\"a\";r={};t=3600", 99 - fresh)),
                    ("ratelimit-policy", "\"a\";q=100;w=3600"),
                ]),
            );
        }
    }
    assert!(fresh >= 50, "{fresh}: the service has 100 anew; {}", t.explain(Class::Call, &get("/x")));
}
#[tokio::test(start_paused = true)]
async fn no_more_go_at_a_reset_than_the_service_states() {
    let t = Throttle::new();
    hears(&t, &get("/x"), &[("x-ratelimit-limit", "5"), ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "10")]);
    let begun = Instant::now();
    let all: Vec<_> = (0..200)
        .map(|_| {
            let f = t.acquire(Class::Call, &get("/x"));
            tokio::spawn(async move {
                let mut p = f.await.unwrap();
                p.sent();
                let at = begun.elapsed().as_secs();
                sleep(S / 10).await;
                p.answered();
                at
            })
        })
        .collect();
    let at: Vec<_> = join_all(all).await.into_iter().map(Result::unwrap).collect();
    let n = at.iter().filter(|s| **s == 10).count();
    assert!(n <= 5, "{n} at once, of 5 that the service states");
}
#[tokio::test(start_paused = true)]
async fn credentials_have_budgets_of_their_own() {
    let t = Throttle::new();
    let h =
        |r: &'static str| [("x-ratelimit-limit", "60"), ("x-ratelimit-remaining", r), ("x-ratelimit-reset", "3600")];
    hears(&t, &get("/a").credential("one"), &h("59"));
    hears(&t, &get("/a").credential("two"), &h("0"));
    assert!(
        used(&t, &get("/a").credential("one")),
        "its own budget has 59 left: {}",
        t.explain(Class::Call, &get("/a"))
    );
}
#[tokio::test(start_paused = true)]
async fn routes_that_contradict_have_budgets_of_their_own() {
    let t = Throttle::new();
    let h =
        |r: &'static str| [("x-ratelimit-limit", "60"), ("x-ratelimit-remaining", r), ("x-ratelimit-reset", "3600")];
    hears(&t, &get("/a"), &h("59"));
    hears(&t, &get("/b"), &h("0"));
    assert!(used(&t, &get("/a")), "its own budget has 59 left: {}", t.explain(Class::Call, &get("/a")));
}
#[tokio::test(start_paused = true)]
async fn off_forgets_what_was_told() {
    let t = Throttle::new();
    hears(
        &t,
        &get("/x"),
        &[("x-ratelimit-limit", "60"), ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "80000")],
    );
    t.feedback(Feedback::Off);
    assert!(used(&t, &get("/x")), "{}", t.explain(Class::Call, &get("/x")));
}
#[tokio::test(start_paused = true)]
async fn a_stated_limit_that_rises_is_believed() {
    let t = Throttle::new();
    hears(&t, &get("/x"), &[("ratelimit-policy", "10;w=60"), ("ratelimit-limit", "10")]);
    hears(&t, &get("/x"), &[("ratelimit-policy", "100;w=60"), ("ratelimit-limit", "100")]);
    let n = (0..60)
        .filter(|_| {
            go(&t, &get("/x"))
                .map(|mut p| {
                    p.heard(StatusCode::OK, &headers(&[("ratelimit-policy", "100;w=60"), ("ratelimit-limit", "100")]));
                })
                .is_some()
        })
        .count();
    assert!(n >= 50, "{n} of 100: {}", t.explain(Class::Call, &get("/x")));
}
#[tokio::test(start_paused = true)]
async fn a_budget_that_is_told_twice_is_taken_once() {
    let t = Throttle::new();
    let h = [("ratelimit-policy", "\"a\";q=10;w=60")];
    hears(&t, &get("/x"), &h);
    hears(&t, &Keys::new(), &h);
    let n = (0..20).filter(|_| used(&t, &get("/x"))).count();
    assert!(n >= 8, "{n} of 10: {}", t.explain(Class::Call, &get("/x")));
}
#[tokio::test(start_paused = true)]
async fn what_is_searched_for_does_not_grow_while_nobody_asks() {
    let t = Throttle::new();
    t.feedback(Feedback::Learn);
    for _ in 0..3 {
        free(t.acquire(Class::Call, &get("/x")).await.unwrap());
    }
    let mut p = t.acquire(Class::Call, &get("/x")).await.unwrap();
    p.sent();
    p.heard(StatusCode::TOO_MANY_REQUESTS, &HeaderMap::new());
    sleep(120 * S).await;
    let n = (0..500).filter(|_| go(&t, &get("/x")).map(|mut p| p.answered()).is_some()).count();
    assert!(n <= 20, "{n} at once, after a refusal at two a second and two minutes of nothing");
}

// ---- permits
#[test]
fn absurd_numbers_of_bytes_are_counted_and_no_panic() {
    let t = Throttle::new();
    t.limit(Limit::bytes_per(256 * S, 5)).unwrap();
    let rt = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    rt.block_on(async {
        let mut p = go(&t, &Keys::new()).unwrap();
        for _ in 0..3 {
            p.charge(1 << 63);
            sleep(2 * S).await;
        }
        println!("{:?}", used(&t, &Keys::new()));
    });
}
#[tokio::test(start_paused = true)]
async fn an_absurd_rate_is_no_panic() {
    let t = Throttle::new();
    t.limit(Limit::per(400 * 86400 * S, 1).and_server_queue(1).soft()).unwrap();
    for _ in 0..600 {
        assert!(used(&t, &Keys::new()));
    }
}
#[test]
fn a_runtime_without_a_timer_panics_and_does_not_hang() {
    let rt = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let t = Throttle::new();
    t.limit(Limit::per(S / 10, 1)).unwrap();
    assert!(used(&t, &Keys::new()));
    let (tx, rx) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        rt.block_on(async { t.acquire(Class::Call, &Keys::new()).await }).map(drop).ok();
        let _ = tx.send(());
    });
    let r = rx.recv_timeout(5 * S);
    assert_ne!(r, Err(std::sync::mpsc::RecvTimeoutError::Timeout), "neither panics nor goes");
}
#[tokio::test(start_paused = true)]
async fn a_stream_of_new_tasks_starves_no_old_one() {
    let t = Throttle::new();
    t.limit(Limit::per_second(1)).unwrap();
    used(&t, &Keys::new());
    let begun = Instant::now();
    let spawn = |k: Keys| {
        let f = t.acquire(Class::Call, &k);
        tokio::spawn(async move {
            free(f.await.unwrap());
            begun.elapsed().as_secs()
        })
    };
    let (_one, two, three) = (spawn(Keys::new()), spawn(Keys::new()), spawn(Keys::new()));
    tokio::task::yield_now().await;
    let mut n = 10;
    {
        for _ in 0..5 {
            n += 1;
            spawn(Keys::new().task(n));
        }
    };
    for _ in 0..300 {
        n += 1;
        spawn(Keys::new().task(n));
        sleep(S).await;
    }
    println!("{:?}", two.is_finished());
    assert!(
        two.is_finished() && three.is_finished(),
        "it came first, and waits for 5 minutes behind those who came later: {}",
        begun.elapsed().as_secs()
    );
}
#[tokio::test(start_paused = true)]
async fn a_deadline_holds_after_a_turn_was_passed_over() {
    let t = Throttle::new();
    t.limit(Limit::per_second(1)).unwrap();
    used(&t, &Keys::new());
    let begun = Instant::now();
    let mut w = Box::pin(t.acquire(Class::Call, &Keys::new()).deadline(begun + S + S / 100));
    assert!(poke(&mut w).is_none());
    // Its turn comes at 1.000 s; it is not polled, and somebody else goes at 1.020 s, for an hour.
    let other = Box::pin(t.acquire(Class::Call, &Keys::new()).hold(3600 * S));
    let p = other.await.unwrap();
    println!("{:?}", begun.elapsed());
    let got = timeout(600 * S, w).await;
    assert!(got.is_ok(), "its deadline is over by 10 minutes");
    drop(p);
}

// ---- more
#[expect(dead_code, reason = "it is dropped with the last waker")]
struct Holds(std::sync::Mutex<Option<Permit>>);
impl std::task::Wake for Holds {
    fn wake(self: std::sync::Arc<Self>) {}
}
/// A task of another executor: its waker is all that is left of it, and it held a permit.
#[test]
fn a_waker_is_dropped_without_the_lock() {
    let (tx, rx) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let rt = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        rt.block_on(async {
            let t = Throttle::new();
            t.limit(Limit::concurrent(2)).unwrap();
            let (p, _q) = (go(&t, &Keys::new()).unwrap(), go(&t, &Keys::new()).unwrap());
            let mut x = Box::pin(t.acquire(Class::Call, &Keys::new()));
            let task = std::sync::Arc::new(Holds(std::sync::Mutex::new(Some(p))));
            let waker = Waker::from(task.clone());
            assert!(x.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            drop(waker);
            drop(task); // that task is given up by its executor
            let _ = x.as_mut().poll(&mut Context::from_waker(Waker::noop())); // and somebody else goes on with the wait
        });
        let _ = tx.send(());
    });
    assert!(rx.recv_timeout(5 * S).is_ok(), "deadlock");
}
#[tokio::test(start_paused = true)]
async fn the_heart_beats_in_the_queue() {
    let service = script([
        reply(202).header("location", "/v1/tasks/1"),
        reply(200).json(serde_json::json!({"status": "running"})),
        reply(200).json(serde_json::json!({"status": "running"})),
    ]);
    let client = service.client().build().unwrap();
    let mut task = client.task().post("exports").submit::<serde_json::Value>().await.unwrap().heartbeat(10 * S);
    let _first = task.advance().await;
    client.throttle().pause(600 * S);
    let begun = Instant::now();
    let _next = timeout(3600 * S, task.advance()).await;
    let next2 = timeout(3600 * S, task.advance()).await;
    println!("{:?} {:?}", begun.elapsed(), next2.is_ok());
    assert!(begun.elapsed() < 60 * S, "no sign of life for {:?}", begun.elapsed());
}
#[tokio::test(start_paused = true)]
async fn a_budget_counts_who_was_on_the_way_when_it_was_told() {
    let t = Throttle::new();
    let mut out: Vec<_> = (0..10).map(|_| go(&t, &get("/x")).unwrap()).collect();
    out[0].heard(StatusCode::OK, &headers(&[("ratelimit", "\"a\";r=9;t=60"), ("ratelimit-policy", "\"a\";q=10;w=60")]));
    // Nine are on their way still, and ten is all there is.
    let n = std::iter::from_fn(|| go(&t, &get("/x"))).map(|mut p| p.answered()).take(20).count();
    assert_eq!(n, 0, "{n} more than the service has");
}
#[tokio::test(start_paused = true)]
async fn turning_learning_on_and_off_leaks_nothing() {
    let t = Throttle::new();
    for _ in 0..100 {
        t.feedback(Feedback::Learn);
        t.feedback(Feedback::Budgets);
    }
    assert!(format!("{t:?}").contains("counters: 1,") || format!("{t:?}").contains("counters: 2,"), "{t:?}");
}
#[tokio::test(start_paused = true)]
async fn a_budget_reaches_those_in_the_queue() {
    let t = Throttle::new();
    t.limit(Limit::per_second(5)).unwrap();
    let mut p = go(&t, &get("/x")).unwrap();
    for _ in 0..50 {
        let f = t.acquire(Class::Call, &get("/x"));
        tokio::spawn(async move { free(f.await.unwrap()) });
    }
    sleep(S / 100).await;
    p.heard(
        StatusCode::OK,
        &headers(&[("x-ratelimit-limit", "1000"), ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "3600")]),
    );
    sleep(60 * S).await;
    let left = format!("{t:?}");
    assert!(left.contains("waiting: 46"), "all went, though nothing is left for an hour: {left}");
}
#[tokio::test(start_paused = true)]
async fn a_key_whose_budget_is_told_is_not_forgotten() {
    let t = Throttle::new();
    t.limit(Limit::per_second(10).scope(Scope::Credential).named("a")).unwrap();
    let k = get("/x").credential("k");
    hears(&t, &k, &[("ratelimit", "\"a\";r=0;t=3600")]);
    assert!(go(&t, &k).is_none());
    sleep(5 * S).await;
    for n in 0..300 {
        if let Some(mut p) = go(&t, &get("/x").credential(format!("n{n}"))) {
            p.answered();
        }
    }
    assert!(go(&t, &k).is_none(), "nothing is left of its budget for an hour");
}
#[tokio::test(start_paused = true)]
async fn paths_with_words_for_ids_meet_the_stated_budget() {
    let t = Throttle::new();
    let h = [("x-ratelimit-limit", "10"), ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "3600")];
    let n = (b'a'..=b'z')
        .filter(|c| {
            go(&t, &get(&format!("/users/{}", *c as char))).map(|mut p| p.heard(StatusCode::OK, &headers(&h))).is_some()
        })
        .count();
    assert!(n <= 2, "{n} went, each told that nothing is left for an hour");
}
