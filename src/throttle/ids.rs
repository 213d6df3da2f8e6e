//! Ids: the numbers by which the parts of the throttle name their entries, and the slabs that assign them.
//!
//! An id guarantees that its entry exists. A slab therefore panics on an id without an entry: that is a bug of the
//! throttle, which the exhaustive model and the property tests would find, and a waiter must not be lost silently
//! because of it. Only a permit can outlive its entry; it names the entry by [`InFlightId`], with a serial, and its
//! lookup may fail.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Index, IndexMut};

use slab::Slab;

/// The number of an entry.
pub(super) trait Id: Copy + fmt::Debug {
    fn from_slot(slot: u32) -> Self;

    fn slot(self) -> u32;
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(super) struct $name(u32);

        impl Id for $name {
            fn from_slot(slot: u32) -> Self {
                Self(slot)
            }

            fn slot(self) -> u32 {
                self.0
            }
        }
    };
}

id!(
    /// One window of one limit for one key, or a gate that only pauses.
    LimiterId
);
id!(
    /// A set of limiters that count requests together.
    SetId
);
id!(
    /// A request in the queue.
    WaiterId
);
id!(
    /// The waiters of one class with the same set.
    LaneId
);

/// An account of a throttle. No number is assigned twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct AccountId(u32);

impl AccountId {
    /// Stands for all accounts.
    pub(super) const ALL: Self = Self(0);

    /// Returns the next number.
    pub(super) const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// A permit in flight: its slot, and the serial that distinguishes it from an earlier permit in the same slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct InFlightId {
    pub(super) slot: u32,
    pub(super) serial: u64,
}

/// A slab whose entries are named by one kind of id.
pub(super) struct Slots<I, T> {
    entries: Slab<T>,
    id: PhantomData<fn(I) -> I>,
}

impl<I: Id, T> Slots<I, T> {
    pub(super) fn insert(&mut self, entry: T) -> I {
        // Four billion entries do not fit into memory.
        I::from_slot(u32::try_from(self.entries.insert(entry)).unwrap_or(u32::MAX))
    }

    pub(super) fn remove(&mut self, id: I) -> T {
        match self.entries.try_remove(id.slot() as usize) {
            Some(entry) => entry,
            None => dangling(id),
        }
    }

    pub(super) fn has(&self, id: I) -> bool {
        self.entries.contains(id.slot() as usize)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (I, &T)> {
        self.entries.iter().map(|(slot, entry)| (id_at(slot), entry))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (I, &mut T)> {
        self.entries.iter_mut().map(|(slot, entry)| (id_at(slot), entry))
    }

    pub(super) fn retain(&mut self, mut is_kept: impl FnMut(I, &mut T) -> bool) {
        self.entries.retain(|slot, entry| is_kept(id_at(slot), entry));
    }
}

impl<I: Id, T> Index<I> for Slots<I, T> {
    type Output = T;

    #[inline]
    fn index(&self, id: I) -> &T {
        match self.entries.get(id.slot() as usize) {
            Some(entry) => entry,
            None => dangling(id),
        }
    }
}

impl<I: Id, T> IndexMut<I> for Slots<I, T> {
    #[inline]
    fn index_mut(&mut self, id: I) -> &mut T {
        match self.entries.get_mut(id.slot() as usize) {
            Some(entry) => entry,
            None => dangling(id),
        }
    }
}

impl<I, T> Default for Slots<I, T> {
    fn default() -> Self {
        Self { entries: Slab::new(), id: PhantomData }
    }
}

impl<I, T: fmt::Debug> fmt::Debug for Slots<I, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entries.fmt(f)
    }
}

fn id_at<I: Id>(slot: usize) -> I {
    I::from_slot(u32::try_from(slot).unwrap_or(u32::MAX))
}

#[cold]
#[inline(never)]
fn dangling(id: impl Id) -> ! {
    panic!("{id:?} names no entry: a bug of longhaul's throttle")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "LaneId(0) names no entry")]
    fn an_id_without_an_entry_is_a_bug() {
        let mut lanes = Slots::<LaneId, &str>::default();
        let lane = lanes.insert("first");
        assert_eq!((lanes[lane], lanes.len(), lanes.has(lane)), ("first", 1, true));
        lanes.remove(lane);
        let _ = lanes[lane];
    }
}
