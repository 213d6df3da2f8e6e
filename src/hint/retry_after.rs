//! How long a service asks to wait: Retry-After and its relatives.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use serde::{Deserialize, Serialize};

/// What an answer says of waiting: how long, and what in it was not understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hint {
    pub(crate) delay: Option<Duration>,
    pub(crate) ignored: Option<String>,
}

/// The unit of a number that a service gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Unit {
    /// Seconds, as in the header (RFC 9110, 10.2.3).
    #[default]
    Seconds,
    /// Milliseconds.
    Milliseconds,
}

/// The first header that parses, of `retry-after-ms`, `x-ms-retry-after-ms` and `Retry-After`.
///
/// A date counts from the answer's own Date, so that a skewed clock on either side does no harm; without one, from
/// `now`.
pub(crate) fn from_headers(headers: &HeaderMap, now: SystemTime) -> Hint {
    let mut hint = Hint::default();
    for (name, unit) in [
        ("retry-after-ms", Unit::Milliseconds),
        ("x-ms-retry-after-ms", Unit::Milliseconds),
        ("retry-after", Unit::Seconds),
    ] {
        for value in headers.get_all(name) {
            let text = value.to_str().unwrap_or("not text").trim();
            let date = || (unit == Unit::Seconds).then(|| until_date(text, headers, now)).flatten();
            match number(text, unit).or_else(date) {
                Some(delay) if delay <= LONGEST => return Hint { delay: Some(delay), ignored: hint.ignored },
                _ => {
                    hint.ignored.get_or_insert_with(|| format!("ignored {name}: {}", shorten(text)));
                }
            }
        }
    }
    hint
}

/// A hint in a body or a header of the service's own.
pub(crate) fn from_value(value: &serde_json::Value, unit: Unit) -> Hint {
    let text = match value {
        serde_json::Value::String(text) => text.trim().to_owned(),
        other => other.to_string(),
    };
    match number(&text, unit) {
        Some(delay) if delay <= LONGEST => Hint { delay: Some(delay), ignored: None },
        _ => Hint { delay: None, ignored: Some(format!("ignored an interval of {}", shorten(&text))) },
    }
}

/// A non-negative decimal number: digits, and at most one point between digits.
fn number(text: &str, unit: Unit) -> Option<Duration> {
    let plain = text.starts_with(|c: char| c.is_ascii_digit())
        && text.ends_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_digit() || c == '.');
    let number: f64 = text.parse().ok().filter(|_| plain)?;
    let seconds = match unit {
        Unit::Seconds => number,
        Unit::Milliseconds => number / 1000.0,
    };
    // Rounded up to the millisecond: never earlier than asked.
    Duration::try_from_secs_f64((seconds * 1000.0).ceil() / 1000.0).ok()
}

fn until_date(text: &str, headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let date = httpdate::parse_http_date(text).ok()?;
    let stated = headers.get(http::header::DATE).and_then(|value| value.to_str().ok());
    let since = stated.and_then(|text| httpdate::parse_http_date(text).ok()).unwrap_or(now);
    Some(date.duration_since(since).unwrap_or(Duration::ZERO))
}

fn shorten(text: &str) -> String {
    let short: String = text.chars().filter(|c| !c.is_control()).take(40).collect();
    format!("`{short}`")
}

/// A longer wait than a day is taken as malformed: an epoch in a field for seconds, as a rule.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect::<HeaderMap>()
    }

    #[test]
    fn reads_every_form_and_ignores_the_rest() {
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        type Pairs = [(&'static str, &'static str)];
        let cases: &[(&Pairs, Option<u64>)] = &[
            (&[], None),
            (&[("retry-after", "120")], Some(120_000)),
            (&[("retry-after", " 1.5 ")], Some(1_500)),
            (&[("retry-after", "0.0001")], Some(1)),
            (&[("retry-after", "0")], Some(0)),
            (&[("retry-after", "86400")], Some(86_400_000)),
            (&[("retry-after-ms", "250"), ("retry-after", "9")], Some(250)),
            (&[("x-ms-retry-after-ms", "100")], Some(100)),
            (&[("retry-after-ms", "soon"), ("retry-after", "9")], Some(9_000)),
            (&[date, ("retry-after", "Sun, 06 Nov 1994 08:50:37 GMT")], Some(60_000)),
            (&[date, ("retry-after", "Sunday, 06-Nov-94 08:50:37 GMT")], Some(60_000)),
            (&[date, ("retry-after", "Sun Nov  6 08:50:37 1994")], Some(60_000)),
            (&[date, ("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT")], Some(0)),
            (&[("retry-after", "Thu, 01 Jan 1970 00:00:07 GMT")], Some(7_000)),
            (&[("date", "garbage"), ("retry-after", "Thu, 01 Jan 1970 00:00:07 GMT")], Some(7_000)),
            (&[date, ("retry-after", "Sun, 06 Nov 2094 08:50:37 GMT")], None),
            (&[("retry-after", "-1")], None),
            (&[("retry-after", "+1")], None),
            (&[("retry-after", "inf")], None),
            (&[("retry-after", "NaN")], None),
            (&[("retry-after", "1e3")], None),
            (&[("retry-after", "1.2.3")], None),
            (&[("retry-after", ".5")], None),
            (&[("retry-after", "1000000000000")], None),
            (&[("retry-after", "999999999999999999999999999999")], None),
            (&[("retry-after", "/bar")], None),
            (&[("retry-after", "")], None),
        ];
        for (pairs, millis) in cases {
            let hint = from_headers(&headers(pairs), SystemTime::UNIX_EPOCH);
            assert_eq!(hint.delay, millis.map(Duration::from_millis), "{pairs:?}");
            assert!(hint.delay.is_some() || pairs.is_empty() || hint.ignored.is_some(), "{pairs:?} is not reported");
        }
    }

    #[test]
    fn reads_a_body_by_its_unit() {
        for (value, unit, millis) in [
            (serde_json::json!(1500), Unit::Milliseconds, Some(1_500)),
            (serde_json::json!("2"), Unit::Seconds, Some(2_000)),
            (serde_json::json!(-2), Unit::Seconds, None),
            (serde_json::json!([]), Unit::Seconds, None),
            (serde_json::json!(1e300), Unit::Seconds, None),
        ] {
            assert_eq!(from_value(&value, unit).delay, millis.map(Duration::from_millis), "{value}");
        }
    }
}
