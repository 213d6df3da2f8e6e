//! Meter: what one window has counted, and when it has room again.

mod bytes;
mod daily;
mod paced;
mod sliding;

use super::learner::Learner;
use crate::clock::Clock;
use crate::limit::{Limit, Window};

pub(super) use daily::Daily;
pub(super) use paced::Paced;
pub(super) use sliding::Sliding;

use bytes::Bytes;

/// Nanoseconds since a throttle began: a time that is small, and never runs back.
pub(super) type Tick = u64;

/// What time it is: on the throttle's own clock, and on the wall for those who ask.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    pub(super) tick: Tick,
    pub(super) clock: Clock,
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
    },
}

impl Meter {
    pub(super) fn new(window: &Window, limit: &Limit, now: Now) -> Self {
        match window {
            Window::Sliding { count, length } => match limit.queue() {
                Some(queue) => Self::Paced(Paced::new(*count, *length, queue)),
                None => Self::Sliding(Sliding::new(*count, *length)),
            },
            Window::Daily { count, zone } => Self::Daily(Box::new(Daily::new(*count, zone, now))),
            Window::Bytes { bytes, length } => Self::Bytes(Box::new(Bytes::new(*bytes, *length))),
            Window::Concurrent { count } => Self::Concurrent { count: *count, held: 0 },
        }
    }

    /// Takes another amount on, what was counted kept.
    pub(super) fn change(&mut self, window: &Window, limit: &Limit, now: Now) {
        match (&mut *self, window) {
            (Self::Sliding(sliding), Window::Sliding { count, .. }) if limit.queue().is_none() => {
                sliding.change(*count);
            }
            (Self::Daily(daily), Window::Daily { count, .. }) => daily.change(*count),
            (Self::Bytes(bytes), Window::Bytes { bytes: limit, .. }) => bytes.change(*limit),
            (Self::Concurrent { count, .. }, Window::Concurrent { count: new }) => *count = *new,
            _ => *self = Self::new(window, limit, now),
        }
    }

    /// Whether it has room for `need` more. `flying` requests are on their way.
    pub(super) fn opening(&mut self, need: u32, flying: u32, now: Now) -> Opening {
        match self {
            Self::Door => Opening::Open,
            Self::Sliding(sliding) => sliding.opening(need, now.tick),
            Self::Paced(paced) => paced.opening(need, flying, now.tick),
            Self::Daily(daily) => daily.opening(need, now),
            Self::Bytes(bytes) => bytes.opening(now.tick),
            Self::Learner(learner) => learner.opening(need, now.tick),
            Self::Concurrent { count, held } if held.saturating_add(need) <= *count => Opening::Open,
            Self::Concurrent { .. } => Opening::Closed,
        }
    }

    /// Before when the one behind `ahead` others is certainly not admitted.
    pub(super) fn not_before(&mut self, ahead: u32, now: Now) -> Tick {
        match self {
            Self::Door | Self::Concurrent { .. } => now.tick,
            Self::Sliding(sliding) => sliding.not_before(ahead, now.tick),
            Self::Paced(paced) => paced.not_before(ahead, now.tick),
            Self::Daily(daily) => daily.not_before(ahead, now),
            Self::Bytes(bytes) => earliest(bytes.opening(now.tick), now),
            Self::Learner(learner) => earliest(learner.opening(1, now.tick), now),
        }
    }

    /// Whether the end of a body matters to it.
    pub(super) const fn sees_bodies(&self) -> bool {
        matches!(self, Self::Bytes(_) | Self::Concurrent { .. })
    }

    pub(super) fn take(&mut self, now: Now) {
        match self {
            Self::Door | Self::Bytes(_) => {}
            Self::Sliding(sliding) => sliding.take(),
            Self::Paced(paced) => paced.take(now.tick),
            Self::Daily(daily) => daily.take(),
            Self::Learner(learner) => learner.take(now.tick),
            Self::Concurrent { held, .. } => *held += 1,
        }
    }

    /// It never left.
    pub(super) fn refund(&mut self) {
        match self {
            Self::Door | Self::Bytes(_) => {}
            Self::Sliding(sliding) => sliding.refund(),
            Self::Paced(paced) => paced.refund(),
            Self::Daily(daily) => daily.refund(),
            Self::Learner(learner) => learner.refund(),
            Self::Concurrent { held, .. } => *held = held.saturating_sub(1),
        }
    }

    /// The service counted it at `at`, at the latest.
    pub(super) fn anchor(&mut self, at: Tick, now: Now) {
        match self {
            Self::Sliding(sliding) => sliding.anchor(at),
            Self::Daily(daily) => daily.anchor(now),
            Self::Learner(learner) => learner.anchor(at),
            Self::Door | Self::Paced(_) | Self::Bytes(_) | Self::Concurrent { .. } => {}
        }
    }

    /// Its body has ended, or it never got one.
    pub(super) fn finish(&mut self) {
        if let Self::Concurrent { held, .. } = self {
            *held = held.saturating_sub(1);
        }
    }

    pub(super) fn charge(&mut self, amount: u64, now: Now) {
        if let Self::Bytes(bytes) = self {
            bytes.charge(amount, now.tick);
        }
    }

    /// How much of it is used, from 0 on; more than 1 where it is overdrawn.
    pub(super) fn use_of(&mut self, now: Now) -> f64 {
        match self {
            Self::Door => 0.0,
            Self::Sliding(sliding) => sliding.use_of(now.tick),
            Self::Paced(paced) => paced.use_of(now.tick),
            Self::Daily(daily) => daily.use_of(now),
            Self::Bytes(bytes) => bytes.use_of(now.tick),
            Self::Learner(learner) => learner.use_of(now.tick),
            Self::Concurrent { count, held } => f64::from(*held) / f64::from(*count),
        }
    }

    /// Whether nothing of it is in use: then it may be forgotten.
    pub(super) fn is_idle(&mut self, now: Now) -> bool {
        match self {
            // A day's count is kept for the day.
            Self::Daily(_) => false,
            _ => self.use_of(now) == 0.0,
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

const fn earliest(opening: Opening, now: Now) -> Tick {
    match opening {
        Opening::At(at) => at,
        Opening::Open | Opening::Closed => now.tick,
    }
}
