//! Grants: permits that wait to be claimed, in the order in which they were granted.

use std::collections::VecDeque;

use tokio::runtime::Id;

use super::waiters::Waiters;
use crate::throttle::ids::WaiterId;
use crate::throttle::time::Tick;
use crate::throttle::timers::{GrantTime, Timers};

/// The unclaimed grants, as far as that is known: claimed grants are dropped from the front.
#[derive(Debug, Default)]
pub(super) struct Grants(VecDeque<UnclaimedGrant>);

#[derive(Debug)]
struct UnclaimedGrant {
    granted: GrantTime,
    waiter: WaiterId,
    ticket: u64,
}

impl Grants {
    /// Adds a grant; returns whether it is the only one.
    pub(super) fn add(
        &mut self,
        waiter: WaiterId,
        ticket: u64,
        runtime: Option<Id>,
        timers: &Timers,
        now: Tick,
    ) -> bool {
        let granted = GrantTime { at: now, round: timers.round(runtime) };
        self.0.push_back(UnclaimedGrant { granted, waiter, ticket });
        self.0.len() == 1
    }

    /// Takes out the first waiter that did not claim its grant in time.
    pub(super) fn take_overdue(&mut self, waiters: &Waiters, timers: &Timers, now: Tick) -> Option<WaiterId> {
        while let Some(grant) = self.0.front() {
            let (waiter, claims) = (grant.waiter, waiters.awaits_claim(grant.waiter, grant.ticket));
            match claims {
                Some(runtime) if !timers.is_overdue(grant.granted, runtime, now) => return None,
                Some(_) => {
                    self.0.pop_front();
                    return Some(waiter);
                }
                None => drop(self.0.pop_front()),
            }
        }
        None
    }

    /// Returns when the first grant passes on, for the timer of a runtime or for all.
    pub(super) fn next_due(&self, waiters: &Waiters, timers: &Timers, asking: Option<Id>) -> Option<Tick> {
        let first = self.0.front()?;
        // A claimed grant is due at once: the next check drops it.
        let runtime = waiters.awaits_claim(first.waiter, first.ticket).flatten();
        Some(timers.overdue_at(first.granted, runtime, asking))
    }
}
