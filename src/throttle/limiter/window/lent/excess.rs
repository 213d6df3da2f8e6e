//! Excess: the slots that are here and that other processes have more use for.

use std::time::Duration;

use super::Demand;
use super::held::{Held, Slot};
use crate::throttle::slots::Answer;
use crate::throttle::time::Tick;

/// The rule by which slots of a short window go back before they have been idle for a lease.
///
/// A process that uses few slots in a window gives each back after its use, with its date: by then the store can lend it
/// to whoever waits longest. One that uses many reuses them, keeps an even part of the idle ones, and gives back those
/// beyond twice that part. A process that is alone keeps all.
#[derive(Debug)]
pub(super) struct Excess {
    /// For how long a process is not alone after the store knew of another, at least.
    company: Tick,
    company_at: Option<Tick>,
    /// How many slots were taken in a second of late, and when the last was.
    rate: f64,
    taken_at: Tick,
    /// The even part of the slots that nobody holds.
    part: u64,
    is_contended: bool,
}

impl Excess {
    pub(super) const fn new(company: Tick) -> Self {
        Self { company, company_at: None, rate: 0.0, taken_at: 0, part: u64::MAX, is_contended: false }
    }

    /// Counts a slot that is taken.
    pub(super) fn count(&mut self, held: &Held, now: Tick) {
        self.rate = self.rate(held, now) + 1.0 / Duration::from_nanos(memory(held)).as_secs_f64();
        self.taken_at = now;
    }

    pub(super) const fn told(&mut self, answer: &Answer, now: Tick) {
        self.is_contended = answer.contended;
        self.part = u64::MAX;
        if answer.members > 1 {
            self.part = answer.free / answer.members;
            self.company_at = Some(now);
        }
    }

    /// Takes the slots that go back. `is_called`: somebody waits for them.
    pub(super) fn take(&self, held: &mut Held, demand: Demand, is_called: bool, now: Tick) -> Vec<Slot> {
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
        let kept = if is_called { self.part.min(free / 2) } else { self.part };
        held.drain_free(free.saturating_sub(kept), soon)
    }

    /// Returns when slots go back, if the last ask was made at `asked_at`.
    pub(super) fn due(&self, held: &Held, demand: Demand, asked_at: Tick, now: Tick) -> Option<Tick> {
        let length = held.term.length();
        let (due, gap) = if held.term.is_long() {
            return None;
        } else if self.is_sparse(held, now) {
            let gap = if self.is_contended { HESITATES } else { length / 20 };
            (held.more_than(demand.parked.into()).map(|_| now), gap)
        } else {
            let excess = held.more_than(self.part.saturating_mul(2)).filter(|_| demand.parked == 0);
            (excess.map(|free_at| free_at.saturating_sub(LEAD)), length / 4)
        };
        due.map(|due| due.max(asked_at.saturating_add(gap)))
    }

    /// Returns whether so few slots are used here, beside other processes, that each goes back after its use.
    pub(super) fn is_sparse(&self, held: &Held, now: Tick) -> bool {
        let longest = Duration::from_nanos(held.term.length()).as_secs_f64().max(1.0);
        let lasts = self.company.max(memory(held));
        let is_alone = self.company_at.is_none_or(|at| now > at.saturating_add(lasts));
        !is_alone && !held.term.is_long() && self.rate(held, now) * longest <= SPARSE
    }

    /// Returns how many slots are taken in a second, as of late.
    fn rate(&self, held: &Held, now: Tick) -> f64 {
        let since = Duration::from_nanos(now.saturating_sub(self.taken_at));
        self.rate * (-since.as_secs_f64() / Duration::from_nanos(memory(held)).as_secs_f64()).exp()
    }
}

/// Returns for how long uses count for the rate, on average: five windows.
fn memory(held: &Held) -> Tick {
    held.term.length().saturating_mul(5).max(1)
}

/// A slot that is free within 20 ms counts as idle.
const LEAD: Tick = 20_000_000;
/// While others wait, slots go back after this time without a request: 20 ms.
pub(super) const HESITATES: Tick = 20_000_000;
/// Up to so many uses in a window, and in a second, each slot goes back after its use: two asks for each are few then.
const SPARSE: f64 = 1.6;
