//! Span: a length of time that is written in words.

use std::time::Duration;

use super::number;

/// `1s`, `6m0s`, `12ms`, `1h2m3.5s`, and ISO 8601 (`PT1M`).
pub(super) fn duration(text: &str) -> Option<Duration> {
    text.parse::<jiff::SignedDuration>().ok()?.try_into().ok()
}

/// The length of a window that is named by it.
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

/// What stands behind the slash of `50/second`, `50/s` or `50/10s`.
pub(super) fn per(word: &str) -> Option<Duration> {
    named(word).or_else(|| duration(word)).or_else(|| duration(&format!("1{word}")))
}

/// The first number in a sentence that stands before a word for a unit of time: `Try again in 60 seconds.`
pub(super) fn in_words(text: &str) -> Option<Duration> {
    let mut rest = text;
    while let Some(begin) = rest.find(|c: char| c.is_ascii_digit()) {
        let run = rest.get(begin..)?;
        let end = run.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ',').unwrap_or(run.len());
        let (number, after) = run.split_at(end);
        // The brackets of a template may still stand around it.
        let after = after.trim_start_matches(|c: char| !c.is_alphanumeric());
        let word = after.split(|c: char| !c.is_alphabetic()).next().unwrap_or_default();
        if let Some(span) = millis(word).and_then(|millis| number::decimal(number, millis)) {
            return Some(span);
        }
        rest = after;
    }
    None
}

fn millis(word: &str) -> Option<u128> {
    let is = |words: &[&str]| words.iter().any(|known| known.eq_ignore_ascii_case(word));
    match word {
        _ if is(&["ms", "msec", "msecs", "millisecond", "milliseconds"]) => Some(1),
        _ if is(&["s", "sec", "secs", "second", "seconds"]) => Some(1000),
        _ if is(&["min", "mins", "minute", "minutes"]) => Some(60_000),
        _ if is(&["hour", "hours"]) => Some(3_600_000),
        _ => None,
    }
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

    #[test]
    fn finds_a_time_in_a_sentence() {
        for (text, millis) in [
            ("Rate limit exceeded. Retry the request in [42] seconds", Some(42_000)),
            ("Rate limit is exceeded. Try again in 60 seconds.", Some(60_000)),
            ("Max rate limit '100' exceeded with in '20' secs", Some(20_000)),
            ("Error 429: wait 1.5 MINUTES", Some(90_000)),
            ("again in 250ms", Some(250)),
            ("again in 1 hour", Some(3_600_000)),
            ("429.", None),
            ("in 60", None),
            ("in 1,000 seconds", None),
            ("in 99999999999999999999 seconds", None),
            ("in 5 séconds", None),
            ("", None),
        ] {
            assert_eq!(in_words(text), millis.map(Duration::from_millis), "{text}");
        }
    }
}
