//! Permits taken by hand: what counts, who waits and for how long, what answers tell.

mod budgets;
mod counting;
mod deadlines;
mod pauses;
mod shared;
mod starving;
mod waiting;

use http::{HeaderMap, Method, StatusCode};
use longhaul::Throttle;
use longhaul::limits::{Priority, RequestKey};

use crate::support::{DAY, HOUR, MINUTE, SECOND, headers, keys, left, passes, send};

/// A GET of this path, at the host that most tests use.
fn get(path: &str) -> RequestKey {
    get_at("api", path)
}

fn get_at(host: &str, path: &str) -> RequestKey {
    keys(host, &Method::GET, path)
}

/// How many of so many go at once, each answered at once.
fn how_many_pass(most: usize, throttle: &Throttle, keys: &RequestKey) -> usize {
    (0..most).filter(|_| passes(throttle, keys)).count()
}

/// One that goes at once, and is answered so.
fn hears(throttle: &Throttle, keys: &RequestKey, headers: &HeaderMap) {
    send(throttle, keys).expect("it goes at once").heard(StatusCode::OK, headers);
}

/// Waits for its turn; it is answered at once.
async fn goes(throttle: &Throttle, keys: &RequestKey) {
    throttle.acquire(Priority::Call, keys).await.unwrap().answered();
}
