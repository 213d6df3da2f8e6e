//! Budget: a bound on retries while many requests fail.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Tokens that retries spend and successes give back, as in the standard mode of the AWS SDKs. While few requests fail,
/// every failure is retried; if most requests fail, retries end soon, and do not double the load of a service that is
/// down.
#[derive(Debug)]
pub(crate) struct RetryBudget {
    /// The largest number stands for no bound.
    most: u32,
    left: AtomicU32,
    /// When the last broken connection was charged.
    broke: Mutex<Option<Instant>>,
}

impl RetryBudget {
    pub(crate) const fn new(most: u32) -> Self {
        Self { most, left: AtomicU32::new(most), broke: Mutex::new(None) }
    }

    /// Returns whether a connection that breaks now is one of several that a restart breaks together: they are one
    /// failure of the service, and are charged once.
    pub(crate) fn is_paid_for(&self, now: Instant) -> bool {
        // No code panics while it holds the lock.
        let mut broke = self.broke.lock().unwrap_or_else(PoisonError::into_inner);
        let is_with_others = broke.is_some_and(|first| now.saturating_duration_since(first) < TOGETHER);
        if !is_with_others {
            *broke = Some(now);
        }
        is_with_others
    }

    pub(crate) fn left(&self) -> u32 {
        self.left.load(Relaxed)
    }

    pub(crate) fn take(&self, cost: u32) {
        if self.most != u32::MAX && cost > 0 {
            let _ = self.left.fetch_update(Relaxed, Relaxed, |left| Some(left.saturating_sub(cost)));
        }
    }

    /// Gives back after a success. `cost` is the cost of the request's last retry; 0 if the request needed none.
    pub(crate) fn give_back(&self, cost: u32) {
        // The usual case: nothing was taken, and no cache line is written.
        if self.left() < self.most {
            let back = cost.max(1);
            let _ = self.left.fetch_update(Relaxed, Relaxed, |left| Some(left.saturating_add(back).min(self.most)));
        }
    }
}

/// Connections that break within a second of each other break together.
const TOGETHER: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_that_break_together_are_paid_for_once_a_second() {
        let budget = RetryBudget::new(500);
        let begun = Instant::now();
        for (millis, paid) in [(0, false), (0, true), (999, true), (1000, false), (1999, true), (5000, false)] {
            assert_eq!(budget.is_paid_for(begun + Duration::from_millis(millis)), paid, "{millis}");
        }
    }

    #[test]
    fn is_spent_by_retries_and_refilled_by_successes() {
        let budget = RetryBudget::new(12);
        budget.take(5);
        budget.take(5);
        assert_eq!(budget.left(), 2);
        budget.take(5);
        assert_eq!(budget.left(), 0);
        budget.give_back(0);
        budget.give_back(10);
        assert_eq!(budget.left(), 11);
        budget.give_back(10);
        assert_eq!(budget.left(), 12);
        let boundless = RetryBudget::new(u32::MAX);
        boundless.take(10);
        boundless.give_back(5);
        assert_eq!(boundless.left(), u32::MAX);
    }
}
