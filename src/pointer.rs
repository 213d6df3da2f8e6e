//! Source: where in an answer a value stands; Template: how a URL is made from one.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::message::Reply;

/// Where in an answer a value stands: a JSON pointer (RFC 6901) into the body, or a header.
///
/// Written `/status/state` or `header:Location`, also in serialized form. A member that is not there as written is
/// looked for without regard to case, because services differ from their own documents; a part `*` stands for every
/// element of an array or object.
///
/// ```
/// use longhaul::Source;
///
/// let result: Source = "/deliveredFiles/*".parse()?;
/// assert_eq!(result, Source::pointer("/deliveredFiles/*"));
/// assert_eq!(Source::header("Location").to_string(), "header:location");
/// # Ok::<(), longhaul::SourceError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Source(Kind);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Header(Cow<'static, str>),
    Pointer(Cow<'static, str>),
}

impl Source {
    /// A header, by its name in lower case.
    #[must_use]
    pub fn header(name: &str) -> Self {
        Self(Kind::Header(Cow::Owned(name.to_ascii_lowercase())))
    }

    /// A JSON pointer into the body. One that does not begin with `/` gets one.
    #[must_use]
    pub fn pointer(pointer: &str) -> Self {
        let slash = if pointer.starts_with('/') { "" } else { "/" };
        Self(Kind::Pointer(Cow::Owned(format!("{slash}{pointer}"))))
    }

    /// Every value at this place: JSON null, missing members and empty texts are none.
    pub(crate) fn values<'a>(&self, reply: &'a Reply, body: Option<&'a Value>) -> Vec<Cow<'a, Value>> {
        match &self.0 {
            Kind::Header(name) => match reply.header(name) {
                Some(text) => vec![Cow::Owned(Value::from(text.into_owned()))],
                None => Vec::new(),
            },
            Kind::Pointer(pointer) => {
                let mut found = Vec::new();
                if let Some(body) = body {
                    let parts: Vec<&str> = pointer.strip_prefix('/').unwrap_or(pointer).split('/').collect();
                    gather(body, &parts, &mut found);
                }
                found.into_iter().map(Cow::Borrowed).collect()
            }
        }
    }

    /// The first value at this place.
    pub(crate) fn value<'a>(&self, reply: &'a Reply, body: Option<&'a Value>) -> Option<Cow<'a, Value>> {
        self.values(reply, body).into_iter().next()
    }

    /// The first value as text; numbers and bools are written out.
    pub(crate) fn text(&self, reply: &Reply, body: Option<&Value>) -> Option<String> {
        self.value(reply, body).and_then(|value| text(&value))
    }

    pub(crate) const fn is_header(&self) -> bool {
        matches!(self.0, Kind::Header(_))
    }

    /// Whether it is a pointer that ends so.
    pub(crate) fn ends_with(&self, end: &str) -> bool {
        matches!(&self.0, Kind::Pointer(pointer) if pointer.ends_with(end))
    }

    /// The name of the header, in lower case.
    pub(crate) fn header_name(&self) -> Option<&str> {
        match &self.0 {
            Kind::Header(name) => Some(name),
            Kind::Pointer(_) => None,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Header(name) => write!(f, "header:{name}"),
            Kind::Pointer(pointer) => f.write_str(pointer),
        }
    }
}

impl FromStr for Source {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        match text.strip_prefix("header:") {
            Some(name) if http::HeaderName::from_str(name.trim()).is_ok() => Ok(Self::header(name.trim())),
            Some(_) => Err(SourceError(text.to_owned())),
            None if text.starts_with('/') => Ok(Self::pointer(text)),
            None => Err(SourceError(text.to_owned())),
        }
    }
}

impl TryFrom<String> for Source {
    type Error = SourceError;

    fn try_from(text: String) -> Result<Self, SourceError> {
        text.parse()
    }
}

impl From<Source> for String {
    fn from(source: Source) -> Self {
        source.to_string()
    }
}

/// A text that names no place in an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither a JSON pointer such as `/status` nor a header such as `header:Location`")]
pub struct SourceError(String);

/// Puts `id` into a template: `{id}` as one path segment, percent-encoded; `{+id}` as several (RFC 6570), each of them
/// encoded, and without the slashes before the first.
pub(crate) fn expand(template: &str, id: &str) -> String {
    let segments: Vec<_> = id.trim_start_matches('/').split('/').map(segment).collect();
    template.replace("{id}", &segment(id)).replace("{+id}", &segments.join("/"))
}

/// Whether [`expand`] had to bend an id, so that it stays below its template.
pub(crate) fn is_bent(id: &str) -> bool {
    id.starts_with('/') || id.split('/').any(|segment| matches!(segment, "." | ".."))
}

/// A text as one segment of a path.
fn segment(text: &str) -> String {
    match text {
        // A segment of dots alone would lead out of its folder, encoded or not.
        "." | ".." => text.replace('.', "%252E"),
        text => utf8_percent_encode(text, SEGMENT).to_string(),
    }
}

/// A scalar as text.
pub(crate) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn gather<'a>(value: &'a Value, parts: &[&str], found: &mut Vec<&'a Value>) {
    let Some((part, rest)) = parts.split_first() else {
        let absent = value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty());
        if !absent {
            found.push(value);
        }
        return;
    };
    match (value, *part) {
        (Value::Array(items), "*") => items.iter().for_each(|item| gather(item, rest, found)),
        (Value::Object(members), "*") => members.values().for_each(|item| gather(item, rest, found)),
        (Value::Array(items), index) => {
            if let Some(item) = index.parse().ok().and_then(|index: usize| items.get(index)) {
                gather(item, rest, found);
            }
        }
        (Value::Object(members), name) => {
            let name = name.replace("~1", "/").replace("~0", "~");
            let in_any_case = || members.iter().find(|(other, _)| other.eq_ignore_ascii_case(&name));
            if let Some(member) = members.get(&name).or_else(|| in_any_case().map(|(_, member)| member)) {
                gather(member, rest, found);
            }
        }
        _ => {}
    }
}

/// RFC 3986 unreserved characters stay.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode};
    use serde_json::json;

    use super::*;

    #[test]
    fn finds_values_by_pointer_and_header() {
        let body = json!({
            "status": {"state": "Done"}, "TaskUid": "t1", "n": 7, "none": null, "empty": " ",
            "files": [{"url": "a"}, {"url": null}, {"url": "b"}], "a/b": {"~c": true}, "e\u{301}": 1,
        });
        let headers: HeaderMap = [("location".parse().unwrap(), " /x ".parse().unwrap())].into_iter().collect();
        let reply = Reply::new(StatusCode::OK, "https://a.example".parse().unwrap(), headers, "");
        let cases: &[(&str, &[&str])] = &[
            ("/status/state", &["Done"]),
            ("/STATUS/State", &["Done"]),
            ("/taskUid", &["t1"]),
            ("/n", &["7"]),
            ("/none", &[]),
            ("/empty", &[]),
            ("/missing/member", &[]),
            ("/n/deeper", &[]),
            ("/files/*/url", &["a", "b"]),
            ("/files/2/url", &["b"]),
            ("/files/-1/url", &[]),
            ("/files/99999999999999999999/url", &[]),
            ("/a~1b/~0c", &["true"]),
            ("/é", &[]),
            ("header:Location", &["/x"]),
            ("header:missing", &[]),
        ];
        for (source, expected) in cases {
            let source: Source = source.parse().unwrap();
            let found: Vec<_> = source.values(&reply, Some(&body)).iter().filter_map(|value| text(value)).collect();
            assert_eq!(&found, expected, "{source}");
        }
        assert_eq!(Source::pointer("/status").text(&reply, Some(&body)), None, "an object is no text");
    }

    #[test]
    fn is_text_when_serialized_and_refuses_what_is_no_place() {
        for text in ["/a/*/b", "header:retry-after"] {
            let source: Source = serde_json::from_value(json!(text)).unwrap();
            assert_eq!(serde_json::to_value(&source).unwrap(), json!(text));
        }
        for text in ["status", "", "header:", "header:a b"] {
            assert!(text.parse::<Source>().unwrap_err().to_string().contains(text));
        }
    }

    #[test]
    fn an_id_cannot_leave_its_segment() {
        assert_eq!(expand("jobs/{id}/x", "../a?b#c"), "jobs/..%2Fa%3Fb%23c/x");
        for (id, filled) in [
            ("operations/7", "v1/operations/7"),
            ("projects/x/operations/7", "v1/projects/x/operations/7"),
            ("../../users/me", "v1/%252E%252E/%252E%252E/users/me"),
            ("//evil.example/x", "v1/evil.example/x"),
            ("a/./b//c", "v1/a/%252E/b//c"),
            ("%2e%2e/x", "v1/%252e%252e/x"),
            ("a\\..\\b?c#d", "v1/a%5C..%5Cb%3Fc%23d"),
        ] {
            assert_eq!(expand("v1/{+id}", id), filled, "{id}");
        }
        for dots in [".", ".."] {
            let base = url::Url::parse("https://a.example/v1/").unwrap();
            let url = base.join(&expand("jobs/{id}/x", dots)).unwrap();
            assert!(url.path().starts_with("/v1/jobs/%25"), "{url}");
        }
    }
}
