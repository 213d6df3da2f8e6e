//! Waiters: the requests in the queue, with their deadlines.

use std::collections::BTreeSet;
use std::task::Waker;

use tokio::runtime::Id;

use super::wait_queue::Position;
use crate::message::Priority;
use crate::throttle::ids::{InFlightId, LaneId, LimiterId, SetId, Slots, WaiterId};
use crate::throttle::time::Tick;

/// A request in the queue: a ticket, not a built request.
#[derive(Debug)]
pub(super) struct Waiter {
    /// The set that counts the request, which the waiter holds.
    pub(super) set: SetId,
    pub(super) class: Priority,
    pub(super) task: u64,
    pub(super) position: Position,
    /// Taken when the waiter is granted.
    pub(super) waker: Option<Waker>,
    /// The runtime that last polled the waiter.
    pub(super) runtime: Option<Id>,
    pub(super) joined: Tick,
    /// `Tick::MAX` for none.
    pub(super) deadline: Tick,
    pub(super) standing: WaiterStanding,
}

/// The state of a waiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WaiterStanding {
    /// In the queue of a lane.
    Parked(LaneId),
    /// A permit waits to be claimed.
    Granted(InFlightId),
    /// The waiter did not claim its grant; it rejoins its lane when it is polled.
    Passed,
    /// The waiter cannot be granted before its deadline.
    TooLate { limiter: LimiterId, opens: Tick },
}

/// All waiters of a throttle.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    waiters: Slots<WaiterId, Waiter>,
    /// The waiters with a deadline.
    deadlines: BTreeSet<(Tick, WaiterId)>,
}

impl Waiters {
    pub(super) fn add(&mut self, waiter: Waiter) -> WaiterId {
        let deadline = waiter.deadline;
        let id = self.waiters.insert(waiter);
        self.watch_deadline(deadline, id);
        id
    }

    pub(super) fn of(&self, id: WaiterId) -> &Waiter {
        &self.waiters[id]
    }

    pub(super) fn of_mut(&mut self, id: WaiterId) -> &mut Waiter {
        &mut self.waiters[id]
    }

    pub(super) fn remove(&mut self, id: WaiterId) -> Waiter {
        let waiter = self.waiters.remove(id);
        self.deadlines.remove(&(waiter.deadline, id));
        waiter
    }

    pub(super) fn len(&self) -> usize {
        self.waiters.len()
    }

    /// Returns whether the entry of a queue is still a waiter of its lane.
    pub(super) fn is_parked(&self, id: WaiterId, position: Position, lane: LaneId) -> bool {
        self.waiters.has(id) && {
            let waiter = &self.waiters[id];
            waiter.position == position && waiter.standing == WaiterStanding::Parked(lane)
        }
    }

    /// Returns the runtime of a waiter that has not claimed its grant; `None` if it has, or is gone.
    pub(super) fn awaits_claim(&self, id: WaiterId, ticket: u64) -> Option<Option<Id>> {
        let waiter = self.waiters.has(id).then(|| &self.waiters[id])?;
        let is_granted = matches!(waiter.standing, WaiterStanding::Granted(_));
        (is_granted && waiter.position.ticket == ticket).then_some(waiter.runtime)
    }

    /// Registers the deadline of a waiter; returns whether it has one.
    pub(super) fn watch_deadline(&mut self, deadline: Tick, id: WaiterId) -> bool {
        deadline != Tick::MAX && {
            self.deadlines.insert((deadline, id));
            true
        }
    }

    /// Removes the deadline of a waiter.
    pub(super) fn drop_deadline(&mut self, id: WaiterId) {
        let deadline = self.waiters[id].deadline;
        self.deadlines.remove(&(deadline, id));
    }

    pub(super) fn next_deadline(&self) -> Option<(Tick, WaiterId)> {
        self.deadlines.first().copied()
    }

    /// Returns the waiters whose deadlines lie before a time, and whose set `meets` accepts.
    pub(super) fn hopeless(&self, until: Tick, meets: impl Fn(SetId) -> bool) -> Vec<WaiterId> {
        let due = self.deadlines.iter().take_while(|(deadline, _)| *deadline <= until);
        due.map(|(_, id)| *id).filter(|id| meets(self.waiters[*id].set)).collect()
    }
}
