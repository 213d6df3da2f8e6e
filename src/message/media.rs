//! MediaType: the declared type of a body, and the type that its bytes show.

use std::fmt::Write as _;

use http::{HeaderMap, header};

/// A Content-Type (RFC 9110, 8.3): type and charset in lower case, empty if the header states none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MediaType {
    essence: String,
    charset: String,
}

impl MediaType {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let Some(text) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
            return Self::default();
        };
        let mut parts = text.split(';');
        let essence = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
        let charset = parts.find_map(|part| {
            let (name, value) = part.split_once('=')?;
            name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"').to_ascii_lowercase())
        });
        Self { essence, charset: charset.unwrap_or_default() }
    }

    /// Returns whether the body is one document of JSON: `application/json`, `text/json`, `application/problem+json`
    /// and their kin (RFC 6839, 3.1). A sequence of documents is not.
    pub(crate) fn is_json(&self) -> bool {
        matches!(&*self.essence, "application/json" | "text/json" | "application/x-json" | "text/x-json")
            || self.essence.ends_with("+json")
            || self.essence.ends_with("javascript")
    }

    /// Returns whether the type states nothing about the body: no type, or plain text.
    pub(crate) fn is_vague(&self) -> bool {
        matches!(&*self.essence, "" | "text/plain")
    }

    fn is_html(&self) -> bool {
        matches!(&*self.essence, "text/html" | "application/xhtml+xml")
    }
}

/// Returns whether a body is a page of HTML, by its type or by its first bytes.
pub(super) fn is_html(media: &MediaType, body: &[u8]) -> bool {
    !body.trim_ascii().is_empty() && (media.is_html() || looks_like_html(body))
}

/// Returns whether a body begins as a page of HTML does. A byte order mark, white space, comments and an XML
/// declaration may precede the page.
pub(crate) fn looks_like_html(body: &[u8]) -> bool {
    let mut rest = super::without_bom(body).trim_ascii_start();
    loop {
        let end: &[u8] = if rest.starts_with(b"<!--") {
            b"-->"
        } else if rest.starts_with(b"<?xml") {
            b"?>"
        } else {
            break;
        };
        let Some(at) = rest.windows(end.len()).position(|window| window == end) else { return false };
        rest = rest.get(at + end.len()..).unwrap_or_default().trim_ascii_start();
    }
    let begins = |mark: &str| {
        let (name, after) = rest.split_at_checked(mark.len()).unwrap_or_default();
        name.eq_ignore_ascii_case(mark.as_bytes())
            && after.first().is_none_or(|byte| byte.is_ascii_whitespace() || matches!(byte, b'>' | b'/'))
    };
    ["<!doctype html", "<html", "<head", "<body"].into_iter().any(begins)
}

/// Returns the text of a body whose charset is declared, or shown by a byte order mark; `None` if the charset is UTF-8
/// or unknown, or the bytes are invalid in that charset.
pub(super) fn decoded(media: &MediaType, body: &[u8]) -> Option<String> {
    let marked = encoding_rs::Encoding::for_bom(body).map(|(encoding, _)| encoding);
    let encoding = marked.or_else(|| encoding_rs::Encoding::for_label(media.charset.as_bytes()))?;
    if encoding == encoding_rs::UTF_8 {
        return None;
    }
    let (text, _, malformed) = encoding.decode(body);
    (!malformed).then(|| text.into_owned())
}

/// Returns text whose bytes beyond ASCII are percent-encoded.
pub(super) fn escaped(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() + 16), |mut text, byte| {
        match byte.is_ascii() {
            true => text.push(char::from(*byte)),
            // Writing to a `String` cannot fail.
            false => drop(write!(text, "%{byte:02X}")),
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn media(text: &str) -> MediaType {
        MediaType::of(&HeaderMap::from_iter([(header::CONTENT_TYPE, text.parse().unwrap())]))
    }

    #[test]
    fn tells_json_from_what_only_sounds_like_it() {
        for (text, json, vague) in [
            ("application/json", true, false),
            ("Application/JSON; charset=utf-8", true, false),
            ("application/problem+json", true, false),
            ("application/vnd.api+json;v=1", true, false),
            ("text/javascript", true, false),
            ("application/x-ndjson", false, false),
            ("application/jsonl", false, false),
            ("application/json-seq", false, false),
            ("text/plain; charset=utf-8", false, true),
            ("", false, true),
            ("text/csv", false, false),
            ("application/octet-stream", false, false),
        ] {
            let media = media(text);
            assert_eq!((media.is_json(), media.is_vague()), (json, vague), "{text}");
        }
    }

    #[test]
    fn knows_a_page_of_html() {
        for (text, body, html) in [
            ("", "<!DOCTYPE html><html>", true),
            ("", " \n\u{feff}<html lang=\"en\">", false),
            ("", "\u{feff}\n<HTML lang=\"en\">", true),
            ("", "<!-- a proxy --><!doctype HTML>", true),
            ("", "<?xml version=\"1.0\"?>\n<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0 Strict//EN\">", true),
            ("", "<head><title>x</title>", true),
            ("application/json", "<html>", true),
            ("text/html", "a,b", true),
            ("text/html", "  ", false),
            ("", "<?xml version=\"1.0\"?><rows/>", false),
            ("", "<htmlish/>", false),
            ("", "<!-- only a comment", false),
            ("", "a,b\n<html>", false),
            ("", "{\"page\": \"<html>\"}", false),
            ("", "", false),
        ] {
            assert_eq!(is_html(&media(text), body.as_bytes()), html, "{text} {body}");
        }
    }

    #[test]
    fn decodes_by_the_declared_charset_or_the_mark() {
        for (text, body, decodes) in [
            ("application/json; charset=iso-8859-1", &b"\"caf\xe9\""[..], Some("\"caf\u{e9}\"")),
            ("application/json; charset=\"windows-1252\"", b"\"\x80\"", Some("\"\u{20ac}\"")),
            ("application/json;Charset=UTF-16", b"\xff\xfe7\0", Some("7")),
            ("application/json", b"\xfe\xff\0\x37", Some("7")),
            ("application/json; charset=shift_jis", b"\x83\x65", Some("\u{30c6}")),
            ("application/json; charset=utf-8", b"\xe9", None),
            ("application/json; charset=shift_jis", b"\x83", None),
            ("application/json; charset=none-such", b"\xe9", None),
            ("application/json", b"\xe9", None),
        ] {
            assert_eq!(decoded(&media(text), body).as_deref(), decodes, "{text} {body:?}");
        }
    }

    #[test]
    fn escapes_what_is_no_ascii() {
        assert_eq!(escaped(b"/jobs/caf\xe9"), "/jobs/caf%E9");
    }
}
