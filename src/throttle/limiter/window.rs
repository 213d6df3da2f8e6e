//! How a window counts: the requests that a window has counted, and the time at which it has room again.
//!
//! Each kind of window is a file in this folder. A slot goes through the same calls in all kinds:
//!
//! ```text
//! take ──► anchor(at) ──► free again, by the window's own rule
//!   │                     (a length after `at`; at midnight; when the body ends)
//!   └────► refund         (the request never left)
//! ```
//!
//! `take` is the grant. `anchor` sets the time at which the service has counted the request at the latest. `finish` is
//! the end of the body, which matters only to windows of bytes and of concurrent requests.

pub(in crate::throttle) mod bytes;
pub(in crate::throttle) mod calendar_day;
pub(in crate::throttle) mod concurrency;
pub(in crate::throttle) mod leaky_bucket;
pub(in crate::throttle) mod learner;
pub(in crate::throttle) mod lent;
pub(in crate::throttle) mod sliding;

use std::time::Duration;

use crate::clock::Clock;
use crate::hint::Budget;
use crate::limit::{Limit, Window};
use crate::throttle::time::{Opening, Tick, nanos};

use bytes::Bytes;
use calendar_day::CalendarDay;
use concurrency::Concurrency;
use leaky_bucket::LeakyBucket;
use learner::Learner;
use lent::Lent;
use sliding::Sliding;

/// The count of one window. Each method takes a few nanoseconds, whatever the count.
#[derive(Debug)]
pub(in crate::throttle) enum Counter {
    /// Counts nothing: the limiter only pauses.
    Unlimited,
    Sliding(Sliding),
    LeakyBucket(LeakyBucket),
    CalendarDay(Box<CalendarDay>),
    Bytes(Box<Bytes>),
    Concurrency(Concurrency),
    Learner(Box<Learner>),
    /// Holds slots of a window that several processes share.
    Lent(Box<Lent>),
}

impl Counter {
    pub(in crate::throttle) fn new(window: &Window, limit: &Limit, clock: Clock) -> Self {
        match window {
            Window::Sliding { count, length } => match limit.queue() {
                Some(queue) => Self::LeakyBucket(LeakyBucket::new(*count, *length, queue)),
                None => Self::Sliding(Sliding::new(*count, *length)),
            },
            Window::Daily { count, zone } => Self::CalendarDay(Box::new(CalendarDay::new(*count, zone, clock))),
            Window::Bytes { bytes, length } => Self::Bytes(Box::new(Bytes::new(*bytes, *length))),
            Window::Concurrent { count } => Self::Concurrency(Concurrency::new(*count)),
        }
    }

    /// Changes the amount, with the count kept.
    pub(in crate::throttle) fn change(&mut self, window: &Window, limit: &Limit, clock: Clock) {
        match (&mut *self, window) {
            (Self::Sliding(sliding), Window::Sliding { count, .. }) => sliding.change(*count),
            (Self::LeakyBucket(bucket), Window::Sliding { count, length }) => {
                bucket.change(*count, *length, limit.queue().unwrap_or_default());
            }
            (Self::CalendarDay(day), Window::Daily { count, .. }) => day.change(*count),
            (Self::Bytes(bytes), Window::Bytes { bytes: limit, .. }) => bytes.change(*limit),
            (Self::Concurrency(at_once), Window::Concurrent { count }) => at_once.change(*count),
            (Self::Lent(lent), Window::Sliding { count, .. } | Window::Daily { count, .. }) => lent.change(*count),
            _ => *self = Self::new(window, limit, clock),
        }
    }

    /// Returns when the window has room for one more request, with `in_flight` requests in flight.
    pub(in crate::throttle) fn opening(&mut self, in_flight: u32, now: Tick) -> Opening {
        match self {
            Self::Unlimited => Opening::Open,
            Self::Sliding(sliding) => sliding.opening(now),
            Self::LeakyBucket(bucket) => bucket.opening(in_flight, now),
            Self::CalendarDay(day) => day.opening(now),
            Self::Bytes(bytes) => bytes.opening(now),
            Self::Concurrency(at_once) => at_once.opening(),
            Self::Learner(learner) => learner.opening(now),
            Self::Lent(lent) => lent.opening(now),
        }
    }

    /// Returns how many requests may be sent in a row now, for windows that know the number without a check of each; 0
    /// for the others.
    #[inline]
    pub(in crate::throttle) fn room(&mut self, now: Tick) -> u32 {
        match self {
            Self::Unlimited => u32::MAX,
            Self::Sliding(sliding) => sliding.room(now),
            _ => 0,
        }
    }

    /// Returns a time before which a request behind `ahead` others certainly is not admitted.
    pub(in crate::throttle) fn not_before(&mut self, ahead: u32, now: Tick) -> Tick {
        match self {
            Self::Unlimited | Self::Concurrency(_) => now,
            Self::Sliding(sliding) => sliding.not_before(ahead, now),
            Self::LeakyBucket(bucket) => bucket.not_before(ahead, now),
            Self::CalendarDay(day) => day.not_before(ahead, now),
            Self::Lent(lent) => lent.not_before(ahead, now),
            Self::Bytes(_) | Self::Learner(_) => match self.opening(0, now) {
                Opening::At(at) => at,
                Opening::Open | Opening::Closed => now,
            },
        }
    }

    #[inline]
    pub(in crate::throttle) fn take(&mut self, now: Tick) {
        match self {
            Self::Unlimited => {}
            Self::Sliding(sliding) => sliding.take(),
            Self::LeakyBucket(bucket) => bucket.take(now),
            Self::CalendarDay(day) => day.take(),
            Self::Bytes(bytes) => bytes.take(),
            Self::Concurrency(at_once) => at_once.take(),
            Self::Learner(learner) => learner.take(now),
            Self::Lent(lent) => lent.take(now),
        }
    }

    /// Refunds the request that was granted at `granted`, because it was never sent.
    pub(in crate::throttle) fn refund(&mut self, granted: Tick) {
        match self {
            Self::Unlimited => {}
            Self::Sliding(sliding) => sliding.refund(),
            Self::LeakyBucket(bucket) => bucket.refund(),
            Self::CalendarDay(day) => day.refund(),
            Self::Bytes(bytes) => bytes.refund(),
            Self::Concurrency(at_once) => at_once.end(),
            Self::Learner(learner) => learner.refund(),
            Self::Lent(lent) => lent.refund(granted),
        }
    }

    /// Anchors the request that was granted at `granted`: the service has counted it at `at`, at the latest.
    #[inline]
    pub(in crate::throttle) fn anchor(&mut self, granted: Tick, at: Tick) {
        match self {
            Self::Sliding(sliding) => sliding.anchor(at),
            Self::CalendarDay(day) => day.anchor(),
            Self::Learner(learner) => learner.anchor(at),
            Self::Lent(lent) => lent.anchor(granted, at),
            Self::Unlimited | Self::LeakyBucket(_) | Self::Bytes(_) | Self::Concurrency(_) => {}
        }
    }

    /// Records the end of the body, or a request that never got a body.
    #[inline]
    pub(in crate::throttle) fn finish(&mut self) {
        match self {
            Self::Bytes(bytes) => bytes.finish(),
            Self::Concurrency(at_once) => at_once.end(),
            _ => {}
        }
    }

    pub(in crate::throttle) fn charge(&mut self, amount: u64, now: Tick) {
        if let Self::Bytes(bytes) = self {
            bytes.charge(amount, now);
        }
    }

    /// Returns whether the end of a body matters to the window.
    pub(in crate::throttle) const fn sees_bodies(&self) -> bool {
        matches!(self, Self::Bytes(_) | Self::Concurrency(_))
    }

    /// Returns the highest concurrency since the previous call; `None` for other windows.
    pub(in crate::throttle) const fn most(&mut self) -> Option<u32> {
        match self {
            Self::Concurrency(at_once) => Some(at_once.take_most()),
            _ => None,
        }
    }

    /// Returns the used amount of the window and its limit; `None` if they are unknown.
    pub(in crate::throttle) fn amounts(&mut self, now: Tick) -> Option<(u64, u64)> {
        match self {
            Self::Unlimited => None,
            Self::Sliding(sliding) => Some(sliding.amounts(now)),
            Self::LeakyBucket(bucket) => Some(bucket.amounts(now)),
            Self::CalendarDay(day) => Some(day.amounts()),
            Self::Bytes(bytes) => Some(bytes.amounts(now)),
            Self::Concurrency(at_once) => Some(at_once.amounts()),
            Self::Learner(learner) => learner.amounts(now),
            Self::Lent(lent) => Some(lent.amounts(now)),
        }
    }

    /// Returns the length of the window, if it has one.
    pub(in crate::throttle) fn length(&self) -> Option<Tick> {
        match self {
            Self::Unlimited | Self::Concurrency(_) => None,
            Self::Sliding(sliding) => Some(sliding.length()),
            Self::LeakyBucket(bucket) => Some(bucket.length()),
            Self::CalendarDay(_) => Some(nanos(Duration::from_secs(24 * 60 * 60))),
            Self::Bytes(bytes) => Some(bytes.length()),
            Self::Learner(learner) => learner.found().map(|(_, window)| nanos(window)),
            Self::Lent(lent) => Some(lent.length()),
        }
    }

    /// Returns the used share of the window, from 0 on; more than 1 if the window is overdrawn.
    pub(in crate::throttle) fn use_of(&mut self, now: Tick) -> f64 {
        match self {
            Self::Unlimited => 0.0,
            Self::Sliding(sliding) => sliding.use_of(now),
            Self::LeakyBucket(bucket) => bucket.use_of(now),
            Self::CalendarDay(day) => day.use_of(),
            Self::Bytes(bytes) => bytes.use_of(now),
            Self::Concurrency(at_once) => at_once.use_of(),
            Self::Learner(learner) => learner.use_of(now),
            Self::Lent(lent) => lent.use_of(now),
        }
    }

    /// Returns whether a stated budget is the same limit: the same count, over the same time if the time is stated.
    pub(in crate::throttle) fn counts_as(&self, budget: &Budget) -> bool {
        let (count, own) = match self {
            Self::Sliding(sliding) => (sliding.count(), sliding.length()),
            Self::Lent(lent) => (lent.count(), lent.length()),
            _ => return false,
        };
        let length = budget.window().map(nanos);
        let is_as_long = length.is_none_or(|length| length == own);
        is_as_long && budget.limit().map_or(length.is_some(), |limit| limit == u64::from(count))
    }

    /// Returns whether nothing of the window is in use; the window may then be discarded.
    pub(in crate::throttle) fn is_idle(&mut self, now: Tick) -> bool {
        match self {
            // Unused slots belong to the lender.
            Self::Lent(lent) => lent.is_idle(),
            _ => self.use_of(now) == 0.0,
        }
    }

    /// Switches to another wall clock.
    pub(in crate::throttle) fn set_clock(&mut self, clock: Clock) {
        match self {
            Self::CalendarDay(day) => day.set_clock(clock),
            Self::Lent(lent) => lent.set_clock(clock),
            _ => {}
        }
    }

    /// Returns whether the wall clock ran backwards since the last call.
    pub(in crate::throttle) fn jumped(&mut self) -> bool {
        match self {
            Self::CalendarDay(day) => day.jumped(),
            _ => false,
        }
    }
}
