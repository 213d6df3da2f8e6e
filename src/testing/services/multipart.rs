//! Parts of a form with files ([RFC 7578](https://www.rfc-editor.org/rfc/rfc7578)).

use std::collections::BTreeMap;

/// Parses a body of `multipart/form-data` into its parts by name; `None` for any other body, or a broken one.
pub(super) fn parse<'a>(content_type: &str, body: &'a [u8]) -> Option<BTreeMap<&'a str, &'a [u8]>> {
    let mut parameters = content_type.split(';').map(str::trim);
    if !parameters.next()?.eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let boundary = parameters.find_map(|parameter| parameter.strip_prefix("boundary="))?.trim_matches('"');
    let delimiter = format!("\r\n--{boundary}");
    // The first delimiter has no line before it.
    let mut rest = body.strip_prefix(delimiter.as_bytes().strip_prefix(b"\r\n")?)?;
    let mut parts = BTreeMap::new();
    while !rest.starts_with(b"--") {
        let (head, content) = split(rest.strip_prefix(b"\r\n")?, b"\r\n\r\n")?;
        let (content, after) = split(content, delimiter.as_bytes())?;
        if parts.insert(name(std::str::from_utf8(head).ok()?)?, content).is_some() {
            return None;
        }
        rest = after;
    }
    Some(parts)
}

/// Returns the name that `Content-Disposition: form-data; name="…"` gives to a part.
fn name(head: &str) -> Option<&str> {
    let is_disposition = |line: &&str| line.to_ascii_lowercase().starts_with("content-disposition: form-data;");
    let line = head.split("\r\n").find(is_disposition)?;
    line.split(';').map(str::trim).find_map(|parameter| parameter.strip_prefix("name=\"")?.strip_suffix('"'))
}

fn split<'a>(text: &'a [u8], by: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = text.windows(by.len()).position(|window| window == by)?;
    Some((text.get(..at)?, text.get(at + by.len()..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\n\
                        Content-Type: text/csv\r\n\r\na,b\r\n--y\r\n\r\n--x\r\n\
                        content-disposition: form-data; name=\"list_ids\"\r\n\r\n\r\n--x--\r\n";

    #[test]
    fn reads_the_parts_and_nothing_broken() {
        let parts = parse("multipart/form-data; boundary=x", BODY.as_bytes()).unwrap();
        assert_eq!(parts["file"], b"a,b\r\n--y\r\n");
        assert_eq!(parts["list_ids"], b"");
        assert_eq!(parts.len(), 2);
        for (content_type, body) in [
            ("multipart/form-data", BODY),
            ("application/json; boundary=x", BODY),
            ("multipart/form-data; boundary=z", BODY),
            ("multipart/form-data; boundary=\"x\"", BODY.trim_end_matches("--x--\r\n")),
        ] {
            assert_eq!(parse(content_type, body.as_bytes()), None, "{content_type}");
        }
    }
}
