//! Source: the place of a value in an answer.

pub(crate) mod link;
mod walk;

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::message::{Reply, without_bom};

/// The place of a value in an answer: a JSON pointer (RFC 6901) into the body, a header, a link by its relation, or the
/// whole body.
///
/// | written | the place |
/// | --- | --- |
/// | `/status/state` | a member of the JSON body |
/// | `/files/*/url` | of every element of an array or object |
/// | `header:Location` | a header |
/// | `rel:results` | the target of a link: in the header `Link` (RFC 8288), else in `links` or `_links` of the body |
/// | `body` | the whole body: a JSON text such as `"done"`, or one line of plain text such as `EXECUTING` |
///
/// The serialized form is the same text. A member that is missing as written is looked up without regard to case,
/// because services differ from their own documents.
///
/// ```
/// use longhaul::protocols::Source;
///
/// let result: Source = "/deliveredFiles/*".parse()?;
/// assert_eq!(result, Source::pointer("/deliveredFiles/*"));
/// assert_eq!(Source::header("Location").to_string(), "header:location");
/// assert_eq!(Source::rel("results").to_string(), "rel:results");
/// assert_eq!(Source::body().to_string(), "body");
/// # Ok::<(), longhaul::protocols::SourceError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Source(SourceKind);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum SourceKind {
    Header(Cow<'static, str>),
    Pointer(Cow<'static, str>),
    Rel(Cow<'static, str>),
    Body,
}

impl Source {
    /// Returns the place of a header, by its name in any case.
    #[must_use]
    pub fn header(name: &str) -> Self {
        Self(SourceKind::Header(Cow::Owned(name.to_ascii_lowercase())))
    }

    /// Returns the place of a JSON pointer into the body. The empty pointer is the [whole body](Source::body), as in
    /// RFC 6901; any other pointer that does not begin with `/` gets one.
    #[must_use]
    pub fn pointer(pointer: &str) -> Self {
        if pointer.is_empty() {
            return Self::body();
        }
        let slash = if pointer.starts_with('/') { "" } else { "/" };
        Self(SourceKind::Pointer(Cow::Owned(format!("{slash}{pointer}"))))
    }

    /// Returns the place of the whole body: its JSON value. If the body is not JSON and its Content-Type is
    /// `text/plain` or missing, the value is its text without surrounding space, of at most 100 characters. A longer
    /// text is not a word, and counts as missing.
    ///
    /// ```
    /// use longhaul::{Protocol, State};
    /// use longhaul::protocols::Source;
    ///
    /// // A status that is the word alone, as in IVOA UWS.
    /// let uws = Protocol::auto().state(Source::body()).word("HELD", State::Accepted);
    /// # let _ = uws;
    /// ```
    #[must_use]
    pub const fn body() -> Self {
        Self(SourceKind::Body)
    }

    /// Returns the place of the targets of the links of this relation: in the header `Link` (RFC 8288), else in the
    /// body, as entries of `links` with a `rel` and an `href`, or members of `_links` by the relation's name. The case
    /// of the relation does not matter.
    #[must_use]
    pub fn rel(rel: &str) -> Self {
        Self(SourceKind::Rel(Cow::Owned(rel.trim().to_ascii_lowercase())))
    }

    /// Returns every value at this place. JSON null, missing members and empty texts count as no value.
    pub(crate) fn values<'a>(&self, reply: &'a Reply, body: Option<&'a Value>) -> Vec<Cow<'a, Value>> {
        match &self.0 {
            SourceKind::Header(name) => match reply.header(name) {
                Some(text) => vec![Cow::Owned(Value::from(text.into_owned()))],
                None => Vec::new(),
            },
            SourceKind::Pointer(pointer) => {
                let mut found = Vec::new();
                if let Some(body) = body {
                    walk::values(body, &parts(pointer), &mut found);
                }
                found.into_iter().map(Cow::Borrowed).collect()
            }
            SourceKind::Rel(rel) => {
                let mut targets = link::in_headers(reply.headers(), rel);
                if let (true, Some(body)) = (targets.is_empty(), body) {
                    targets = link::in_body(body, rel);
                }
                targets.into_iter().map(|target| Cow::Owned(Value::from(target))).collect()
            }
            SourceKind::Body => match body {
                Some(body) if walk::is_absent(body) => Vec::new(),
                Some(body) => vec![Cow::Borrowed(body)],
                None => plain_word(reply).map(|word| Cow::Owned(Value::from(word))).into_iter().collect(),
            },
        }
    }

    /// Returns every value at this place as JSON text, with the digits that the service wrote.
    pub(crate) fn raw(&self, reply: &Reply) -> Vec<Bytes> {
        let walk = |parts: &[&str]| {
            let document = without_bom(reply.body());
            let found = walk::raw(document, parts).filter(|_| reply.is_whole())?;
            Some(found.into_iter().map(|text| reply.body().slice_ref(text.as_bytes())).collect())
        };
        let found = match &self.0 {
            SourceKind::Pointer(pointer) => walk(&parts(pointer)),
            SourceKind::Body => walk(&[]),
            SourceKind::Header(_) | SourceKind::Rel(_) => None,
        };
        found.unwrap_or_else(|| {
            let json = reply.json();
            let values = self.values(reply, json.as_ref());
            values.iter().filter_map(|value| serde_json::to_vec(value).ok().map(Bytes::from)).collect()
        })
    }

    /// Returns the elements of the list at this place as JSON text, JSON null included, so that each keeps its position;
    /// `None` if there is no list. The place is that of the list itself, or of its elements (`/rows/*`).
    pub(crate) fn elements(&self, reply: &Reply) -> Option<Vec<Bytes>> {
        let list = match &self.0 {
            SourceKind::Pointer(pointer) => match pointer.strip_suffix("/*") {
                Some("") => Self::body(),
                Some(list) if !list.contains('*') => Self::pointer(list),
                Some(_) | None => self.clone(),
            },
            SourceKind::Body | SourceKind::Header(_) | SourceKind::Rel(_) => self.clone(),
        };
        let text = list.raw(reply).into_iter().next()?;
        let elements: Vec<&serde_json::value::RawValue> = serde_json::from_slice(&text).ok()?;
        Some(elements.into_iter().map(|element| text.slice_ref(element.get().as_bytes())).collect())
    }

    /// Returns the text at this place of a JSON text, as [`exact_text`](Self::exact_text) does of an answer.
    pub(crate) fn text_in(&self, json: Bytes) -> Option<String> {
        // A place is read from an answer; the URL of this one is not used.
        let url = url::Url::parse("https://localhost").ok()?;
        let reply = Reply::new(http::StatusCode::OK, url, http::HeaderMap::new(), json);
        self.exact_text(&reply, reply.json().as_ref())
    }

    /// Returns the first value at this place.
    pub(crate) fn value<'a>(&self, reply: &'a Reply, body: Option<&'a Value>) -> Option<Cow<'a, Value>> {
        self.values(reply, body).into_iter().next()
    }

    /// Returns every text at this place: of a header, each of its fields (RFC 9110, 5.3), for places whose values may
    /// be usable in part.
    pub(crate) fn texts(&self, reply: &Reply, body: Option<&Value>) -> Vec<String> {
        match &self.0 {
            SourceKind::Header(name) => reply.header_fields(name).collect(),
            _ => self.values(reply, body).iter().filter_map(|value| text(value)).collect(),
        }
    }

    /// Returns the first value as text; numbers and bools are written out.
    pub(crate) fn text(&self, reply: &Reply, body: Option<&Value>) -> Option<String> {
        self.value(reply, body).and_then(|value| text(&value))
    }

    /// Returns the first value as text, with the digits of a number as the service wrote them: for ids and cursors.
    /// Otherwise as [`text`](Self::text).
    pub(crate) fn exact_text(&self, reply: &Reply, body: Option<&Value>) -> Option<String> {
        let value = self.value(reply, body)?;
        exact(&value, || self.raw(reply).into_iter().next())
    }

    /// Returns whether the whole body is the word at this place.
    pub(crate) fn is_whole_word(&self, reply: &Reply, body: Option<&Value>) -> bool {
        self.0 == SourceKind::Body && self.text(reply, body).is_some()
    }

    pub(crate) const fn is_header(&self) -> bool {
        matches!(self.0, SourceKind::Header(_))
    }

    /// Returns whether the place is a pointer with this end.
    pub(crate) fn ends_with(&self, end: &str) -> bool {
        matches!(&self.0, SourceKind::Pointer(pointer) if pointer.ends_with(end))
    }

    /// Returns whether the place may hold several values.
    pub(crate) fn is_several(&self) -> bool {
        matches!(&self.0, SourceKind::Pointer(pointer) if parts(pointer).contains(&"*"))
    }

    /// Returns an element or member below this place; the same place if it is not in the body.
    pub(crate) fn below(&self, part: &str) -> Self {
        match &self.0 {
            SourceKind::Pointer(pointer) => Self(SourceKind::Pointer(Cow::Owned(format!("{pointer}/{part}")))),
            SourceKind::Body => Self(SourceKind::Pointer(Cow::Owned(format!("/{part}")))),
            SourceKind::Header(_) | SourceKind::Rel(_) => self.clone(),
        }
    }

    /// Returns the name of the header, in lower case.
    pub(crate) fn header_name(&self) -> Option<&str> {
        match &self.0 {
            SourceKind::Header(name) => Some(name),
            SourceKind::Pointer(_) | SourceKind::Rel(_) | SourceKind::Body => None,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            SourceKind::Header(name) => write!(f, "header:{name}"),
            SourceKind::Pointer(pointer) => f.write_str(pointer),
            SourceKind::Rel(rel) => write!(f, "rel:{rel}"),
            SourceKind::Body => f.write_str("body"),
        }
    }
}

impl FromStr for Source {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        let wrong = || SourceError(text.to_owned());
        if let Some(name) = text.strip_prefix("header:") {
            let name = name.trim();
            return http::HeaderName::from_str(name).map(|_| Self::header(name)).map_err(|_| wrong());
        }
        if let Some(rel) = text.strip_prefix("rel:") {
            let is_one = !rel.trim().is_empty() && !rel.trim().contains(char::is_whitespace);
            return if is_one { Ok(Self::rel(rel)) } else { Err(wrong()) };
        }
        match text {
            "body" | "" => Ok(Self::body()),
            pointer if pointer.starts_with('/') => Ok(Self::pointer(pointer)),
            _ => Err(wrong()),
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

/// A text that is not a place in an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no place in an answer: wanted a JSON pointer such as `/status`, `header:Location`, `rel:results`, or `body` for the whole body"
)]
pub struct SourceError(String);

/// Returns a scalar as text.
pub(crate) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Returns a scalar as text, with the digits of its JSON text if a float would change them.
pub(crate) fn exact(value: &Value, raw: impl FnOnce() -> Option<Bytes>) -> Option<String> {
    let digits = |raw: Bytes| String::from_utf8(raw.to_vec()).ok().filter(|text| text.parse::<f64>().is_ok());
    match value {
        Value::Number(number) if number.is_f64() => raw().and_then(digits).or_else(|| text(value)),
        value => text(value),
    }
}

fn parts(pointer: &str) -> Vec<&str> {
    pointer.strip_prefix('/').unwrap_or(pointer).split('/').collect()
}

/// Returns a body that is one word of plain text. A page of HTML and a broken document are not.
fn plain_word(reply: &Reply) -> Option<&str> {
    let kind = reply.headers().get(http::header::CONTENT_TYPE).map(|kind| kind.to_str().unwrap_or("unreadable"));
    let kind = kind.map(|kind| kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    let is_plain = kind.is_none_or(|kind| kind.is_empty() || kind == "text/plain");
    let text = std::str::from_utf8(without_bom(reply.body())).ok()?.trim();
    let is_word = !text.is_empty() && !text.starts_with(['<', '{', '[', '"']) && text.chars().count() <= LONGEST_WORD;
    (is_plain && is_word && reply.is_whole()).then_some(text)
}

/// A longer text is not a word: it is a result, or a message.
const LONGEST_WORD: usize = 100;

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode};
    use serde_json::json;

    use super::*;

    #[test]
    fn the_elements_of_a_list_keep_their_positions() {
        let body = r#"{"rows": [{"id": 1.10}, null, ""], "one": {"a": 1}, "deep": [{"rows": [1]}]}"#;
        let reply = |body: &'static str| {
            Reply::new(StatusCode::OK, "https://a.example".parse().unwrap(), HeaderMap::new(), body)
        };
        let rows = Some(vec![r#"{"id": 1.10}"#, "null", "\"\""]);
        for (place, body, expected) in [
            ("/rows/*", body, rows.clone()),
            ("/rows", body, rows),
            ("/one/*", body, None),
            ("/none/*", body, None),
            ("/deep/0/rows/*", body, Some(vec!["1"])),
            ("body", "[null, 2]", Some(vec!["null", "2"])),
            ("/*", "[null, 2]", Some(vec!["null", "2"])),
            ("/*", "[]", Some(vec![])),
            ("body", "{}", None),
            ("body", "[1", None),
        ] {
            let place: Source = place.parse().unwrap();
            let reply = reply(body);
            let found = place.elements(&reply);
            let found =
                found.as_ref().map(|found| found.iter().map(|text| std::str::from_utf8(text).unwrap()).collect());
            assert_eq!(found, expected, "{place} {body}");
        }
    }

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
        for text in ["/a/*/b", "header:retry-after", "rel:next", "body", "/"] {
            let source: Source = serde_json::from_value(json!(text)).unwrap();
            assert_eq!(serde_json::to_value(&source).unwrap(), json!(text));
        }
        assert_eq!("".parse(), Ok(Source::body()), "the empty pointer of RFC 6901");
        assert_eq!(Source::pointer(""), Source::body());
        for text in ["status", " ", "header:", "header:a b", "rel:", "rel: ", "rel:a b", "Body"] {
            assert!(text.parse::<Source>().unwrap_err().to_string().contains(text));
        }
    }

    #[test]
    fn reads_a_body_that_is_a_word() {
        let long = "x".repeat(101);
        for (kind, body, expected) in [
            (Some("text/plain"), "EXECUTING", Some("EXECUTING")),
            (Some("text/plain; charset=utf-8"), " EXECUTING\r\n", Some("EXECUTING")),
            (Some("TEXT/PLAIN"), "\u{feff}EXECUTING", Some("EXECUTING")),
            (None, "EXECUTING", Some("EXECUTING")),
            (Some("application/json"), r#""EXECUTING""#, Some("EXECUTING")),
            (Some("text/plain"), r#""EXECUTING""#, Some("EXECUTING")),
            (Some("text/html"), r#""EXECUTING""#, Some("EXECUTING")),
            (Some("application/json"), "7", Some("7")),
            (Some("text/plain"), "true", Some("true")),
            (Some("application/json"), "EXECUTING", None),
            (Some("text/html"), "EXECUTING", None),
            (Some("text/csv"), "EXECUTING", None),
            (None, "<html>", None),
            (None, r#"{"status": "runn"#, None),
            (None, &long, None),
            (None, &long[1..], Some(&long[1..])),
            (None, " ", None),
            (None, "", None),
            (None, "null", None),
            (None, r#""  ""#, None),
            (None, r#"{"a": 1}"#, None),
        ] {
            let headers = kind.map(|kind| (http::header::CONTENT_TYPE, kind.parse().unwrap())).into_iter().collect();
            let url = "https://a.example".parse().unwrap();
            let reply = Reply::new(StatusCode::OK, url, headers, body.to_owned());
            assert_eq!(Source::body().text(&reply, reply.json().as_ref()).as_deref(), expected, "{kind:?} {body}");
        }
    }

    #[test]
    fn keeps_the_digits_of_numbers() {
        let body = r#"{"id": 12345678901234567890123, "f": 1.50, "huge": 1e400, "n": 18446744073709551615,
            "text": "1.50", "rows": [1.10, {"a": 2.0}]}"#;
        let url = "https://a.example".parse().unwrap();
        let reply = Reply::new(StatusCode::OK, url, HeaderMap::new(), format!("\u{feff}{body}"));
        let json = reply.json().unwrap();
        for (at, expected) in [
            ("/id", "12345678901234567890123"),
            ("/f", "1.50"),
            ("/huge", "1e400"),
            ("/n", "18446744073709551615"),
            ("/text", "1.50"),
            ("/rows/0", "1.10"),
        ] {
            assert_eq!(Source::pointer(at).exact_text(&reply, Some(&json)).as_deref(), Some(expected), "{at}");
        }
        assert_eq!(Source::pointer("/rows/*").raw(&reply), ["1.10", r#"{"a": 2.0}"#]);
        assert_eq!(Source::body().raw(&reply), [body]);
    }

    #[test]
    fn finds_links_by_their_relation() {
        let body = json!({"links": [{"rel": "next", "href": "/b"}, {"rel": "last", "href": "/z"}]});
        let headers = [(http::header::LINK, "</a>; rel=Next".parse().unwrap())].into_iter().collect();
        let reply = Reply::new(StatusCode::OK, "https://a.example".parse().unwrap(), headers, "");
        let found =
            |at: &Source| at.values(&reply, Some(&body)).iter().filter_map(|value| text(value)).collect::<Vec<_>>();
        assert_eq!(found(&Source::rel("NEXT")), ["/a"], "the header counts before the body");
        assert_eq!(found(&Source::rel("last")), ["/z"]);
        assert!(found(&Source::rel("prev")).is_empty());
    }
}
