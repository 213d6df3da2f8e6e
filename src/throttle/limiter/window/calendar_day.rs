//! Calendar day: a window that begins at midnight in a time zone.

use std::time::{Duration, SystemTime};

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};

use crate::clock::Clock;
use crate::limit::zone_of;
use crate::throttle::time::{Opening, Tick};

/// A number of requests in a calendar day.
///
/// A request arrives at some time between its send and its response, and the service's clock may differ by [`GUARD`]. A
/// request that may touch two days counts for both.
#[derive(Debug)]
pub(in crate::throttle) struct CalendarDay {
    count: u32,
    zone: TimeZone,
    clock: Clock,
    /// The current day, in milliseconds since 1970. The window moves on a guard after the day's end.
    begins: i64,
    ends: i64,
    today: u32,
    /// Requests that already count for the next day.
    tomorrow: u32,
    flying: u32,
    /// The previous day and its count: a clock that jumps ahead and back returns to that day.
    yesterday: Option<(i64, u32)>,
    jumped: bool,
}

impl CalendarDay {
    pub(super) fn new(count: u32, zone: &str, clock: Clock) -> Self {
        // The zone was validated before.
        let zone = zone_of(zone).unwrap_or(TimeZone::UTC);
        let (begins, ends) = day_of(millis(clock), &zone);
        Self { count, zone, clock, begins, ends, today: 0, tomorrow: 0, flying: 0, yesterday: None, jumped: false }
    }

    pub(super) const fn change(&mut self, count: u32) {
        self.count = count;
    }

    pub(super) const fn set_clock(&mut self, clock: Clock) {
        self.clock = clock;
    }

    pub(super) fn opening(&mut self, now: Tick) -> Opening {
        let wall = self.settle();
        let used = if wall + GUARD < self.ends { self.today } else { self.today.max(self.tomorrow) };
        if used.saturating_add(self.flying) < self.count {
            return Opening::Open;
        }
        // The next day may be full as well, with all requests that count for it; the limiter is then checked again.
        Opening::At(later(now, self.ends + GUARD - wall))
    }

    pub(super) fn not_before(&mut self, ahead: u32, now: Tick) -> Tick {
        let wall = self.settle();
        let free = self.count.saturating_sub(self.today).saturating_sub(self.flying);
        if ahead < free {
            return now;
        }
        let days = (ahead - free) / self.count.max(1);
        later(now, self.ends + GUARD - wall).saturating_add(u64::from(days) * SHORTEST_DAY)
    }

    pub(super) const fn take(&mut self) {
        self.flying += 1;
    }

    pub(super) const fn refund(&mut self) {
        self.flying = self.flying.saturating_sub(1);
    }

    pub(super) fn anchor(&mut self) {
        self.refund();
        let wall = self.settle();
        self.today = self.today.saturating_add(1);
        if wall + GUARD >= self.ends {
            self.tomorrow = self.tomorrow.saturating_add(1);
        }
    }

    pub(super) fn use_of(&mut self) -> f64 {
        self.settle();
        f64::from(self.today.saturating_add(self.flying)) / f64::from(self.count.max(1))
    }

    /// Returns how many requests of today are used, and the limit.
    pub(super) fn amounts(&mut self) -> (u64, u64) {
        self.settle();
        (u64::from(self.today) + u64::from(self.flying), self.count.into())
    }

    pub(super) const fn jumped(&mut self) -> bool {
        std::mem::replace(&mut self.jumped, false)
    }

    fn settle(&mut self) -> i64 {
        let wall = millis(self.clock);
        if wall + GUARD < self.begins {
            // The clock was set back. Counted requests stay counted, for the day that it really is.
            (self.begins, self.ends) = day_of(wall, &self.zone);
            let again = self.yesterday.take_if(|(begins, _)| *begins == self.begins).map_or(0, |(_, used)| used);
            self.today = self.today.saturating_add(again);
            self.jumped = true;
        } else if wall >= self.ends + GUARD {
            let next = self.ends;
            self.yesterday = Some((self.begins, self.today));
            (self.begins, self.ends) = day_of(wall - GUARD, &self.zone);
            self.today = if self.begins == next { self.tomorrow } else { 0 };
            self.tomorrow = 0;
        }
        wall
    }
}

pub(super) fn millis(clock: Clock) -> i64 {
    let since = clock.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX / 4)
}

pub(super) fn later(tick: Tick, millis: i64) -> Tick {
    tick.saturating_add(u64::try_from(millis).unwrap_or(0).saturating_mul(1_000_000))
}

/// Returns when the day of this moment begins and ends.
pub(super) fn day_of(wall: i64, zone: &TimeZone) -> (i64, i64) {
    let bounds = || -> Result<(i64, i64), jiff::Error> {
        let day: Zoned = Timestamp::from_millisecond(wall)?.to_zoned(zone.clone());
        let begins = day.start_of_day()?;
        let ends = begins.checked_add(1.day())?.start_of_day()?;
        Ok((begins.timestamp().as_millisecond(), ends.timestamp().as_millisecond()))
    };
    // Only a clock at the end of time has no next day.
    bounds().unwrap_or((wall, wall.saturating_add(24 * 60 * 60 * 1000)))
}

/// The largest assumed difference between the service's clock and ours, and between a request and either: 2 seconds.
pub(super) const GUARD: i64 = 2000;
/// The shortest day, in spring.
pub(super) const SHORTEST_DAY: Tick = 22 * 60 * 60 * 1_000_000_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever the pauses, the delays in both directions, and a service's clock that differs by up to two seconds:
        /// no day of the service ever has more requests than the count.
        #[test]
        fn no_day_of_the_service_has_more_than_the_count(
            count in 1..4_u32,
            skew in -2000..=2000_i64,
            zone in prop_oneof![Just("UTC"), Just("America/New_York"), Just("Asia/Kathmandu")],
            steps in prop::collection::vec((0..3_u8, 0..40_000_u64, 0..4000_u64, 0..4000_u64), 1..120),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            let _guard = runtime.enter();
            // An hour before the clocks change in New York.
            let begins: Timestamp = "2026-11-01T03:00:00Z".parse().unwrap();
            let moment = |ms: i64| {
                Clock::starting_at(Timestamp::from_millisecond(begins.as_millisecond() + ms).unwrap().into())
            };
            let mut day = CalendarDay::new(count, zone, moment(0));
            let zone = zone_of(zone).unwrap();
            let (mut now, mut flying, mut days) = (0_i64, Vec::new(), std::collections::BTreeMap::new());
            for (kind, pause, there, back) in steps {
                // Seconds, hours, and up to shortly before midnight.
                let pause = i64::try_from(pause).unwrap();
                now = match kind {
                    0 => now + pause * 1000,
                    1 => now + pause,
                    _ => now.max(day_of(begins.as_millisecond() + now, &zone).1 - begins.as_millisecond() - pause % 8000),
                };
                flying.retain(|answer: &i64| {
                    if *answer <= now {
                        day.set_clock(moment(*answer));
                        day.anchor();
                    }
                    *answer > now
                });
                if opening(&mut day, moment(now)) == Opening::Open {
                    day.take();
                    let arrival = now + i64::try_from(there).unwrap();
                    let served = begins.as_millisecond() + arrival + skew;
                    *days.entry(day_of(served, &zone)).or_insert(0) += 1;
                    flying.push(arrival + i64::try_from(back).unwrap());
                    flying.sort_unstable();
                }
            }
            prop_assert!(days.values().all(|used| *used <= count), "{days:?} of {count}");
        }
    }

    /// A clock at this wall time, as tokio's paused clock would have it.
    fn at(time: &str) -> Clock {
        let time: Timestamp = time.parse().unwrap();
        Clock::starting_at(time.into())
    }

    /// When one more request is admitted at a moment.
    fn opening(day: &mut CalendarDay, moment: Clock) -> Opening {
        day.set_clock(moment);
        day.opening(0)
    }

    fn used(day: &mut CalendarDay, times: u32, moment: Clock) {
        for _ in 0..times {
            assert_eq!(opening(day, moment), Opening::Open);
            day.take();
            day.anchor();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn opens_again_after_local_midnight() {
        let mut day = CalendarDay::new(3, "America/New_York", at("2026-11-24T12:00:00Z"));
        used(&mut day, 3, at("2026-11-24T12:00:00Z"));
        // Midnight is at 05:00 UTC, and the window opens two seconds later.
        let seconds = (17 * 60 * 60 + 2) * 1_000_000_000;
        assert_eq!(opening(&mut day, at("2026-11-24T12:00:00Z")), Opening::At(seconds));
        assert!(opening(&mut day, at("2026-11-25T05:00:01Z")) > Opening::Open);
        assert_eq!(opening(&mut day, at("2026-11-25T05:00:02Z")), Opening::Open);
        used(&mut day, 3, at("2026-11-25T05:00:02Z"));
        assert_eq!(opening(&mut day, at("2026-11-29T05:00:02Z")), Opening::Open, "days later");
    }

    #[tokio::test(start_paused = true)]
    async fn what_lies_at_midnight_counts_for_both_days() {
        let mut day = CalendarDay::new(2, "UTC", at("2026-03-01T00:10:00Z"));
        used(&mut day, 1, at("2026-03-01T23:59:59Z"));
        day.take();
        // A request that is in flight when the day turns counts for the new day.
        assert_eq!(opening(&mut day, at("2026-03-02T00:00:03Z")), Opening::At(later(0, 86_399_000)));
        day.anchor();
        assert!(opening(&mut day, at("2026-03-02T00:00:04Z")) > Opening::Open, "both of the new day are gone");
        assert_eq!(opening(&mut day, at("2026-03-03T00:00:03Z")), Opening::Open);
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_set_back_neither_stalls_nor_gives_a_second_day() {
        let mut day = CalendarDay::new(2, "UTC", at("2036-03-01T12:00:00Z"));
        used(&mut day, 2, at("2036-03-01T12:00:00Z"));
        assert_eq!(opening(&mut day, at("2026-03-01T12:00:00Z")), Opening::At(later(0, 12 * 60 * 60 * 1000 + GUARD)));
        assert!(day.jumped() && !day.jumped());
        assert_eq!(opening(&mut day, at("2026-03-05T12:00:00Z")), Opening::Open, "ahead");
        used(&mut day, 1, at("2026-03-05T12:00:00Z"));
        assert!(opening(&mut day, at("2026-03-01T12:00:00Z")) > Opening::Open, "and back");
        assert_eq!(opening(&mut day, at("2026-03-02T12:00:00Z")), Opening::Open);
    }
}
