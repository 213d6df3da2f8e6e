//! How long a service asks to wait: Retry-After and its relatives.

use std::time::{Duration, SystemTime};

use http::HeaderMap;

use super::date::{FURTHEST, Since};
use super::ignored::ignored;
use super::unit::Unit;
use super::{sitecore, wait};
use crate::pointer;

/// The wait that a response asks for, and the values that were not understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hint {
    pub(crate) delay: Option<Duration>,
    pub(crate) ignored: Option<String>,
}

/// Returns the longest wait that any header asks for: `Retry-After` and its relatives, and Sitecore's
/// `x-ratelimit-expires`.
///
/// The headers that `is_read` names are read elsewhere, in their own unit.
pub(crate) fn from_headers(headers: &HeaderMap, now: SystemTime, is_read: impl Fn(&str) -> bool) -> Hint {
    let since = Since::new(headers, now);
    let mut hint = Hint::default();
    for (name, value) in headers {
        let name = name.as_str();
        let Some(unit) = unit_of(name).filter(|_| !is_read(name)) else { continue };
        let text = value.to_str().unwrap_or("not text").trim();
        hint.take(wait::read(text, unit, since), || ignored(name, text));
    }
    if let Some(expires) = headers.get(sitecore::EXPIRES).filter(|_| !is_read(sitecore::EXPIRES)) {
        let delay = sitecore::reset(since).filter(|delay| *delay <= FURTHEST);
        hint.take(delay, || ignored(sitecore::EXPIRES, expires.to_str().unwrap_or("not text")));
    }
    hint
}

/// Reads a hint from a service's own place in a body or a header.
pub(crate) fn from_value(value: &serde_json::Value, unit: Unit, headers: &HeaderMap, now: SystemTime) -> Hint {
    let text = pointer::text(value).unwrap_or_else(|| value.to_string());
    let mut hint = Hint::default();
    hint.take(delay(&text, unit, Since::new(headers, now)), || ignored("an interval of", &text));
    hint
}

/// Returns whether a header, named in lower case, asks to wait.
pub(super) fn is_asking(name: &str) -> bool {
    name == sitecore::EXPIRES || unit_of(name).is_some()
}

/// Reads a wait in a unit. A unit in the value takes precedence.
pub(super) fn delay(text: &str, unit: Unit, since: Since<'_>) -> Option<Duration> {
    match unit {
        Unit::Seconds | Unit::Milliseconds => wait::read(text, unit, since),
        _ => since.wait(unit.read(text)?),
    }
}

impl Hint {
    /// Takes a delay into account. The longest counts, so that a wait is never cut short.
    pub(crate) fn take(&mut self, delay: Option<Duration>, ignored: impl FnOnce() -> String) {
        if delay.is_none() && self.ignored.is_none() {
            self.ignored = Some(ignored());
        }
        self.delay = self.delay.max(delay);
    }
}

/// Returns the unit of a header that asks to wait: `retry-after`, with any prefix, and at most the unit after it.
fn unit_of(name: &str) -> Option<Unit> {
    let (before, behind) = name.split_once("retry-after")?;
    if !before.is_empty() && !before.ends_with('-') {
        return None;
    }
    match behind {
        // AWS writes milliseconds in this header.
        "" if before == "x-amz-" => Some(Unit::Milliseconds),
        "" | "-s" | "-sec" | "-secs" | "-seconds" | "-at" | "-date" | "-time" => Some(Unit::Seconds),
        "-ms" | "-millis" | "-milliseconds" => Some(Unit::Milliseconds),
        _ => None,
    }
}

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
            (&[("retry-after", "86460")], Some(86_460_000)),
            (&[("retry-after", "34560000")], Some(34_560_000_000)),
            (&[("retry-after", "34560001")], None),
            // The longest of several.
            (&[("retry-after", "1"), ("retry-after", "4")], Some(4_000)),
            (&[("retry-after", "4"), ("retry-after", "1")], Some(4_000)),
            (&[("retry-after", "soon"), ("retry-after", "4")], Some(4_000)),
            (&[("retry-after-ms", "250"), ("retry-after", "9")], Some(9_000)),
            (&[("retry-after-ms", "90000000"), ("retry-after", "9")], Some(90_000_000)),
            (&[("x-ratelimit-retry-after", "5"), ("retry-after", "3")], Some(5_000)),
            (&[("x-rate-limit-retry-after-seconds", "5")], Some(5_000)),
            (&[("x-retry-after", "30s")], Some(30_000)),
            (&[("x-ratelimit-retry-after-ms", "1500")], Some(1_500)),
            (&[("retry-after-date", "1970-01-01T00:00:07Z")], Some(7_000)),
            (&[("x-no-retry-after-max", "5")], None),
            (&[("x-ms-retry-after-ms", "100")], Some(100)),
            (&[("x-amz-retry-after", "1500")], Some(1_500)),
            (&[("x-amz-retry-after", "1500"), ("retry-after", "9")], Some(9_000)),
            (&[date, ("x-ratelimit-expires", "11/06/1994 08:49:47")], Some(10_000)),
            (&[date, ("x-ratelimit-expires", "11/06/1994 08:49:47"), ("retry-after", "3")], Some(10_000)),
            (&[date, ("x-ratelimit-expires", "11/06/1994 08:49:27")], None),
            (&[date, ("x-ratelimit-expires", "11/08/1994 08:49:37")], Some(172_800_000)),
            (&[date, ("x-ratelimit-expires", "11/08/1996 08:49:37")], None),
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
            let hint = from_headers(&headers(pairs), SystemTime::UNIX_EPOCH, |_| false);
            assert_eq!(hint.delay, millis.map(Duration::from_millis), "{pairs:?}");
            let is_asking = pairs.iter().any(|(name, _)| is_asking(name));
            assert!(hint.delay.is_some() || !is_asking || hint.ignored.is_some(), "{pairs:?} is not reported");
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
            (serde_json::json!("Thu, 01 Jan 1970 00:00:07 GMT"), Unit::Seconds, Some(7_000)),
            (serde_json::json!("30s"), Unit::Milliseconds, Some(30_000)),
            (serde_json::json!("1970-01-01T00:00:07"), Unit::Rfc3339, Some(7_000)),
            (serde_json::json!("Thu, 01 Jan 1970 00:00:07 GMT"), Unit::HttpDate, Some(7_000)),
            (serde_json::json!("1969-12-31T23:59:59Z"), Unit::Rfc3339, None),
            (serde_json::json!(86_401), Unit::EpochSeconds, Some(86_401_000)),
            (serde_json::json!(34_560_000), Unit::EpochSeconds, Some(34_560_000_000)),
            (serde_json::json!(34_560_001), Unit::EpochSeconds, None),
        ] {
            assert_eq!(
                from_value(&value, unit, &HeaderMap::new(), SystemTime::UNIX_EPOCH).delay,
                millis.map(Duration::from_millis),
                "{value}"
            );
        }
    }
}
