//! How services describe failures: code, message, correlation id, in the shapes seen in the field.

use std::borrow::Cow;

use serde_json::Value;

use super::rules::Rules;
use crate::error::Fault;
use crate::message::{Reply, without_bom};
use crate::pointer::Source;

/// Parses a failure in the common shapes; the raw body is always kept.
pub(crate) fn parse_common(reply: &Reply, body: Option<&Value>) -> Fault {
    gather(&[], &[], reply, body)
}

/// Parses a failure; the protocol's own places come first.
pub(super) fn parse(rules: &Rules, reply: &Reply, body: Option<&Value>) -> Fault {
    gather(&rules.error_code, &rules.error_message, reply, body)
}

fn gather(codes: &[Source], messages: &[Source], reply: &Reply, body: Option<&Value>) -> Fault {
    let mut fault = Fault::new(reply.body().clone());
    let find = |places: &[&str]| {
        places.iter().find_map(|place| {
            // A numeric code may have more digits than a float holds.
            Source::pointer(place).exact_text(reply, body)
        })
    };
    let own = |places: &[Source]| places.iter().find_map(|place| place.exact_text(reply, body));
    // A code that only repeats the HTTP status adds nothing.
    let in_header = || reply.header("x-ms-error-code").map(Cow::into_owned);
    // The type of a problem (RFC 9457); without the words of a problem, a `type` tells what the document is.
    let of_problem = || find(&["/title", "/detail"]).and_then(|_| find(&["/type"]));
    let code = own(codes)
        .or_else(|| find(CODES))
        .or_else(of_problem)
        .or_else(in_header)
        .filter(|code| *code != reply.status().as_u16().to_string());
    if let Some(code) = code {
        fault = fault.with_code(code);
    }
    if let Some(message) = own(messages).or_else(|| find(MESSAGES)) {
        fault = fault.with_message(message);
    } else if body.is_none() && wants_tls(reply) {
        fault = fault.with_message("the port wants TLS: write https:// in place of http://");
    } else if body.is_none()
        && let Some(text) = plain_words(reply)
    {
        fault = fault.with_message(text);
    }
    let id = CORRELATION_HEADERS.iter().find_map(|name| reply.header(name).map(Cow::into_owned));
    if let Some(id) = id.or_else(|| find(CORRELATION_IDS)) {
        fault = fault.with_correlation_id(id);
    }
    fault
}

/// Returns the plain text of a gateway, shortened. A page of HTML has no meaning in one line, and a broken document
/// means nothing to people unless it came with a refusal.
fn plain_words(reply: &Reply) -> Option<String> {
    let is_document = reply.media_type().is_json() && reply.status().as_u16() < 400;
    if is_document || reply.headers().contains_key(http::header::CONTENT_ENCODING) {
        return None;
    }
    let text = std::str::from_utf8(without_bom(reply.body())).ok()?.trim();
    let is_text = |c: char| !c.is_control() || c.is_whitespace();
    let says = !text.is_empty() && !text.starts_with('<') && text.chars().all(is_text);
    says.then(|| text.chars().take(300).collect())
}

/// Returns whether a server states, in a text or a page, that it received plain HTTP and requires TLS: nginx, Apache,
/// Go, Tomcat.
fn wants_tls(reply: &Reply) -> bool {
    if reply.url().scheme() != "http" || !reply.status().is_client_error() {
        return false;
    }
    let text = String::from_utf8_lossy(reply.body()).to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    has(&["https", "ssl-enabled", "tls"]) && has(&["plain http", "http request", "requires tls"])
}

/// Returns whether the body reports an error, whatever its word is.
pub(super) fn has_error(reply: &Reply, body: Option<&Value>) -> bool {
    Source::pointer("/error").value(reply, body).is_some_and(|error| is_error(&error))
}

/// Describes an error that the body reports in a member named for one, for an answer that counts as success
/// nevertheless. A count of zero is no error.
pub(super) fn beside_success(rules: &Rules, reply: &Reply, body: Option<&Value>) -> Option<String> {
    let holds_one = |name: &&str| {
        let value = Source::pointer(name).value(reply, body);
        value.is_some_and(|value| is_error(&value))
    };
    let name = ["error", "errors"].into_iter().find(holds_one)?;
    let fault = parse(rules, reply, body);
    let said: String = fault.message().or(fault.code()).unwrap_or_default().chars().take(200).collect();
    Some(if said.is_empty() { format!("`{name}`") } else { format!("`{name}`: {said}") })
}

fn is_error(value: &Value) -> bool {
    match value {
        Value::Bool(failed) => *failed,
        Value::Number(code) => code.as_f64() != Some(0.0),
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
    fn a_server_that_wants_tls_is_understood_in_the_words_of_each() {
        let nginx = "<html><title>400 The plain HTTP request was sent to HTTPS port</title></html>";
        let apache = "<p>Reason: You're speaking plain HTTP to an SSL-enabled server port.<br />";
        for (base, status, body, wants) in [
            ("http://a.example", 400, nginx, true),
            ("http://a.example", 497, nginx, true),
            ("http://a.example", 400, apache, true),
            ("http://a.example", 400, "Client sent an HTTP request to an HTTPS server.\n", true),
            ("http://a.example", 400, "Bad Request\nThis combination of host and port requires TLS.", true),
            ("https://a.example", 400, nginx, false),
            ("http://a.example", 502, nginx, false),
            ("http://a.example", 400, "<p>see https://help.example</p>", false),
            ("http://a.example", 400, "{\"message\": \"an HTTP request without https is refused\"}", false),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let reply = Reply::new(status, base.parse().unwrap(), HeaderMap::new(), body);
            let fault = parse_common(&reply, reply.json().as_ref());
            let told = fault.message().is_some_and(|message| message.contains("write https:// in place of http://"));
            assert_eq!(told, wants, "{base} {status} {body}");
        }
    }

    #[test]
    fn reads_the_shapes_of_services() {
        for (body, code, message, id) in [
            (r#"{"error":{"code":"C","message":"M"}}"#, Some("C"), Some("M"), None),
            (r#"{"error":"invalid_request","error_description":"M"}"#, None, Some("M"), None),
            (r#"[{"error_key":"C","error_message":"M"}]"#, Some("C"), Some("M"), None),
            (r#"{"message":"M","code":"C","contextId":"I"}"#, Some("C"), Some("M"), Some("I")),
            (r#"{"statusCode":429,"message":"M"}"#, Some("429"), Some("M"), None),
            (r#"{"type":"T","title":"t","detail":"M"}"#, Some("T"), Some("M"), None),
            (r#"{"jobID":"7","type":"process","status":"failed","message":"M"}"#, None, Some("M"), None),
            (r#"{"errors":["M"]}"#, None, Some("M"), None),
            (r#"{"Error":{"Code":"C","Message":"M"},"CorrelationId":"I"}"#, Some("C"), Some("M"), Some("I")),
            ("upstream timed out", None, Some("upstream timed out"), None),
            ("<html>no</html>", None, None, None),
            ("null", None, None, None),
            ("", None, None, None),
        ] {
            let url = "https://a.example".parse().unwrap();
            let reply = Reply::new(StatusCode::BAD_REQUEST, url, HeaderMap::new(), body);
            let fault = parse_common(&reply, reply.json().as_ref());
            assert_eq!((fault.code(), fault.message(), fault.correlation_id()), (code, message, id), "{body}");
            assert_eq!(fault.body(), body.as_bytes());
        }
    }
}
