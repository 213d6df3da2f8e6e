//! Lent: the slots of a shared sliding window that are lent to this process.
//!
//! The window's slots belong to a lender. This process borrows some, reuses them as a sliding window does, and gives a
//! slot back together with the time at which it becomes free; the next borrower waits until then. The scheme is free of
//! clock skew and guards: the next sender waits a whole length after the response to the previous request.
//!
//! A loan has an end. After it nothing is granted, because the lender may have lent the slots to another process. A
//! lender that did so makes the loan [void](Lent::void), and a request that was granted before then does not bring its
//! slot back.

use std::collections::VecDeque;
use std::time::Duration;

use crate::throttle::time::{Opening, Tick, nanos};

/// The borrowed slots of a shared window.
#[derive(Debug)]
pub(in crate::throttle) struct Lent {
    /// The slots of the whole window, whoever holds them.
    count: u32,
    length: Tick,
    /// The slots that are not in flight, by the times at which they are free, earliest first.
    slots: VecDeque<Tick>,
    in_flight: u32,
    /// Requests in flight that took no slot, because a soft limit admits them all the same.
    overdrawn: u32,
    /// Nothing is granted from this time on.
    ends_at: Tick,
    /// A request that was granted before this time does not bring its slot back.
    void_at: Tick,
}

#[cfg_attr(not(test), expect(dead_code, reason = "the seam of shared windows: a store of slots is built on it"))]
impl Lent {
    /// Creates a window without any borrowed slots.
    pub(in crate::throttle) fn new(count: u32, length: Duration) -> Self {
        let slots = VecDeque::new();
        Self { count, length: nanos(length), slots, in_flight: 0, overdrawn: 0, ends_at: 0, void_at: 0 }
    }

    /// Adds slots, by the times at which they are free. The loan of all slots here ends at `ends_at`. Slots of a loan
    /// that has ended are not revived: the lender may have lent them to another process.
    pub(in crate::throttle) fn borrow(&mut self, slots: impl IntoIterator<Item = Tick>, ends_at: Tick, now: Tick) {
        if now >= self.ends_at && !self.is_idle() {
            self.void(now);
        }
        slots.into_iter().for_each(|free_at| self.put(free_at));
        self.ends_at = ends_at;
    }

    /// Returns up to `most` of the slots that are not in flight, by the times at which they are free: the earliest
    /// first, which are worth the most to the next borrower.
    pub(in crate::throttle) fn give_back(&mut self, most: usize) -> Vec<Tick> {
        self.slots.drain(..most.min(self.slots.len())).collect()
    }

    /// Records that the lender considers all slots lost: the slots here are gone, and those in flight do not come back.
    pub(in crate::throttle) fn void(&mut self, now: Tick) {
        self.slots.clear();
        self.overdrawn = 0;
        // Requests that are granted at this very tick were granted before.
        (self.ends_at, self.void_at) = (now, now.saturating_add(1));
    }

    /// Returns how many slots are not in flight.
    pub(in crate::throttle) fn held(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn change(&mut self, count: u32) {
        self.count = count;
    }

    /// Returns `Closed` if no slot is here, or if the loan ends before a slot is free: only the lender can then open
    /// the window.
    pub(super) fn opening(&self, now: Tick) -> Opening {
        match self.slots.front() {
            _ if now >= self.ends_at => Opening::Closed,
            _ if now < self.void_at => Opening::At(self.void_at),
            Some(free_at) if *free_at <= now => Opening::Open,
            Some(free_at) if *free_at < self.ends_at => Opening::At(*free_at),
            _ => Opening::Closed,
        }
    }

    /// Returns a lower bound: more slots may be lent at any time, up to the size of the window.
    pub(super) fn not_before(&self, ahead: u32, now: Tick) -> Tick {
        now.saturating_add(u64::from(ahead / self.count.max(1)).saturating_mul(self.length))
    }

    pub(super) fn take(&mut self, now: Tick) {
        self.in_flight += 1;
        match self.slots.front() {
            Some(free_at) if *free_at <= now => drop(self.slots.pop_front()),
            _ => self.overdrawn += 1,
        }
    }

    /// Returns the slot with the time at which it was free.
    pub(super) fn refund(&mut self, granted: Tick) {
        if self.comes_back(granted) {
            self.put(granted);
        }
    }

    pub(super) fn anchor(&mut self, granted: Tick, at: Tick) {
        if self.comes_back(granted) {
            self.put(at.saturating_add(self.length));
        }
    }

    /// Returns how many slots are used here, and how many the window has in all.
    pub(super) fn amounts(&self, now: Tick) -> (u64, u64) {
        let cooling = self.slots.iter().rev().take_while(|free_at| **free_at > now).count();
        (cooling as u64 + u64::from(self.in_flight), self.count.into())
    }

    pub(super) fn use_of(&self, now: Tick) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a share")]
        let used = self.amounts(now).0 as f64;
        used / f64::from(self.count.max(1))
    }

    /// Returns whether no slot is here and no request is in flight.
    pub(super) fn is_idle(&self) -> bool {
        self.slots.is_empty() && self.in_flight == 0
    }

    pub(super) const fn count(&self) -> u32 {
        self.count
    }

    pub(super) const fn length(&self) -> Tick {
        self.length
    }

    /// Returns whether a request that is no longer in flight brings its slot back.
    fn comes_back(&mut self, granted: Tick) -> bool {
        self.in_flight = self.in_flight.saturating_sub(1);
        if granted < self.void_at {
            return false;
        }
        let took_none = self.overdrawn > 0;
        self.overdrawn = self.overdrawn.saturating_sub(1);
        !took_none
    }

    fn put(&mut self, free_at: Tick) {
        let behind = self.slots.iter().rev().take_while(|at| **at > free_at).count();
        self.slots.insert(self.slots.len() - behind, free_at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lent(slots: &[Tick], ends_at: Tick) -> Lent {
        let mut lent = Lent::new(4, Duration::from_nanos(100));
        lent.borrow(slots.iter().copied(), ends_at, 0);
        lent
    }

    #[test]
    fn grants_what_is_lent_and_reuses_it_a_length_after_the_answer() {
        let mut lent = lent(&[30, 0], 1000);
        assert_eq!(lent.opening(10), Opening::Open);
        lent.take(10);
        assert_eq!(lent.opening(10), Opening::At(30));
        lent.anchor(10, 25);
        assert_eq!((lent.opening(30), lent.amounts(30)), (Opening::Open, (1, 4)));
        lent.take(30);
        lent.refund(30);
        assert_eq!((lent.opening(30), lent.held()), (Opening::Open, 2), "as free as it was");
        assert_eq!(lent.give_back(9), [30, 125], "each once, with the time at which it is free");
        assert_eq!((lent.opening(30), lent.give_back(9).len()), (Opening::Closed, 0));
    }

    #[test]
    fn grants_nothing_after_the_end_of_the_loan() {
        let mut lent = lent(&[0, 70], 50);
        assert_eq!((lent.opening(49), lent.opening(50)), (Opening::Open, Opening::Closed));
        lent.take(49);
        assert_eq!(lent.opening(49), Opening::Closed, "the other is free after the end of the loan");
        lent.borrow([], 200, 49);
        assert_eq!(lent.opening(50), Opening::At(70));
        lent.borrow([300], 400, 200);
        assert_eq!((lent.opening(201), lent.held()), (Opening::At(300), 1), "what an ended loan left is gone");
    }

    #[test]
    fn what_was_granted_before_the_loan_was_void_brings_no_slot_back() {
        let mut lent = lent(&[0, 0], 1000);
        lent.take(5);
        lent.take(5);
        lent.void(10);
        assert_eq!(lent.opening(10), Opening::Closed);
        lent.anchor(5, 20);
        lent.refund(5);
        assert_eq!((lent.held(), lent.amounts(20)), (0, (0, 4)));
        lent.borrow([20], 2000, 20);
        lent.take(20);
        lent.anchor(20, 30);
        assert_eq!(lent.held(), 1);
    }

    #[test]
    fn a_soft_limit_overdraws_without_inventing_slots() {
        let mut lent = lent(&[], 1000);
        lent.take(0);
        lent.anchor(0, 10);
        assert_eq!((lent.held(), lent.amounts(10)), (0, (0, 4)));
        assert_eq!(lent.not_before(9, 0), 200);
    }
}
