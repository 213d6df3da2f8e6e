//! Retry: which attempt may be repeated, and after how long.

mod decide;
mod schedule;

pub use schedule::Schedule;

pub(crate) use decide::{Failure, may_retry};

use serde::{Deserialize, Serialize};

/// How often a request is repeated, and after what pauses.
///
/// It drives submits, results and other calls. A poll is one attempt: the task owns its wait. Repeated are only
/// failures that may pass (408, 425, 429, 5xx but 501 and 505, a broken connection), and a POST or PATCH only when it
/// was provably not sent, was refused with 429 or 503, or carries an idempotency key. A pause is the longer one of
/// the service's Retry-After and the schedule's step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetryPolicy {
    retries: u32,
    schedule: Schedule,
}

impl RetryPolicy {
    /// 4 retries, after 1, 2, 4 and 8 seconds with jitter: enough for a restart of a service, short enough for a
    /// person who waits.
    #[must_use]
    pub const fn standard() -> Self {
        Self { retries: 4, schedule: Schedule::standard() }
    }

    /// One attempt, and no more.
    #[must_use]
    pub const fn none() -> Self {
        Self { retries: 0, schedule: Schedule::standard() }
    }

    /// Sets how many times a request is repeated at most.
    #[must_use]
    pub const fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// Sets the pauses.
    #[must_use]
    pub const fn schedule(mut self, schedule: Schedule) -> Self {
        self.schedule = schedule;
        self
    }

    pub(crate) const fn limit(&self) -> u32 {
        self.retries
    }

    pub(crate) const fn pauses(&self) -> &Schedule {
        &self.schedule
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::standard()
    }
}
