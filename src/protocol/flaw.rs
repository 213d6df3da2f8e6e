//! Flaw: why a received body is not a document of the API, and so neither a status nor a result.

use std::fmt;

use serde::de::IgnoredAny;
use serde_json::Value;

use crate::message::{Extent, Reply, without_bom};

/// The reason why a body is not a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    Html,
    /// Declared as JSON, or begun as JSON, but invalid.
    NotJson(String),
    /// In a content coding that nobody asked for.
    Coded(String),
    Cut,
    TooLarge,
}

impl Flaw {
    /// Returns the flaw of an answer whose body was parsed as `body`. An empty body has none: its meaning depends on
    /// the place.
    pub(super) fn from_reply(reply: &Reply, body: Option<&Value>, accept_html: bool) -> Option<Self> {
        if body.is_some() {
            return None;
        }
        let coding = reply.header("content-encoding").filter(|coding| !coding.eq_ignore_ascii_case("identity"));
        if let Some(coding) = coding.filter(|_| !reply.body().is_empty() || reply.extent() == Extent::TooLarge) {
            return Some(Self::Coded(coding.chars().take(40).collect()));
        }
        if reply.extent() == Extent::Cut {
            return Some(Self::Cut);
        }
        if reply.is_html() && !accept_html {
            return Some(Self::Html);
        }
        if reply.extent() == Extent::TooLarge {
            let first = without_bom(reply.body()).trim_ascii_start().first();
            let is_json = first.is_none_or(|byte| matches!(byte, b'{' | b'[' | b'"' | b'-' | b'0'..=b'9'));
            let broken = reply.media_type().is_json() && !is_json;
            return Some(if broken { Self::NotJson(String::new()) } else { Self::TooLarge });
        }
        if reply.is_heavy() {
            return Some(Self::TooLarge);
        }
        if reply.body().trim_ascii().is_empty() {
            return None;
        }
        if reply.is_html() {
            return None;
        }
        let media = reply.media_type();
        if media.is_json() {
            let error = serde_json::from_slice::<Value>(without_bom(reply.body())).err();
            if error.as_ref().is_some_and(|error| error.to_string().contains("recursion limit")) {
                // The body may well be JSON, and is only nested too deeply to be parsed.
                return None;
            }
            return Some(Self::NotJson(error.map(|error| error.to_string()).unwrap_or_default()));
        }
        // Lines of JSON begin like one document, and are a result; a truncated document is not.
        if media.is_vague() { breaks_off(reply.body()).map(Self::NotJson) } else { None }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Html => f.write_str("a page of HTML, as a login page or a gateway sends"),
            Self::NotJson(why) if why.is_empty() => f.write_str("a body that should be JSON and is none"),
            Self::NotJson(why) => write!(f, "a body that should be JSON and is none ({why})"),
            Self::Coded(coding) if coding.eq_ignore_ascii_case("gzip") => {
                f.write_str("a body in the coding `gzip`, which was not asked for; the feature `gzip` decodes it")
            }
            Self::Coded(coding) => write!(f, "a body in the coding `{coding}`, which was not asked for"),
            Self::Cut => f.write_str("a body that broke off"),
            Self::TooLarge => {
                f.write_str("a body larger than the client's body limit, or JSON of more small objects than are read")
            }
        }
    }
}

fn breaks_off(text: &[u8]) -> Option<String> {
    let text = without_bom(text).trim_ascii_start();
    if !matches!(text.first(), Some(b'{' | b'[')) {
        return None;
    }
    let first = serde_json::Deserializer::from_slice(text).into_iter::<IgnoredAny>().next()?;
    first.err().filter(serde_json::Error::is_eof).map(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode, header};

    use super::*;

    fn reply(media: &str, coding: &str, body: &'static [u8]) -> Reply {
        let mut headers = HeaderMap::new();
        for (name, value) in [(header::CONTENT_TYPE, media), (header::CONTENT_ENCODING, coding)] {
            if !value.is_empty() {
                headers.insert(name, value.parse().unwrap());
            }
        }
        Reply::new(StatusCode::OK, "https://a.example".parse().unwrap(), headers, body)
    }

    #[test]
    fn finds_why_a_body_is_no_document() {
        let not_json = || Some(Flaw::NotJson(String::new()));
        for (media, coding, body, flaw) in [
            ("application/json", "", &b"{\"a\":1}"[..], None),
            ("text/html", "", b"{\"a\":1}", None),
            ("text/html", "", b"<html>", Some(Flaw::Html)),
            ("application/json", "", b"<!DOCTYPE html>", Some(Flaw::Html)),
            ("application/json", "", b"{\"a\":NaN}", not_json()),
            ("application/json", "", b"{\"a\":1,}", not_json()),
            ("application/json", "", b"{\"a\":1}\n{\"a\":2}", not_json()),
            ("application/problem+json", "", b"\"caf\xe9\"", not_json()),
            ("application/json; charset=latin1", "", b"\"caf\xe9\"", None),
            ("application/json", "", b"", None),
            ("", "", b"{\"a\":", not_json()),
            ("text/plain", "", b"[1, 2", not_json()),
            ("", "", b"{\"a\":1}\n{\"a\":2}", None),
            ("application/x-ndjson", "", b"{\"a\":1}\n{\"a\":", None),
            ("text/csv", "", b"[a],b", None),
            ("", "", b"[INFO] begun", None),
            ("", "", b"a;b", None),
            ("application/json", "gzip", b"\x1f\x8b", Some(Flaw::Coded("gzip".into()))),
            ("text/csv", "br", b"\x1f\x8b", Some(Flaw::Coded("br".into()))),
            ("application/json", "gzip", b"{\"a\":1}", None),
            ("text/csv", "Identity", b"a,b", None),
            ("", "gzip", b"", None),
        ] {
            let reply = reply(media, coding, body);
            let found = Flaw::from_reply(&reply, reply.json().as_ref(), false);
            let found = found.map(|flaw| match flaw {
                Flaw::NotJson(_) => Flaw::NotJson(String::new()),
                flaw => flaw,
            });
            assert_eq!(found, flaw, "{media} {coding} {:?}", String::from_utf8_lossy(body));
        }
        let page = reply("text/html", "", b"<html>");
        assert_eq!(Flaw::from_reply(&page, None, true), None);
    }
}
