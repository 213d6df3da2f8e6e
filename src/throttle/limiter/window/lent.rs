//! Lent: the slots of a shared window that are lent to this process.
//!
//! The window's slots belong to a [store](crate::throttle::slots). This process borrows some, reuses them as a window of
//! its own does, and gives a slot back together with the time until it is free; the next borrower waits that long. The
//! scheme is free of clock skew and guards: the next sender waits a whole length after the response to the previous
//! request.
//!
//! A lease has an end, counted from the *send* of the last answered ask, which is always before the end that the store
//! knows. After it nothing is granted, because the store may have lent the slots to another process. A store that did so
//! makes the lease void, and a request that was granted before then does not bring its slot back.
//!
//! [`loan`] decides how many slots are wanted, which go back, and when the store is asked.

mod excess;
mod held;
mod loan;
mod outage;
mod term;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::clock::Clock;
use crate::limit::{Outage, Window};
use crate::throttle::slots::{Answer, Ask};
use crate::throttle::time::{Opening, Tick};

use held::{Held, Slot};
use loan::{Loan, LoanView};
use outage::{Lease, OutagePlan};
use term::Term;

/// The terms on which a store lends: the same for all windows of a throttle.
#[derive(Clone, Debug)]
pub(in crate::throttle) struct Terms {
    /// The name of this process in the store.
    pub(in crate::throttle) member: Arc<str>,
    /// How long slots may be used without another exchange.
    pub(in crate::throttle) ttl: Tick,
    /// How long after the end of a lease a request may still arrive.
    pub(in crate::throttle) guard: Tick,
    /// The longest time between two exchanges while slots are held.
    pub(in crate::throttle) beat: Tick,
    /// The longest time between two exchanges while slots are wanted.
    pub(in crate::throttle) poll: Tick,
}

/// The requests that wait under a limiter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::throttle) struct Demand {
    /// Those that this limiter holds back.
    pub(in crate::throttle) parked: u32,
    /// Those that it counts, whichever limiter holds them back.
    pub(in crate::throttle) waiting: u32,
}

/// The borrowed slots of a shared window.
#[derive(Debug)]
pub(in crate::throttle) struct Lent {
    held: Held,
    /// Nothing is granted from this time on.
    ends_at: Tick,
    loan: Loan,
    outage: OutagePlan,
}

impl Lent {
    /// Creates a window without any borrowed slots. `None` for a window that cannot be shared.
    pub(in crate::throttle) fn new(window: &Window, clock: Clock, domain: Arc<str>, terms: Arc<Terms>) -> Option<Self> {
        let (count, term) = match window {
            Window::Sliding { count, length } => (*count, Term::sliding(*length)),
            Window::Daily { count, zone } => (*count, Term::day(zone, clock)),
            Window::Bytes { .. } | Window::Concurrent { .. } => return None,
        };
        Some(Self {
            held: Held::new(count, term),
            ends_at: 0,
            loan: Loan::new(domain, terms),
            outage: OutagePlan::default(),
        })
    }

    pub(super) const fn change(&mut self, count: u32) {
        self.held.count = count;
        self.loan.nudge();
    }

    /// Sets how slots are used after the end of a lease that the store does not renew.
    pub(in crate::throttle) fn on_outage(self, policy: Outage) -> Self {
        Self { outage: OutagePlan::new(policy), ..self }
    }

    /// Returns `Closed` if no slot is here, or if the lease ends before a slot is free: only the store can then open
    /// the window, unless the window has a policy for an outage.
    pub(super) fn opening(&mut self, now: Tick) -> Opening {
        let (lease, guard) = (self.lease(now), self.loan.guard());
        self.outage.advance(&mut self.held, &lease, guard, now);
        let goes_on = self.outage.goes_on(&lease);
        match self.held.first() {
            _ if now >= self.ends_at && !goes_on => Opening::Closed,
            _ if now < self.held.void_at => Opening::At(self.held.void_at),
            Some(free_at) if free_at <= now => Opening::Open,
            Some(free_at) if free_at < self.ends_at || goes_on => Opening::At(free_at),
            _ => self.outage.due(&self.held, &lease, guard).map_or(Opening::Closed, Opening::At),
        }
    }

    fn lease(&self, now: Tick) -> Lease {
        Lease { ends_at: self.ends_at, ttl: self.loan.ttl(), spent: self.loan.spent(now), view: self.loan.view() }
    }

    /// Returns the policy by which slots are used although the lease is over, if they are.
    pub(in crate::throttle) fn outage(&self, now: Tick) -> Option<Outage> {
        (now >= self.ends_at && self.outage.goes_on(&self.lease(now))).then(|| self.outage.policy())
    }

    /// Records that the store did not answer; returns whether the window may open at another time therefore.
    pub(in crate::throttle) fn store_failed(&mut self, now: Tick) -> bool {
        self.outage.begin(now) && self.outage.goes_on(&self.lease(now))
    }

    /// Returns a lower bound: more slots may be lent at any time, up to the size of the window.
    pub(super) fn not_before(&self, ahead: u32, now: Tick) -> Tick {
        let rounds = u64::from(ahead / self.held.count.max(1));
        now.saturating_add(rounds.saturating_mul(self.held.term.shortest()))
    }

    pub(super) fn take(&mut self, now: Tick) {
        self.loan.touch(now);
        self.loan.count(&self.held, now);
        self.held.take(now);
    }

    /// Returns the slot with the time at which it was free.
    pub(super) fn refund(&mut self, granted: Tick) {
        if self.held.comes_back(granted) {
            self.held.put(Slot { free_at: granted, is_used: false });
        }
    }

    pub(super) fn anchor(&mut self, granted: Tick, at: Tick) {
        if self.held.comes_back(granted) {
            self.loan.touch(at);
            self.held.put(Slot { free_at: self.held.term.free_at(at), is_used: true });
        }
    }

    /// Returns when the store is asked next; `None` if nothing is held or wanted, or an ask is out.
    pub(in crate::throttle) fn due(&self, demand: Demand, now: Tick) -> Option<Tick> {
        self.loan.due(&self.held, demand, now)
    }

    /// Makes the ask that is due, or returns the one that is out. What the store's connection knows is left out.
    pub(in crate::throttle) fn ask(&mut self, demand: Demand, now: Tick) -> Ask {
        self.loan.ask(&mut self.held, demand, now)
    }

    /// Gives everything back: the throttle ends.
    pub(in crate::throttle) fn farewell(&mut self, now: Tick) -> Option<Ask> {
        self.loan.farewell(&mut self.held, now)
    }

    /// The store wants to hear from this process about the window.
    pub(in crate::throttle) const fn nudge(&mut self) {
        self.loan.nudge();
    }

    /// Returns whether an ask is out, and not answered.
    pub(in crate::throttle) const fn is_pending(&self) -> bool {
        self.loan.is_pending()
    }

    /// Returns the name of the window in the store.
    pub(in crate::throttle) const fn domain(&self) -> &Arc<str> {
        self.loan.domain()
    }

    /// Takes an answer of the store to the ask that was sent at `sent`. `wall`: the store's wall clock, in milliseconds
    /// since 1970.
    /// Returns whether the slots from before are lost.
    pub(in crate::throttle) fn told(&mut self, answer: &Answer, wall: i64, sent: Tick, now: Tick) -> bool {
        self.held.term.set_wall(wall, now);
        // A store that began another epoch does not know whom the store before lent the slots of an ended lease.
        let is_over = now >= self.ends_at && !self.outage.goes_on(&self.lease(now));
        let is_lost = answer.is_void || (is_over && self.loan.is_other_epoch(&answer.epoch));
        let known = self.loan.declared();
        self.outage.end(&mut self.held, known);
        if is_lost {
            self.held.void(now);
        }
        for (wait, count) in &answer.grants {
            let free_at = now.saturating_add(wait.saturating_mul(MICRO));
            (0..*count).for_each(|_| self.held.put(Slot { free_at, is_used: false }));
        }
        self.ends_at = sent.saturating_add(self.loan.ttl());
        self.loan.told(answer, &self.held, sent, now);
        is_lost
    }

    /// Returns how many slots are held, those in flight too.
    pub(in crate::throttle) fn held(&self) -> u64 {
        self.held.all()
    }

    /// Returns how many slots are used here, and how many the window has in all.
    pub(super) fn amounts(&self, now: Tick) -> (u64, u64) {
        let used = self.held.cooling(now) + self.held.flying + self.held.overdrawn + self.loan.spent(now);
        (used, self.held.count.into())
    }

    pub(super) fn use_of(&self, now: Tick) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a share")]
        let used = self.amounts(now).0 as f64;
        used / f64::from(self.held.count.max(1))
    }

    /// Returns what the store said last, and when the lease ends.
    pub(in crate::throttle) const fn loan(&self) -> (Option<LoanView>, Tick) {
        (self.loan.view(), self.ends_at)
    }

    /// Returns whether no slot is here and no request is in flight.
    pub(super) fn is_idle(&self) -> bool {
        self.held() == 0 && self.loan.is_idle()
    }

    /// Returns the count of a window of a fixed length, and the length.
    pub(in crate::throttle) const fn count(&self) -> u32 {
        self.held.count
    }

    pub(super) const fn length(&self) -> Tick {
        self.held.term.length()
    }

    pub(super) const fn set_clock(&mut self, clock: Clock) {
        self.held.term.set_clock(clock);
    }
}

/// The store counts in microseconds.
const MICRO: Tick = 1000;
