//! Wait queue: the waiters of one lane, in order.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use crate::throttle::ids::WaiterId;

/// A position: ordered by the turn of the task, then by the ticket, which is unique.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    pub(super) turn: u64,
    pub(super) ticket: u64,
}

/// The waiters of one lane, by their positions.
///
/// Nearly every waiter joins at the end, which is a push; the others go through a heap. Waiters that leave are only
/// counted, and are swept out when they are the half.
#[derive(Debug, Default)]
pub(super) struct WaitQueue {
    run: VecDeque<(Position, WaiterId)>,
    others: BinaryHeap<Reverse<(Position, WaiterId)>>,
    gone: usize,
}

impl WaitQueue {
    pub(super) fn join(&mut self, place: Position, waiter: WaiterId) {
        if self.run.back().is_none_or(|(last, _)| *last < place) {
            self.run.push_back((place, waiter));
        } else {
            self.others.push(Reverse((place, waiter)));
        }
    }

    /// Returns the first waiter that `is_here`.
    pub(super) fn first(&mut self, is_here: impl Fn(Position, WaiterId) -> bool) -> Option<(Position, WaiterId)> {
        loop {
            let first = self.peek()?;
            if is_here(first.0, first.1) {
                return Some(first);
            }
            self.pop();
            self.gone = self.gone.saturating_sub(1);
        }
    }

    /// Removes the waiter that [`first`](Self::first) returned.
    pub(super) fn pop(&mut self) {
        match (self.run.front(), self.others.peek()) {
            (Some(run), Some(Reverse(other))) if other < run => drop(self.others.pop()),
            (None, _) => drop(self.others.pop()),
            _ => drop(self.run.pop_front()),
        }
    }

    /// Records that a waiter has left.
    pub(super) fn left(&mut self, is_here: impl Fn(Position, WaiterId) -> bool) {
        self.gone += 1;
        if self.gone * 2 > self.run.len() + self.others.len() {
            self.run.retain(|(place, waiter)| is_here(*place, *waiter));
            self.others.retain(|Reverse((place, waiter))| is_here(*place, *waiter));
            self.gone = 0;
        }
    }

    /// Returns how many waiters are here.
    pub(super) fn len(&self) -> usize {
        (self.run.len() + self.others.len()).saturating_sub(self.gone)
    }

    /// Returns how many waiters, at least, are ahead of a position.
    pub(super) fn before(&self, place: Position) -> u32 {
        let run = self.run.partition_point(|(other, _)| *other < place);
        let others = self.others.iter().filter(|Reverse((other, _))| *other < place).count();
        u32::try_from((run + others).saturating_sub(self.gone)).unwrap_or(u32::MAX)
    }

    fn peek(&self) -> Option<(Position, WaiterId)> {
        match (self.run.front(), self.others.peek()) {
            (Some(run), Some(Reverse(other))) => Some(*run.min(other)),
            (Some(first), None) | (None, Some(Reverse(first))) => Some(*first),
            (None, None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::throttle::ids::Id;

    proptest! {
        #[test]
        fn goes_by_place_and_forgets_who_left(steps in prop::collection::vec((0..4_u8, 0..6_u64), 1..200)) {
            let (mut queue, mut model) = (WaitQueue::default(), BTreeSet::new());
            for (ticket, (what, turn)) in (0_u32..).zip(steps) {
                match what {
                    0 | 1 => {
                        let place = Position { turn: turn + u64::from(ticket) / 8, ticket: ticket.into() };
                        queue.join(place, WaiterId::from_slot(ticket));
                        model.insert((place, WaiterId::from_slot(ticket)));
                    }
                    2 => {
                        let first = queue.first(|place, waiter| model.contains(&(place, waiter)));
                        prop_assert_eq!(first, model.first().copied());
                        if first.is_some() {
                            queue.pop();
                            model.pop_first();
                        }
                    }
                    _ => {
                        let somebody = model.iter().nth(usize::try_from(turn).unwrap()).copied();
                        if let Some(somebody) = somebody {
                            model.remove(&somebody);
                            queue.left(|place, waiter| model.contains(&(place, waiter)));
                        }
                    }
                }
                prop_assert_eq!(queue.run.len() + queue.others.len(), model.len() + queue.gone);
            }
        }
    }
}
