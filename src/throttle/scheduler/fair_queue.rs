//! Fair queue: the positions of waiters, by which tasks take turns.

use std::collections::HashMap;

use super::rank::{CLASSES, rank};
use super::wait_queue::Position;
use crate::message::Priority;

/// The order of tasks: fair queueing, by the number of requests. All requests without a task count as one party.
#[derive(Debug, Default)]
pub(super) struct FairQueue {
    /// The current turn of each class. The turn advances by one when each waiting party could have had one.
    now: [u64; CLASSES],
    /// How many parties of each class wait.
    parties: [u64; CLASSES],
    /// The last turn of requests without a task, and how many of them wait.
    plain: [(u64, u32); CLASSES],
    /// The last turn of each task, and how many of its requests wait.
    tasks: HashMap<(Priority, u64), (u64, u32)>,
    tickets: u64,
}

impl FairQueue {
    /// Returns the position of a new waiter.
    pub(super) fn next(&self, class: Priority, task: u64) -> Position {
        let at = rank(class);
        let now = self.now.get(at).copied().unwrap_or_default();
        let (last, waiting) = match task {
            0 => self.plain.get(at).copied().unwrap_or_default(),
            _ => self.tasks.get(&(class, task)).copied().unwrap_or_default(),
        };
        let turn = if waiting > 0 { now.max(last + TURN) } else { now };
        Position { turn, ticket: self.tickets + 1 }
    }

    pub(super) fn give(&mut self, class: Priority, task: u64) -> Position {
        let (place, at) = (self.next(class, task), rank(class));
        self.tickets += 1;
        let party = match task {
            0 => self.plain.get_mut(at),
            _ => Some(self.tasks.entry((class, task)).or_default()),
        };
        if let (Some((last, waiting)), Some(parties)) = (party, self.parties.get_mut(at)) {
            (*last, *waiting) = (place.turn, *waiting + 1);
            *parties += u64::from(*waiting == 1);
        }
        place
    }

    /// Records that a waiter of a class was granted.
    pub(super) fn went(&mut self, class: Priority) {
        let parties = self.parties.get(rank(class)).copied().unwrap_or_default();
        if let Some(now) = self.now.get_mut(rank(class)) {
            *now += TURN / parties.max(1);
        }
    }

    /// Records that a waiter of the task waits no longer.
    pub(super) fn left(&mut self, class: Priority, task: u64) {
        let party = match task {
            0 => self.plain.get_mut(rank(class)),
            _ => self.tasks.get_mut(&(class, task)),
        };
        let Some((_, waiting)) = party else { return };
        *waiting = waiting.saturating_sub(1);
        if *waiting == 0 {
            if task != 0 {
                self.tasks.remove(&(class, task));
            }
            if let Some(parties) = self.parties.get_mut(rank(class)) {
                *parties = parties.saturating_sub(1);
            }
        }
    }
}

/// A turn is divided among the waiting parties.
const TURN: u64 = 1 << 20;
