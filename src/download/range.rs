//! Ranges: the part that a storage sends, and the conditions that pin the rest to the same object.

use http::{HeaderMap, HeaderValue, header};
use serde::{Deserialize, Serialize};

/// A Content-Range (RFC 9110, 14.4): the first byte, and the length of the whole if it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ContentRange {
    pub(super) first: u64,
    /// One past the last byte.
    pub(super) end: u64,
    pub(super) total: Option<u64>,
}

impl ContentRange {
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let text = headers.get(header::CONTENT_RANGE)?.to_str().ok()?;
        let (range, total) = text.trim().strip_prefix("bytes ")?.trim().split_once('/')?;
        let total = match total.trim() {
            "*" => None,
            total => Some(total.parse().ok()?),
        };
        let (first, last) = range.trim().split_once('-')?;
        let first: u64 = first.trim().parse().ok()?;
        // Azurite sends `0--1/0` for an empty blob, and `100-99/100` at the end of one.
        let end = match last.trim() {
            "-1" => 0,
            last => last.parse::<u64>().ok()?.checked_add(1)?,
        };
        let fits = first <= end && total.is_none_or(|total| end <= total);
        fits.then_some(Self { first, end, total })
    }

    /// Returns the total of an unsatisfied range: `bytes */100`.
    pub(super) fn unsatisfied(headers: &HeaderMap) -> Option<u64> {
        let text = headers.get(header::CONTENT_RANGE)?.to_str().ok()?;
        text.trim().strip_prefix("bytes")?.trim().strip_prefix("*/")?.trim().parse().ok()
    }
}

/// The identity of the object in the first answer: every later answer must be of the same object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pin {
    /// A strong ETag, quotes included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) etag: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) last_modified: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) total: Option<u64>,
}

impl Pin {
    pub(super) fn of(headers: &HeaderMap, total: Option<u64>) -> Self {
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).map(str::to_owned);
        // A weak ETag may stand for other bytes (RFC 9110, 8.8.1).
        let etag = text(header::ETAG).filter(|etag| !etag.starts_with("W/"));
        Self { etag, last_modified: text(header::LAST_MODIFIED), total }
    }

    /// Adds the condition that the storage answers only for the same object.
    pub(super) fn condition(&self, headers: &mut HeaderMap) {
        let (name, value) = match (&self.etag, &self.last_modified) {
            (Some(etag), _) => (header::IF_MATCH, etag),
            (None, Some(date)) => (header::IF_UNMODIFIED_SINCE, date),
            (None, None) => return,
        };
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }

    /// Returns why `other` cannot be of the same object, if it cannot. A header that an answer leaves out proves
    /// nothing.
    pub(super) fn differs(&self, other: &Self) -> Option<&'static str> {
        let differ = |a: &Option<String>, b: &Option<String>| a.is_some() && b.is_some() && a != b;
        if differ(&self.etag, &other.etag) {
            return Some("its ETag changed");
        }
        if self.etag.is_none() && differ(&self.last_modified, &other.last_modified) {
            return Some("its Last-Modified changed");
        }
        let totals = self.total.zip(other.total);
        totals.filter(|(before, now)| before != now).map(|_| "its length changed")
    }

    /// Returns whether `other`, which does not differ, is provably of the same object.
    pub(super) fn proves(&self, other: &Self) -> bool {
        match (&self.etag, &self.last_modified) {
            (Some(_), _) => self.etag == other.etag,
            (None, Some(_)) => self.last_modified == other.last_modified && self.total == other.total,
            (None, None) => false,
        }
    }
}

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
            ("bytes 50-99/*", Some((50, 100, None))),
            ("bytes 0--1/0", Some((0, 0, Some(0)))),
            ("bytes 100-99/100", Some((100, 100, Some(100)))),
            ("bytes 0-100/100", None),
            ("bytes 9-3/100", None),
            ("bytes 0-18446744073709551615/*", None),
            ("bytes */100", None),
            ("items 0-1/2", None),
            ("bytes 0-1", None),
            ("", None),
        ] {
            let found = ContentRange::of(&range(text)).map(|range| (range.first, range.end, range.total));
            assert_eq!(found, expected, "{text}");
        }
        assert_eq!(ContentRange::unsatisfied(&range("bytes */100")), Some(100));
        assert_eq!(ContentRange::unsatisfied(&range("bytes */*")), None);
    }

    #[test]
    fn a_weak_etag_pins_nothing() {
        let headers: HeaderMap = [(header::ETAG, HeaderValue::from_static("W/\"a\""))].into_iter().collect();
        assert_eq!(Pin::of(&headers, Some(1)), Pin { total: Some(1), ..Pin::default() });
    }

    #[test]
    fn sees_a_replaced_object() {
        let pin = |etag: &str, total| Pin { etag: Some(etag.into()), last_modified: None, total: Some(total) };
        assert!(pin("\"a\"", 1).differs(&pin("\"b\"", 1)).is_some());
        assert!(pin("\"a\"", 1).differs(&pin("\"a\"", 2)).is_some());
        assert!(pin("\"a\"", 1).differs(&pin("\"a\"", 1)).is_none());
        assert!(!pin("\"a\"", 1).proves(&Pin::default()));
    }
}
