//! In flight: the permits that are out, and the fate of their slots.
//!
//! A permit is *granted* to a waiter that has not claimed it yet, *out* once it was handed over, and *answered* while
//! the body of its response is in transit. A permit that is out expires at a computed time after its hold, whatever its
//! owner does: a request whose future is no longer polled, or whose response never arrives, keeps its slot no longer
//! than the service could still count it.

use slab::Slab;

use super::ids::{InFlightId, SetId};
use super::limiters::Limiters;
use super::time::Tick;

/// The permits that are out.
///
/// Permits that may expire are linked in the order of their ends, in one list for each length of hold. There are few
/// lengths, so a new permit is the last of its list.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    entries: Slab<FlightEntry>,
    lists: Vec<List>,
    serials: u64,
}

/// A permit that is out.
#[derive(Debug)]
struct FlightEntry {
    /// A permit that is late finds another serial in its slot.
    serial: u64,
    granted: Tick,
    /// When the request was sent, if that was reported.
    sent: Option<Tick>,
    /// When the permit expires, whatever its owner does.
    over: Tick,
    /// The set that the permit holds.
    set: SetId,
    before: u32,
    behind: u32,
    stage: FlightStage,
    list: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FlightStage {
    /// Granted to a waiter that has not claimed it yet.
    Granted,
    /// Handed over; expires at a computed time.
    Out,
    /// The response has arrived; its body is in transit.
    Answered,
}

#[derive(Debug)]
struct List {
    hold: Tick,
    first: u32,
    last: u32,
}

/// The report of a permit on its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PermitReport {
    /// From now on the service may count the request.
    Sent,
    /// Bytes were sent or received.
    Bytes(u64),
    /// The headers of the response have arrived: the service counted the request before now. `whole`: no limit counts
    /// the body.
    Answered { whole: bool },
    /// The body has ended.
    Finished,
    /// The request was never sent: as if it had not been granted.
    Unsent,
    /// The request was given up after it was sent. A service that hangs counts the request when it continues: a permit
    /// that `lasts` keeps its slots for as long as a response could have arrived. Its place among concurrent requests
    /// is free, because its connection is closed.
    GivenUp { lasts: bool },
}

impl InFlight {
    /// Creates a permit for a set whose slots are taken; the permit holds the set.
    pub(super) fn grant(&mut self, set: SetId, now: Tick) -> InFlightId {
        self.serials += 1;
        let entry = FlightEntry {
            serial: self.serials,
            granted: now,
            sent: None,
            over: Tick::MAX,
            set,
            before: NONE,
            behind: NONE,
            stage: FlightStage::Granted,
            list: 0,
        };
        // Four billion permits do not fit into memory.
        InFlightId { slot: u32::try_from(self.entries.insert(entry)).unwrap_or(NONE), serial: self.serials }
    }

    /// Hands over the permit, which expires after `hold` at the latest. Returns whether it is the first of its list to
    /// end.
    pub(super) fn launch(&mut self, id: InFlightId, hold: Tick, now: Tick) -> bool {
        debug_assert!(
            self.entry(id).is_some_and(|entry| entry.stage == FlightStage::Granted),
            "{id:?} is launched once"
        );
        let over = now.saturating_add(hold);
        let at = self.list_of(hold);
        let Some(list) = self.lists.get_mut(at) else { return false };
        let mut before = list.last;
        while let Some(entry) = self.entries.get(before as usize)
            && entry.over > over
        {
            before = entry.before;
        }
        let behind = match self.entries.get_mut(before as usize) {
            Some(entry) => std::mem::replace(&mut entry.behind, id.slot),
            None => std::mem::replace(&mut list.first, id.slot),
        };
        match self.entries.get_mut(behind as usize) {
            Some(entry) => entry.before = id.slot,
            None => list.last = id.slot,
        }
        if let Some(entry) = self.entries.get_mut(id.slot as usize) {
            (entry.stage, entry.over, entry.list) = (FlightStage::Out, over, u8::try_from(at).unwrap_or(0));
            (entry.before, entry.behind) = (before, behind);
        }
        before == NONE
    }

    /// Records a report. Returns the set whose limiters changed by it, if any did; a report of an expired permit
    /// changes nothing.
    pub(super) fn report(
        &mut self,
        id: InFlightId,
        report: PermitReport,
        limiters: &mut Limiters,
        now: Tick,
    ) -> Option<SetId> {
        let entry = self.entry(id)?;
        let (set, is_answered) = (entry.set, entry.stage == FlightStage::Answered);
        match report {
            PermitReport::Sent if entry.sent.is_none() => {
                entry.sent = Some(now);
                let granted = entry.granted;
                limiters.each(set, |limiter| limiter.sent(granted, now));
            }
            PermitReport::Bytes(bytes) => limiters.each(set, |limiter| limiter.counter_mut().charge(bytes, now)),
            PermitReport::Answered { whole } if !is_answered => {
                let (granted, sent) = (entry.granted, entry.sent);
                limiters.each(set, |limiter| limiter.answered(granted, sent, now));
                self.unlink(id.slot);
                if whole {
                    self.remove(id.slot, limiters);
                }
            }
            PermitReport::Finished | PermitReport::Unsent | PermitReport::GivenUp { .. } if is_answered => {
                limiters.each(set, |limiter| limiter.counter_mut().finish());
                self.remove(id.slot, limiters);
            }
            PermitReport::Unsent => {
                let (granted, is_sent) = (entry.granted, entry.sent.is_some());
                limiters.each(set, |limiter| limiter.refund(granted, is_sent));
                self.remove(id.slot, limiters);
            }
            PermitReport::GivenUp { lasts } => {
                let soon = now.saturating_add(GUARD);
                let at = if lasts { entry.over.max(soon) } else { soon };
                self.lose(id.slot, at, limiters);
            }
            PermitReport::Sent | PermitReport::Answered { .. } | PermitReport::Finished => return None,
        }
        // A window of bytes only fills; it opens by time.
        (!matches!(report, PermitReport::Bytes(_))).then_some(set)
    }

    /// Expires the next permit whose time has come, if there is one; returns its set.
    pub(super) fn expire(&mut self, limiters: &mut Limiters, now: Tick) -> Option<SetId> {
        let (over, slot) = self.next_expiry().filter(|(over, _)| *over <= now)?;
        let set = self.entries.get(slot as usize)?.set;
        self.lose(slot, over, limiters);
        Some(set)
    }

    /// Returns when the first permit expires, and its slot.
    #[inline]
    pub(super) fn next_expiry(&self) -> Option<(Tick, u32)> {
        let firsts =
            self.lists.iter().filter_map(|list| Some((self.entries.get(list.first as usize)?.over, list.first)));
        firsts.min()
    }

    /// Returns the set that a permit holds, and when its request was sent, or else granted; `None` if the permit has
    /// expired.
    pub(super) fn set_and_send(&mut self, id: InFlightId) -> Option<(SetId, Tick)> {
        self.entry(id).map(|entry| (entry.set, entry.sent.unwrap_or(entry.granted)))
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    #[inline]
    fn entry(&mut self, id: InFlightId) -> Option<&mut FlightEntry> {
        self.entries.get_mut(id.slot as usize).filter(|entry| entry.serial == id.serial)
    }

    /// Records that no response will arrive: the service has counted the request at `at`, at the latest.
    fn lose(&mut self, slot: u32, at: Tick, limiters: &mut Limiters) {
        let Some(entry) = self.entries.get(slot as usize) else { return };
        let (granted, is_sent) = (entry.granted, entry.sent.is_some());
        limiters.each(entry.set, |limiter| limiter.lost(granted, is_sent, at));
        self.remove(slot, limiters);
    }

    fn remove(&mut self, slot: u32, limiters: &mut Limiters) {
        self.unlink(slot);
        if let Some(entry) = self.entries.try_remove(slot as usize) {
            limiters.release(entry.set);
        }
    }

    /// Removes the permit from its list: it no longer expires.
    fn unlink(&mut self, slot: u32) {
        let Some(entry) = self.entries.get_mut(slot as usize).filter(|entry| entry.stage == FlightStage::Out) else {
            return;
        };
        entry.stage = FlightStage::Answered;
        let (before, behind) = (entry.before, entry.behind);
        let Some(list) = self.lists.get_mut(usize::from(entry.list)) else { return };
        match self.entries.get_mut(before as usize) {
            Some(entry) => entry.behind = behind,
            None => list.first = behind,
        }
        match self.entries.get_mut(behind as usize) {
            Some(entry) => entry.before = before,
            None => list.last = before,
        }
    }

    fn list_of(&mut self, hold: Tick) -> usize {
        if let Some(at) = self.lists.iter().position(|list| list.hold == hold) {
            return at;
        }
        if self.lists.len() < MOST_LISTS {
            self.lists.push(List { hold, first: NONE, last: NONE });
        }
        self.lists.len() - 1
    }
}

/// The hold of a request without a timeout of its own: 2 minutes.
pub(super) const DEFAULT_HOLD: Tick = 120 * 1_000_000_000;
/// A request that was given up may still arrive this much later: a second.
const GUARD: Tick = 1_000_000_000;
/// Further lengths of hold share the last list, which is then kept sorted by a walk.
const MOST_LISTS: usize = 16;
/// No entry.
const NONE: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::throttle::limiters::set::LimiterSet;

    #[test]
    fn permits_are_over_in_the_order_of_their_ends() {
        let (mut in_flight, mut limiters) = (InFlight::default(), Limiters::default());
        let out = [50, 70, 60, 40, 80].map(|over| {
            let set = limiters.number(LimiterSet::default());
            let id = in_flight.grant(set, 0);
            in_flight.launch(id, over, 0);
            id
        });
        in_flight.report(out[2], PermitReport::Unsent, &mut limiters, 0);
        in_flight.report(out[3], PermitReport::Answered { whole: false }, &mut limiters, 0);
        assert!(in_flight.entry(out[3]).is_some() && in_flight.entry(out[2]).is_none());
        let mut ends = Vec::new();
        while let Some((over, _)) = in_flight.next_expiry() {
            ends.push(over);
            in_flight.expire(&mut limiters, over);
        }
        assert_eq!((ends, in_flight.len()), (vec![50, 70, 80], 1));
    }

    #[test]
    fn more_lengths_than_lists_are_over_in_order_too() {
        let (mut in_flight, mut limiters) = (InFlight::default(), Limiters::default());
        for hold in (1..=40).rev() {
            let set = limiters.number(LimiterSet::default());
            let id = in_flight.grant(set, 0);
            in_flight.launch(id, hold, 0);
        }
        assert_eq!(in_flight.lists.len(), MOST_LISTS);
        let mut ends = Vec::new();
        while let Some((over, _)) = in_flight.next_expiry() {
            ends.push(over);
            in_flight.expire(&mut limiters, over);
        }
        assert_eq!(ends, (1..=40).collect::<Vec<_>>());
    }

    #[test]
    fn a_late_report_finds_another_serial() {
        let (mut in_flight, mut limiters) = (InFlight::default(), Limiters::default());
        let set = limiters.number(LimiterSet::default());
        let first = in_flight.grant(set, 0);
        in_flight.launch(first, 10, 0);
        assert_eq!(in_flight.expire(&mut limiters, 10), Some(set));
        let set = limiters.number(LimiterSet::default());
        let second = in_flight.grant(set, 20);
        assert_eq!((first.slot, first == second), (second.slot, false));
        for report in [
            PermitReport::Sent,
            PermitReport::Answered { whole: true },
            PermitReport::Unsent,
            PermitReport::GivenUp { lasts: true },
        ] {
            assert_eq!(in_flight.report(first, report, &mut limiters, 30), None);
        }
        assert_eq!(in_flight.report(second, PermitReport::Unsent, &mut limiters, 30), Some(set));
    }
}
