//! Content-Range: the part of an object that an answer holds (RFC 9110, 14.4).

use http::{HeaderMap, header};

/// The bytes of an answer: its first byte, and the length of the whole object if it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ContentRange {
    pub(super) first: u64,
    /// One past the last byte.
    pub(super) end: u64,
    pub(super) total: Option<u64>,
}

impl ContentRange {
    /// Reads the header. The unit is compared in any case (RFC 9110, 14.1), and may be followed by `=`, as some servers
    /// write it; anything that does not add up is none.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let (range, total) = in_bytes(headers)?.split_once('/')?;
        let total = match total.trim() {
            "*" => None,
            total => Some(number(total)?),
        };
        let (first, last) = range.trim().split_once('-')?;
        let first = number(first.trim())?;
        // Azurite sends `0--1/0` for an empty blob, and `100-99/100` at the end of one.
        let end = match last.trim() {
            "-1" => 0,
            last => number(last)?.checked_add(1)?,
        };
        let fits = first <= end && total.is_none_or(|total| end <= total);
        fits.then_some(Self { first, end, total })
    }

    /// Returns the total of an unsatisfied range: `bytes */100`.
    pub(super) fn unsatisfied(headers: &HeaderMap) -> Option<u64> {
        number(in_bytes(headers)?.strip_prefix('*')?.trim().strip_prefix('/')?.trim())
    }

    pub(super) const fn length(self) -> u64 {
        self.end - self.first
    }
}

/// Returns what follows the unit, if the unit is bytes. Two headers state nothing.
fn in_bytes(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::CONTENT_RANGE).iter();
    let value = values.next()?;
    if values.any(|other| other != value) {
        return None;
    }
    let (unit, rest) = value.to_str().ok()?.trim().split_at_checked(UNIT.len())?;
    let is_apart = rest.starts_with([' ', '\t', '=', '*']);
    (unit.eq_ignore_ascii_case(UNIT) && is_apart).then(|| rest.trim_start_matches([' ', '\t', '=']))
}

/// Digits alone: `+5` is no number of HTTP.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

const UNIT: &str = "bytes";

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> HeaderMap {
        [(header::CONTENT_RANGE, text.parse().unwrap())].into_iter().collect()
    }

    #[test]
    fn reads_content_ranges_and_refuses_what_does_not_add_up() {
        for (text, expected) in [
            ("bytes 0-99/100", Some((0, 100, Some(100)))),
            ("bytes  0-99/100 ", Some((0, 100, Some(100)))),
            ("Bytes 0-99/100", Some((0, 100, Some(100)))),
            ("BYTES=0-99/100", Some((0, 100, Some(100)))),
            ("bytes 50-99/*", Some((50, 100, None))),
            ("bytes 0--1/0", Some((0, 0, Some(0)))),
            ("bytes 100-99/100", Some((100, 100, Some(100)))),
            ("bytes 1024-2047/4096", Some((1024, 2048, Some(4096)))),
            ("bytes 0-100/100", None),
            ("bytes 9-3/100", None),
            ("bytes +0-9/10", None),
            ("bytes 0-18446744073709551615/*", None),
            ("bytes 0-/10", None),
            ("bytes 0-9/-1", None),
            ("bytes 0-9", None),
            ("bytes */100", None),
            ("bytes0-9/10", None),
            ("items 0-1/2", None),
            ("0-9/10", None),
            ("bytes", None),
            ("", None),
        ] {
            let found = ContentRange::of(&range(text)).map(|range| (range.first, range.end, range.total));
            assert_eq!(found, expected, "{text}");
        }
        for (text, expected) in
            [("bytes */100", Some(100)), ("Bytes */0", Some(0)), ("bytes */*", None), ("bytes 0-9/10", None)]
        {
            assert_eq!(ContentRange::unsatisfied(&range(text)), expected, "{text}");
        }
    }

    #[test]
    fn two_headers_that_differ_state_nothing() {
        let mut headers = range("bytes 0-9/10");
        headers.append(header::CONTENT_RANGE, "bytes 0-9/10".parse().unwrap());
        assert!(ContentRange::of(&headers).is_some());
        headers.append(header::CONTENT_RANGE, "bytes 5-9/10".parse().unwrap());
        assert_eq!(ContentRange::of(&headers), None);
    }
}
