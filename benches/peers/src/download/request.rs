//! Request: one GET or HEAD, and the part of the content that answers it.

use std::io::{self, BufRead};

/// The head of a request, as far as the server looks at it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) path: String,
    pub(super) head_only: bool,
    range: Option<String>,
    if_match: Option<String>,
    if_range: Option<String>,
}

/// A status, and the bytes from the first to before the second.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Whole { length: u64 },
    Part { first: u64, end: u64, length: u64 },
    Unsatisfiable { length: u64 },
    Changed,
}

impl Request {
    /// Reads up to the empty line; `None` where the connection ended before.
    pub(super) fn read(reader: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut words = line.split(' ');
        let head_only = words.next() == Some("HEAD");
        let path = words.next().unwrap_or_default();
        let path = path.split_once('?').map_or(path, |(path, _)| path).to_owned();
        let mut request = Self { path, head_only, ..Self::default() };
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { return Ok(Some(request)) };
            let value = Some(value.trim().to_owned());
            match &*name.to_ascii_lowercase() {
                "range" => request.range = value,
                "if-match" => request.if_match = value,
                "if-range" => request.if_range = value,
                _ => {}
            }
        }
    }

    pub(super) fn answer(&self, length: u64) -> Answer {
        let is_other = |tag: &Option<String>| tag.as_ref().is_some_and(|tag| tag != ETAG && tag != "*");
        if is_other(&self.if_match) {
            return Answer::Changed;
        }
        let range = self.range.as_ref().filter(|_| !is_other(&self.if_range));
        let Some((first, last)) = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-')) else {
            return Answer::Whole { length };
        };
        match (first.parse::<u64>(), last.parse::<u64>()) {
            (Ok(first), _) if first >= length => Answer::Unsatisfiable { length },
            (Ok(first), Ok(last)) if last >= first => Answer::Part { first, end: length.min(last + 1), length },
            (Ok(first), Err(_)) if last.is_empty() => Answer::Part { first, end: length, length },
            (Err(_), Ok(many)) if first.is_empty() && many > 0 => {
                Answer::Part { first: length.saturating_sub(many), end: length, length }
            }
            // Several ranges, or none that is understood.
            _ => Answer::Whole { length },
        }
    }
}

impl Answer {
    pub(super) fn bytes(&self) -> (u64, u64) {
        match *self {
            Self::Whole { length } => (0, length),
            Self::Part { first, end, .. } => (first, end),
            Self::Unsatisfiable { .. } | Self::Changed => (0, 0),
        }
    }

    pub(super) fn head(&self, date: &str) -> String {
        let (first, end) = self.bytes();
        let (status, range) = match self {
            Self::Whole { .. } => ("200 OK", String::new()),
            Self::Part { length, .. } => {
                ("206 Partial Content", format!("Content-Range: bytes {first}-{}/{length}\r\n", end - 1))
            }
            Self::Unsatisfiable { length } => {
                ("416 Range Not Satisfiable", format!("Content-Range: bytes */{length}\r\n"))
            }
            Self::Changed => ("412 Precondition Failed", String::new()),
        };
        format!(
            "HTTP/1.1 {status}\r\nDate: {date}\r\nContent-Type: application/octet-stream\r\nContent-Length: {}\r\n\
             {range}Accept-Ranges: bytes\r\nETag: {ETAG}\r\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n\r\n",
            end - first
        )
    }
}

/// The content never changes.
const ETAG: &str = "\"peers-1\"";

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(headers: &str) -> Request {
        let text = format!("GET /cut/10?a=b HTTP/1.1\r\n{headers}\r\n");
        Request::read(&mut text.as_bytes()).unwrap().unwrap()
    }

    #[test]
    fn answers_ranges_and_conditions() {
        let part = |first, end| Answer::Part { first, end, length: 10 };
        for (headers, answer) in [
            ("", Answer::Whole { length: 10 }),
            ("Range: bytes=2-3\r\n", part(2, 4)),
            ("range: bytes=2-\r\n", part(2, 10)),
            ("Range: bytes=2-99\r\n", part(2, 10)),
            ("Range: bytes=-3\r\n", part(7, 10)),
            ("Range: bytes=1-2,4-5\r\n", Answer::Whole { length: 10 }),
            ("Range: bytes=10-\r\n", Answer::Unsatisfiable { length: 10 }),
            ("Range: bytes=2-\r\nIf-Match: \"peers-1\"\r\n", part(2, 10)),
            ("Range: bytes=2-\r\nIf-Match: \"peers-0\"\r\n", Answer::Changed),
            ("Range: bytes=2-\r\nIf-Range: \"peers-0\"\r\n", Answer::Whole { length: 10 }),
        ] {
            assert_eq!(asked(headers).answer(10), answer, "{headers}");
        }
        assert_eq!(asked("").path, "/cut/10");
        assert!(Request::read(&mut &b""[..]).unwrap().is_none());
    }

    #[test]
    fn a_head_tells_the_part() {
        let head = asked("Range: bytes=2-3\r\n").answer(10).head("now");
        assert!(head.starts_with("HTTP/1.1 206 ") && head.contains("\r\nContent-Range: bytes 2-3/10\r\n"), "{head}");
        assert!(head.contains("\r\nContent-Length: 2\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    }
}
