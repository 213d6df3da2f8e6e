//! Answers: what the answer of a storage means for the bytes that are there already.

use http::{HeaderMap, StatusCode};

use super::content_range::ContentRange;
use super::identity::{Identity, Match};

/// The request that was answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    /// The first byte that is wanted.
    pub(super) first: u64,
    /// Whether the request had a Range.
    pub(super) is_ranged: bool,
    /// The object that the bytes so far are of; `None` if there are none.
    pub(super) identity: Option<&'a Identity>,
    pub(super) trusts_weak: bool,
    /// Where the last body ended, as the storage stated it.
    pub(super) last_end: Option<u64>,
}

/// The meaning of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The body begins at `first`, which is never behind the wanted byte, and ends at `end` if that is stated.
    Body { first: u64, end: Option<u64>, identity: Identity },
    /// The body is all of an object that may be another: all bytes before are void.
    BodyAnew { end: Option<u64>, identity: Identity },
    /// No byte follows.
    End(Identity),
    /// The storage cannot go on at this byte, or cannot prove that the rest would fit: the download begins anew.
    Anew(&'static str),
    /// The storage cannot answer a Range: one more try goes without.
    WithoutRange(&'static str),
    /// Another object is there now.
    Changed(&'static str),
    /// The object is the one that the caller has already.
    NotModified,
    /// The object is not ready.
    NotYet,
    /// A success that brings no file.
    NoFile,
    /// The status says that the request failed.
    Refused,
}

impl Asked<'_> {
    /// Reads the head of an answer.
    pub(super) fn read(&self, status: StatusCode, headers: &HeaderMap) -> Verdict {
        match status.as_u16() {
            200 => self.whole(headers),
            206 => self.part(headers),
            202 => Verdict::NotYet,
            // The storage has nothing (204), or not the stored bytes (203).
            _ if status.is_success() && self.is_start() => Verdict::NoFile,
            _ if status.is_success() => Verdict::Anew("the storage answered a request for the rest without a body"),
            304 => Verdict::NotModified,
            412 if !self.is_start() => Verdict::Changed("the storage says that it is not the same any more (412)"),
            416 => self.unsatisfied(headers),
            _ => Verdict::Refused,
        }
    }

    /// Reads a status that some servers give to a Range that they do not understand.
    pub(super) fn refuses_ranges(&self, status: StatusCode) -> Option<Verdict> {
        if !self.is_ranged || !matches!(status.as_u16(), 400 | 405 | 406 | 501) {
            return None;
        }
        Some(if self.is_start() {
            Verdict::WithoutRange("the storage refused a request with a Range")
        } else {
            Verdict::Anew("the storage refused to go on in the middle")
        })
    }

    const fn is_start(&self) -> bool {
        self.identity.is_none()
    }

    fn part(&self, headers: &HeaderMap) -> Verdict {
        let stated = length(headers);
        let range = ContentRange::of(headers)
            .filter(|range| range.first <= self.first && stated.is_none_or(|stated| stated == range.length()));
        let Some(range) = range else {
            let why = "the storage answered with another range than was asked for";
            return match self.is_start() {
                true if self.is_ranged => Verdict::WithoutRange(why),
                true => Verdict::NoFile,
                false => Verdict::Anew(why),
            };
        };
        let identity = Identity::of(headers, range.total);
        let is_end = range.end <= self.first && range.total == Some(self.first);
        match self.compare(&identity) {
            Match::Differs(why) => return Verdict::Changed(why),
            // No byte comes that would have to fit.
            Match::Unproven if is_end => return Verdict::End(identity),
            Match::Unproven => return Verdict::Anew("nothing proves that the rest belongs to the same object"),
            Match::Same => {}
        }
        if range.end > self.first {
            return Verdict::Body { first: range.first, end: Some(range.end), identity };
        }
        if is_end {
            return Verdict::End(identity);
        }
        let why = "the storage answered with a range of nothing";
        if self.is_start() { Verdict::WithoutRange(why) } else { Verdict::Anew(why) }
    }

    /// A storage may ignore Range (RFC 9110, 14.2).
    fn whole(&self, headers: &HeaderMap) -> Verdict {
        let end = length(headers);
        let identity = Identity::of(headers, end);
        match self.compare(&identity) {
            Match::Differs(why) => Verdict::Changed(why),
            Match::Same => Verdict::Body { first: 0, end, identity },
            Match::Unproven => Verdict::BodyAnew { end, identity },
        }
    }

    /// There is no byte at the offset (RFC 9110, 15.5.17).
    fn unsatisfied(&self, headers: &HeaderMap) -> Verdict {
        let stated = ContentRange::unsatisfied(headers);
        let now = Identity::of(headers, stated);
        if let Match::Differs(why) = self.compare(&now) {
            return Verdict::Changed(why);
        }
        // Not every storage states the total; without it, the earlier statement holds.
        let total = stated.or(self.identity.and_then(|identity| identity.total)).or(self.last_end);
        match total {
            Some(total) if total == self.first => {
                let known = self.identity.cloned().unwrap_or(now);
                Verdict::End(known.with_total(total))
            }
            Some(total) if self.first > total => Verdict::Changed("it ends before what is asked for (416)"),
            _ if !self.is_start() => Verdict::Anew("the storage has no byte where the last answer ended (416)"),
            _ if self.is_ranged => Verdict::WithoutRange("the storage refused a range (416)"),
            _ => Verdict::Refused,
        }
    }

    fn compare(&self, now: &Identity) -> Match {
        match self.identity {
            Some(before) => before.compare(now, self.trusts_weak),
            // No byte is there that the rest would have to fit.
            None => Match::Same,
        }
    }
}

fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(http::header::CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    /// `etag`, `range` and `length` of a head, each if it is not empty.
    fn head(etag: &str, range: &str, length: &str) -> HeaderMap {
        let names = ["etag", "content-range", "content-length"].map(HeaderName::from_static);
        let values = [etag, range, length];
        let pairs = names.into_iter().zip(values).filter(|(_, value)| !value.is_empty());
        pairs.map(|(name, value)| (name, HeaderValue::from_str(value).unwrap())).collect()
    }

    fn read(first: u64, is_ranged: bool, status: u16, headers: &HeaderMap) -> String {
        let identity = Identity::of(&head("\"a\"", "", ""), Some(10));
        let identity = (first > 0).then_some(&identity);
        let asked = Asked { first, is_ranged, identity, trusts_weak: false, last_end: None };
        let status = StatusCode::from_u16(status).unwrap();
        let verdict = match asked.read(status, headers) {
            Verdict::Refused => asked.refuses_ranges(status).unwrap_or(Verdict::Refused),
            verdict => verdict,
        };
        match verdict {
            Verdict::Body { first, end, .. } => format!("body {first}-{}", end.map_or(-1, |end| end as i64)),
            Verdict::BodyAnew { .. } => "body anew".into(),
            Verdict::End(_) => "end".into(),
            Verdict::Anew(_) => "anew".into(),
            Verdict::WithoutRange(_) => "without".into(),
            Verdict::Changed(_) => "changed".into(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn reads_the_first_answer() {
        for (status, etag, range, length, expected) in [
            (200, "", "", "", "body 0--1"),
            (200, "\"a\"", "bytes 5-9/10", "10", "body 0-10"),
            (206, "\"a\"", "bytes 0-9/10", "10", "body 0-10"),
            (206, "", "bytes 0-4/*", "", "body 0-5"),
            (206, "", "Bytes 0-9/10", "", "body 0-10"),
            (206, "", "", "10", "without"),
            (206, "", "0-9/10", "", "without"),
            (206, "", "bytes 0-/10", "", "without"),
            (206, "", "bytes 0-9/10", "5", "without"),
            (206, "", "bytes 3-9/10", "", "without"),
            (206, "", "bytes 0--1/0", "", "end"),
            (416, "", "bytes */0", "", "end"),
            (416, "", "bytes */10", "", "without"),
            (416, "", "", "", "without"),
            (400, "", "", "", "without"),
            (405, "", "", "", "without"),
            (406, "", "", "", "without"),
            (501, "", "", "", "without"),
            (202, "", "", "", "NotYet"),
            (203, "", "", "", "NoFile"),
            (204, "", "", "", "NoFile"),
            (205, "", "", "", "NoFile"),
            (304, "", "", "", "NotModified"),
            (403, "", "", "", "Refused"),
            (412, "", "", "", "Refused"),
            (500, "", "", "", "Refused"),
        ] {
            assert_eq!(read(0, true, status, &head(etag, range, length)), expected, "{status} {range} {length}");
        }
        // An answer that is odd without a Range stays odd.
        for (status, range) in [(206, ""), (400, ""), (416, "bytes */10"), (501, "")] {
            assert_ne!(read(0, false, status, &head("", range, "")), "without", "{status}");
        }
    }

    #[test]
    fn reads_the_answer_to_a_resume() {
        for (status, etag, range, expected) in [
            (206, "\"a\"", "bytes 5-9/10", "body 5-10"),
            (206, "\"a\"", "bytes 5-7/10", "body 5-8"),
            (206, "\"a\"", "bytes 4-9/10", "body 4-10"),
            (206, "\"a\"", "bytes 0-9/10", "body 0-10"),
            (206, "\"a\"", "bytes 6-9/10", "anew"),
            (206, "\"a\"", "bytes 1024-2047/4096", "anew"),
            (206, "\"a\"", "bytes 5-9/11", "changed"),
            (206, "\"a\"", "bytes 5-9", "anew"),
            (206, "\"a\"", "", "anew"),
            (206, "\"b\"", "bytes 5-9/10", "changed"),
            (206, "W/\"a\"", "bytes 5-9/10", "anew"),
            (206, "", "bytes 5-9/10", "anew"),
            (200, "\"a\"", "", "body 0--1"),
            (200, "", "", "body anew"),
            (200, "\"b\"", "", "changed"),
            (204, "", "", "anew"),
            (205, "", "", "anew"),
            (400, "", "", "anew"),
            (405, "", "", "anew"),
            (406, "", "", "anew"),
            (412, "", "", "changed"),
            (416, "", "bytes */5", "changed"),
            (416, "", "bytes */3", "changed"),
            (416, "", "", "anew"),
            (501, "", "", "anew"),
            (403, "", "", "Refused"),
            (503, "", "", "Refused"),
        ] {
            assert_eq!(read(5, true, status, &head(etag, range, "")), expected, "{status} {etag} {range}");
        }
        for (status, etag, range, expected) in [
            (206, "\"a\"", "bytes 10-9/10", "end"),
            (206, "", "bytes 10-9/10", "end"),
            (206, "\"b\"", "bytes 10-9/10", "changed"),
            (206, "\"a\"", "", "anew"),
            (206, "\"a\"", "bytes 10-/10", "anew"),
            (204, "\"a\"", "", "anew"),
            (416, "", "bytes */10", "end"),
            (416, "\"a\"", "", "end"),
            (416, "\"b\"", "bytes */10", "changed"),
        ] {
            assert_eq!(read(10, true, status, &head(etag, range, "")), expected, "at the end: {status} {range}");
        }
    }
}
