//! Term: how long a slot of a shared window is taken after its use.

use std::time::Duration;

use jiff::tz::TimeZone;

use crate::clock::Clock;
use crate::limit::zone_of;
use crate::throttle::limiter::window::calendar_day::{GUARD, SHORTEST_DAY, day_of, later, millis};
use crate::throttle::time::{Tick, nanos};

/// How long a slot is taken after its use.
#[derive(Debug)]
pub(super) enum Term {
    /// A length after the anchor.
    Sliding(Tick),
    /// Until the end of a calendar day.
    Day(Box<DayTerm>),
}

/// The days of a time zone, by the wall clock of the store, so that all members begin a day together.
///
/// A request arrives at some time between its send and its response, and the service's clock may differ from the
/// store's by [`GUARD`]. A slot that is used is free a guard after the end of the day in which the response arrived, or
/// of the next day if a guard after the response is already in it. Each slot is thus used once in a day of the service.
#[derive(Debug)]
pub(super) struct DayTerm {
    zone: TimeZone,
    clock: Clock,
    /// The wall clock of the store at a time of ours, in milliseconds since 1970.
    wall: Option<(i64, Tick)>,
}

impl Term {
    pub(super) fn sliding(length: Duration) -> Self {
        Self::Sliding(nanos(length))
    }

    pub(super) fn day(zone: &str, clock: Clock) -> Self {
        // The zone was validated before.
        let zone = zone_of(zone).unwrap_or(TimeZone::UTC);
        Self::Day(Box::new(DayTerm { zone, clock, wall: None }))
    }

    /// Returns when a slot is free that was used at `at`, at the latest.
    pub(super) fn free_at(&self, at: Tick) -> Tick {
        match self {
            Self::Sliding(length) => at.saturating_add(*length),
            Self::Day(day) => {
                let wall = day.wall_at(at);
                let (_, ends) = day_of(wall.saturating_add(GUARD), &day.zone);
                later(at, ends.saturating_add(GUARD).saturating_sub(wall))
            }
        }
    }

    /// Returns how long the shortest use takes a slot.
    pub(super) const fn shortest(&self) -> Tick {
        match self {
            Self::Sliding(length) => *length,
            Self::Day(_) => SHORTEST_DAY,
        }
    }

    pub(super) const fn length(&self) -> Tick {
        match self {
            Self::Sliding(length) => *length,
            Self::Day(_) => DAY,
        }
    }

    /// Returns whether used slots are worth more in the store than here, because they are taken for long.
    pub(super) const fn is_long(&self) -> bool {
        self.length() > LONGEST_SHORT
    }

    /// Returns the grain of dates in the store.
    pub(super) const fn grain(&self) -> Tick {
        match self {
            Self::Sliding(length) if *length > LONGEST_SHORT => *length / 1000,
            Self::Sliding(_) | Self::Day(_) => 0,
        }
    }

    /// Sets the wall clock of the store at a time of ours.
    pub(super) fn set_wall(&mut self, wall: i64, now: Tick) {
        if let Self::Day(day) = self {
            day.wall = Some((wall, now));
        }
    }

    pub(super) const fn set_clock(&mut self, clock: Clock) {
        if let Self::Day(day) = self {
            day.clock = clock;
        }
    }
}

impl DayTerm {
    fn wall_at(&self, at: Tick) -> i64 {
        match self.wall {
            Some((wall, since)) => {
                let between = i64::try_from(at.abs_diff(since) / 1_000_000).unwrap_or(i64::MAX);
                if at < since { wall.saturating_sub(between) } else { wall.saturating_add(between) }
            }
            // Nothing is lent before the first answer; this is the wait that is shown until then.
            None => millis(self.clock),
        }
    }
}

/// A window of more than a minute is long.
const LONGEST_SHORT: Tick = 60 * 1_000_000_000;
const DAY: Tick = 24 * 60 * 60 * 1_000_000_000;
