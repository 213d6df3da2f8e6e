//! Number: plain decimal numbers of services, read exactly.

use std::borrow::Cow;
use std::time::Duration;

/// Reads a length of time in units of `millis` milliseconds, rounded up to the millisecond: never shorter than asked.
pub(super) fn decimal(text: &str, millis: u128) -> Option<Duration> {
    let (whole, fraction) = parts(text)?;
    let digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
    let billionths = digits.fold(0, |number, digit| number * 10 + u128::from(digit - b'0'));
    let finer = fraction.bytes().skip(9).any(|digit| digit != b'0');
    let exact = u128::from(whole) * BILLION + billionths + u128::from(finer);
    u64::try_from((exact * millis).div_ceil(BILLION)).ok().map(Duration::from_millis)
}

/// Reads a count, rounded down: never more than stated.
pub(super) fn count(text: &str) -> Option<u64> {
    parts(text).map(|(whole, _)| whole)
}

/// Reads a count, rounded up.
pub(super) fn count_up(text: &str) -> Option<u64> {
    let (whole, fraction) = parts(text)?;
    whole.checked_add(u64::from(fraction.bytes().any(|digit| digit != b'0')))
}

/// Removes the commas between thousands; none if the commas stand elsewhere.
pub(super) fn without_commas(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains(',') {
        return Some(text.into());
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut groups = whole.split(',');
    let first = groups.next().is_some_and(|group| (1..=3).contains(&group.len()));
    (first && groups.all(|group| group.len() == 3) && !fraction.contains(',')).then(|| text.replace(',', "").into())
}

/// Splits a number of digits with at most one point between digits.
fn parts(text: &str) -> Option<(u64, &str)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    (digits(whole) && digits(fraction)).then_some(())?;
    Some((whole.parse().ok()?, fraction))
}

const BILLION: u128 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_decimals_exactly_and_rounds_up() {
        for (text, millis, expected) in [
            ("0", 1000, Some(0)),
            ("1.5", 1000, Some(1_500)),
            ("64.57", 1000, Some(64_570)),
            ("1470173023.123", 1000, Some(1_470_173_023_123)),
            ("0.0001", 1000, Some(1)),
            ("0.0000000000001", 1000, Some(1)),
            ("0.001000000000", 1000, Some(1)),
            ("250.5", 1, Some(251)),
            ("1.5", 60_000, Some(90_000)),
            ("18446744073709551615", 1, Some(u64::MAX)),
            ("18446744073709551615", 1000, None),
            ("18446744073709551616", 1, None),
        ] {
            assert_eq!(decimal(text, millis), expected.map(Duration::from_millis), "{text}");
        }
    }

    #[test]
    fn commas_stand_between_thousands() {
        for (text, expected) in [
            ("7", Some("7")),
            ("1,200", Some("1200")),
            ("12,345,678.5", Some("12345678.5")),
            ("1,5", None),
            ("1234,567", None),
            ("1,2345", None),
            ("1.5,200", None),
            (",200", None),
        ] {
            assert_eq!(without_commas(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_plain_number() {
        for text in ["", "-1", "+1", ".5", "5.", "1.2.3", "1e3", "NaN", "inf", "1,000", " 1", "٣"] {
            assert_eq!((decimal(text, 1), count(text), count_up(text)), (None, None, None), "{text}");
        }
    }

    #[test]
    fn counts_are_never_too_generous() {
        assert_eq!((count("598.0"), count_up("598.0")), (Some(598), Some(598)));
        assert_eq!((count("598.9"), count_up("598.1")), (Some(598), Some(599)));
        assert_eq!((count("18446744073709551615"), count_up("18446744073709551615.5")), (Some(u64::MAX), None));
    }
}
