//! Take: one permit, from the first word to the last.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use crate::subject::{Answer, Ask, Limiter, Permit, TryLimiter};
use crate::subjects::Tower;

/// What one thread does over and over. Clones share the limiter.
pub(super) trait Take: Clone + Send + Sync + 'static {
    fn take(&mut self) -> impl Future<Output = ()> + Send;
}

/// By the future.
pub(super) struct Acquire<L>(pub(super) Arc<L>);

impl<L: Limiter> Take for Acquire<L> {
    async fn take(&mut self) {
        through(self.0.acquire(Ask::Call).await);
    }
}

/// By the call that does not wait.
pub(super) struct AtOnce<L>(pub(super) Arc<L>);

impl<L: TryLimiter> Take for AtOnce<L> {
    #[expect(clippy::expect_used, reason = "then there is nothing to report")]
    async fn take(&mut self) {
        let permit = black_box(self.0.try_acquire());
        // A refusal may be cheaper: it must not count.
        through(permit.expect("limits so high that nothing waits"));
    }
}

impl Take for Tower {
    async fn take(&mut self) {
        self.call().await;
    }
}

/// A yardstick.
#[derive(Clone)]
pub(super) struct ReadClock;

impl Take for ReadClock {
    async fn take(&mut self) {
        black_box(Instant::now());
    }
}

fn through(mut permit: impl Permit) {
    permit.sent();
    permit.answered(Answer::Accepted);
}

impl<L> Clone for Acquire<L> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<L> Clone for AtOnce<L> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}
