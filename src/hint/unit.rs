//! Unit: how a service writes a length of time or a moment.

use serde::{Deserialize, Serialize};

use super::date::{self, Time};
use super::{number, span, words};

/// How a service writes a length of time or a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Unit {
    /// Seconds, as in the header (RFC 9110, 10.2.3).
    #[default]
    Seconds,
    /// Milliseconds.
    Milliseconds,
    /// A moment, in seconds since 1970.
    EpochSeconds,
    /// A moment, in milliseconds since 1970.
    EpochMilliseconds,
    /// A moment such as `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, 5.6.7).
    HttpDate,
    /// A moment such as `1994-11-06T08:49:37Z`; without a zone the moment is UTC.
    Rfc3339,
    /// A moment such as `11/06/1994 08:49:37`: the month first, in UTC.
    MonthDayYear,
    /// A length of time such as `1s`, `6m0s`, `12ms`, `1h2m3.5s`, `1d`, or `PT1M30S` of ISO 8601.
    Duration,
    /// A sentence such as `Try again in 1 minute 30 seconds.`: the longest length of time in it, including all its
    /// terms in milliseconds, seconds, minutes, hours, days and weeks. A sentence that is only understood in part
    /// (`1h30`, `2 heures 5 minutes`) is malformed as a whole, because part of a wait would be too short.
    Text,
}

impl Unit {
    pub(super) fn read(self, text: &str) -> Option<Time> {
        match self {
            Self::Seconds => number::decimal(text, 1000).map(Time::In),
            Self::Milliseconds => number::decimal(text, 1).map(Time::In),
            Self::EpochSeconds => date::epoch(number::decimal(text, 1000)?),
            Self::EpochMilliseconds => date::epoch(number::decimal(text, 1)?),
            Self::HttpDate => date::http(text),
            Self::Rfc3339 => date::rfc3339(text),
            Self::MonthDayYear => date::month_day_year(text),
            Self::Duration => span::duration(text).or_else(|| words::longest(text)).map(Time::In),
            Self::Text => words::longest(text).map(Time::In),
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
    pub(super) const fn is_seconds(&self) -> bool {
        matches!(self, Self::Seconds)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn reads_one_moment_or_length_in_every_unit() {
        let (length, moment) =
            (Time::In(Duration::from_secs(90)), date::epoch(Duration::from_secs(784_111_777)).unwrap());
        for (unit, name, text, expected) in [
            (Unit::Seconds, "seconds", "90", length),
            (Unit::Milliseconds, "milliseconds", "90000", length),
            (Unit::Duration, "duration", "1m30s", length),
            (Unit::Text, "text", "wait for 90 s", length),
            (Unit::EpochSeconds, "epoch_seconds", "784111777", moment),
            (Unit::EpochMilliseconds, "epoch_milliseconds", "784111777000", moment),
            (Unit::HttpDate, "http_date", "Sun, 06 Nov 1994 08:49:37 GMT", moment),
            (Unit::Rfc3339, "rfc3339", "1994-11-06T08:49:37Z", moment),
            (Unit::MonthDayYear, "month_day_year", "11/06/1994 08:49:37", moment),
        ] {
            assert_eq!(unit.read(text), Some(expected), "{unit:?}");
            assert_eq!(unit.read("soon"), None, "{unit:?}");
            assert_eq!(serde_json::to_value(unit).unwrap(), serde_json::json!(name));
        }
    }
}
