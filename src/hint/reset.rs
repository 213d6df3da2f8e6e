//! Reset: when a budget is full again, from a value without a unit.

use super::date::{self, Time};
use super::{number, span};

/// Reads a number by its size, and a text by its form: RFC 3339, HTTP-date, or a duration such as `6m0s`.
///
/// Up to a day in seconds, the number is in seconds. Below a billion, it is in milliseconds: budgets of more than a day
/// are rarer, and the next response corrects a reset that is too early. Larger numbers are seconds since 1970 (until
/// the year 5138), and then milliseconds.
pub(super) fn read(text: &str) -> Option<Time> {
    let Some(number) = number::decimal(text, 1000) else {
        let moment = date::rfc3339(text).or_else(|| date::http(text));
        return moment.or_else(|| span::duration(text).map(Time::In));
    };
    match number.as_secs() {
        0..=86_400 => Some(Time::In(number)),
        86_401..1_000_000_000 => number::decimal(text, 1).map(Time::In),
        _ => date::epoch_by_size(text),
    }
}

/// Reads a number as seconds if that is plausible; otherwise as [`read`].
pub(super) fn in_seconds(text: &str) -> Option<Time> {
    let number = number::decimal(text, 1000).filter(|number| *number <= date::FURTHEST);
    number.map(Time::In).or_else(|| read(text))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn tells_the_unit_by_size_and_form() {
        let length = |millis| Some(Time::In(Duration::from_millis(millis)));
        let moment = |millis| date::epoch(Duration::from_millis(millis));
        for (text, expected) in [
            ("0", length(0)),
            ("30", length(30_000)),
            ("64.57", length(64_570)),
            ("86400", length(86_400_000)),
            ("86401", length(86_401)),
            ("600000", length(600_000)),
            ("600000.5", length(600_001)),
            ("999999999", length(999_999_999)),
            ("1000000000", moment(1_000_000_000_000)),
            ("99999999999", moment(99_999_999_999_000)),
            ("100000000000", moment(100_000_000_000)),
            ("1372700873", moment(1_372_700_873_000)),
            ("1470173023.123", moment(1_470_173_023_123)),
            ("1372700873000", moment(1_372_700_873_000)),
            ("2016-08-02T21:23:43.123Z", moment(1_470_173_023_123)),
            ("Tue, 02 Aug 2016 21:23:43 GMT", moment(1_470_173_023_000)),
            ("1s", length(1_000)),
            ("6m0s", length(360_000)),
            ("12ms", length(12)),
            ("-1", None),
            ("NaN", None),
            ("1e3", None),
            ("soon", None),
            ("", None),
            ("18446744073709551616", None),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }
}
