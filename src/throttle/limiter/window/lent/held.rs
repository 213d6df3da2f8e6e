//! Held: the slots of a shared window that are here.

use std::collections::VecDeque;

use super::term::Term;
use super::{Demand, MICRO};
use crate::throttle::time::Tick;

/// The slots of a shared window that this process holds.
#[derive(Debug)]
pub(super) struct Held {
    /// The slots of the whole window, whoever holds them.
    pub(super) count: u32,
    pub(super) term: Term,
    /// The slots that are not in flight, earliest first.
    slots: VecDeque<Slot>,
    /// Requests in flight that bring their slots back.
    pub(super) flying: u64,
    /// Requests in flight that took no slot, because the limiter was opened by force.
    pub(super) overdrawn: u64,
    /// A request that was granted before this time does not bring its slot back.
    pub(super) void_at: Tick,
}

/// A slot that is not in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) free_at: Tick,
    /// Whether this process has used it.
    pub(super) is_used: bool,
}

impl Held {
    pub(super) const fn new(count: u32, term: Term) -> Self {
        Self { count, term, slots: VecDeque::new(), flying: 0, overdrawn: 0, void_at: 0 }
    }

    /// Returns when the first slot is free.
    pub(super) fn first(&self) -> Option<Tick> {
        self.slots.front().map(|slot| slot.free_at)
    }

    pub(super) fn take(&mut self, now: Tick) {
        if self.first().is_some_and(|free_at| free_at <= now) {
            self.slots.pop_front();
            self.flying += 1;
        } else {
            self.overdrawn += 1;
        }
    }

    pub(super) fn put(&mut self, slot: Slot) {
        let behind = self.slots.iter().rev().take_while(|other| other.free_at > slot.free_at).count();
        self.slots.insert(self.slots.len() - behind, slot);
    }

    /// Returns whether a request that is no longer in flight brings its slot back.
    pub(super) const fn comes_back(&mut self, granted: Tick) -> bool {
        if granted < self.void_at {
            return false;
        }
        if self.overdrawn > 0 {
            self.overdrawn -= 1;
            return false;
        }
        self.flying = self.flying.saturating_sub(1);
        true
    }

    /// Forgets the slots here, and those in flight.
    pub(super) fn void(&mut self, now: Tick) {
        self.slots.clear();
        (self.flying, self.overdrawn) = (0, 0);
        // Requests that are granted at this very tick were granted before.
        self.void_at = now.saturating_add(1);
    }

    /// Returns how many slots are held, those in flight too.
    pub(super) fn all(&self) -> u64 {
        self.slots.len() as u64 + self.flying
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Returns how many used slots are not free yet.
    pub(super) fn cooling(&self, now: Tick) -> u64 {
        self.slots.iter().rev().take_while(|slot| slot.free_at > now).filter(|slot| slot.is_used).count() as u64
    }

    /// Returns how many slots here were used, and how many were not.
    pub(super) fn used_and_unused(&self) -> (u64, u64) {
        let used = self.slots.iter().filter(|slot| slot.is_used).count();
        (used as u64, (self.slots.len() - used) as u64)
    }

    /// Returns how many slots are free by then.
    pub(super) fn free_by(&self, at: Tick) -> u64 {
        self.slots.iter().take_while(|slot| slot.free_at <= at).count() as u64
    }

    /// Returns when so many slots and one more are free.
    pub(super) fn more_than(&self, count: u64) -> Option<Tick> {
        self.slots.get(usize::try_from(count).ok()?).map(|slot| slot.free_at)
    }

    /// Takes out the last `count` of the slots that are free by then.
    pub(super) fn drain_free(&mut self, count: u64, at: Tick) -> Vec<Slot> {
        let free = usize::try_from(self.free_by(at)).unwrap_or(0);
        let first = free.saturating_sub(usize::try_from(count).unwrap_or(0));
        self.slots.drain(first..free).collect()
    }

    /// Returns how many slots are not in flight.
    pub(super) fn here(&self) -> u64 {
        self.slots.len() as u64
    }

    /// Takes out the last slots.
    pub(super) fn drain_last(&mut self, count: u64) -> Vec<Slot> {
        let first = self.slots.len().saturating_sub(usize::try_from(count).unwrap_or(usize::MAX));
        self.slots.drain(first..).collect()
    }

    /// Returns whether a slot may go back to the store: never one that was not used while a request waits for it.
    pub(super) fn has_returnable(&self, demand: Demand) -> bool {
        self.slots.iter().any(|slot| slot.is_used || demand.parked == 0)
    }

    /// Makes slots that are free now, until this many are held.
    pub(super) fn fill(&mut self, most: u64, now: Tick) {
        let missing = most.saturating_sub(self.all());
        (0..missing).for_each(|_| self.put(Slot { free_at: now, is_used: false }));
    }

    /// Forgets the slots that are free last, until no more than this many are held.
    pub(super) fn keep_earliest(&mut self, most: u64) {
        while self.all() > most && self.slots.pop_back().is_some() {}
        self.overdraw(most);
    }

    /// Forgets the slots that are free first, until no more than this many are held.
    pub(super) fn keep_latest(&mut self, most: u64) {
        while self.all() > most && self.slots.pop_front().is_some() {}
        self.overdraw(most);
    }

    /// Lets requests in flight bring no slots back, until no more than this many do.
    const fn overdraw(&mut self, most: u64) {
        let surplus = self.flying.saturating_sub(most);
        self.flying -= surplus;
        self.overdrawn += surplus;
    }

    /// Takes out all slots.
    pub(super) fn drain(&mut self) -> Vec<Slot> {
        self.slots.drain(..).collect()
    }

    /// Takes out the slots that were used.
    pub(super) fn drain_used(&mut self) -> Vec<Slot> {
        let (used, unused) = self.slots.iter().partition::<Vec<_>, _>(|slot| slot.is_used);
        self.slots = unused.into();
        used
    }

    /// Takes out up to `most` slots that may go back: those that are free soon first, as they are worth the most to the
    /// next borrower; but one that is free now is rather used here.
    pub(super) fn drain_some(&mut self, most: u64, demand: Demand, now: Tick) -> Vec<Slot> {
        let mut taken = Vec::new();
        for is_free in [false, true] {
            let mut kept = VecDeque::with_capacity(self.slots.len());
            for slot in self.slots.drain(..) {
                let goes = (slot.free_at < now.saturating_add(NOW)) == is_free && (slot.is_used || demand.parked == 0);
                if goes && (taken.len() as u64) < most {
                    taken.push(slot);
                } else {
                    kept.push_back(slot);
                }
            }
            self.slots = kept;
        }
        taken
    }
}

/// Returns slots by the microseconds until they are free, rounded up.
pub(super) fn waits(slots: &[Slot], now: Tick) -> Vec<(u64, u64)> {
    let mut waits: Vec<(u64, u64)> = Vec::new();
    for slot in slots {
        let wait = slot.free_at.saturating_sub(now).div_ceil(MICRO);
        match waits.last_mut().filter(|(last, _)| *last == wait) {
            Some((_, count)) => *count += 1,
            None => waits.push((wait, 1)),
        }
    }
    waits
}

/// A slot that is free within this time counts as free: 3 ms.
const NOW: Tick = 3_000_000;
