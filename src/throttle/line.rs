//! Line: those who wait for the same, in order.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// A place: first by the turn of one's task, then by the ticket, which is nobody else's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) turn: u64,
    pub(super) ticket: u64,
}

/// Those who wait for the same, by their places.
///
/// Nearly everybody joins at the end, which is a push; the rest go through a heap. Who leaves is only counted, and
/// swept out when they are the half.
#[derive(Debug, Default)]
pub(super) struct Line {
    run: VecDeque<(Place, u32)>,
    others: BinaryHeap<Reverse<(Place, u32)>>,
    gone: usize,
}

impl Line {
    pub(super) fn join(&mut self, place: Place, waiter: u32) {
        if self.run.back().is_none_or(|(last, _)| *last < place) {
            self.run.push_back((place, waiter));
        } else {
            self.others.push(Reverse((place, waiter)));
        }
    }

    /// The first who `is_here`.
    pub(super) fn first(&mut self, is_here: impl Fn(Place, u32) -> bool) -> Option<(Place, u32)> {
        loop {
            let first = self.peek()?;
            if is_here(first.0, first.1) {
                return Some(first);
            }
            self.pop();
            self.gone = self.gone.saturating_sub(1);
        }
    }

    /// Takes out the one that [`first`](Self::first) told.
    pub(super) fn pop(&mut self) {
        match (self.run.front(), self.others.peek()) {
            (Some(run), Some(Reverse(other))) if other < run => drop(self.others.pop()),
            (None, _) => drop(self.others.pop()),
            _ => drop(self.run.pop_front()),
        }
    }

    /// Somebody has left.
    pub(super) fn left(&mut self, is_here: impl Fn(Place, u32) -> bool) {
        self.gone += 1;
        if self.gone * 2 > self.run.len() + self.others.len() {
            self.run.retain(|(place, waiter)| is_here(*place, *waiter));
            self.others.retain(|Reverse((place, waiter))| is_here(*place, *waiter));
            self.gone = 0;
        }
    }

    /// How many at least stand before a place.
    pub(super) fn before(&self, place: Place) -> u32 {
        let run = self.run.partition_point(|(other, _)| *other < place);
        let others = self.others.iter().filter(|Reverse((other, _))| *other < place).count();
        u32::try_from((run + others).saturating_sub(self.gone)).unwrap_or(u32::MAX)
    }

    fn peek(&self) -> Option<(Place, u32)> {
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

    proptest! {
        #[test]
        fn goes_by_place_and_forgets_who_left(steps in prop::collection::vec((0..4_u8, 0..6_u64), 1..200)) {
            let (mut line, mut model) = (Line::default(), BTreeSet::new());
            for (ticket, (what, turn)) in (0_u32..).zip(steps) {
                match what {
                    0 | 1 => {
                        let place = Place { turn: turn + u64::from(ticket) / 8, ticket: ticket.into() };
                        line.join(place, ticket);
                        model.insert((place, ticket));
                    }
                    2 => {
                        let first = line.first(|place, waiter| model.contains(&(place, waiter)));
                        prop_assert_eq!(first, model.first().copied());
                        if first.is_some() {
                            line.pop();
                            model.pop_first();
                        }
                    }
                    _ => {
                        let somebody = model.iter().nth(usize::try_from(turn).unwrap()).copied();
                        if let Some(somebody) = somebody {
                            model.remove(&somebody);
                            line.left(|place, waiter| model.contains(&(place, waiter)));
                        }
                    }
                }
                prop_assert_eq!(line.run.len() + line.others.len(), model.len() + line.gone);
            }
        }
    }
}
