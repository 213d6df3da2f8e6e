//! Span: a length of time that is written as text.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

/// Parses `1s`, `6m0s`, `12ms`, `1h2m3.5s`, `1d`, and ISO 8601 (`PT1M`, `P1DT2H`). A day has 24 hours, a week 7 days;
/// months and years have no fixed length, and are not accepted. The result is rounded up to the millisecond.
pub(super) fn duration(text: &str) -> Option<Duration> {
    // Only ISO 8601 uses a comma as a decimal point; to a service, `1,200s` is twenty minutes.
    let commas = text.split(',').skip(1).any(|behind| behind.starts_with(|c: char| c.is_ascii_digit()));
    let span = (!commas || text.starts_with('P')).then(|| text.parse::<Span>().ok())??;
    let exact: Duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?.try_into().ok()?;
    let millis = u64::try_from(exact.as_nanos().div_ceil(1_000_000)).ok()?;
    Some(Duration::from_millis(millis))
}

/// Returns the length of a window by its name.
pub(super) fn named(word: &str) -> Option<Duration> {
    let seconds = match word {
        "second" | "secondly" => 1,
        "minute" | "minutely" => 60,
        "hour" | "hourly" => 60 * 60,
        "day" | "daily" => DAY,
        "week" | "weekly" => 7 * DAY,
        _ => return None,
    };
    Some(Duration::from_secs(seconds))
}

/// Parses the text after the slash of `50/second`, `50/s` or `50/10s`.
pub(super) fn per(word: &str) -> Option<Duration> {
    named(word).or_else(|| duration(word)).or_else(|| duration(&format!("1{word}")))
}

const DAY: u64 = 24 * 60 * 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_duration_texts() {
        for (text, millis) in [
            ("1s", Some(1_000)),
            ("6m0s", Some(360_000)),
            ("12ms", Some(12)),
            ("1h2m3.5s", Some(3_723_500)),
            ("7.66s", Some(7_660)),
            ("PT1M", Some(60_000)),
            ("PT3.5S", Some(3_500)),
            ("P1DT2H", Some(93_600_000)),
            ("P2W", Some(1_209_600_000)),
            ("1d2h", Some(93_600_000)),
            ("1us", Some(1)),
            ("PT1,5S", Some(1_500)),
            ("1,200s", None),
            ("1,5s", None),
            ("1h, 5m", Some(3_900_000)),
            ("P1M", None),
            ("1y", None),
            ("-PT3S", None),
            ("-1s", None),
            ("1s ago", None),
            ("60", None),
            ("soon", None),
            ("", None),
            ("99999999999999999999h", None),
        ] {
            assert_eq!(duration(text), millis.map(Duration::from_millis), "{text}");
        }
    }
}
