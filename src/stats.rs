//! Stats: what went through a client, counted.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::event::Mark;
use crate::message::Class;

/// What went through a client and its clones so far: a snapshot.
///
/// ```
/// # let client = longhaul::Client::builder("https://api.example.com").build()?;
/// let stats = client.stats();
/// println!("{} requests, {} refused for load, {} retries", stats.requests(), stats.throttled(), stats.retries());
/// # Ok::<(), longhaul::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    requests: u64,
    polls: u64,
    succeeded: u64,
    throttled: u64,
    failed: u64,
    broken: u64,
    retries: u64,
    pauses: u64,
    queued: Duration,
}

impl Stats {
    /// Requests that were sent to the API, retries and polls included.
    #[must_use]
    pub const fn requests(&self) -> u64 {
        self.requests
    }

    /// Polls among them.
    #[must_use]
    pub const fn polls(&self) -> u64 {
        self.polls
    }

    /// Answers below 400.
    #[must_use]
    pub const fn succeeded(&self) -> u64 {
        self.succeeded
    }

    /// Answers of 429 and 503.
    #[must_use]
    pub const fn throttled(&self) -> u64 {
        self.throttled
    }

    /// Other answers from 400 on.
    #[must_use]
    pub const fn failed(&self) -> u64 {
        self.failed
    }

    /// Attempts without an answer.
    #[must_use]
    pub const fn broken(&self) -> u64 {
        self.broken
    }

    /// Attempts that repeated another.
    #[must_use]
    pub const fn retries(&self) -> u64 {
        self.retries
    }

    /// How often everybody was stopped after a refusal.
    #[must_use]
    pub const fn pauses(&self) -> u64 {
        self.pauses
    }

    /// How long requests stood in the throttle's queue, added up.
    #[must_use]
    pub const fn queued(&self) -> Duration {
        self.queued
    }
}

/// Folds marks into numbers.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    requests: AtomicU64,
    polls: AtomicU64,
    succeeded: AtomicU64,
    throttled: AtomicU64,
    failed: AtomicU64,
    broken: AtomicU64,
    retries: AtomicU64,
    pauses: AtomicU64,
    queued_micros: AtomicU64,
}

impl Counters {
    pub(crate) fn fold(&self, mark: Mark) {
        let (counter, by) = match mark {
            Mark::Sent { class } => {
                if class == Class::Poll {
                    self.polls.fetch_add(1, Relaxed);
                }
                (&self.requests, 1)
            }
            Mark::Answered { status } => match status.as_u16() {
                429 | 503 => (&self.throttled, 1),
                400.. => (&self.failed, 1),
                _ => (&self.succeeded, 1),
            },
            Mark::Broke => (&self.broken, 1),
            Mark::Retrying => (&self.retries, 1),
            Mark::Paused => (&self.pauses, 1),
            Mark::Waited { queued } => (&self.queued_micros, u64::try_from(queued.as_micros()).unwrap_or(u64::MAX)),
        };
        counter.fetch_add(by, Relaxed);
    }

    pub(crate) fn snapshot(&self) -> Stats {
        let read = |counter: &AtomicU64| counter.load(Relaxed);
        Stats {
            requests: read(&self.requests),
            polls: read(&self.polls),
            succeeded: read(&self.succeeded),
            throttled: read(&self.throttled),
            failed: read(&self.failed),
            broken: read(&self.broken),
            retries: read(&self.retries),
            pauses: read(&self.pauses),
            queued: Duration::from_micros(read(&self.queued_micros)),
        }
    }
}
