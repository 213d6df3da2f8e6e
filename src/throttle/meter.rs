//! Meter: what one window has counted, and when it has room again.

mod bytes;
mod daily;
mod paced;
mod sliding;

use std::time::Duration;

use super::learner::Learner;
use crate::clock::Clock;
use crate::limit::{Limit, Window};

pub(super) use daily::Daily;
pub(super) use paced::Paced;
pub(super) use sliding::Sliding;

use bytes::Bytes;

/// Nanoseconds since a throttle began: a time that is small, and never runs back.
pub(super) type Tick = u64;

/// A duration in ticks; one that is too long for them is longer than anybody waits.
pub(super) fn nanos(duration: Duration) -> Tick {
    Tick::try_from(duration.as_nanos()).unwrap_or(Tick::MAX / 4)
}

/// When something admits a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Opening {
    Open,
    /// By time alone.
    At(Tick),
    /// When something happens: an answer, the end of a body.
    Closed,
}

/// What one window has counted. Each method costs a few nanoseconds, whatever the count.
#[derive(Debug)]
pub(super) enum Meter {
    /// Counts nothing: it only pauses.
    Door,
    Sliding(Sliding),
    Paced(Paced),
    Daily(Box<Daily>),
    Bytes(Box<Bytes>),
    Learner(Box<Learner>),
    Concurrent {
        count: u32,
        held: u32,
        /// The most that were held since somebody looked.
        most: u32,
    },
}

impl Meter {
    pub(super) fn new(window: &Window, limit: &Limit, clock: Clock) -> Self {
        match window {
            Window::Sliding { count, length } => match limit.queue() {
                Some(queue) => Self::Paced(Paced::new(*count, *length, queue)),
                None => Self::Sliding(Sliding::new(*count, *length)),
            },
            Window::Daily { count, zone } => Self::Daily(Box::new(Daily::new(*count, zone, clock))),
            Window::Bytes { bytes, length } => Self::Bytes(Box::new(Bytes::new(*bytes, *length))),
            Window::Concurrent { count } => Self::Concurrent { count: *count, held: 0, most: 0 },
        }
    }

    /// Takes another amount on, what was counted kept.
    pub(super) fn change(&mut self, window: &Window, limit: &Limit, clock: Clock) {
        match (&mut *self, window) {
            (Self::Sliding(sliding), Window::Sliding { count, .. }) => sliding.change(*count),
            (Self::Paced(paced), Window::Sliding { count, length }) => {
                paced.change(*count, *length, limit.queue().unwrap_or_default());
            }
            (Self::Daily(daily), Window::Daily { count, .. }) => daily.change(*count),
            (Self::Bytes(bytes), Window::Bytes { bytes: limit, .. }) => bytes.change(*limit),
            (Self::Concurrent { count, .. }, Window::Concurrent { count: new }) => *count = *new,
            _ => *self = Self::new(window, limit, clock),
        }
    }

    /// Whether it has room for one more. `flying` requests are on their way.
    pub(super) fn opening(&mut self, flying: u32, now: Tick) -> Opening {
        match self {
            Self::Door => Opening::Open,
            Self::Sliding(sliding) => sliding.opening(now),
            Self::Paced(paced) => paced.opening(flying, now),
            Self::Daily(daily) => daily.opening(now),
            Self::Bytes(bytes) => bytes.opening(now),
            Self::Learner(learner) => learner.opening(now),
            Self::Concurrent { count, held, .. } if *held < *count => Opening::Open,
            Self::Concurrent { .. } => Opening::Closed,
        }
    }

    /// Before when the one behind `ahead` others is certainly not admitted.
    pub(super) fn not_before(&mut self, ahead: u32, now: Tick) -> Tick {
        match self {
            Self::Door | Self::Concurrent { .. } => now,
            Self::Sliding(sliding) => sliding.not_before(ahead, now),
            Self::Paced(paced) => paced.not_before(ahead, now),
            Self::Daily(daily) => daily.not_before(ahead, now),
            Self::Bytes(bytes) => earliest(bytes.opening(now), now),
            Self::Learner(learner) => earliest(learner.opening(now), now),
        }
    }

    /// Whether the end of a body matters to it.
    pub(super) const fn sees_bodies(&self) -> bool {
        matches!(self, Self::Bytes(_) | Self::Concurrent { .. })
    }

    pub(super) fn take(&mut self, now: Tick) {
        match self {
            Self::Door => {}
            Self::Bytes(bytes) => bytes.take(),
            Self::Sliding(sliding) => sliding.take(),
            Self::Paced(paced) => paced.take(now),
            Self::Daily(daily) => daily.take(),
            Self::Learner(learner) => learner.take(now),
            Self::Concurrent { held, most, .. } => {
                *held += 1;
                *most = (*most).max(*held);
            }
        }
    }

    /// It never left.
    pub(super) fn refund(&mut self) {
        match self {
            Self::Door => {}
            Self::Bytes(bytes) => bytes.refund(),
            Self::Sliding(sliding) => sliding.refund(),
            Self::Paced(paced) => paced.refund(),
            Self::Daily(daily) => daily.refund(),
            Self::Learner(learner) => learner.refund(),
            Self::Concurrent { held, .. } => *held = held.saturating_sub(1),
        }
    }

    /// The service counted it at `at`, at the latest.
    pub(super) fn anchor(&mut self, at: Tick) {
        match self {
            Self::Sliding(sliding) => sliding.anchor(at),
            Self::Daily(daily) => daily.anchor(),
            Self::Learner(learner) => learner.anchor(at),
            Self::Door | Self::Paced(_) | Self::Bytes(_) | Self::Concurrent { .. } => {}
        }
    }

    /// Its body has ended, or it never got one.
    pub(super) fn finish(&mut self) {
        match self {
            Self::Concurrent { held, .. } => *held = held.saturating_sub(1),
            Self::Bytes(bytes) => bytes.finish(),
            _ => {}
        }
    }

    pub(super) fn charge(&mut self, amount: u64, now: Tick) {
        if let Self::Bytes(bytes) = self {
            bytes.charge(amount, now);
        }
    }

    /// The most that were at once since the last look; `None` for other windows.
    pub(super) const fn most(&mut self) -> Option<u32> {
        match self {
            Self::Concurrent { held, most, .. } => Some(std::mem::replace(most, *held)),
            _ => None,
        }
    }

    /// How much of it is used, and of how much; `None` where that is not known.
    pub(super) fn amounts(&mut self, now: Tick) -> Option<(u64, u64)> {
        match self {
            Self::Door => None,
            Self::Sliding(sliding) => Some(sliding.amounts(now)),
            Self::Paced(paced) => Some(paced.amounts(now)),
            Self::Daily(daily) => Some(daily.amounts()),
            Self::Bytes(bytes) => Some(bytes.amounts(now)),
            Self::Learner(learner) => learner.amounts(now),
            Self::Concurrent { count, held, .. } => Some(((*held).into(), (*count).into())),
        }
    }

    /// How long its window is, where it has one.
    pub(super) fn length(&self) -> Option<Tick> {
        match self {
            Self::Door | Self::Concurrent { .. } => None,
            Self::Sliding(sliding) => Some(sliding.length()),
            Self::Paced(paced) => Some(paced.length()),
            Self::Daily(_) => Some(nanos(Duration::from_secs(24 * 60 * 60))),
            Self::Bytes(bytes) => Some(bytes.length()),
            Self::Learner(learner) => learner.found().map(|(_, window)| nanos(window)),
        }
    }

    /// How much of it is used, from 0 on; more than 1 where it is overdrawn.
    pub(super) fn use_of(&mut self, now: Tick) -> f64 {
        match self {
            Self::Door => 0.0,
            Self::Sliding(sliding) => sliding.use_of(now),
            Self::Paced(paced) => paced.use_of(now),
            Self::Daily(daily) => daily.use_of(),
            Self::Bytes(bytes) => bytes.use_of(now),
            Self::Learner(learner) => learner.use_of(now),
            Self::Concurrent { count, held, .. } => f64::from(*held) / f64::from(*count),
        }
    }

    /// Whether nothing of it is in use: then it may be forgotten.
    pub(super) fn is_idle(&mut self, now: Tick) -> bool {
        self.use_of(now) == 0.0
    }

    /// Goes by another wall clock from now on.
    pub(super) fn set_clock(&mut self, clock: Clock) {
        if let Self::Daily(daily) = self {
            daily.set_clock(clock);
        }
    }

    /// Whether the wall clock ran back since it was last asked.
    pub(super) fn jumped(&mut self) -> bool {
        match self {
            Self::Daily(daily) => daily.jumped(),
            _ => false,
        }
    }
}

const fn earliest(opening: Opening, now: Tick) -> Tick {
    match opening {
        Opening::At(at) => at,
        Opening::Open | Opening::Closed => now,
    }
}
