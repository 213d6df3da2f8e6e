//! Flights: the permits that are out, by when each is over at the latest.

use slab::Slab;

use super::meter::Tick;
use super::set::Set;

/// A permit that is out.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) set: Set,
    /// Whose flight this is: a permit that comes late finds another serial in its place.
    pub(super) serial: u64,
    pub(super) stage: Stage,
    pub(super) granted: Tick,
    /// When it was sent; until that is told, when it was granted.
    pub(super) sent: Tick,
    /// Gauges that anchor at the send have done so.
    pub(super) is_sent: bool,
    pub(super) tells: Tells,
    /// When it is over, whatever becomes of it.
    pub(super) over: Tick,
    list: u8,
    before: u32,
    behind: u32,
}

/// What the gauges of a permit want to be told of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tells {
    pub(super) send: bool,
    pub(super) body: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Granted to one who has not come for it yet.
    Granted,
    /// Out, and over by arithmetic at some time.
    Flying,
    /// Answered; its body is on its way.
    Answered,
}

/// The permits that are out. Those that fly are linked in the order of their ends, in a list for each length of hold:
/// there are a few, so that a new one is the last of its own.
#[derive(Debug, Default)]
pub(super) struct Flights {
    slots: Slab<Flight>,
    lists: Vec<List>,
    serials: u64,
}

#[derive(Debug)]
struct List {
    hold: Tick,
    first: u32,
    last: u32,
}

impl Flights {
    pub(super) fn grant(&mut self, set: Set, tells: Tells, now: Tick) -> (u32, u64) {
        self.serials += 1;
        let flight = Flight {
            set,
            serial: self.serials,
            stage: Stage::Granted,
            granted: now,
            sent: now,
            is_sent: false,
            tells,
            over: Tick::MAX,
            list: 0,
            before: NONE,
            behind: NONE,
        };
        // Four thousand million permits at once would not fit into memory.
        (u32::try_from(self.slots.insert(flight)).unwrap_or(NONE), self.serials)
    }

    pub(super) fn get(&mut self, id: u32, serial: u64) -> Option<&mut Flight> {
        self.slots.get_mut(id as usize).filter(|flight| flight.serial == serial)
    }

    /// It is out from now on, and over after `hold` at the latest; tells whether none of its list is over sooner.
    pub(super) fn launch(&mut self, id: u32, now: Tick, hold: Tick) -> bool {
        let over = now.saturating_add(hold);
        let known = self.lists.iter().position(|list| list.hold == hold);
        let at = known.unwrap_or_else(|| {
            if self.lists.len() < MOST_LISTS {
                self.lists.push(List { hold, first: NONE, last: NONE });
            }
            self.lists.len() - 1
        });
        let Some(list) = self.lists.get_mut(at) else { return false };
        let mut before = list.last;
        while let Some(flight) = self.slots.get(before as usize)
            && flight.over > over
        {
            before = flight.before;
        }
        let behind = match self.slots.get_mut(before as usize) {
            Some(flight) => std::mem::replace(&mut flight.behind, id),
            None => std::mem::replace(&mut list.first, id),
        };
        match self.slots.get_mut(behind as usize) {
            Some(flight) => flight.before = id,
            None => list.last = id,
        }
        if let Some(flight) = self.slots.get_mut(id as usize) {
            (flight.stage, flight.over, flight.list) = (Stage::Flying, over, u8::try_from(at).unwrap_or(0));
            (flight.before, flight.behind) = (before, behind);
        }
        self.lists.get(at).is_some_and(|list| list.first == id)
    }

    /// It is answered: no time ends it any more.
    pub(super) fn land(&mut self, id: u32) {
        let Some(flight) = self.slots.get_mut(id as usize).filter(|flight| flight.stage == Stage::Flying) else {
            return;
        };
        flight.stage = Stage::Answered;
        let (before, behind) = (flight.before, flight.behind);
        let Some(list) = self.lists.get_mut(usize::from(flight.list)) else { return };
        match self.slots.get_mut(before as usize) {
            Some(flight) => flight.behind = behind,
            None => list.first = behind,
        }
        match self.slots.get_mut(behind as usize) {
            Some(flight) => flight.before = before,
            None => list.last = before,
        }
    }

    pub(super) fn remove(&mut self, id: u32) -> Option<Flight> {
        self.land(id);
        self.slots.try_remove(id as usize)
    }

    /// What a permit is to tell of.
    pub(super) fn tells(&self, id: u32) -> Tells {
        self.slots.get(id as usize).map_or_else(Tells::default, |flight| flight.tells)
    }

    /// The one that is over first.
    pub(super) fn next_over(&self) -> Option<(Tick, u32, u64)> {
        let firsts = self.lists.iter().filter_map(|list| Some((self.slots.get(list.first as usize)?, list.first)));
        firsts.map(|(flight, id)| (flight.over, id, flight.serial)).min()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }
}

/// More lengths of hold share the last list, which then is kept in order by a walk.
const MOST_LISTS: usize = 16;
/// No flight.
const NONE: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_over_in_the_order_of_their_ends() {
        let mut flights = Flights::default();
        let out: Vec<_> = [50, 70, 60, 40, 80]
            .map(|over| {
                let (id, serial) = flights.grant(Set::default(), Tells::default(), 0);
                flights.launch(id, 0, over);
                (id, serial)
            })
            .into();
        flights.remove(out[2].0);
        flights.land(out[3].0);
        assert!(flights.get(out[3].0, out[3].1).is_some() && flights.get(out[2].0, out[2].1).is_none());
        let mut ends = Vec::new();
        while let Some((over, id, _)) = flights.next_over() {
            ends.push(over);
            flights.remove(id);
        }
        assert_eq!((ends, flights.len()), (vec![50, 70, 80], 1));
    }
}
