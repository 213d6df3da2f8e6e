//! The range of bytes that a request asks for.

use std::ops::Range;

use http::HeaderValue;

/// A `Range`, resolved against a body of a known length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Whole,
    Part(Range<u64>),
    /// The range begins after the end of the body.
    Beyond,
}

impl Wanted {
    /// Parses `bytes=a-b` and `bytes=a-`. As [RFC 9110, 14.2][rfc] allows, any other form is ignored: Azure supports
    /// neither several ranges nor ranges from the end.
    ///
    /// [rfc]: https://www.rfc-editor.org/rfc/rfc9110#section-14.2
    pub(super) fn of(header: Option<&HeaderValue>, len: u64) -> Self {
        let Some((start, end)) = header.and_then(bounds) else {
            return Self::Whole;
        };
        let end = end.map_or(len, |last| last.saturating_add(1).min(len));
        if start < len { Self::Part(start..end) } else { Self::Beyond }
    }
}

fn bounds(header: &HeaderValue) -> Option<(u64, Option<u64>)> {
    let (unit, range) = header.to_str().ok()?.split_once('=')?;
    let (first, last) = range.split_once('-')?;
    let first = number(first)?;
    let last = match last.trim() {
        "" => None,
        last => Some(number(last)?),
    };
    let valid = unit.eq_ignore_ascii_case("bytes") && last.is_none_or(|last| first <= last);
    valid.then_some((first, last))
}

fn number(text: &str) -> Option<u64> {
    let digits = text.trim();
    let all_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| all_digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_one_range_and_ignores_what_it_does_not_know() {
        let table = [
            ("bytes=0-0", Wanted::Part(0..1)),
            ("bytes=2-5", Wanted::Part(2..6)),
            ("Bytes=2-", Wanted::Part(2..10)),
            ("bytes=2-400", Wanted::Part(2..10)),
            ("bytes=9-18446744073709551615", Wanted::Part(9..10)),
            ("bytes=10-", Wanted::Beyond),
            ("bytes=10-20", Wanted::Beyond),
            ("bytes=5-2", Wanted::Whole),
            ("bytes=-3", Wanted::Whole),
            ("bytes=0-1,3-4", Wanted::Whole),
            ("bytes=+1-2", Wanted::Whole),
            ("bytes=", Wanted::Whole),
            ("rows=0-1", Wanted::Whole),
        ];
        for (header, wanted) in table {
            let header = HeaderValue::from_static(header);
            assert_eq!(Wanted::of(Some(&header), 10), wanted, "{header:?}");
        }
        assert_eq!(Wanted::of(None, 10), Wanted::Whole);
        assert_eq!(Wanted::of(Some(&HeaderValue::from_static("bytes=0-")), 0), Wanted::Beyond);
    }
}
