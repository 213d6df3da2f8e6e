//! Fair queue: the positions that waiters are given, so that tasks take turns.

use std::collections::HashMap;

use super::rank::{CLASSES, rank};
use super::wait_queue::Position;
use crate::message::Priority;

/// Whose turn it is among tasks: fair queueing, by the number of requests. Requests without a task are one such party.
#[derive(Debug, Default)]
pub(super) struct FairQueue {
    /// The turn that each class has come to. It moves by one when each who waits could have had one.
    now: [u64; CLASSES],
    /// How many parties of each class wait.
    parties: [u64; CLASSES],
    /// The last turn given to requests without a task, and how many of them wait.
    plain: [(u64, u32); CLASSES],
    /// The last turn given to each task, and how many of it wait.
    tasks: HashMap<(Priority, u64), (u64, u32)>,
    tickets: u64,
}

impl FairQueue {
    /// The place that one who comes now has.
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

    /// One of a class went.
    pub(super) fn went(&mut self, class: Priority) {
        let parties = self.parties.get(rank(class)).copied().unwrap_or_default();
        if let Some(now) = self.now.get_mut(rank(class)) {
            *now += TURN / parties.max(1);
        }
    }

    /// One of the task waits no longer.
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

/// A turn is divided among those who wait.
const TURN: u64 = 1 << 20;
