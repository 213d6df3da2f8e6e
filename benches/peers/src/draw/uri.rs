//! Uri: a picture inside a link.

/// The picture as a `data:` URI that may stand in a Markdown link definition: percent-encoded, but for what is plain in
/// both.
pub(super) fn data(svg: &str) -> String {
    let mut uri = String::from("data:image/svg+xml,");
    for byte in svg.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'/' | b':' | b'=' | b',' | b';' => {
                uri.push(byte.into());
            }
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_whatever_markdown_or_a_uri_gives_a_meaning() {
        assert_eq!(data("<a b='1'>\n#é</a>"), "data:image/svg+xml,%3Ca%20b=%271%27%3E%0A%23%C3%A9%3C/a%3E");
    }
}
