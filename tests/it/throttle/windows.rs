//! Limits, the queue, the pause: what a service that counts arrivals sees.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt, join_all};
use futures::stream::StreamExt;
use http::{Method, StatusCode};
use longhaul::http::{Http, HttpError, Request, Response};
use longhaul::limits::{Anchor, Priority, Scope};
use longhaul::telemetry::RefusalCause;
use longhaul::testing::{reply, script};
use longhaul::{Client, ErrorKind, Event, Limit, RetryPolicy, Throttle};
use proptest::prelude::*;
use tokio::time::Instant;

use crate::support::paused;

/// A service that counts arrivals: each request takes a while to it, and its answer a while back.
#[derive(Clone, Default)]
struct Counting(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    arrivals: Vec<Instant>,
    paths: Vec<String>,
    /// Milliseconds there and back, taken in turn.
    latencies: Vec<(u64, u64)>,
    /// Which requests, by number, never get an answer.
    hang: Vec<usize>,
    sent: usize,
}

impl Http for Counting {
    fn send(&self, request: Request) -> BoxFuture<'static, Result<Response, HttpError>> {
        let seen = self.0.clone();
        let (there, back, hangs) = {
            let mut seen = seen.lock().unwrap();
            let number = seen.sent;
            seen.sent += 1;
            let (there, back) = seen.latencies.get(number % seen.latencies.len().max(1)).copied().unwrap_or_default();
            (there, back, seen.hang.contains(&number))
        };
        // The network has it from now on, whatever becomes of the caller.
        let arriving = tokio::spawn({
            let (seen, path) = (seen.clone(), request.url().path().to_owned());
            async move {
                tokio::time::sleep(Duration::from_millis(there)).await;
                let mut seen = seen.lock().unwrap();
                seen.arrivals.push(Instant::now());
                seen.paths.push(path);
            }
        });
        let url = request.url().clone();
        Box::pin(async move {
            arriving.await.map_err(|error| HttpError::broken().because(error))?;
            if hangs {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(Duration::from_millis(back)).await;
            Ok(Response::new(StatusCode::OK, url))
        })
    }
}

impl Counting {
    fn client(&self, limit: Limit) -> Client {
        self.builder(limit).build().unwrap()
    }

    fn builder(&self, limit: Limit) -> longhaul::ClientBuilder {
        let timeout = Duration::from_secs(5);
        builder(self).limit(limit).attempt_timeout(timeout).retry(RetryPolicy::none())
    }

    /// The most arrivals in any stretch of this length.
    fn densest(&self, window: Duration) -> usize {
        self.densest_of(window, "")
    }

    /// The most arrivals in any stretch of this length whose paths begin so.
    fn densest_of(&self, window: Duration, path: &str) -> usize {
        let seen = self.0.lock().unwrap();
        let of = |(at, seen): (&Instant, &String)| seen.starts_with(path).then_some(*at);
        let mut arrivals: Vec<Instant> = seen.arrivals.iter().zip(&seen.paths).filter_map(of).collect();
        arrivals.sort();
        let within = |from: &Instant| arrivals.iter().filter(|at| *at >= from && **at < *from + window).count();
        arrivals.iter().map(within).max().unwrap_or(0)
    }

    fn arrived(&self) -> usize {
        self.0.lock().unwrap().arrivals.len()
    }
}

fn builder(http: &Counting) -> longhaul::ClientBuilder {
    Client::builder("https://api.example.com").http(http.clone()).storage_http(http.clone())
}

async fn get(client: &Client, path: impl Into<String>) -> Result<Response, longhaul::Error> {
    client.request(Method::GET, path).send().await
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if std::env::var_os("LONGHAUL_LONG").is_some() { 3000 } else { 100 },
        ..ProptestConfig::default()
    })]

    /// Whatever callers come, give up, and however long the network takes: no window ever sees more than its count,
    /// and at the end nothing is held back.
    #[test]
    fn no_window_ever_sees_more_than_its_count(
        count in 1..6_u32,
        second in 1..20_u32,
        third in 1..4_u32,
        latencies in prop::collection::vec((0..400_u64, 0..400_u64), 1..8),
        callers in prop::collection::vec(
            (0..3000_u64, prop::option::weighted(0.3, 0..4000_u64), any::<bool>(), 0..3_u8),
            1..40,
        ),
        hang in prop::collection::vec(0..40_usize, 0..2),
    ) {
        let service = Counting::default();
        {
            let mut seen = service.0.lock().unwrap();
            (seen.latencies, seen.hang) = (latencies, hang);
        }
        let (long, odd) = (Duration::from_millis(2700), Duration::from_millis(700));
        paused(async {
            let route = Limit::per(third, odd).scope(Scope::route("r"));
            let client = service.builder(Limit::per_second(count).and_per(second, long)).limit(route).build().unwrap();
            join_all(callers.iter().map(|(begin, give_up, on_route, class)| {
                let client = client.clone();
                async move {
                    tokio::time::sleep(Duration::from_millis(*begin)).await;
                    let class = [Priority::Call, Priority::Cancel, Priority::Batch][usize::from(*class)];
                    let path = if *on_route { "r" } else { "x" };
                    let call = client.request(Method::GET, path).priority(class).send();
                    match give_up {
                        Some(after) => drop(tokio::time::timeout(Duration::from_millis(*after), call).await),
                        None => drop(call.await),
                    }
                }
            })).await;
            // Nothing leaks: once all is over, a whole window goes out at once.
            tokio::time::sleep(Duration::from_secs(20)).await;
            service.0.lock().unwrap().hang.clear();
            let begun = Instant::now();
            let burst = count.min(second) as usize;
            join_all((0..burst).map(|_| get(&client, "x"))).await;
            prop_assert!(begun.elapsed() <= Duration::from_millis(800), "{:?}", begun.elapsed());
            Ok(())
        })?;
        prop_assert!(service.densest(Duration::from_secs(1)) <= count as usize);
        prop_assert!(service.densest(long) <= second as usize);
        prop_assert!(service.densest_of(odd, "/r") <= third as usize);
    }
}

#[tokio::test(start_paused = true)]
async fn a_slot_is_free_one_window_after_the_answer_came() {
    let service = Counting::default();
    service.0.lock().unwrap().latencies = vec![(100, 200)];
    let client = service.client(Limit::per_second(2));
    join_all((0..6).map(|_| get(&client, "x"))).await;
    let arrivals = service.0.lock().unwrap().arrivals.clone();
    let since: Vec<_> = arrivals.iter().map(|at| (*at - arrivals[0]).as_millis()).collect();
    assert_eq!(since, [0, 0, 1300, 1300, 2600, 2600]);
}

#[tokio::test(start_paused = true)]
async fn an_anchor_says_from_when_a_slot_runs() {
    let guard = Duration::from_millis(50);
    for (anchor, gap) in [
        (Anchor::Response, 1200),
        // 0.9 of the smallest round trip is 180.
        (Anchor::ResponseLessRoundTrip, 1020),
        (Anchor::SendPlus(guard), 1050),
        (Anchor::Send, 1000),
    ] {
        let service = Counting::default();
        service.0.lock().unwrap().latencies = vec![(80, 120)];
        let client = service.client(Limit::per_second(1).anchor(anchor));
        join_all((0..80).map(|_| get(&client, "x"))).await;
        let arrivals = service.0.lock().unwrap().arrivals.clone();
        assert_eq!((arrivals[79] - arrivals[78]).as_millis(), gap, "{anchor:?}");
        assert_eq!(service.densest(Duration::from_secs(1)), 1, "the network keeps its pace here: {anchor:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn callers_go_in_the_order_they_came() {
    let service = Counting::default();
    let client = service.client(Limit::per_second(3));
    join_all((0..50).map(|number| later(number, get(&client, format!("{number:02}"))))).await;
    let paths = service.0.lock().unwrap().paths.clone();
    assert!(paths.is_sorted(), "{paths:?}");
    assert_eq!(paths.len(), 50);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_is_alive_but_not_polled_blocks_nobody() {
    let service = Counting::default();
    let client = service.client(Limit::per_second(1));
    get(&client, "first").await.unwrap();
    // Its turn comes first, and it is never polled again.
    let mut asleep: Vec<Pin<Box<dyn Future<Output = _>>>> =
        (0..5).map(|_| -> Pin<Box<dyn Future<Output = _>>> { Box::pin(get(&client, "asleep")) }).collect();
    for caller in &mut asleep {
        assert!(caller.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    let begun = Instant::now();
    get(&client, "second").await.unwrap();
    assert!(begun.elapsed() < Duration::from_millis(1200), "{:?}", begun.elapsed());
    // Its place was kept: polled again, it goes before the rest.
    let late = get(&client, "late");
    let (first, _) = futures::future::join(asleep.remove(0), late).await;
    first.unwrap();
    let paths = service.0.lock().unwrap().paths.clone();
    assert_eq!(paths, ["/first", "/second", "/asleep", "/late"]);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_held_and_not_polled_frees_its_slot_in_time() {
    let service = Counting::default();
    service.0.lock().unwrap().latencies = vec![(10, 10)];
    let client = service.client(Limit::per_second(1));
    let mut held: Pin<Box<dyn Future<Output = _>>> = Box::pin(get(&client, "held"));
    futures::future::poll_fn(|cx| {
        assert!(held.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
    let begun = Instant::now();
    get(&client, "next").await.unwrap();
    let waited = begun.elapsed();
    assert!(waited > Duration::from_secs(6) && waited < Duration::from_secs(8), "{waited:?}: timeout, guard, window");
    drop(held);
}

#[test]
fn a_runtime_that_ends_takes_nobody_with_it() {
    let service = Counting::default();
    let throttle = Throttle::new();
    let first = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let second = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let build = || {
        let window = Duration::from_millis(200);
        builder(&service).throttle(&throttle).limit(Limit::per(1, window)).build().unwrap()
    };
    let (one, other) = (build(), build());
    first.block_on(async {
        get(&one, "a").await.unwrap();
        // Somebody waits here, and the timer that would wake them runs here.
        let one = one.clone();
        tokio::spawn(async move { get(&one, "never").await });
        tokio::task::yield_now().await;
    });
    let waiting = std::thread::spawn(move || {
        second.block_on(async { tokio::time::timeout(Duration::from_secs(20), get(&other, "b")).await })
    });
    drop(first);
    waiting.join().unwrap().expect("woken by another timer").unwrap();
}

#[tokio::test(start_paused = true)]
async fn one_refusal_stops_everybody_and_the_end_is_a_ramp() {
    let mut answers = vec![reply(429).header("retry-after", "30")];
    answers.extend((0..40).map(|_| reply(200).after(Duration::from_millis(100))));
    let service = script(answers);
    let client = service.client().build().unwrap();
    assert!(get(&client, "refused").await.is_ok(), "it is repeated after the pause");
    let first = service.requests()[1].at();
    assert_eq!(first, Duration::from_secs(30));

    let service = script(
        [reply(503).header("retry-after", "30")]
            .into_iter()
            .chain((0..15).map(|_| reply(200).after(Duration::from_millis(100)))),
    );
    let client = service.client().build().unwrap();
    let refused = get(&client, "refused");
    let others = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        join_all((0..14).map(|_| get(&client, "refused"))).await
    };
    let (refused, _) = futures::future::join(refused, others).await;
    refused.unwrap();
    let at: Vec<_> = service.requests().iter().skip(1).map(|seen| seen.at().as_millis()).collect();
    let in_flight: Vec<_> = at.chunk_by(|a, b| a == b).map(<[u128]>::len).collect();
    assert_eq!(at[0], 30_000, "nobody before");
    assert_eq!(in_flight[..3], [1, 2, 4], "one probe, then two, then four: {at:?}");
}

#[tokio::test(start_paused = true)]
async fn one_undeclared_refusal_stops_its_route_and_two_the_account() {
    let service = script([reply(429).header("retry-after", "30"), reply(200), reply(429).header("retry-after", "10")]);
    (0..9).for_each(|_| service.then(reply(200)));
    let client = service.client().retry(RetryPolicy::none()).build().unwrap();
    let paused = |path: &str| {
        let keys = client.request_key(&Method::GET, path).unwrap();
        client.throttle().explain(Priority::Call, &keys).limit().map(str::to_owned)
    };
    get(&client, "tasks/1").await.unwrap_err();
    assert_eq!(paused("tasks/2").as_deref(), Some("the route GET api.example.com/v1/tasks/*"));
    assert_eq!(paused("farms"), None);
    get(&client, "farms").await.unwrap();
    get(&client, "exports").await.unwrap_err();
    assert_eq!(paused("farms").as_deref(), Some("the account"));
    get(&client, "farms").await.unwrap();
    get(&client, "tasks/2").await.unwrap();
    let at: Vec<_> = service.requests().iter().map(|seen| seen.at().as_secs()).collect();
    assert_eq!(at, [0, 0, 0, 10, 30]);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_stops_all_under_the_declared_limit_and_nobody_else() {
    let service = script([reply(429).header("retry-after", "30"), reply(200), reply(200)]);
    let client = service
        .client()
        .retry(RetryPolicy::none())
        .limit(Limit::per_second(9).scope(Scope::route("GET stats/{kind}")))
        .build()
        .unwrap();
    let mut events = client.throttle().events();
    get(&client, "stats/opens").await.unwrap_err();
    get(&client, "stats/clicks").await.unwrap();
    get(&client, "stats/opens").await.unwrap();
    let at: Vec<_> = service.requests().iter().map(|seen| seen.at().as_secs()).collect();
    assert_eq!(at, [0, 0, 30]);
    let told: Vec<Event> = std::iter::from_fn(|| events.next().now_or_never().flatten()).collect();
    let limit = "9 per 1s of the route GET stats/{kind} at /opens";
    assert!(
        matches!(&told[0], Event::Paused { limit: paused, during } if &**paused == limit && during.as_secs() == 30)
    );
    assert!(
        matches!(&told[1], Event::Refused { status, request, limit: refused, cause: RefusalCause::WithinKnownLimits, .. }
            if *status == 429 && &**request == "GET https://api.example.com/v1/stats/opens" && &**refused == limit),
        "{told:?}"
    );
    assert!(matches!(&told[2], Event::Waiting { limit: waits, ahead: 0, .. } if &**waits == limit), "{told:?}");
    assert!(matches!(&told[3], Event::Granted { waited, .. } if waited.as_secs() == 30), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn several_clients_share_one_throttle_and_its_pause() {
    let service = Counting::default();
    let throttle = Throttle::new();
    let client = || builder(&service).throttle(&throttle).limit(Limit::per_second(2)).build().unwrap();
    let clients = [client(), client(), client()];
    join_all((0..12).map(|number| get(&clients[number % 3], "x"))).await;
    assert_eq!((service.densest(Duration::from_secs(1)), service.arrived()), (2, 12));
}

#[test]
fn a_limit_that_admits_nothing_is_refused() {
    for limit in [
        Limit::per_second(0),
        Limit::per(1, Duration::ZERO),
        Limit::per(1, Duration::MAX),
        Limit::per_second(1).and_per(1, Duration::ZERO),
    ] {
        let error = Client::builder("https://api.example.com").limit(limit).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
    }
}

/// Begins a caller so many milliseconds after the first.
async fn later<F: Future>(millis: u64, caller: F) -> F::Output {
    tokio::time::sleep(Duration::from_millis(millis)).await;
    caller.await
}

#[test]
fn a_runtime_that_lives_and_is_not_run_stalls_nobody() {
    let service = Counting::default();
    let client = builder(&service).limit(Limit::per(1, Duration::from_millis(300))).build().unwrap();
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (idle, other) = (runtime(), runtime());
    // It stands first in the queue for good: only a timer that runs passes it over.
    let mut asleep: Pin<Box<dyn Future<Output = _>>> = Box::pin(get(&client, "asleep"));
    idle.block_on(async {
        get(&client, "a").await.unwrap();
        // The timer is made here, and then nobody runs it.
        assert!(tokio::time::timeout(Duration::from_millis(20), asleep.as_mut()).await.is_err());
    });
    other.block_on(async {
        for path in ["c", "d"] {
            tokio::time::timeout(Duration::from_secs(30), get(&client, path)).await.expect("woken").unwrap();
        }
    });
    drop(idle);
}
