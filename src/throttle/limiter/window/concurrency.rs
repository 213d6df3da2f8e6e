//! Concurrency: concurrent requests, until the ends of their bodies.

use crate::throttle::time::Opening;

/// At most `count` concurrent requests.
#[derive(Debug)]
pub(in crate::throttle) struct Concurrency {
    count: u32,
    held: u32,
    /// The highest concurrency since the previous call of [`take_most`](Self::take_most).
    most: u32,
}

impl Concurrency {
    pub(super) const fn new(count: u32) -> Self {
        Self { count, held: 0, most: 0 }
    }

    pub(super) const fn change(&mut self, count: u32) {
        self.count = count;
    }

    pub(super) const fn opening(&self) -> Opening {
        if self.held < self.count { Opening::Open } else { Opening::Closed }
    }

    pub(super) fn take(&mut self) {
        self.held += 1;
        self.most = self.most.max(self.held);
    }

    /// Records that the request has ended, or was never sent.
    pub(super) const fn end(&mut self) {
        self.held = self.held.saturating_sub(1);
    }

    /// Returns the highest concurrency since the previous call.
    pub(super) const fn take_most(&mut self) -> u32 {
        std::mem::replace(&mut self.most, self.held)
    }

    pub(super) fn amounts(&self) -> (u64, u64) {
        (self.held.into(), self.count.into())
    }

    pub(super) fn use_of(&self) -> f64 {
        f64::from(self.held) / f64::from(self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admits_as_many_at_once_and_remembers_the_most() {
        let mut at_once = Concurrency::new(2);
        at_once.take();
        assert_eq!(at_once.opening(), Opening::Open);
        at_once.take();
        assert_eq!((at_once.opening(), at_once.amounts()), (Opening::Closed, (2, 2)));
        at_once.end();
        assert_eq!((at_once.opening(), at_once.take_most(), at_once.take_most()), (Opening::Open, 2, 1));
        at_once.change(1);
        assert_eq!(at_once.opening(), Opening::Closed);
    }
}
