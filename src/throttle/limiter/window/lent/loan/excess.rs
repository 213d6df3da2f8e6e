//! Excess: the slots that are here and that other processes have more use for.
//!
//! A process that uses few slots in a window gives each back after its use, with its date: by then the store can lend it
//! to whoever waits longest. One that uses many reuses them, keeps an even part of the idle ones, and gives back what is
//! beyond twice that part.

use std::time::Duration;

use super::super::Demand;
use super::super::held::{Held, Slot};
use super::{HESITATES, Loan};
use crate::throttle::time::Tick;

impl Loan {
    /// Counts a slot that is taken.
    pub(in super::super) fn count(&mut self, held: &Held, now: Tick) {
        self.rate = self.rate(held, now) + 1.0 / memory(held).as_secs_f64();
        self.taken_at = now;
    }

    /// Takes the slots that others have more use for.
    pub(super) fn take_excess(&self, held: &mut Held, demand: Demand, now: Tick) -> Vec<Slot> {
        if held.term.is_long() {
            return Vec::new();
        }
        if self.is_sparse(held, now) {
            return held.drain_last(held.here().saturating_sub(demand.parked.into()));
        }
        if demand.parked > 0 {
            return Vec::new();
        }
        let soon = now.saturating_add(LEAD);
        let free = held.free_by(soon);
        // Whoever is called shares: somebody waits.
        let kept = if self.is_nudged { self.spare().min(free / 2) } else { self.spare() };
        held.drain_free(free.saturating_sub(kept), soon)
    }

    /// Returns when more slots are here than should be kept.
    pub(super) fn excess_due(&self, held: &Held, demand: Demand, now: Tick) -> Option<Tick> {
        if held.term.is_long() {
            return None;
        }
        if self.is_sparse(held, now) {
            return held.more_than(demand.parked.into()).map(|_| now);
        }
        let excess = held.more_than(self.spare().saturating_mul(2)).filter(|_| demand.parked == 0);
        excess.map(|free_at| free_at.saturating_sub(LEAD))
    }

    /// Returns how long after an ask the next one may give back what is left over.
    pub(super) fn gap(&self, held: &Held, now: Tick) -> Tick {
        match self.is_sparse(held, now) {
            true if self.is_contended() => HESITATES,
            true => held.term.length() / 20,
            false => held.term.length() / 4,
        }
    }

    /// Returns how many idle slots are kept for requests to come: an even part of those that nobody holds. A process that
    /// is alone keeps all.
    fn spare(&self) -> u64 {
        self.last.filter(|last| last.members > 1).map_or(u64::MAX, |last| last.free / last.members)
    }

    /// Returns whether so few slots are used here that each goes back after its use.
    pub(super) fn is_sparse(&self, held: &Held, now: Tick) -> bool {
        let longest = Duration::from_nanos(held.term.length()).as_secs_f64().max(1.0);
        let is_recent =
            |at: Tick| now <= at.saturating_add(self.terms.ttl.max(held.term.length().saturating_mul(REMEMBERS)));
        self.company_at.is_some_and(is_recent) && !held.term.is_long() && self.rate(held, now) * longest <= SPARSE
    }

    /// Returns how many slots are taken in a second, as of late.
    fn rate(&self, held: &Held, now: Tick) -> f64 {
        let since = Duration::from_nanos(now.saturating_sub(self.taken_at));
        self.rate * (-since.as_secs_f64() / memory(held).as_secs_f64()).exp()
    }
}

/// Returns for how long uses count for the rate.
fn memory(held: &Held) -> Duration {
    Duration::from_nanos(held.term.length().saturating_mul(REMEMBERS).max(1))
}

/// A slot that is free within 20 ms counts as idle.
const LEAD: Tick = 20_000_000;
/// Up to so many uses in a window, and in a second, each slot goes back after its use: two asks for each are few then.
const SPARSE: f64 = 1.6;
/// Uses count for the rate for five windows on average, and so do other processes as company.
const REMEMBERS: u64 = 5;
