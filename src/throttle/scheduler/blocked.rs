//! Blocked: the waiters that each limiter blocks, and the time at which each limiter is checked next.

use std::collections::BTreeSet;

use super::parked::Parked;
use super::rank::{CLASSES, rank};
use super::wait_queue::Position;
use crate::message::Priority;
use crate::throttle::ids::{Id, LaneId, LimiterId};
use crate::throttle::time::Tick;

/// For each limiter, the lanes that it blocks, and the waiters that it counts wherever they are parked.
#[derive(Debug, Default)]
pub(super) struct Blocked {
    by_limiter: Vec<BlockedEntry>,
    /// When limiters with parked lanes are checked next.
    agenda: BTreeSet<(Tick, LimiterId)>,
}

#[derive(Debug, Default)]
struct BlockedEntry {
    /// The lanes whose first waiter waits for this limiter.
    parked: Option<Box<Parked>>,
    /// The number of waiters that this limiter counts, by class.
    waiting: [u32; CLASSES],
    /// When the limiter is checked next; if set, the limiter is in the agenda.
    due: Option<Tick>,
}

impl Blocked {
    /// Returns the lanes that a limiter blocks.
    pub(super) fn parked(&self, limiter: LimiterId) -> Option<&Parked> {
        let parked = self.by_limiter.get(limiter.slot() as usize)?.parked.as_deref()?;
        (!parked.is_empty()).then_some(parked)
    }

    pub(super) fn parked_mut(&mut self, limiter: LimiterId) -> &mut Parked {
        self.entry(limiter).parked.get_or_insert_default()
    }

    /// Returns whether a lane of this class, or of a more urgent one, is parked at a limiter.
    pub(super) fn has_parked_before(&self, limiter: LimiterId, class: Priority) -> bool {
        self.parked(limiter).is_some_and(|parked| parked.has_before(rank(class)))
    }

    /// Returns the first position of a class at a limiter.
    pub(super) fn first(&self, limiter: LimiterId, class: Priority) -> Option<Position> {
        self.parked(limiter)?.first(rank(class))
    }

    /// Returns the lane whose turn it is at a limiter, with the rank of its class.
    pub(super) fn next(&self, limiter: LimiterId, skipped: u16) -> Option<(usize, LaneId)> {
        self.parked(limiter)?.next(skipped)
    }

    /// Counts a waiter of a class at these limiters.
    pub(super) fn count_in(&mut self, limiters: &[LimiterId], class: Priority) {
        for limiter in limiters {
            if let Some(waiting) = self.entry(*limiter).waiting.get_mut(rank(class)) {
                *waiting += 1;
            }
        }
    }

    /// Stops counting a waiter of a class at these limiters.
    pub(super) fn count_out(&mut self, limiters: &[LimiterId], class: Priority) {
        for limiter in limiters {
            if let Some(waiting) = self.entry(*limiter).waiting.get_mut(rank(class)) {
                debug_assert!(*waiting > 0, "nobody waits at {limiter:?}");
                *waiting = waiting.saturating_sub(1);
            }
        }
    }

    /// Returns how many waiters a limiter counts.
    pub(super) fn waiting(&self, limiter: LimiterId) -> u32 {
        self.by_limiter.get(limiter.slot() as usize).map_or(0, |entry| entry.waiting.iter().sum())
    }

    /// Returns how many waiters of this class and of more urgent ones a limiter counts.
    pub(super) fn ahead(&self, limiter: LimiterId, class: Priority) -> u32 {
        let entry = self.by_limiter.get(limiter.slot() as usize);
        entry.map_or(0, |entry| entry.waiting.iter().take(rank(class) + 1).sum())
    }

    /// Returns when a limiter is checked next.
    pub(super) fn due(&self, limiter: LimiterId) -> Option<Tick> {
        self.by_limiter.get(limiter.slot() as usize)?.due
    }

    /// Sets when a limiter is checked next; returns whether a timer may need to be notified.
    pub(super) fn set_due(&mut self, limiter: LimiterId, due: Option<Tick>) -> bool {
        let entry = self.entry(limiter);
        if entry.due == due {
            return false;
        }
        if let Some(old) = std::mem::replace(&mut entry.due, due) {
            self.agenda.remove(&(old, limiter));
        }
        if let Some(due) = due {
            self.agenda.insert((due, limiter));
        }
        due.is_some()
    }

    pub(super) fn next_due(&self) -> Option<Tick> {
        self.agenda.first().map(|(due, _)| *due)
    }

    /// Takes out a limiter that is due now.
    pub(super) fn take_due(&mut self, now: Tick) -> Option<LimiterId> {
        let &(due, limiter) = self.agenda.first().filter(|(due, _)| *due <= now)?;
        self.agenda.remove(&(due, limiter));
        self.entry(limiter).due = None;
        Some(limiter)
    }

    #[cfg(test)]
    pub(super) fn looks_for_somebody(&self) -> bool {
        let parked = |entry: &BlockedEntry| entry.parked.as_ref().is_some_and(|parked| !parked.is_empty());
        self.by_limiter.iter().all(|entry| entry.due.is_none() || parked(entry))
    }

    fn entry(&mut self, limiter: LimiterId) -> &mut BlockedEntry {
        let at = limiter.slot() as usize;
        if at >= self.by_limiter.len() {
            self.by_limiter.resize_with(at + 1, BlockedEntry::default);
        }
        #[expect(clippy::indexing_slicing, reason = "it is that long now")]
        &mut self.by_limiter[at]
    }
}
