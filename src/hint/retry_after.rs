//! How long a service asks to wait: Retry-After and its relatives.

use std::time::{Duration, SystemTime};

use http::HeaderMap;

use super::date::{self, Since, Time};
use super::{Unit, ignored, sitecore};
use crate::pointer;

/// What an answer says of waiting: how long, and what in it was not understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hint {
    pub(crate) delay: Option<Duration>,
    pub(crate) ignored: Option<String>,
}

/// The first header that parses, of `retry-after-ms`, `x-ms-retry-after-ms`, `x-amz-retry-after`, `Retry-After` and
/// Sitecore's `x-ratelimit-expires`.
pub(crate) fn from_headers(headers: &HeaderMap, now: SystemTime) -> Hint {
    let since = Since::new(headers, now);
    let mut ignoring = None;
    for (name, unit) in NAMES {
        for value in headers.get_all(name) {
            let text = value.to_str().unwrap_or("not text").trim();
            let date = || unit.is_seconds().then(|| wait(date::http(text)?, since)).flatten();
            match delay(text, unit, since).or_else(date) {
                Some(delay) => return Hint { delay: Some(delay), ignored: ignoring },
                None => ignoring = ignoring.or_else(|| Some(ignored(name, text))),
            }
        }
    }
    let Some(expires) = headers.get(sitecore::EXPIRES) else { return Hint { delay: None, ignored: ignoring } };
    let delay = sitecore::reset(since).filter(|delay| *delay <= LONGEST);
    if delay.is_none() {
        ignoring = ignoring.or_else(|| Some(ignored(sitecore::EXPIRES, expires.to_str().unwrap_or("not text"))));
    }
    Hint { delay, ignored: ignoring }
}

/// A hint in a body or a header of the service's own.
pub(crate) fn from_value(value: &serde_json::Value, unit: Unit, headers: &HeaderMap, now: SystemTime) -> Hint {
    let text = pointer::text(value).unwrap_or_else(|| value.to_string());
    match delay(&text, unit, Since::new(headers, now)) {
        Some(delay) => Hint { delay: Some(delay), ignored: None },
        None => Hint { delay: None, ignored: Some(ignored("an interval of", &text)) },
    }
}

/// Whether a header, named in lower case, asks to wait.
pub(super) fn is_asking(name: &str) -> bool {
    name == sitecore::EXPIRES || NAMES.iter().any(|(known, _)| *known == name)
}

pub(super) fn delay(text: &str, unit: Unit, since: Since<'_>) -> Option<Duration> {
    wait(unit.read(text)?, since)
}

/// A moment in the past asks for no wait.
fn wait(time: Time, since: Since<'_>) -> Option<Duration> {
    Some(since.until(time).unwrap_or(Duration::ZERO)).filter(|delay| *delay <= LONGEST)
}

const NAMES: [(&str, Unit); 4] = [
    ("retry-after-ms", Unit::Milliseconds),
    ("x-ms-retry-after-ms", Unit::Milliseconds),
    ("x-amz-retry-after", Unit::Milliseconds),
    ("retry-after", Unit::Seconds),
];

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
            (&[("x-amz-retry-after", "1500"), ("retry-after", "9")], Some(1_500)),
            (&[date, ("x-ratelimit-expires", "11/06/1994 08:49:47")], Some(10_000)),
            (&[date, ("x-ratelimit-expires", "11/06/1994 08:49:47"), ("retry-after", "3")], Some(3_000)),
            (&[date, ("x-ratelimit-expires", "11/06/1994 08:49:27")], None),
            (&[date, ("x-ratelimit-expires", "11/08/1994 08:49:37")], None),
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
            (serde_json::json!("Thu, 01 Jan 1970 00:00:07 GMT"), Unit::Seconds, None),
            (serde_json::json!("Thu, 01 Jan 1970 00:00:07 GMT"), Unit::HttpDate, Some(7_000)),
            (serde_json::json!("1969-12-31T23:59:59Z"), Unit::Rfc3339, None),
            (serde_json::json!(86_400), Unit::EpochSeconds, Some(86_400_000)),
            (serde_json::json!(86_401), Unit::EpochSeconds, None),
        ] {
            assert_eq!(
                from_value(&value, unit, &HeaderMap::new(), SystemTime::UNIX_EPOCH).delay,
                millis.map(Duration::from_millis),
                "{value}"
            );
        }
    }
}
