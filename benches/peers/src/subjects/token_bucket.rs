//! Token bucket: that of the crate `async-rate-limiter`.

use async_rate_limiter::RateLimiter;

use crate::budget::Window;
use crate::subject::{Ask, Limiter};

/// It takes a rate a second and a burst: here the window's count.
pub(crate) struct TokenBucket(RateLimiter);

impl TokenBucket {
    pub(crate) fn new(window: Window) -> Self {
        let rate = f64::from(window.count) / window.length.as_secs_f64();
        let limiter = RateLimiter::new(rate.round() as usize);
        limiter.burst(window.count as usize);
        Self(limiter)
    }
}

impl Limiter for TokenBucket {
    type Permit = ();

    async fn acquire(&self, _: Ask) {
        self.0.acquire().await;
    }
}
