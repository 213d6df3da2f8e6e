//! The decision whether an attempt may be repeated: a pure function.

use http::{Method, StatusCode};

use crate::message::is_transient;

/// How an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The service answered this.
    Status(StatusCode),
    /// The request provably never left.
    Unsent,
    /// No answer came, and the service may have acted.
    Lost,
}

/// Whether the attempt may be repeated. `keyed`: it carries an idempotency key.
pub(crate) fn may_retry(method: &Method, keyed: bool, failure: Failure) -> bool {
    // PUT, DELETE and the safe methods (RFC 9110, 9.2.2).
    let repeatable = method.is_idempotent() || keyed;
    match failure {
        Failure::Unsent => true,
        Failure::Lost => repeatable,
        Failure::Status(StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) => true,
        Failure::Status(status) => repeatable && is_transient(status.as_u16()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_what_may_pass_and_a_post_only_when_it_is_safe() {
        let status = |code| Failure::Status(StatusCode::from_u16(code).unwrap());
        for (failure, idempotent, post, keyed_post) in [
            (Failure::Unsent, true, true, true),
            (Failure::Lost, true, false, true),
            (status(429), true, true, true),
            (status(503), true, true, true),
            (status(408), true, false, true),
            (status(425), true, false, true),
            (status(500), true, false, true),
            (status(502), true, false, true),
            (status(504), true, false, true),
            (status(501), false, false, false),
            (status(505), false, false, false),
            (status(400), false, false, false),
            (status(401), false, false, false),
            (status(403), false, false, false),
            (status(404), false, false, false),
            (status(409), false, false, false),
            (status(410), false, false, false),
            (status(422), false, false, false),
        ] {
            for method in [Method::GET, Method::PUT, Method::DELETE, Method::HEAD] {
                assert_eq!(may_retry(&method, false, failure), idempotent, "{method} {failure:?}");
            }
            for method in [Method::POST, Method::PATCH] {
                assert_eq!(may_retry(&method, false, failure), post, "{method} {failure:?}");
                assert_eq!(may_retry(&method, true, failure), keyed_post, "{method} with a key {failure:?}");
            }
        }
    }
}
