//! What a second hostile look broke once: it holds.

#![cfg(test)]

use http::{HeaderMap, Method, StatusCode};
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
fn rl(l: &str, r: &str, s: &str) -> HeaderMap {
    headers(&[("x-ratelimit-limit", l), ("x-ratelimit-remaining", r), ("x-ratelimit-reset", s)])
}
fn hears(t: &Throttle, k: &Keys, l: &str, r: &str, s: &str) {
    go(t, k).expect("goes").heard(StatusCode::OK, &rl(l, r, s));
}

#[tokio::test(start_paused = true)]
async fn refused_then_dropped_releases_once() {
    let t = Throttle::new();
    t.limit(Limit::concurrent(1).scope(Scope::Credential)).unwrap();
    let k = get("/x").credential("c");
    let p = go(&t, &k).unwrap();
    let mut f = Box::pin(t.acquire(Class::Call, &k).deadline(Instant::now() + S));
    assert!(poke(&mut f).is_none());
    sleep(2 * S).await;
    drop(f);
    drop(p);
}
#[tokio::test(start_paused = true)]
async fn bytes_age_out_while_one_downloads() {
    let t = Throttle::new();
    t.limit(Limit::bytes_per(S, 100)).unwrap();
    let k = get("/x");
    let mut p = go(&t, &k).unwrap();
    p.charge(90);
    p.answered();
    drop(p);
    let long = go(&t, &k).unwrap();
    let f = t.acquire(Class::Call, &k);
    let got = timeout(30 * S, f).await;
    println!("{}", t.explain(Class::Call, &k));
    assert!(
        got.is_ok(),
        "still waits after 30 s for a window of 1 s; try: {}",
        t.try_acquire(Class::Call, &k).is_some()
    );
    drop(long);
}
#[tokio::test(start_paused = true)]
async fn off_lets_those_go_who_wait_for_a_declared_limits_quota() {
    let t = Throttle::new();
    t.limit(Limit::per(60 * S, 100)).unwrap();
    let k = get("/x");
    go(&t, &k).unwrap().heard(
        StatusCode::OK,
        &headers(&[("ratelimit-policy", "\"a\";q=100;w=60"), ("ratelimit", "\"a\";r=0;t=3600")]),
    );
    assert!(go(&t, &k).is_none(), "{}", t.explain(Class::Call, &k));
    let f = t.acquire(Class::Call, &k);
    let h = tokio::spawn(async move {
        let mut p = f.await.unwrap();
        p.sent();
        p.answered();
    });
    sleep(S).await;
    t.feedback(Feedback::Off);
    sleep(60 * S).await;
    assert!(h.is_finished(), "waits on: {}", t.explain(Class::Call, &k));
}
#[tokio::test(start_paused = true)]
async fn resume_ends_the_pause_of_a_stated_budget() {
    let t = Throttle::new();
    let k = get("/x");
    hears(&t, &k, "100", "50", "60");
    let mut h = rl("100", "0", "60");
    h.insert("retry-after", "3600".parse().unwrap());
    go(&t, &k).unwrap().heard(StatusCode::TOO_MANY_REQUESTS, &h);
    sleep(120 * S).await;
    assert!(go(&t, &k).is_none());
    t.resume();
    assert!(go(&t, &k).is_some(), "{}", t.explain(Class::Call, &k));
}
#[tokio::test(start_paused = true)]
async fn those_parked_at_a_shared_budget_go_when_it_is_contradicted() {
    let t = Throttle::new();
    let (a, b) = (get("/a"), get("/b"));
    let mut early = go(&t, &b).unwrap();
    hears(&t, &a, "100", "0", "3600");
    let f = t.acquire(Class::Call, &b);
    let h = tokio::spawn(async move {
        let mut p = f.await.unwrap();
        p.sent();
        p.answered();
    });
    sleep(S).await;
    early.heard(StatusCode::OK, &rl("1000", "999", "60"));
    sleep(S).await;
    println!("new one goes: {}", go(&t, &b).map(|mut p| p.answered()).is_some());
    sleep(120 * S).await;
    assert!(h.is_finished(), "parked still");
}
/// One budget of two routes, a window of 60 s.
#[tokio::test(start_paused = true)]
async fn a_shared_budget_stays_shared_over_its_reset() {
    let t = Throttle::new();
    let (a, b) = (get("/a"), get("/b"));
    hears(&t, &a, "100", "50", "10");
    sleep(11 * S).await;
    hears(&t, &b, "100", "99", "59");
    sleep(S).await;
    hears(&t, &a, "100", "98", "58");
    sleep(S).await;
    hears(&t, &a, "100", "0", "57");
    assert!(go(&t, &b).is_none(), "the shared budget is spent");
}
/// A burst on two routes, before anything is known.
#[tokio::test(start_paused = true)]
async fn a_clock_that_was_ahead() {
    let t = Throttle::new();
    let at = |s: &str| -> Clock {
        let x: SystemTime = s.parse::<jiff::Timestamp>().unwrap().into();
        Clock::starting_at(x)
    };
    t.clock(at("2026-03-03T12:00:00Z"));
    t.limit(Limit::per_day(10, "UTC")).unwrap();
    let k = get("/x");
    for _ in 0..5 {
        assert!(used(&t, &k));
    }
    t.clock(at("2026-03-04T12:00:00Z"));
    for _ in 0..5 {
        assert!(used(&t, &k));
    }
    t.clock(at("2026-03-03T12:00:10Z"));
    let mut n = 10;
    while used(&t, &k) {
        n += 1;
    }
    assert!(n <= 10, "{n} of 10");
}
/// One who needs three windows, each of which others ask for all the time.
async fn starve(offset: Duration, n: usize) -> Duration {
    tokio::time::advance(offset).await;
    let t = Throttle::new();
    t.limit(Limit::per_second(1).scope(Scope::Credential)).unwrap();
    t.limit(Limit::per(Duration::from_millis(1370), 1).scope(Scope::Host)).unwrap();
    t.limit(Limit::per(Duration::from_millis(730), 1).scope(Scope::route("/w"))).unwrap();
    let key = |h: &str, p: &str, c: &str| {
        Keys::request(&Method::GET, &format!("https://{h}.example.com{p}").parse().unwrap()).credential(c.to_string())
    };
    // Each shares one key with the one that starves.
    for k in [key("h", "/x", "o1"), key("i", "/x", "c")] {
        for _ in 0..3 {
            let (t, k) = (t.clone(), k.clone());
            tokio::spawn(async move {
                loop {
                    let mut p = t.acquire(Class::Call, &k).await.unwrap();
                    p.sent();
                    p.answered();
                }
            });
        }
    }
    for _j in 0..3 {
        let (t, k) = (t.clone(), key("j", "/w", "o2"));
        if n > 2 {
            tokio::spawn(async move {
                loop {
                    let mut p = t.acquire(Class::Call, &k).await.unwrap();
                    p.sent();
                    p.answered();
                    sleep(Duration::from_micros(3)).await;
                }
            });
        }
    }
    sleep(5 * S).await;
    let begun = Instant::now();
    for _ in 0..5 {
        match timeout(600 * S, t.acquire(Class::Call, &key("h", "/w", "c"))).await {
            Ok(p) => {
                let mut p = p.unwrap();
                p.sent();
                p.answered();
            }
            Err(_) => break,
        }
    }
    begun.elapsed() / 5
}
#[tokio::test(start_paused = true)]
async fn starve_whole() {
    for n in [2, 3] {
        let e = starve(Duration::ZERO, n).await;
        println!("{n}: {e:?}");
        assert!(e < 40 * S, "{e:?}");
    }
}
#[tokio::test(start_paused = true)]
async fn starve_odd() {
    for n in [2, 3] {
        let e = starve(Duration::from_nanos(300_017), n).await;
        println!("{n}: {e:?}");
        assert!(e < 40 * S, "{e:?}");
    }
}
/// The ramp after a pause: one probe.
#[tokio::test(start_paused = true)]
async fn unnamed_policies_flap() {
    let t = Throttle::new();
    let k = get("/x");
    let mut n = 0;
    let begun = Instant::now();
    while begun.elapsed() < S / 2 {
        if let Some(mut p) = go(&t, &k) {
            n += 1;
            p.heard(StatusCode::OK, &headers(&[("ratelimit-policy", "5;w=1, 1000;w=3600")]));
        }
        sleep(Duration::from_millis(1)).await;
    }
    println!("{}", t.explain(Class::Call, &k));
    assert!(n <= 6, "{n} in half a second of 5 a second");
}
async fn thirds(offset: Duration) -> Duration {
    sleep(S).await;
    tokio::time::advance(offset).await;
    let t = Throttle::new();
    t.limit(Limit::per_second(1).scope(Scope::route("/a/**"))).unwrap();
    t.limit(Limit::per_second(1).scope(Scope::Host)).unwrap();
    t.limit(Limit::per_second(1).scope(Scope::Credential)).unwrap();
    let go = async |path: &str, host: &str, c: &str| {
        let keys =
            Keys::request(&Method::GET, &format!("https://{host}{path}").parse().unwrap()).credential(c.to_string());
        t.acquire(Class::Call, &keys).await.unwrap().answered();
    };
    let flood = async |begins: Duration, path: &str, host: &str, c: &str| {
        sleep(begins).await;
        loop {
            tokio::join!(go(path, host, c), go(path, host, c), go(path, host, c));
        }
    };
    let begun = Instant::now();
    let all = async {
        sleep(3 * S).await;
        go("/a/2", "h1", "c1").await;
    };
    tokio::select! {
        () = flood(Duration::ZERO, "/a/1", "h2", "c2") => unreachable!(),
        () = flood(S / 3, "/b/1", "h1", "c3") => unreachable!(),
        () = flood(S * 2 / 3, "/b/1", "h3", "c1") => unreachable!(),
        x = timeout(900 * S, all) => {println!("{}", t.explain(Class::Call, &Keys::request(&Method::GET, &"https://h1/a/2".parse().unwrap()).credential("c1"))); println!("{t:?}"); println!("{:?} {:?}", x.is_ok(), begun.elapsed()); begun.elapsed() },
    }
}
#[tokio::test(start_paused = true)]
async fn thirds_whole() {
    let e = thirds(Duration::ZERO).await;
    assert!(e < 40 * S, "{e:?}");
}
#[tokio::test(start_paused = true)]
async fn thirds_odd() {
    let e = thirds(Duration::from_nanos(300_017)).await;
    assert!(e < 40 * S, "{e:?}");
}
/// A slot that is held for one that starves, over a pause: the ramp lets one too many go.
#[tokio::test(start_paused = true)]
async fn a_holder_dies_with_its_deadline_only() {
    let t = Throttle::new();
    t.limit(Limit::concurrent(1).scope(Scope::Credential)).unwrap();
    let k = get("/x").credential("c");
    let p = go(&t, &k).unwrap();
    let (_n, mut v) = (0, vec![]);
    for _ in 0..5 {
        let mut f = Box::pin(t.acquire(Class::Call, &k));
        assert!(poke(&mut f).is_none());
        v.push(f);
    }
    v.truncate(2);
    drop(p);
    sleep(5 * S).await;
    drop(v);
    assert!(go(&t, &k).is_some());
}
/// Two hosts, one credential, a limit for each.
#[tokio::test(start_paused = true)]
async fn a_flood_to_one_host_starves_no_other_host_of_the_credential() {
    let t = Throttle::new();
    t.limit(Limit::per_second(1).scope(Scope::Host)).unwrap();
    t.limit(Limit::per_second(1).scope(Scope::Credential)).unwrap();
    let key = |h: &str| Keys::request(&Method::GET, &format!("https://{h}/x").parse().unwrap()).credential("c");
    for _ in 0..3 {
        let (t, k) = (t.clone(), key("h3"));
        tokio::spawn(async move {
            loop {
                t.acquire(Class::Call, &k).await.unwrap().answered();
            }
        });
    }
    sleep(3 * S).await;
    let begun = Instant::now();
    let got = timeout(900 * S, t.acquire(Class::Call, &key("h1"))).await;
    assert!(got.is_ok(), "3 stand before it at 1 a second, and after {:?} it still waits", begun.elapsed());
}
