//! Answers of the API: JSON, in the style of Azure API Management.

use std::time::Duration;

use http::header::{ALLOW, CONTENT_TYPE, LOCATION, RETRY_AFTER, WARNING, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};

use super::access::Denied;
use super::knobs::RefusalHint;
use crate::testing::server::Body;

#[derive(Clone, Debug)]
pub(super) struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
    wait: Option<Duration>,
}

impl Answer {
    pub(super) fn new(status: StatusCode, body: Value) -> Self {
        Self { status, headers: HeaderMap::new(), body, wait: None }
    }

    pub(super) fn error(status: StatusCode, message: &str) -> Self {
        Self::new(status, json!({ "statusCode": status.as_u16(), "message": message }))
    }

    /// Returns the refusal by a limit that stays closed for this long.
    pub(super) fn throttled(shut: Duration, hint: RefusalHint) -> Self {
        let seconds = shut.as_secs().saturating_add(u64::from(shut.subsec_nanos() > 0));
        let message = format!("Rate limit is exceeded. Try again in {seconds} seconds.");
        let mut answer = Self::error(StatusCode::TOO_MANY_REQUESTS, &message);
        if matches!(hint, RefusalHint::Body | RefusalHint::HeaderAndBody) {
            answer.wait = Some(shut);
            if let Some(body) = answer.body.as_object_mut() {
                body.insert("RetryAfter".to_owned(), json!(millis(shut)));
            }
        }
        match hint {
            RefusalHint::Header | RefusalHint::HeaderAndBody => answer.retry_after(Duration::from_secs(seconds)),
            RefusalHint::Body | RefusalHint::Absent => answer,
        }
    }

    /// Warns that the soft cap of the month is exceeded (RFC 7234, 5.5).
    pub(super) fn warned(self) -> Self {
        self.header(WARNING, "299 - \"The number of calls of this month is exceeded\"")
    }

    pub(super) fn denied(denied: Denied) -> Self {
        Self::error(StatusCode::UNAUTHORIZED, denied.message).header(WWW_AUTHENTICATE, denied.challenge)
    }

    pub(super) fn disallowed(allowed: &str) -> Self {
        Self::error(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed.").header(ALLOW, allowed)
    }

    pub(super) fn location(self, url: &str) -> Self {
        self.header(LOCATION, url)
    }

    pub(super) fn retry_after(mut self, wait: Duration) -> Self {
        self.wait = Some(wait);
        self.header(RETRY_AFTER, &seconds(wait))
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the length of the body in bytes.
    pub(super) fn length(&self) -> usize {
        self.body.to_string().len()
    }

    pub(super) fn asked_to_wait(&self) -> Option<Duration> {
        self.wait
    }

    pub(super) fn into_response(self, correlation_id: &str) -> Response<Body> {
        let described =
            self.header(CONTENT_TYPE, "application/json; charset=utf-8").header(CORRELATION_ID, correlation_id);
        let text = described.body.to_string();
        let body = Full::from(text).map_err(|never| match never {}).boxed_unsync();
        let mut response = Response::new(body);
        *response.status_mut() = described.status;
        *response.headers_mut() = described.headers;
        response
    }

    pub(super) fn header(mut self, name: HeaderName, value: &str) -> Self {
        // All written values are visible ASCII, so this always holds.
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }
}

/// Rounds up to milliseconds.
pub(super) fn millis(wait: Duration) -> u64 {
    u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// Formats whole seconds as an integer, and others with as many decimals as needed.
pub(super) fn seconds(wait: Duration) -> String {
    let (whole, nanos) = (wait.as_secs(), wait.subsec_nanos());
    if nanos == 0 {
        return whole.to_string();
    }
    let text = format!("{whole}.{nanos:09}");
    text.trim_end_matches('0').to_owned()
}

const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_seconds_as_short_as_they_can_be() {
        let table = [(0, "0"), (200, "0.2"), (1_000, "1"), (1_250, "1.25"), (60_000, "60"), (10_001, "10.001")];
        for (millis, text) in table {
            assert_eq!(seconds(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn rounds_the_wait_of_a_throttled_request_up() {
        for (millis, whole) in [(1, 1), (999, 1), (1_000, 1), (1_001, 2)] {
            let answer = Answer::throttled(Duration::from_millis(millis), RefusalHint::Header);
            assert_eq!(answer.asked_to_wait(), Some(Duration::from_secs(whole)));
            assert_eq!(answer.headers[RETRY_AFTER], whole.to_string());
            let message = format!("Rate limit is exceeded. Try again in {whole} seconds.");
            assert_eq!(answer.body, json!({ "statusCode": 429, "message": message }));
        }
    }

    #[test]
    fn states_the_wait_of_a_throttled_request_where_it_is_asked_to() {
        let wait = Duration::from_millis(1_250);
        for (hint, header, member) in [
            (RefusalHint::Header, Some("2"), None),
            (RefusalHint::Body, None, Some(1_250)),
            (RefusalHint::HeaderAndBody, Some("2"), Some(1_250)),
            (RefusalHint::Absent, None, None),
        ] {
            let answer = Answer::throttled(wait, hint);
            assert_eq!(answer.headers.get(RETRY_AFTER).map(|value| value.to_str().unwrap()), header, "{hint:?}");
            assert_eq!(answer.body.get("RetryAfter").and_then(Value::as_u64), member, "{hint:?}");
            assert_eq!(answer.body["message"], "Rate limit is exceeded. Try again in 2 seconds.");
        }
    }
}
