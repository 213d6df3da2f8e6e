//! Wait: the value of a header such as Retry-After, including values outside of RFC 9110.

use std::time::Duration;

use super::date::{self, Since, Time};
use super::unit::Unit;
use super::{span, words};

/// Returns the longest wait that a text asks for; none if the text asks for no wait that can be read.
///
/// RFC 9110 allows whole seconds and three forms of a date. Services also write decimals, a unit (`30s`, `1m0s`,
/// `PT3S`, `2 minutes`), RFC 3339, quotes, an extra separator (`60;`), and several values (`60, 60`), as proxies join
/// two headers. A number that is too long for a wait is a moment since 1970 if that moment is within reach.
pub(super) fn read(text: &str, unit: Unit, since: Since<'_>) -> Option<Duration> {
    let text = bare(text);
    if let Some(wait) = one(text, unit, since) {
        return Some(wait);
    }
    // `2 heures, 5 minutes` is not a list: each value of a list must be complete in itself.
    let listed = values(text).filter(|value| !value.contains(' ') || date::http(value).is_some());
    let listed = listed.filter_map(|value| one(bare(value), unit, since)).max();
    listed.max(words::longest(text).and_then(|wait| since.wait(Time::In(wait))))
}

/// Reads one value.
fn one(text: &str, unit: Unit, since: Since<'_>) -> Option<Duration> {
    if let Some(time) = unit.read(text) {
        return since.wait(time).or_else(|| epoch(text, since));
    }
    let moment = || date::http(text).or_else(|| date::rfc3339(text));
    since.wait(span::duration(text).map(Time::In).or_else(moment)?)
}

/// Reads seconds or milliseconds since 1970, in the place of a length.
fn epoch(text: &str, since: Since<'_>) -> Option<Duration> {
    let moment = date::epoch_by_size(text)?;
    since.is_near(moment).then(|| since.wait(moment))?
}

/// Returns the values of a list. The comma inside a date does not separate.
fn values(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let weekday = |at: usize| text.get(..at).is_some_and(|before| date::is_weekday(before.trim()));
        let end = text.char_indices().find(|(at, c)| matches!(c, ',' | ';') && !weekday(*at)).map(|(at, _)| at);
        rest = end.and_then(|end| text.get(end + 1..));
        Some(text.get(..end.unwrap_or(text.len())).unwrap_or_default().trim())
    })
}

/// Removes spaces, quotes and separators around a value.
fn bare(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | ';'))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use http::HeaderMap;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn reads_what_services_write_and_the_longest_of_it() {
        // 10 July 2024, 14:12:45 UTC.
        let headers = HeaderMap::new();
        let since = Since::new(&headers, at(1_720_620_765));
        for (text, millis) in [
            ("60", Some(60_000)),
            (" 1.5 ", Some(1_500)),
            ("86460", Some(86_460_000)),
            ("34560000", Some(34_560_000_000)),
            ("34560001", None),
            ("30s", Some(30_000)),
            ("30 s", Some(30_000)),
            ("1m0s", Some(60_000)),
            ("250ms", Some(250)),
            ("PT3S", Some(3_000)),
            ("P1DT1H", Some(90_000_000)),
            ("60 seconds", Some(60_000)),
            ("1,200 seconds", Some(1_200_000)),
            ("Try again in 2 hours and 5 minutes.", Some(7_500_000)),
            ("\"60\"", Some(60_000)),
            ("'60'", Some(60_000)),
            ("60;", Some(60_000)),
            ("60,", Some(60_000)),
            ("60, 60", Some(60_000)),
            ("1, 4", Some(4_000)),
            ("4,1", Some(4_000)),
            ("20, 10 seconds", Some(20_000)),
            ("\"1\", \"4\"", Some(4_000)),
            ("30s; PT1M", Some(60_000)),
            ("60; comment=soon", Some(60_000)),
            ("60, soon", Some(60_000)),
            ("-1, 60", Some(60_000)),
            ("Wed, 10 Jul 2024 14:13:45 GMT", Some(60_000)),
            ("Wed, 10 Jul 2024 14:13:45 GMT, Wed, 10 Jul 2024 14:14:45 GMT", Some(120_000)),
            ("90, Wed, 10 Jul 2024 14:13:45 GMT", Some(90_000)),
            ("\"Wednesday, 10-Jul-24 14:13:45 GMT\"", Some(60_000)),
            ("2024-07-10T14:13:45Z", Some(60_000)),
            ("2024-07-10T16:13:45.5+02:00", Some(60_500)),
            ("2024-07-10T14:13:45", Some(60_000)),
            ("2024-07-10 14:13:45", Some(60_000)),
            ("2024-07-20T14:12:45", Some(864_000_000)),
            ("1720620825", Some(60_000)),
            ("1720620825000", Some(60_000)),
            // A moment in the past asks for no wait.
            ("Wed, 10 Jul 2024 14:00:00 GMT", Some(0)),
            ("1720620700", Some(0)),
            ("0", Some(0)),
            ("-1", None),
            ("+1", None),
            ("-30s", None),
            ("inf", None),
            ("NaN", None),
            ("1e3", None),
            ("1.2.3", None),
            (".5", None),
            ("40000000", None),
            ("1000000000000", None),
            ("999999999999999999999999999999", None),
            ("2 heures, 5 minutes", None),
            ("1h30", None),
            ("P1M", None),
            ("PT9601H", None),
            ("Sat, 10 Jul 2094 14:13:45 GMT", None),
            ("9999-12-31T23:59:59Z", None),
            ("soon", None),
            ("/bar", None),
            (",;", None),
            ("", None),
        ] {
            assert_eq!(read(text, Unit::Seconds, since), millis.map(Duration::from_millis), "{text}");
        }
    }

    #[test]
    fn a_value_without_a_unit_has_the_one_of_its_place() {
        let headers = HeaderMap::new();
        let since = Since::new(&headers, at(1_720_620_765));
        for (text, millis) in [
            ("1500", Some(1_500)),
            ("90000000", Some(90_000_000)),
            ("1500, 2500", Some(2_500)),
            ("30s", Some(30_000)),
            ("34560000001", None),
            ("1720620825000", Some(60_000)),
        ] {
            assert_eq!(read(text, Unit::Milliseconds, since), millis.map(Duration::from_millis), "{text}");
        }
    }
}
