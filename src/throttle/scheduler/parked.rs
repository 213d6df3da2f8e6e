//! Parked: the lanes that wait for one limiter, and their order.

use super::rank::CLASSES;
use super::wait_queue::Position;
use crate::throttle::ids::LaneId;

/// The lanes whose first waiter waits for a limiter, by class and by the position of that waiter: few, usually one.
#[derive(Debug, Default)]
pub(super) struct Parked {
    lanes: [Vec<(Position, LaneId)>; CLASSES],
    /// The classes that have any lanes, as bits.
    some: u16,
    /// How often other classes were granted while the first of a class waited.
    passed: [u8; CLASSES],
}

impl Parked {
    pub(super) const fn is_empty(&self) -> bool {
        self.some == 0
    }

    /// Returns how many lanes are parked here.
    pub(super) fn len(&self) -> usize {
        self.lanes.iter().map(Vec::len).sum()
    }

    /// Returns the lanes that are parked here.
    pub(super) fn ids(&self) -> impl Iterator<Item = LaneId> {
        self.lanes.iter().flatten().map(|(_, lane)| *lane)
    }

    /// Returns whether a lane of this class, or of a more urgent one, is parked here.
    pub(super) const fn has_before(&self, class: usize) -> bool {
        self.some & ((2 << class) - 1) != 0
    }

    pub(super) fn park(&mut self, class: usize, place: Position, lane: LaneId) {
        if let Some(lanes) = self.lanes.get_mut(class) {
            let at = lanes.partition_point(|(other, _)| *other < place);
            lanes.insert(at, (place, lane));
            self.some |= 1 << class;
        }
    }

    pub(super) fn leave(&mut self, class: usize, place: Position) {
        let Some(lanes) = self.lanes.get_mut(class) else { return };
        let at = lanes.binary_search_by_key(&place, |(place, _)| *place);
        debug_assert!(at.is_ok(), "a lane leaves where it does not stand");
        if let Ok(at) = at {
            lanes.remove(at);
        }
        if lanes.is_empty() {
            self.some &= !(1 << class);
            if let Some(passed) = self.passed.get_mut(class) {
                *passed = 0;
            }
        }
    }

    /// Moves a lane from the position of its previous first waiter to that of its next.
    pub(super) fn follow(&mut self, class: usize, first: Position, next: Position, lane: LaneId) {
        match self.lanes.get_mut(class).map(Vec::as_mut_slice) {
            // Usually the lane is the only one.
            Some([only]) if only.0 == first => only.0 = next,
            _ => {
                self.leave(class, first);
                self.park(class, next, lane);
            }
        }
    }

    /// Returns the earliest position of a class.
    pub(super) fn first(&self, class: usize) -> Option<Position> {
        Some(self.lanes.get(class)?.first()?.0)
    }

    /// Returns the lane whose turn it is: of the most urgent class, unless another class was passed over too often.
    /// `skipped` are the classes, as bits, that may not be granted.
    pub(super) fn next(&self, skipped: u16) -> Option<(usize, LaneId)> {
        let some = self.some & !skipped;
        let classes = || (0..CLASSES).filter(move |class| some & (1 << class) != 0);
        let is_aged = |class: &usize| self.passed.get(*class).is_some_and(|passed| *passed >= AGED);
        let class = classes().find(is_aged).or_else(|| classes().next())?;
        Some((class, self.lanes.get(class)?.first()?.1))
    }

    /// Records a grant to this class.
    pub(super) fn went(&mut self, class: usize) {
        for (other, passed) in self.passed.iter_mut().enumerate().skip(class) {
            if other == class {
                *passed = 0;
            } else if self.some & (1 << other) != 0 {
                *passed = passed.saturating_add(1);
            }
        }
    }
}

/// After this many turns of others, a less urgent class has one: it proceeds slowly, and never starves.
const AGED: u8 = 16;
