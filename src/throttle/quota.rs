//! Quota: what a service says is left of a budget.

use super::meter::{Opening, Tick};
use crate::message::Class;

/// What is left until a time, as the service told it, less what went out since.
///
/// A tenth of the limit is kept for tokens, cancels and submits. Below the half of it, the rest is spread over the time
/// to the reset, so that it never runs dry in the middle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Quota {
    limit: u64,
    remaining: u64,
    resets_at: Tick,
    /// While it is spread.
    next_at: Tick,
    /// When the request was sent whose answer told it.
    seen: Tick,
    /// How long its window is taken to be: as long as it was to its end.
    span: Tick,
    /// Whether its limit was stated, and not only what is left.
    is_whole: bool,
    /// Whether nobody told it: it is what the one before was.
    is_guess: bool,
}

impl Quota {
    /// `flying` requests may or may not be counted in `remaining`: they are taken not to be.
    pub(super) fn new(limit: Option<u64>, remaining: u64, flying: u32, resets_at: Tick, seen: Tick) -> Self {
        let remaining = remaining.saturating_sub(flying.into());
        let span = resets_at.saturating_sub(seen);
        let whole = limit.unwrap_or(remaining).max(1);
        Self { limit: whole, remaining, resets_at, next_at: 0, seen, span, is_whole: limit.is_some(), is_guess: false }
    }

    /// What it is taken to be after its end, until an answer tells: once the same, if that is known.
    pub(super) fn renewed(&self) -> Option<Self> {
        let resets_at = self.resets_at.saturating_add(self.span);
        self.is_whole.then(|| Self {
            remaining: self.limit,
            resets_at,
            next_at: 0,
            seen: self.resets_at,
            is_whole: false,
            is_guess: true,
            ..self.clone()
        })
    }

    pub(super) const fn is_over(&self, now: Tick) -> bool {
        now >= self.resets_at
    }

    pub(super) const fn is_guess(&self) -> bool {
        self.is_guess
    }

    pub(super) const fn seen(&self) -> Tick {
        self.seen
    }

    pub(super) const fn limit(&self) -> u64 {
        self.limit
    }

    /// Its limit, where the service stated one and not only what is left.
    pub(super) fn stated_limit(&self) -> Option<u64> {
        (self.is_whole || self.is_guess).then_some(self.limit)
    }

    pub(super) const fn remaining(&self) -> u64 {
        self.remaining
    }

    pub(super) const fn resets_at(&self) -> Tick {
        self.resets_at
    }

    /// Whether nothing at all is left.
    pub(super) const fn is_spent(&self) -> bool {
        self.remaining == 0
    }

    /// Keeps the pace of the one before.
    pub(super) fn after(mut self, before: Option<&Self>) -> Self {
        if let Some(before) = before {
            (self.next_at, self.span) = (before.next_at, self.span.max(before.span));
        }
        self
    }

    pub(super) fn opening(&self, class: Class, now: Tick) -> Opening {
        if self.is_over(now) {
            return Opening::Open;
        }
        let left = self.remaining.saturating_sub(self.reserve(class));
        match self.next_at {
            _ if left == 0 => Opening::At(self.resets_at),
            next if next > now && self.is_low() && self.reserve(class) > 0 => Opening::At(next.min(self.resets_at)),
            _ => Opening::Open,
        }
    }

    pub(super) fn take(&mut self, now: Tick) {
        let spread = self.remaining.saturating_sub(self.limit / RESERVED).max(1);
        self.next_at = now.saturating_add(self.resets_at.saturating_sub(now) / spread);
        self.remaining = self.remaining.saturating_sub(1);
    }

    pub(super) const fn refund(&mut self) {
        self.remaining = self.remaining.saturating_add(1);
    }

    /// Whether requests wait for it: nothing of it is left, or its rest is spread.
    pub(super) const fn holds_back(&self) -> bool {
        self.is_spent() || self.is_low()
    }

    const fn is_low(&self) -> bool {
        self.remaining < self.limit / 2
    }

    fn reserve(&self, class: Class) -> u64 {
        match class {
            Class::Token | Class::Cancel | Class::Submit => 0,
            _ => self.limit / RESERVED,
        }
    }
}

const RESERVED: u64 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_a_reserve_and_spreads_the_second_half() {
        let mut quota = Quota::new(Some(20), 15, 3, 1000, 0);
        assert_eq!(quota.opening(Class::Poll, 0), Opening::Open);
        for _ in 0..3 {
            quota.take(0);
        }
        // 9 left, of which 2 are kept: the last was one of 8 over 1000.
        assert_eq!(quota.opening(Class::Poll, 0), Opening::At(125));
        assert_eq!(quota.opening(Class::Cancel, 0), Opening::Open);
        assert_eq!(quota.opening(Class::Poll, 125), Opening::Open);
        for _ in 0..7 {
            quota.take(0);
        }
        assert_eq!(quota.opening(Class::Poll, 999), Opening::At(1000));
        assert_eq!(quota.opening(Class::Submit, 999), Opening::Open);
        quota.take(0);
        quota.take(0);
        assert_eq!(quota.opening(Class::Token, 999), Opening::At(1000));
        assert!(quota.is_spent());
        assert_eq!(quota.opening(Class::Batch, 1000), Opening::Open);
        let mut renewed = quota.renewed().unwrap();
        assert_eq!((renewed.remaining(), renewed.resets_at()), (20, 2000));
        assert_eq!(renewed.opening(Class::Batch, 1000), Opening::Open);
        renewed.take(1000);
        assert!(renewed.renewed().is_none(), "once");
    }
}
