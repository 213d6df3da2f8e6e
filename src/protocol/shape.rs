//! Shape: classifies a document by its form, whatever its words state: a status, an error, or nothing.

use serde_json::Value;

use super::words::plain;
use crate::message::{Reply, without_bom};

/// Returns why an answer is a gap in a row of status documents, and not the result; `None` if it may be the result.
pub(super) fn gap(reply: &Reply, body: Option<&Value>) -> Option<&'static str> {
    match body {
        Some(body) if is_hollow(body) => Some("answers with an empty document"),
        Some(body) if has_empty_state(body) => Some("answers with an empty state"),
        Some(body) if has_only_an_error(body) => Some("answers with nothing but an error"),
        Some(_) => None,
        None if reply.is_whole() && reply.body().trim_ascii().is_empty() => Some("answers with nothing"),
        None if is_prose(reply) => Some("answers with a text that is no document"),
        None => None,
    }
}

/// Returns whether a member with the name of a state exists, and is empty.
fn has_empty_state(body: &Value) -> bool {
    let Some(members) = body.as_object() else { return false };
    let is_state =
        |name: &str| matches!(plain(name).as_str(), "status" | "state" | "runtimestatus" | "provisioningstate");
    members.iter().any(|(name, value)| is_state(name) && (value.is_null() || value.as_str() == Some("")))
}

/// Returns whether a document has an empty state, and otherwise only members of a status.
pub(super) fn is_unsaid(body: &Value) -> bool {
    has_empty_state(body) && is_monitor_shaped(body)
}

/// Returns whether a document has no members but those of an error.
pub(super) fn has_only_an_error(body: &Value) -> bool {
    const ERROR: [&str; 14] = [
        "error",
        "errors",
        "errorcode",
        "errormessage",
        "errordescription",
        "message",
        "code",
        "statuscode",
        "detail",
        "details",
        "title",
        "requestid",
        "traceid",
        "timestamp",
    ];
    let Some(members) = body.as_object() else { return false };
    let says_one = members.keys().any(|name| plain(name).contains("error") || plain(name) == "message");
    says_one && members.keys().all(|name| ERROR.contains(&plain(name).as_str()))
}

/// Returns whether a word is a resting state of a resource. As the state of a created resource it states nothing about
/// a task; services disagree on its meaning for a task.
pub(super) fn is_resting(word: &str) -> bool {
    matches!(plain(word).as_str(), "active" | "ready" | "available" | "ok" | "enabled" | "terminated" | "deleted")
}

/// Returns the state of a resource of Azure Resource Manager. A failed one is never a word of the result's own; and all
/// but three words mean that the resource is not finished.
pub(super) fn provisioning_state(body: &Value) -> Option<&str> {
    let of = |value: &'_ Value| value.get("provisioningState").is_some();
    let holder = if of(body) { body } else { body.get("properties").filter(|properties| of(properties))? };
    holder.get("provisioningState")?.as_str().filter(|state| !state.is_empty())
}

/// Returns whether a document has members that only a monitor has, or none that a monitor lacks.
pub(super) fn is_monitor_shaped(body: &Value) -> bool {
    const PLAIN: [&str; 10] =
        ["id", "name", "jobid", "taskid", "operationid", "status", "state", "message", "result", "links"];
    let Some(members) = body.as_object() else { return false };
    has_signs(body) || members.keys().all(|name| PLAIN.contains(&plain(name.trim_start_matches('_')).as_str()))
}

/// Returns whether a document has members that only a monitor has.
pub(super) fn has_signs(body: &Value) -> bool {
    const SIGNS: [&str; 21] = [
        "error",
        "errors",
        "percentcomplete",
        "percentagecomplete",
        "percentprogress",
        "percentdone",
        "progress",
        "resourcelocation",
        "createddatetime",
        "lastactiondatetime",
        "lastupdateddatetime",
        "createdat",
        "updatedat",
        "starttime",
        "endtime",
        "runtimestatus",
        "errormessage",
        "errorcode",
        "errordetails",
        "failurereason",
        "activityerrors",
    ];
    let Some(members) = body.as_object() else { return false };
    members.keys().any(|name| SIGNS.contains(&plain(name.trim_start_matches('_')).as_str()))
}

/// Returns whether a text is a word or a sentence of a gateway, or a broken document: an export is neither.
fn is_prose(reply: &Reply) -> bool {
    let text = without_bom(reply.body()).trim_ascii();
    reply.media_type().is_vague() && (matches!(text.first(), Some(b'{' | b'[')) || !text.contains(&b'\n'))
}

/// Returns whether a document contains nothing that could be a value.
pub(super) fn is_hollow(body: &Value) -> bool {
    match body {
        Value::Null => true,
        Value::Object(members) => members.is_empty(),
        Value::String(text) => text.trim().is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode, header};

    use super::*;

    #[test]
    fn prose_is_one_line_of_no_type() {
        for (media, body, prose) in [
            ("text/plain", &b"upstream request timeout"[..], true),
            ("", b"OK\n", true),
            ("", b"{\"a\":1}\n{\"a\"", true),
            ("", b"a;b\n1;2\n", false),
            ("text/csv", b"a", false),
        ] {
            let mut headers = HeaderMap::new();
            if !media.is_empty() {
                headers.insert(header::CONTENT_TYPE, media.parse().unwrap());
            }
            let reply = Reply::new(StatusCode::OK, "https://a.example".parse().unwrap(), headers, body);
            assert_eq!(is_prose(&reply), prose, "{media} {body:?}");
        }
    }
}
