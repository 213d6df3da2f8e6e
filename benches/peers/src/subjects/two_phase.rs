//! Two phases, and nothing else: the floor of a limiter that anchors its slots at the answer.
//!
//! A permit takes the lock and reads the clock twice, once when it is granted and once when the answer is here, and keeps
//! exact sliding windows in between. There is no queue, no refund, no pause and no key: whatever a real limiter costs
//! beyond this is the price of those.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::budget::Budget;
use crate::subject::{Answer, Ask, Limiter, Permit, TryLimiter};

/// Sliding windows behind one lock.
pub(crate) struct TwoPhase(Arc<Mutex<Vec<Window>>>);

struct Window {
    count: usize,
    length: Duration,
    in_flight: usize,
    free_at: VecDeque<Instant>,
}

impl TwoPhase {
    pub(crate) fn new(budget: &Budget) -> Self {
        let window = |window: &crate::budget::Window| Window {
            count: window.count as usize,
            length: window.length,
            in_flight: 0,
            free_at: VecDeque::new(),
        };
        Self(Arc::new(Mutex::new(budget.windows().iter().map(window).collect())))
    }
}

impl TryLimiter for TwoPhase {
    fn try_acquire(&self) -> Option<TwoPhasePermit> {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        for window in &mut *windows {
            while window.free_at.front().is_some_and(|at| *at <= now) {
                window.free_at.pop_front();
            }
            if window.in_flight + window.free_at.len() >= window.count {
                return None;
            }
        }
        for window in &mut *windows {
            window.in_flight += 1;
        }
        Some(TwoPhasePermit(self.0.clone()))
    }
}

impl Limiter for TwoPhase {
    type Permit = TwoPhasePermit;

    #[expect(clippy::expect_used, reason = "then there is nothing to report")]
    async fn acquire(&self, _: Ask) -> TwoPhasePermit {
        self.try_acquire().expect("limits so high that nothing waits")
    }
}

/// A request that is on its way.
pub(crate) struct TwoPhasePermit(Arc<Mutex<Vec<Window>>>);

impl Permit for TwoPhasePermit {
    fn answered(self, _: Answer) {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        for window in &mut *windows {
            window.in_flight -= 1;
            window.free_at.push_back(now + window.length);
        }
    }
}
