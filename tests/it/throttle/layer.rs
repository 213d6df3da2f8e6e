//! The throttle around a tower service of somebody else.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::{FutureExt, join_all};
use http_body_util::{BodyExt, Full};
use longhaul::limits::{Priority, RequestKey, ThrottleLayer};
use longhaul::{Limit, Throttle};
use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

/// Answers at once, the first time with a refusal, and remembers when it was asked.
#[derive(Clone)]
struct Inner {
    seen: Arc<Mutex<Vec<Instant>>>,
    refuses: bool,
}

impl Service<http::Request<String>> for Inner {
    type Response = http::Response<Full<bytes::Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Request<String>) -> Self::Future {
        let mut seen = self.seen.lock().unwrap();
        seen.push(Instant::now());
        let first = seen.len() == 1 && self.refuses;
        let response = http::Response::builder().status(if first { 429 } else { 200 }).header("retry-after", "30");
        ready(Ok(response.body(Full::from("0123456789")).unwrap()))
    }
}

fn request() -> http::Request<String> {
    http::Request::get("https://api.example.com/farms").body("12345".to_owned()).unwrap()
}

fn inner(refuses: bool) -> Inner {
    Inner { seen: Arc::default(), refuses }
}

#[tokio::test(start_paused = true)]
async fn keeps_a_limit_and_hears_a_refusal() {
    let (throttle, inner, begun) = (Throttle::new(), inner(true), Instant::now());
    throttle.add_limit(Limit::per_second(2)).unwrap();
    let service = ThrottleLayer::new(&throttle).priority(Priority::Batch).layer(inner.clone());
    assert_eq!(service.clone().call(request()).await.unwrap().status(), 429);
    join_all((0..5).map(|_| service.clone().call(request()))).await;
    let at: Vec<_> = inner.seen.lock().unwrap().iter().map(|at| (*at - begun).as_secs()).collect();
    assert_eq!(at, [0, 30, 30, 31, 31, 32], "one probe, and then two a second");
}

#[tokio::test(start_paused = true)]
async fn is_ready_at_once_and_gives_its_place_up_when_it_is_dropped() {
    let throttle = Throttle::new();
    throttle.add_limit(Limit::per_second(1)).unwrap();
    let mut service = ThrottleLayer::new(&throttle).layer(inner(false));
    service.call(request()).await.unwrap();
    assert!(futures::future::poll_fn(|cx| service.poll_ready(cx)).now_or_never().is_some());
    let waiting = service.call(request());
    assert!(tokio::time::timeout(Duration::from_millis(10), waiting).await.is_err());
    assert_eq!(throttle.explain(Priority::Call, &RequestKey::new()).ahead(), 0);
}

#[tokio::test(start_paused = true)]
async fn holds_its_permit_to_the_end_of_the_body_where_that_counts() {
    let throttle = Throttle::new();
    throttle.add_limit(Limit::concurrent(1).and_bytes_per(100, Duration::from_secs(60))).unwrap();
    let mut service = ThrottleLayer::new(&throttle).layer(inner(false));
    for _ in 0..6 {
        let response = service.call(request()).await.unwrap();
        assert!(throttle.try_acquire(Priority::Call, &RequestKey::new()).is_none(), "its body is not read yet");
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes().len(), 10);
    }
    let one = throttle.try_acquire(Priority::Call, &RequestKey::new());
    assert!(one.is_some(), "90 bytes of 100, and none on its way");
    drop(one);
    drop(service.call(request()).await.unwrap());
    let explained = throttle.explain(Priority::Call, &RequestKey::new()).to_string();
    assert!(explained.contains("100 bytes per 60s of all accounts: 95 % used"), "{explained}");
}
