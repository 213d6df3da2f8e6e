//! Chained: several limiters of one window each, asked one after the other, where a peer has no limiter of several.

use crate::budget::{Budget, Window};
use crate::subject::{Ask, Limiter, TryLimiter};

/// The longest window is asked first: who waits long for it then takes a fresh slot of the others.
pub(crate) struct Chained<L>(Box<[L]>);

impl<L> Chained<L> {
    pub(crate) fn new(budget: &Budget, make: impl Fn(Window) -> L) -> Self {
        let mut windows = budget.windows().to_vec();
        windows.sort_by_key(|window| std::cmp::Reverse(window.length));
        Self(windows.into_iter().map(make).collect())
    }
}

impl<L: Limiter<Permit = ()>> Limiter for Chained<L> {
    type Permit = ();

    async fn acquire(&self, ask: Ask) {
        for limiter in &self.0 {
            limiter.acquire(ask).await;
        }
    }
}

impl<L: TryLimiter<Permit = ()>> TryLimiter for Chained<L> {
    fn try_acquire(&self) -> Option<()> {
        self.0.iter().try_for_each(TryLimiter::try_acquire)
    }
}
