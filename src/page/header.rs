//! Header: the first line of a table, which each of its pages may repeat.

use bytes::Bytes;

use crate::message::without_bom;

/// The first line of the first page that has one.
#[derive(Default)]
pub(super) struct Header(Option<Bytes>);

impl Header {
    /// Returns the page without its first line, if that repeats the header. A byte order mark stays only at the
    /// beginning of the whole.
    pub(super) fn strip(&mut self, page: Bytes) -> Bytes {
        let page = match &self.0 {
            Some(_) => page.slice_ref(without_bom(&page)),
            None => page,
        };
        let body = without_bom(&page);
        let (line, behind) = body.split_at(line_end(body));
        let line = page.slice_ref(line.trim_ascii_end());
        match &self.0 {
            Some(header) if *header == line => page.slice_ref(behind),
            Some(_) => page,
            None => {
                self.0 = Some(line).filter(|line| !line.is_empty());
                page
            }
        }
    }
}

/// Returns the end of the first record, including its line break. A quoted field may contain line breaks (RFC 4180,
/// 2.6).
fn line_end(text: &[u8]) -> usize {
    let (mut quoted, mut at_field) = (false, true);
    let mut bytes = text.iter().enumerate().peekable();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' if quoted && bytes.next_if(|(_, next)| **next == b'"').is_some() => {}
            b'"' if quoted => quoted = false,
            b'"' if at_field => quoted = true,
            b'\n' if !quoted => return at + 1,
            _ => {}
        }
        at_field = !quoted && matches!(byte, b',' | b';' | b'\t' | b'|');
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_stands_once() {
        for (name, pages, expected) in [
            ("plain", &["a,b\n1,2\n", "a,b\n3,4\n"][..], &["a,b\n1,2\n", "3,4\n"][..]),
            ("line breaks of two kinds", &["a,b\r\n1,2\r\n", "a,b\n3,4\n"], &["a,b\r\n1,2\r\n", "3,4\n"]),
            ("another first line is a row", &["a,b\n1,2\n", "3,4\na,b\n"], &["a,b\n1,2\n", "3,4\na,b\n"]),
            ("a header alone", &["a,b", "a,b\n1,2\n", "a,b"], &["a,b", "1,2\n", ""]),
            ("an empty first page", &["", "a,b\n1,2\n", "a,b\n3,4"], &["", "a,b\n1,2\n", "3,4"]),
            ("a mark on every page", &["\u{feff}a\n1\n", "\u{feff}a\n2\n"], &["\u{feff}a\n1\n", "2\n"]),
            ("a mark and another line", &["\u{feff}a\n1\n", "\u{feff}b\n2\n"], &["\u{feff}a\n1\n", "b\n2\n"]),
            ("a quoted break", &["\"a\nb\",c\n1,2\n", "\"a\nb\",c\n3,4\n"], &["\"a\nb\",c\n1,2\n", "3,4\n"]),
            ("a quoted quote", &["\"a\"\"\n\",c\n1\n", "\"a\"\"\n\",c\n2\n"], &["\"a\"\"\n\",c\n1\n", "2\n"]),
            ("a quote inside a field", &["5\" pipe,c\n1,2\n", "5\" pipe,c\n1,2\n"], &["5\" pipe,c\n1,2\n", "1,2\n"]),
        ] {
            let mut header = Header::default();
            let stripped: Vec<_> = pages.iter().map(|page| header.strip(Bytes::from_static(page.as_bytes()))).collect();
            assert_eq!(stripped, expected, "{name}");
        }
    }
}
