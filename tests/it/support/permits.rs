//! Permits taken by hand.

use http::{HeaderMap, Method};
use longhaul::Throttle;
use longhaul::limits::{Permit, Priority, RequestKey};

use super::headers;

/// The keys of a request to this path at `host`.example.com.
pub(crate) fn keys(host: &str, method: &Method, path: &str) -> RequestKey {
    RequestKey::request(method, &format!("https://{host}.example.com{path}").parse().unwrap())
}

/// A request that goes at once, and is on its way.
pub(crate) fn send(throttle: &Throttle, keys: &RequestKey) -> Option<Permit> {
    let mut permit = throttle.try_acquire(Priority::Call, keys)?;
    permit.sent();
    Some(permit)
}

/// Whether a request goes at once; it is answered at once.
pub(crate) fn passes(throttle: &Throttle, keys: &RequestKey) -> bool {
    send(throttle, keys).map(|mut permit| permit.answered()).is_some()
}

/// `X-RateLimit-*`, with the seconds to the reset.
pub(crate) fn left(limit: u32, remaining: u32, reset: u32) -> HeaderMap {
    headers(&[
        ("x-ratelimit-limit", &limit.to_string()),
        ("x-ratelimit-remaining", &remaining.to_string()),
        ("x-ratelimit-reset", &reset.to_string()),
    ])
}
