//! Strict: a service that counts arrivals in sliding windows, and refuses what is over.

use std::collections::VecDeque;

use tokio::time::Instant;

use super::{Admit, Verdict};
use crate::budget::{Budget, Window};

/// Only admitted arrivals count, which is the kinder kind of service.
pub(crate) struct Strict {
    windows: Vec<Window>,
    /// The newest first.
    admitted: VecDeque<Instant>,
}

impl Strict {
    pub(crate) fn new(budget: &Budget) -> Self {
        Self { windows: budget.windows().to_vec(), admitted: VecDeque::new() }
    }

    /// From now on another budget.
    pub(crate) fn change(&mut self, budget: &Budget) {
        self.windows = budget.windows().to_vec();
    }
}

impl Admit for Strict {
    fn arrive(&mut self, now: Instant) -> Verdict {
        let full = |window: &Window| {
            let oldest = self.admitted.get(window.count as usize - 1);
            oldest.is_some_and(|&oldest| now.duration_since(oldest) < window.length)
        };
        if self.windows.iter().any(full) {
            return Verdict::Refused;
        }
        self.admitted.push_front(now);
        self.admitted.truncate(LONGEST);
        Verdict::Served
    }
}

/// More than any window here counts.
const LONGEST: usize = 1024;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn admits_the_count_and_again_one_window_after_each() {
        let start = Instant::now();
        let mut service = Strict::new(&Budget::per(2, Duration::from_secs(1)).and(3, Duration::from_secs(10)));
        for (millis, verdict) in [
            (0, Verdict::Served),
            (500, Verdict::Served),
            (999, Verdict::Refused),
            (1_000, Verdict::Served),
            (2_000, Verdict::Refused),
            (9_999, Verdict::Refused),
            (10_000, Verdict::Served),
            (10_001, Verdict::Refused),
            (10_500, Verdict::Served),
        ] {
            assert_eq!(service.arrive(start + Duration::from_millis(millis)), verdict, "{millis}");
        }
    }
}
