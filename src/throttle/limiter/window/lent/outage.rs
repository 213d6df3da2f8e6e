//! Outage: the use of the slots after the end of a lease that the store does not renew.
//!
//! The lease ends a while after the last answer. From then on [`Closed`](Policy::Closed) grants nothing; the other
//! policies change the slots here in steps, each of which [`due`](OutagePlan::due) announces.

use super::held::Held;
use super::loan::LoanView;
use crate::limit::Outage as Policy;
use crate::throttle::time::Tick;

/// The policy of a window, and the steps that were taken since the store was lost.
#[derive(Debug, Default)]
pub(super) struct OutagePlan {
    policy: Policy,
    /// Since when the store has not answered.
    since: Option<Tick>,
    step: Step,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// The slots are those that the store lent.
    #[default]
    Lent,
    /// No more than the share is held; or, if open, all slots of the window.
    Bounded,
    /// The whole share is held.
    Whole,
}

/// The facts about a lease that a plan needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lease {
    pub(super) ends_at: Tick,
    /// The longest time from the loss of the store to the end of any lease.
    pub(super) ttl: Tick,
    /// How many slots of a long window were used and went back.
    pub(super) spent: u64,
    pub(super) view: Option<LoanView>,
}

impl OutagePlan {
    pub(super) const fn new(policy: Policy) -> Self {
        Self { policy, since: None, step: Step::Lent }
    }

    pub(super) const fn policy(&self) -> Policy {
        self.policy
    }

    /// The store did not answer; returns whether it did before.
    pub(super) fn begin(&mut self, now: Tick) -> bool {
        let is_new = self.since.is_none();
        self.since.get_or_insert(now);
        is_new
    }

    /// The store answers again. `known`: how many slots it knows to be here. Slots that nobody lent go, those that were
    /// used last are kept: they still count at the service.
    pub(super) fn end(&mut self, held: &mut Held, known: u64) {
        if self.policy == Policy::Open && self.step > Step::Lent {
            held.keep_latest(known);
        }
        (self.since, self.step) = (None, Step::Lent);
    }

    /// Returns whether slots are used after the end of the lease.
    pub(super) fn goes_on(&self, lease: &Lease) -> bool {
        match (self.policy, self.since) {
            (Policy::Open, Some(_)) => true,
            // If the lease was over before, the shares of today are not known.
            (Policy::Share, Some(since)) => since < lease.ends_at && share(lease.view) > 0,
            _ => false,
        }
    }

    /// Takes the steps that are due.
    pub(super) fn advance(&mut self, held: &mut Held, lease: &Lease, guard: Tick, now: Tick) {
        if now < lease.ends_at || !self.goes_on(lease) {
            return;
        }
        if self.policy == Policy::Open && self.step < Step::Bounded {
            held.fill(u64::from(held.count).saturating_sub(lease.spent), now);
            self.step = Step::Whole;
        }
        if self.step < Step::Bounded {
            held.keep_earliest(share(lease.view));
            self.step = Step::Bounded;
        }
        if self.step < Step::Whole && now >= self.lapses_at(held, lease, guard) {
            held.fill(share(lease.view), now);
            self.step = Step::Whole;
        }
    }

    /// Returns when the next step is due, if one is.
    pub(super) fn due(&self, held: &Held, lease: &Lease, guard: Tick) -> Option<Tick> {
        match self.step {
            _ if !self.goes_on(lease) => None,
            Step::Lent => Some(lease.ends_at),
            Step::Bounded => Some(self.lapses_at(held, lease, guard)),
            Step::Whole => None,
        }
    }
}

impl OutagePlan {
    /// Returns when nothing counts any longer that was sent under a lease, of this process or of another: the lease of
    /// each process that keeps to its share has ended by then, and what it used beyond that has left the window.
    fn lapses_at(&self, held: &Held, lease: &Lease, guard: Tick) -> Tick {
        let last = self.since.map_or(0, |since| since.saturating_add(lease.ttl)).max(lease.ends_at);
        held.term.free_at(last.saturating_add(guard))
    }
}

/// Returns the even share of this process: the shares of all are the count.
fn share(view: Option<LoanView>) -> u64 {
    let Some(view) = view.filter(|view| view.is_member && view.members > 0) else { return 0 };
    view.count / view.members + u64::from(view.rank < view.count % view.members)
}
