//! Date: the moments that services write, and how far away they are.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, header};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::number;

/// A length of time, or a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Time {
    In(Duration),
    At(SystemTime),
}

impl Time {
    pub(super) const fn length(self) -> Option<Duration> {
        match self {
            Self::In(span) => Some(span),
            Self::At(_) => None,
        }
    }
}

/// The reference time of moments in a response: its own Date, so that a skewed clock on either side does no harm;
/// without a Date, our clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Since<'a> {
    headers: &'a HeaderMap,
    now: SystemTime,
}

impl<'a> Since<'a> {
    pub(super) const fn new(headers: &'a HeaderMap, now: SystemTime) -> Self {
        Self { headers, now }
    }

    pub(super) const fn headers(self) -> &'a HeaderMap {
        self.headers
    }

    /// Returns the time until then; none for the past.
    pub(super) fn until(self, time: Time) -> Option<Duration> {
        match time {
            Time::In(span) => Some(span),
            Time::At(moment) => moment.duration_since(self.moment()).ok(),
        }
    }

    /// Returns how long to wait for it: zero for the past, and none for a moment that no task can wait for.
    pub(super) fn wait(self, time: Time) -> Option<Duration> {
        Some(self.until(time).unwrap_or(Duration::ZERO)).filter(|wait| *wait <= FURTHEST)
    }

    /// Returns whether a moment is plausible: it lies within the longest wait, before or after the reference time.
    pub(super) fn is_near(self, time: Time) -> bool {
        let Time::At(moment) = time else { return false };
        let ahead = moment.duration_since(self.moment());
        ahead.unwrap_or_else(|behind| behind.duration()) <= FURTHEST
    }

    fn moment(self) -> SystemTime {
        let stated = self.headers.get(header::DATE).and_then(|value| value.to_str().ok());
        stated.and_then(|text| httpdate::parse_http_date(text.trim()).ok()).unwrap_or(self.now)
    }
}

/// Parses the three forms of RFC 9110, 5.6.7.
pub(super) fn http(text: &str) -> Option<Time> {
    httpdate::parse_http_date(text).ok().map(Time::At)
}

/// Returns whether a text is the name of a day, with which a date begins.
pub(super) fn is_weekday(text: &str) -> bool {
    let day = text.get(..3).unwrap_or_default();
    let short = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"].iter().any(|known| known.eq_ignore_ascii_case(day));
    short && text.bytes().all(|byte| byte.is_ascii_alphabetic())
}

/// Parses RFC 3339, with a zone or an offset; without one the moment is UTC, as nearly all services mean it.
pub(super) fn rfc3339(text: &str) -> Option<Time> {
    if let Ok(timestamp) = text.parse::<jiff::Timestamp>() {
        return at(timestamp);
    }
    // Eight digits are a date in ISO 8601, and a number to a service.
    let civil = text.contains('-').then(|| text.parse::<DateTime>().ok())??;
    at(TimeZone::UTC.to_timestamp(civil).ok()?)
}

/// Parses `MM/dd/yyyy HH:mm:ss`, in UTC.
pub(super) fn month_day_year(text: &str) -> Option<Time> {
    let civil = DateTime::strptime("%m/%d/%Y %H:%M:%S", text).ok()?;
    at(TimeZone::UTC.to_timestamp(civil).ok()?)
}

pub(super) fn epoch(since: Duration) -> Option<Time> {
    SystemTime::UNIX_EPOCH.checked_add(since).map(Time::At)
}

/// Parses a number: seconds since 1970 until the year 5138, otherwise milliseconds; none for an implausible moment.
pub(super) fn epoch_by_size(text: &str) -> Option<Time> {
    let number = number::decimal(text, 1000)?;
    match number.as_secs() {
        0..1_000_000_000 => None,
        1_000_000_000..100_000_000_000 => epoch(number),
        _ => epoch(number::decimal(text, 1)?),
    }
}

/// 400 days: longer than the longest wait that a service means. A longer value has another unit, or is a mistake.
pub(crate) const FURTHEST: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// Returns none for a moment before 1970.
fn at(timestamp: jiff::Timestamp) -> Option<Time> {
    epoch(timestamp.duration_since(jiff::Timestamp::UNIX_EPOCH).try_into().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_moments() {
        type Read = fn(&str) -> Option<Time>;
        let cases: &[(Read, &str, Option<u64>)] = &[
            (http, "Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777_000)),
            (http, "Sunday, 06-Nov-94 08:49:37 GMT", Some(784_111_777_000)),
            (http, "Sun Nov  6 08:49:37 1994", Some(784_111_777_000)),
            (http, "1994-11-06T08:49:37Z", None),
            (rfc3339, "1994-11-06T08:49:37Z", Some(784_111_777_000)),
            (rfc3339, "1994-11-06T09:49:37.25+01:00", Some(784_111_777_250)),
            (rfc3339, "1969-12-31T23:59:59Z", None),
            (rfc3339, "1994-11-06T08:49:37", Some(784_111_777_000)),
            (rfc3339, "1994-11-06 08:49:37.5", Some(784_111_777_500)),
            (rfc3339, "1994-11-06T25:49:37", None),
            (rfc3339, "19941106", None),
            (rfc3339, "784111777", None),
            (month_day_year, "07/10/2024 14:12:52", Some(1_720_620_772_000)),
            (month_day_year, "13/07/2024 14:12:52", None),
            (month_day_year, "2024-07-10 14:12:52", None),
        ];
        for (read, text, millis) in cases {
            let expected = millis.and_then(|millis| epoch(Duration::from_millis(millis)));
            assert_eq!(read(text), expected, "{text}");
        }
        assert_eq!(epoch(Duration::MAX), None);
    }

    #[test]
    fn counts_from_the_answers_own_date() {
        let moment = http("Sun, 06 Nov 1994 08:50:37 GMT").unwrap();
        let dated = |date: &'static str| HeaderMap::from_iter([(header::DATE, date.parse().unwrap())]);
        for (headers, expected) in [
            (dated("Sun, 06 Nov 1994 08:49:37 GMT"), Some(60)),
            (dated("Sun, 06 Nov 1994 08:50:38 GMT"), None),
            (dated("garbage"), Some(784_111_837)),
            (HeaderMap::new(), Some(784_111_837)),
        ] {
            let since = Since::new(&headers, SystemTime::UNIX_EPOCH);
            assert_eq!(since.until(moment), expected.map(Duration::from_secs), "{headers:?}");
        }
    }
}
