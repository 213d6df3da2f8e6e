//! Lanes: the waiters of one class with the same limiters. A limiter that admits one of them admits the next, so only
//! the first of a lane is checked.

use std::collections::HashMap;

use super::blocked::Blocked;
use super::rank::rank;
use super::wait_queue::{Position, WaitQueue};
use super::waiters::Waiters;
use crate::message::Priority;
use crate::throttle::ids::{LaneId, LimiterId, SetId, Slots, WaiterId};

/// The waiters of one class with the same set.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) set: SetId,
    pub(super) class: Priority,
    queue: WaitQueue,
    /// The position of the first waiter, as the limiter knows it.
    pub(super) head: Position,
    /// The limiter at which the lane is parked.
    pub(super) at: Option<LimiterId>,
    /// Whether the limiter lists the lane.
    is_parked: bool,
    /// How often the lane found its limiter open and another closed since its last grant.
    pub(super) bounces: u8,
}

/// All lanes of a throttle.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    lanes: Slots<LaneId, Lane>,
    by_set: HashMap<(SetId, Priority), LaneId>,
    /// The lane that was joined last: most waiters join the same lane.
    last: Option<LaneId>,
}

impl Lanes {
    pub(super) fn of(&self, id: LaneId) -> &Lane {
        &self.lanes[id]
    }

    pub(super) fn of_mut(&mut self, id: LaneId) -> &mut Lane {
        &mut self.lanes[id]
    }

    pub(super) fn has(&self, id: LaneId) -> bool {
        self.lanes.has(id)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        debug_assert_eq!(self.lanes.len(), self.by_set.len());
        self.lanes.len()
    }

    /// Returns how many waiters are in a lane.
    pub(super) fn waiting(&self, id: LaneId) -> usize {
        self.lanes[id].queue.len()
    }

    /// Returns how many waiters, at least, are ahead of a position in the lane of a set.
    pub(super) fn before(&self, set: SetId, class: Priority, position: Position) -> u32 {
        self.by_set.get(&(set, class)).map_or(0, |lane| self.lanes[*lane].queue.before(position))
    }

    /// Adds a waiter to the lane of its set; returns the lane, and whether the waiter is its first.
    pub(super) fn join(&mut self, set: SetId, class: Priority, position: Position, waiter: WaiterId) -> (LaneId, bool) {
        let is_it = |id: &LaneId| self.lanes.has(*id) && self.lanes[*id].set == set && self.lanes[*id].class == class;
        let id = match self.last.filter(is_it) {
            Some(id) => id,
            None => *self.by_set.entry((set, class)).or_insert_with(|| {
                let queue = WaitQueue::default();
                self.lanes.insert(Lane { set, class, queue, head: position, at: None, is_parked: false, bounces: 0 })
            }),
        };
        self.last = Some(id);
        let lane = &mut self.lanes[id];
        lane.queue.join(position, waiter);
        (id, lane.at.is_none() || position < lane.head)
    }

    /// Returns the first waiter of a lane.
    pub(super) fn first(&mut self, id: LaneId, waiters: &Waiters) -> Option<(Position, WaiterId)> {
        self.lanes[id].queue.first(|position, waiter| waiters.is_parked(waiter, position, id))
    }

    /// Takes the first waiter out of a lane.
    pub(super) fn pop(&mut self, id: LaneId, waiters: &Waiters) -> Option<WaiterId> {
        let (_, first) = self.first(id, waiters)?;
        let lane = &mut self.lanes[id];
        lane.queue.pop();
        lane.bounces = 0;
        Some(first)
    }

    /// Records that a waiter has left the lane; returns whether it was the first.
    pub(super) fn left(&mut self, id: LaneId, position: Position, waiters: &Waiters) -> bool {
        let lane = &mut self.lanes[id];
        lane.queue.left(|position, waiter| waiters.is_parked(waiter, position, id));
        lane.head == position
    }

    /// Moves the next waiter to the front, or ends the lane; returns whether the lane ended.
    pub(super) fn advance(&mut self, id: LaneId, waiters: &Waiters, blocked: &mut Blocked) -> bool {
        let next = self.first(id, waiters);
        let lane = &mut self.lanes[id];
        match next {
            Some((position, _)) => {
                let first = std::mem::replace(&mut lane.head, position);
                if let Some(limiter) = lane.at.filter(|_| lane.is_parked) {
                    blocked.parked_mut(limiter).follow(rank(lane.class), first, position, id);
                }
                false
            }
            None => {
                self.lift(id, blocked);
                let lane = self.lanes.remove(id);
                self.by_set.remove(&(lane.set, lane.class));
                true
            }
        }
    }

    /// Parks a lane at a limiter, with its head at a position.
    pub(super) fn park(&mut self, id: LaneId, limiter: LimiterId, head: Position, blocked: &mut Blocked) {
        self.lift(id, blocked);
        let lane = &mut self.lanes[id];
        if lane.at.is_some_and(|at| at != limiter) {
            lane.bounces = lane.bounces.saturating_add(1);
        }
        (lane.at, lane.is_parked, lane.head) = (Some(limiter), true, head);
        blocked.parked_mut(limiter).park(rank(lane.class), head, id);
    }

    /// Takes a lane from the limiter where it is parked. The lane remembers that limiter.
    pub(super) fn lift(&mut self, id: LaneId, blocked: &mut Blocked) {
        let lane = &mut self.lanes[id];
        if let Some(limiter) = lane.at.filter(|_| std::mem::take(&mut lane.is_parked)) {
            blocked.parked_mut(limiter).leave(rank(lane.class), lane.head);
        }
    }
}
