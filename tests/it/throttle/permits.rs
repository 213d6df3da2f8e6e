//! Permits taken by hand: what counts, who waits and for how long, what answers tell.

mod budgets;
mod counting;
mod deadlines;
mod pauses;
mod shared;
mod starving;
mod waiting;

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use longhaul::{Class, Keys, Permit, Throttle};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86400);

/// A GET of this path, at the host that most tests use.
fn get(path: &str) -> Keys {
    get_at("api", path)
}

fn get_at(host: &str, path: &str) -> Keys {
    Keys::request(&Method::GET, &format!("https://{host}.example.com{path}").parse().unwrap())
}

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap()))
        .collect()
}

/// `X-RateLimit-*`, with the seconds to the reset.
fn left(limit: u32, remaining: u32, reset: u32) -> HeaderMap {
    headers(&[
        ("x-ratelimit-limit", &limit.to_string()),
        ("x-ratelimit-remaining", &remaining.to_string()),
        ("x-ratelimit-reset", &reset.to_string()),
    ])
}

/// One that goes at once, and is on its way.
fn send(throttle: &Throttle, keys: &Keys) -> Option<Permit> {
    let mut permit = throttle.try_acquire(Class::Call, keys)?;
    permit.sent();
    Some(permit)
}

/// Whether one goes at once; it is answered at once.
fn passes(throttle: &Throttle, keys: &Keys) -> bool {
    send(throttle, keys).map(|mut permit| permit.answered()).is_some()
}

/// How many of so many go at once, each answered at once.
fn how_many_pass(most: usize, throttle: &Throttle, keys: &Keys) -> usize {
    (0..most).filter(|_| passes(throttle, keys)).count()
}

/// One that goes at once, and is answered so.
fn hears(throttle: &Throttle, keys: &Keys, headers: &HeaderMap) {
    send(throttle, keys).expect("it goes at once").heard(StatusCode::OK, headers);
}

/// Waits for its turn; it is answered at once.
async fn goes(throttle: &Throttle, keys: &Keys) {
    throttle.acquire(Class::Call, keys).await.unwrap().answered();
}
