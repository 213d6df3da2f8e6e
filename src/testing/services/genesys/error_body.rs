//! ErrorBody: the JSON of all errors of the service.

use std::time::Duration;

use http::StatusCode;
use http::header::RETRY_AFTER;
use serde_json::{Value, json};

use super::super::answer::Answer;
use crate::testing::simulator::uid;

pub(super) fn error(status: StatusCode, code: &str, message: &str) -> Answer {
    Answer::json(status, &body(status, code, message))
}

/// Returns a refusal that names the limit it exceeds, and how long it asks to wait if it does.
pub(super) fn throttled(message: &str, limit: (&str, u32), retry_after: Option<Duration>) -> Answer {
    let mut body = body(StatusCode::TOO_MANY_REQUESTS, "too.many.requests.retry.after", message);
    let (key, value) = limit;
    if let Some(body) = body.as_object_mut() {
        body.insert("limit".to_owned(), json!({ "key": key, "value": value.to_string() }));
    }
    let answer = Answer::json(StatusCode::TOO_MANY_REQUESTS, &body);
    match retry_after {
        Some(wait) => answer.header(RETRY_AFTER, &seconds(wait).to_string()),
        None => answer,
    }
}

/// Returns the code that the service gives to errors of this status.
pub(super) const fn code(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "bad.credentials",
        403 => "missing.any.permissions",
        404 => "not.found",
        405 => "method.not.allowed",
        429 => "too.many.requests.retry.after",
        503 => "service.unavailable",
        504 => "gateway.timeout",
        500..=599 => "internal.server.error",
        _ => "bad.request",
    }
}

/// Rounds up to whole seconds: the service's headers have no finer unit.
pub(super) fn seconds(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0))
}

fn body(status: StatusCode, code: &str, message: &str) -> Value {
    json!({
        "message": message,
        "code": code,
        "status": status.as_u16(),
        "contextId": uid(),
        "details": [],
        "errors": [],
    })
}
