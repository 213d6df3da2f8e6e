//! Suggested: the name that an answer or its link suggests for a file.

use http::{HeaderMap, header};
use percent_encoding::percent_decode_str;

use super::safe;

/// Returns the name that Content-Disposition states (RFC 6266), or else the last segment of the link's path.
///
/// The name is as the sender wrote it: [`safe`] makes a file's name of it, and finds something to keep.
pub(crate) fn suggested(headers: &HeaderMap, link_path: &str) -> Option<String> {
    let stated = headers.get_all(header::CONTENT_DISPOSITION).iter().find_map(|value| of_field(value.as_bytes()));
    stated.or_else(|| of_path(link_path))
}

/// Reads a Content-Disposition. `filename*` wins wherever it stands, if it can be decoded, and the first of two wins.
fn of_field(field: &[u8]) -> Option<String> {
    let field = text(field);
    let (mut extended, mut plain) = (None, None);
    for (name, value) in parameters(&field) {
        if name.eq_ignore_ascii_case("filename*") {
            extended = extended.or_else(|| decoded(&value));
        } else if name.eq_ignore_ascii_case("filename") {
            plain = plain.or(Some(value));
        }
    }
    [extended, plain].into_iter().flatten().find(|name| safe(name).is_some())
}

fn of_path(path: &str) -> Option<String> {
    let segment = path.rsplit('/').find(|segment| !segment.is_empty())?;
    let name = percent_decode_str(segment).decode_utf8_lossy().into_owned();
    safe(&name).map(|_| name)
}

/// Many servers write UTF-8 without a word. Bytes that are no UTF-8 are ISO-8859-1, as they were in RFC 2616.
fn text(bytes: &[u8]) -> String {
    match str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    }
}

/// Returns the parameters, split at the semicolons outside of quotes. The type before them is not one.
fn parameters(field: &str) -> impl Iterator<Item = (&str, String)> {
    let (mut quoted, mut escaped) = (false, false);
    let parts = field.split(move |char| {
        let is_escaped = std::mem::take(&mut escaped);
        match char {
            '\\' => escaped = quoted && !is_escaped,
            '"' if !is_escaped => quoted = !quoted,
            _ => {}
        }
        char == ';' && !quoted
    });
    parts.filter_map(|part| part.split_once('=')).map(|(name, value)| (name.trim(), unquoted(value.trim())))
}

/// Returns the content of a quoted string, or a token as it is.
///
/// A backslash before a quote or a backslash is an escape. Before other characters it is one by the grammar, and a
/// separator of a Windows path in the fields of old servers, so that it stays.
fn unquoted(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"') else { return value.to_owned() };
    let (mut content, mut chars) = (String::new(), inner.chars().peekable());
    while let Some(char) = chars.next() {
        match (char, chars.peek()) {
            ('"', _) => break,
            ('\\', Some('"' | '\\')) => content.extend(chars.next()),
            _ => content.push(char),
        }
    }
    content
}

/// Decodes an extended value (RFC 8187): `UTF-8'en'%e2%82%ac.csv`.
fn decoded(value: &str) -> Option<String> {
    let (charset, rest) = value.split_once('\'')?;
    let (_language, encoded) = rest.split_once('\'')?;
    let bytes: Vec<u8> = percent_decode_str(encoded).collect();
    if charset.eq_ignore_ascii_case("UTF-8") {
        return String::from_utf8(bytes).ok();
    }
    charset.eq_ignore_ascii_case("ISO-8859-1").then(|| bytes.into_iter().map(char::from).collect())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn field(field: &[u8]) -> HeaderMap {
        [(header::CONTENT_DISPOSITION, HeaderValue::from_bytes(field).unwrap())].into_iter().collect()
    }

    #[test]
    fn reads_the_name_from_a_content_disposition() {
        for (text, expected) in [
            ("attachment; filename=a.csv", "a.csv"),
            ("attachment; filename=\"a b.csv\"", "a b.csv"),
            ("ATTACHMENT ; FileName = \"a.csv\" ; size=3", "a.csv"),
            ("inline;filename=\"a;b=c.csv\"", "a;b=c.csv"),
            ("filename=\"a.csv\"", "a.csv"),
            ("attachment; filename=\"a \\\"b\\\" \\\\.csv\"", "a \"b\" \\.csv"),
            ("attachment; filename=\"C:\\dir\\a.csv\"", "C:\\dir\\a.csv"),
            ("attachment; filename=\"a.csv", "a.csv"),
            ("attachment; filename=a b.csv", "a b.csv"),
            ("attachment; filename=\"a%20b.csv\"", "a%20b.csv"),
            ("attachment; filename=\"=?UTF-8?Q?a?=\"", "=?UTF-8?Q?a?="),
            ("attachment; filename=\"€.csv\"", "€.csv"),
            ("attachment; filename=first.csv; filename=second.csv", "first.csv"),
            ("attachment; filename=\"e.csv\"; filename*=UTF-8''%e2%82%ac.csv", "€.csv"),
            ("attachment; filename*=utf-8'de'%e2%82%ac.csv; filename=\"e.csv\"", "€.csv"),
            ("attachment; filename*=iso-8859-1''caf%E9.csv", "café.csv"),
            ("attachment; filename*=\"UTF-8''a%20b.csv\"", "a b.csv"),
            ("attachment; filename*=UTF-8''a%2Fb.csv", "a/b.csv"),
            // An extended value that cannot be decoded, and a name of which nothing would be left.
            ("attachment; filename*=UTF-8''%ff.csv; filename=a.csv", "a.csv"),
            ("attachment; filename*=KOI8-R''%c1.csv; filename=a.csv", "a.csv"),
            ("attachment; filename*=a.csv; filename=b.csv", "b.csv"),
            ("attachment; filename*=UTF-8''..; filename=a.csv", "a.csv"),
            // Nothing usable: the link decides.
            ("attachment", "link.bin"),
            ("attachment; filename=\"\"", "link.bin"),
            ("attachment; filename=..", "link.bin"),
            ("attachment; name=a.csv", "link.bin"),
            ("attachment; filename*0=\"a\"; filename*1=\"b\"", "link.bin"),
            ("", "link.bin"),
        ] {
            let found = suggested(&field(text.as_bytes()), "/x/link.bin");
            assert_eq!(found.as_deref(), Some(expected), "{text}");
        }
        let latin = field(b"attachment; filename=\"caf\xe9.csv\"");
        assert_eq!(suggested(&latin, "/").as_deref(), Some("café.csv"));
    }

    #[test]
    fn takes_the_last_segment_of_the_path() {
        for (path, expected) in [
            ("/exports/7.csv", Some("7.csv")),
            ("/exports/7.csv/", Some("7.csv")),
            ("/exports//", Some("exports")),
            ("/a%20b.csv", Some("a b.csv")),
            ("/%E2%82%AC.csv", Some("€.csv")),
            ("/o/exports%2F7.csv", Some("exports/7.csv")),
            ("/%ff.csv", Some("\u{fffd}.csv")),
            ("/a%", Some("a%")),
            ("7.csv", Some("7.csv")),
            ("/a/..", None),
            ("/a/%2e%2e", None),
            ("/", None),
            ("", None),
        ] {
            assert_eq!(suggested(&HeaderMap::new(), path).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn a_second_field_serves_where_the_first_has_no_name() {
        let mut headers = field(b"inline");
        headers.append(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=a.csv"));
        assert_eq!(suggested(&headers, "/link.bin").as_deref(), Some("a.csv"));
    }

    proptest! {
        #[test]
        fn a_suggestion_can_be_made_safe(
            bytes in prop::collection::vec(any::<u8>(), 0..40),
            words in "(a;)?( ?filename[*]?=\"?(UTF-8'')?[a%2e./\\\\\"';é-]{0,12};?){0,3}",
            path in any::<String>(),
        ) {
            let fields = [bytes.clone(), [&b"a; filename="[..], &bytes].concat(), words.into_bytes()];
            let headers: HeaderMap = fields.iter()
                .filter_map(|bytes| Some((header::CONTENT_DISPOSITION, HeaderValue::from_bytes(bytes).ok()?)))
                .collect();
            if let Some(name) = suggested(&headers, &path) {
                prop_assert!(safe(&name).is_some(), "{:?}", name);
            }
        }
    }
}
