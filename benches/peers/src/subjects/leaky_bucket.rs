//! Leaky bucket: the token bucket of the crate `leaky-bucket`.

use std::time::Duration;

use leaky_bucket::RateLimiter;

use crate::budget::Window;
use crate::subject::{Ask, Limiter, TryLimiter};

/// Fair, as it is by default, but where it is said.
pub(crate) struct LeakyBucket(RateLimiter);

impl LeakyBucket {
    /// A window's count at first, and again each window.
    pub(crate) fn new(window: Window) -> Self {
        Self::build(window, window.length, true)
    }

    /// The same without fairness: it has a faster path.
    pub(crate) fn unfair(window: Window) -> Self {
        Self::build(window, window.length, false)
    }

    /// One token at a time: requests are spread evenly, which is the best it can do against a strict window.
    pub(crate) fn evenly(window: Window) -> Self {
        // It counts whole milliseconds.
        let step = Duration::from_millis(u64::from(window.step().as_micros().div_ceil(1000) as u32));
        Self::build(Window { count: 1, length: step }, step, true)
    }

    fn build(window: Window, interval: Duration, fair: bool) -> Self {
        let count = window.count as usize;
        let limiter =
            RateLimiter::builder().initial(count).max(count).refill(count).interval(interval).fair(fair).build();
        Self(limiter)
    }
}

impl Limiter for LeakyBucket {
    type Permit = ();

    async fn acquire(&self, _: Ask) {
        self.0.acquire_one().await;
    }
}

impl TryLimiter for LeakyBucket {
    fn try_acquire(&self) -> Option<()> {
        self.0.try_acquire(1).then_some(())
    }
}
