//! Window: the arrivals that a service may still count, and when each stops counting.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

/// One exact sliding window.
///
/// A slot is held from its request on, and counts until `length` after its anchor: the latest moment at which the
/// service can have seen it. That is the answer's arrival, or, for one without an answer, the end of its hold.
#[derive(Debug)]
pub(super) struct Window {
    count: usize,
    length: Duration,
    /// When each used slot is free again, earliest first, by its permit.
    used: BTreeSet<(Instant, u64)>,
}

impl Window {
    pub(super) fn new(count: u32, length: Duration) -> Self {
        Self { count: usize::try_from(count).unwrap_or(usize::MAX), length, used: BTreeSet::new() }
    }

    pub(super) fn is(&self, count: u32, length: Duration) -> bool {
        u32::try_from(self.count) == Ok(count) && self.length == length
    }

    /// How many more may go out now.
    pub(super) fn available(&mut self, now: Instant) -> usize {
        while self.used.first().is_some_and(|(free_at, _)| *free_at <= now) {
            self.used.pop_first();
        }
        self.count.saturating_sub(self.used.len())
    }

    /// When the next slot is free, if none is.
    pub(super) fn frees_at(&mut self, now: Instant) -> Option<Instant> {
        if self.available(now) > 0 { None } else { self.used.first().map(|(free_at, _)| *free_at) }
    }

    pub(super) fn take(&mut self, permit: u64, anchor: Instant) {
        self.used.insert((anchor + self.length, permit));
    }

    pub(super) fn refund(&mut self, permit: u64, anchor: Instant) {
        self.used.remove(&(anchor + self.length, permit));
    }
}
