//! Governor: the generic cell rate algorithm of the crate `governor`.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Jitter, Quota};

use crate::budget::Window;
use crate::subject::{Ask, Limiter, TryLimiter};

/// `RateLimiter::direct`, with `check` and `until_ready`.
pub(crate) struct Governor(DefaultDirectRateLimiter);

impl Governor {
    /// A window's count as the burst, as `Quota::per_second` has it.
    pub(crate) fn new(window: Window) -> Self {
        Self::with_burst(window, window.count)
    }

    /// No burst: requests are spread evenly, which is the best it can do against a strict window.
    pub(crate) fn evenly(window: Window) -> Self {
        Self::with_burst(window, 1)
    }

    fn with_burst(window: Window, burst: u32) -> Self {
        let quota = Quota::with_period(window.step()).unwrap_or_else(|| Quota::per_second(NonZeroU32::MIN));
        Self(DefaultDirectRateLimiter::direct(quota.allow_burst(NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN))))
    }
}

impl Limiter for Governor {
    type Permit = ();

    async fn acquire(&self, _: Ask) {
        self.0.until_ready().await;
    }
}

impl TryLimiter for Governor {
    fn try_acquire(&self) -> Option<()> {
        self.0.check().ok()
    }
}

/// The same with `until_ready_with_jitter`, which its documentation advises where many wait.
pub(crate) struct Jittered(Governor, Jitter);

impl Jittered {
    pub(crate) fn new(window: Window, jitter: Duration) -> Self {
        Self(Governor::new(window), Jitter::up_to(jitter))
    }
}

impl Limiter for Jittered {
    type Permit = ();

    async fn acquire(&self, _: Ask) {
        self.0.0.until_ready_with_jitter(self.1).await;
    }
}
