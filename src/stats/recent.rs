//! Recent: recent counts, in bounded memory.

use std::collections::VecDeque;
use std::time::Duration;

use http::StatusCode;

use super::latency::Timing;
use super::tally::Tally;
use crate::message::Priority;

/// Requests per second, in the last minute.
#[derive(Debug, Default)]
pub(super) struct Seconds(VecDeque<(u64, u64)>);

impl Seconds {
    /// Counts requests in this second.
    pub(super) fn count(&mut self, second: u64, requests: u64) {
        match self.0.back_mut() {
            // The clocks of several runtimes may differ.
            Some((last, count)) if *last >= second => *count += requests,
            _ => self.0.push_back((second, requests)),
        }
        self.settle(second);
    }

    /// Returns the number of requests in the last minute.
    pub(super) fn sum(&mut self, second: u64) -> u64 {
        self.settle(second);
        self.0.iter().map(|(_, count)| count).sum()
    }

    fn settle(&mut self, second: u64) {
        while self.0.front().is_some_and(|(at, _)| at + MINUTE <= second) {
            self.0.pop_front();
        }
    }
}

/// The counts of a period.
#[derive(Clone, Debug)]
pub(super) struct Stretch {
    pub(super) tally: Tally,
    pub(super) timing: Timing,
    /// Responses of 401; and of 429 and 503.
    pub(super) unauthorized: u64,
    pub(super) refused: u64,
    pub(super) unavailable: u64,
}

impl Stretch {
    fn new() -> Self {
        Self { tally: Tally::default(), timing: Timing::rough(), unauthorized: 0, refused: 0, unavailable: 0 }
    }

    fn count(&mut self, class: Priority, status: Option<StatusCode>, took: Duration) {
        self.tally.count(status);
        match status.map(|status| status.as_u16()) {
            // A refusal by a token endpoint is a refresh that failed.
            Some(401) if class != Priority::Token => self.unauthorized += 1,
            Some(429) => self.refused += 1,
            Some(503) => self.unavailable += 1,
            _ => {}
        }
        if status.is_some() {
            self.timing.record(took);
        }
    }

    fn add(&mut self, other: &Self) {
        self.tally.add(&other.tally);
        self.timing.add(&other.timing);
        self.unauthorized += other.unauthorized;
        self.refused += other.refused;
        self.unavailable += other.unavailable;
    }
}

/// Periods of a minute, for the last 65 minutes: five that count as now, and the hour before.
#[derive(Debug, Default)]
pub(super) struct Minutes(VecDeque<(u64, Stretch)>);

impl Minutes {
    pub(super) fn count(&mut self, second: u64, class: Priority, status: Option<StatusCode>, took: Duration) {
        let minute = second / MINUTE;
        if self.0.back().is_none_or(|(last, _)| *last < minute) {
            self.0.push_back((minute, Stretch::new()));
        }
        if let Some((_, stretch)) = self.0.back_mut() {
            stretch.count(class, status, took);
        }
        while self.0.front().is_some_and(|(at, _)| at + NOW + BEFORE <= minute) {
            self.0.pop_front();
        }
    }

    /// Returns the counts of the last five minutes, including this one.
    pub(super) fn now(&self, second: u64) -> Stretch {
        let minute = second / MINUTE;
        self.sum(|at| at + NOW > minute)
    }

    /// Returns the counts of the hour before those.
    pub(super) fn before(&self, second: u64) -> Stretch {
        let minute = second / MINUTE;
        self.sum(|at| at + NOW <= minute && at + NOW + BEFORE > minute)
    }

    fn sum(&self, is_in: impl Fn(u64) -> bool) -> Stretch {
        let mut sum = Stretch::new();
        self.0.iter().filter(|(at, _)| is_in(*at)).for_each(|(_, stretch)| sum.add(stretch));
        sum
    }
}

const MINUTE: u64 = 60;
/// The minutes that count as now.
const NOW: u64 = 5;
/// The minutes before them, for comparison.
const BEFORE: u64 = 60;

#[cfg(test)]
mod tests {
    use super::*;

    const OK: Option<StatusCode> = Some(StatusCode::OK);

    #[test]
    fn a_minute_is_the_last_sixty_seconds() {
        let mut seconds = Seconds::default();
        (0..600).for_each(|at| seconds.count(at, 1));
        assert_eq!((seconds.sum(599), seconds.0.len()), (60, 60));
        assert_eq!(seconds.sum(629), 30);
        assert_eq!(seconds.sum(658), 1);
        assert_eq!((seconds.sum(659), seconds.0.len()), (0, 0));
        seconds.count(700, 1);
        seconds.count(650, 1);
        assert_eq!(seconds.sum(700), 2, "a clock that is behind");
    }

    #[test]
    fn five_minutes_are_now_and_the_hour_before_is_kept() {
        let mut minutes = Minutes::default();
        (0..200 * MINUTE).step_by(10).for_each(|at| minutes.count(at, Priority::Call, OK, Duration::from_millis(1)));
        let last = 200 * MINUTE - 1;
        assert_eq!((minutes.now(last).tally.all(), minutes.before(last).tally.all()), (30, 360));
        assert_eq!(minutes.0.len(), 65);
        assert_eq!(minutes.now(last + 2 * MINUTE).tally.all(), 18);
        assert_eq!(minutes.before(last + 600 * MINUTE).tally.all(), 0);
    }
}
