//! What services say of failures: code, message, correlation id, in the shapes that were seen.

use serde_json::Value;

use super::Protocol;
use crate::error::Fault;
use crate::message::{Reply, without_bom};
use crate::pointer::{Source, text};

/// Reads a failure as the common shapes have it; the raw body is always kept.
pub(crate) fn read_common(reply: &Reply, body: Option<&Value>) -> Fault {
    gather(&[], &[], reply, body)
}

/// Reads a failure; the protocol's own places come first.
pub(super) fn read(protocol: &Protocol, reply: &Reply, body: Option<&Value>) -> Fault {
    gather(&protocol.error_code, &protocol.error_message, reply, body)
}

fn gather(codes: &[Source], messages: &[Source], reply: &Reply, body: Option<&Value>) -> Fault {
    let mut fault = Fault::new(reply.body().clone());
    let find = |places: &[&str]| {
        places.iter().find_map(|place| {
            let value = Source::pointer(place).value(reply, body)?;
            text(&value)
        })
    };
    let own = |places: &[Source]| places.iter().find_map(|place| place.text(reply, body));
    // A code that only says the HTTP status again says nothing.
    let in_header = || reply.header("x-ms-error-code").map(str::to_owned);
    let code = own(codes)
        .or_else(|| find(CODES))
        .or_else(in_header)
        .filter(|code| *code != reply.status().as_u16().to_string());
    if let Some(code) = code {
        fault = fault.with_code(code);
    }
    if let Some(message) = own(messages).or_else(|| find(MESSAGES)) {
        fault = fault.with_message(message);
    } else if body.is_none() && (reply.is_whole() || reply.status().as_u16() >= 400) {
        // Plain text of a gateway, or what came of an error before it broke off; a page of HTML says nothing in one line.
        let plain = String::from_utf8_lossy(without_bom(reply.body()));
        let plain = plain.trim();
        if !plain.is_empty() && !plain.starts_with('<') {
            fault = fault.with_message(plain.chars().take(300).collect::<String>());
        }
    }
    let id = CORRELATION_HEADERS.iter().find_map(|name| reply.header(name).map(str::to_owned));
    if let Some(id) = id.or_else(|| find(CORRELATION_IDS)) {
        fault = fault.with_correlation_id(id);
    }
    fault
}

/// Whether the body reports an error, beside whatever word it has.
pub(super) fn has_error(reply: &Reply, body: Option<&Value>) -> bool {
    Source::pointer("/error").value(reply, body).is_some_and(|error| is_error(&error))
}

/// What the body says of an error in a member that is named for one, in words: for an answer that counts as success all
/// the same. A count of none is none.
pub(super) fn beside_success(protocol: &Protocol, reply: &Reply, body: Option<&Value>) -> Option<String> {
    let holds_one = |name: &&str| {
        let value = Source::pointer(name).value(reply, body);
        value.is_some_and(|value| is_error(&value) && value.as_f64() != Some(0.0))
    };
    let name = ["error", "errors"].into_iter().find(holds_one)?;
    let fault = read(protocol, reply, body);
    let said: String = fault.message().or(fault.code()).unwrap_or_default().chars().take(200).collect();
    Some(if said.is_empty() { format!("`{name}`") } else { format!("`{name}`: {said}") })
}

fn is_error(value: &Value) -> bool {
    match value {
        Value::Bool(failed) => *failed,
        Value::Object(members) => !members.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => true,
    }
}

const CODES: &[&str] = &[
    "/error/code",
    "/error/status",
    "/errors/0/code",
    "/errors/0/error_key",
    "/properties/error/code",
    "/0/error_key",
    "/0/errorCode",
    "/0/code",
    "/error_key",
    "/errorCode",
    "/code",
    "/statusCode",
    "/exceptionType",
    "/issue/0/code",
    "/type",
];
const MESSAGES: &[&str] = &[
    "/error/message",
    "/error/description",
    "/errors/0/message",
    "/errors/0/error_message",
    "/errors/0",
    "/properties/error/message",
    "/0/error_message",
    "/0/message",
    "/error_description",
    "/error_message",
    "/errorMessage",
    "/exceptionMessage",
    "/issue/0/diagnostics",
    "/detail",
    "/message",
    "/title",
    "/error",
    "/activity_errors/0",
];
const CORRELATION_HEADERS: &[&str] = &[
    "x-correlation-id",
    "x-ms-correlation-request-id",
    "x-ms-request-id",
    "x-request-id",
    "request-id",
    "inin-correlation-id",
];
const CORRELATION_IDS: &[&str] =
    &["/correlationId", "/contextId", "/requestId", "/error/innerError/request-id", "/traceId"];

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode};

    use super::*;

    #[test]
    fn reads_the_shapes_of_services() {
        for (body, code, message, id) in [
            (r#"{"error":{"code":"C","message":"M"}}"#, Some("C"), Some("M"), None),
            (r#"{"error":"invalid_request","error_description":"M"}"#, None, Some("M"), None),
            (r#"[{"error_key":"C","error_message":"M"}]"#, Some("C"), Some("M"), None),
            (r#"{"message":"M","code":"C","contextId":"I"}"#, Some("C"), Some("M"), Some("I")),
            (r#"{"statusCode":429,"message":"M"}"#, Some("429"), Some("M"), None),
            (r#"{"type":"T","title":"t","detail":"M"}"#, Some("T"), Some("M"), None),
            (r#"{"errors":["M"]}"#, None, Some("M"), None),
            (r#"{"Error":{"Code":"C","Message":"M"},"CorrelationId":"I"}"#, Some("C"), Some("M"), Some("I")),
            ("upstream timed out", None, Some("upstream timed out"), None),
            ("<html>no</html>", None, None, None),
            ("null", None, None, None),
            ("", None, None, None),
        ] {
            let url = "https://a.example".parse().unwrap();
            let reply = Reply::new(StatusCode::BAD_REQUEST, url, HeaderMap::new(), body);
            let fault = read_common(&reply, reply.json().as_ref());
            assert_eq!((fault.code(), fault.message(), fault.correlation_id()), (code, message, id), "{body}");
            assert_eq!(fault.body(), body.as_bytes());
        }
    }
}
