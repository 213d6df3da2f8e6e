//! Span: the time in which a task has ended, as far as the polls show it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The ages between which a task has ended: the age at the last answer that showed it pending, and the age at the
/// answer that showed its end. In milliseconds, so that saved spans are compared exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Span(u64, u64);

impl Span {
    /// Returns the span; `None` for one that no wait has: it ends before it begins, or is longer than a year.
    pub(super) fn new(after: Duration, by: Duration) -> Option<Self> {
        let millis = |age: Duration| u64::try_from(age.as_millis()).ok();
        Some(Self(millis(after)?, millis(by)?)).filter(|span| span.is_possible())
    }

    pub(super) const fn is_possible(self) -> bool {
        self.0 < self.1 && self.1 <= LONGEST_MS
    }

    /// Returns both ages in seconds.
    pub(super) fn seconds(self) -> (f64, f64) {
        let seconds = |millis| Duration::from_millis(millis).as_secs_f64();
        (seconds(self.0), seconds(self.1))
    }
}

/// A year: what takes longer is not waited for with polls.
const LONGEST_MS: u64 = 366 * 24 * 60 * 60 * 1000;
