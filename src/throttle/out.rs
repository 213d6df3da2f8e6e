//! Permits that are out: sent, answered, over, or lost.

use super::flight::Stage;
use super::meter::{Meter, Tick};
use super::set::Set;
use super::state::State;

impl State {
    /// A permit is in hand: its request goes out now, and is over after `hold` at the latest.
    pub(super) fn launch(&mut self, flight: u32, now: Tick, hold: Tick) {
        self.is_sooner |= self.flights.launch(flight, now, hold);
    }

    /// From now on the service may count it.
    pub(super) fn send(&mut self, flight: u32, serial: u64, now: Tick) {
        let Some(flight) = self.flights.get(flight, serial) else { return };
        if flight.is_sent {
            return;
        }
        (flight.sent, flight.is_sent) = (now, true);
        let set = flight.set.clone();
        for gauge in set.gauges() {
            if let Some(gauge) = self.gauges.get_mut(*gauge as usize) {
                gauge.send(now);
            }
        }
        self.touch_all(&set, now);
    }

    /// It never left: as if it had not been granted.
    pub(super) fn refund(&mut self, flight: u32, serial: u64, now: Tick) {
        let Some(entry) = self.flights.get(flight, serial) else { return };
        if entry.stage == Stage::Answered {
            return self.finish(flight, serial, now);
        }
        let is_sent = entry.is_sent;
        let Some(flight) = self.flights.remove(flight) else { return };
        for gauge in flight.set.gauges() {
            let Some(gauge) = self.gauges.get_mut(*gauge as usize) else { continue };
            if is_sent && gauge.anchors_at_send() {
                // Its slot is held already; that costs one slot for a window, and never one too many.
                gauge.leave(flight.granted);
                gauge.meter.finish();
            } else {
                gauge.refund(flight.granted);
            }
        }
        self.release(&flight.set);
        self.touch_all(&flight.set, now);
    }

    /// Its answer is here: the service counted it before now. Its body may still be on its way.
    pub(super) fn answer(&mut self, flight: u32, serial: u64, now: Tick) {
        let Some(entry) = self.flights.get(flight, serial).filter(|entry| entry.stage != Stage::Answered) else {
            return;
        };
        let (set, granted, sent, is_sent) = (entry.set.clone(), entry.granted, entry.sent, entry.is_sent);
        self.flights.land(flight);
        self.arrive(&set, granted, sent, is_sent, now);
    }

    /// Its answer is here, and no limit cares for its body.
    pub(super) fn answer_whole(&mut self, flight: u32, serial: u64, now: Tick) {
        if self.flights.get(flight, serial).is_some()
            && let Some(flight) = self.flights.remove(flight)
        {
            self.arrive(&flight.set, flight.granted, flight.sent, flight.is_sent, now);
            self.release(&flight.set);
        }
    }

    fn arrive(&mut self, set: &Set, granted: Tick, sent: Tick, is_sent: bool, now: Tick) {
        for gauge in set.gauges() {
            let Some(gauge) = self.gauges.get_mut(*gauge as usize) else { continue };
            if let Some(trips) = gauge.trips.as_mut().filter(|_| is_sent) {
                trips.see(now.saturating_sub(sent), now);
                follow_latency(&mut gauge.meter, trips.smallest(), now.saturating_sub(sent), gauge.flying);
            }
            gauge.leave(granted);
            gauge.land(sent, is_sent, now);
            gauge.widen(granted);
        }
        self.touch_all(set, now);
    }

    /// Its body has ended.
    pub(super) fn finish(&mut self, flight: u32, serial: u64, now: Tick) {
        if self.flights.get(flight, serial).is_none_or(|flight| flight.stage != Stage::Answered) {
            return;
        }
        let Some(flight) = self.flights.remove(flight) else { return };
        for gauge in flight.set.gauges() {
            if let Some(gauge) = self.gauges.get_mut(*gauge as usize) {
                gauge.meter.finish();
            }
        }
        self.release(&flight.set);
        self.touch_all(&flight.set, now);
    }

    /// No answer comes any more: the service counted it at `at`, at the latest.
    pub(super) fn lose(&mut self, flight: u32, serial: u64, at: Tick, now: Tick) {
        let Some(entry) = self.flights.get(flight, serial) else { return };
        if entry.stage == Stage::Answered {
            return self.finish(flight, serial, now);
        }
        let Some(flight) = self.flights.remove(flight) else { return };
        for gauge in flight.set.gauges() {
            if let Some(gauge) = self.gauges.get_mut(*gauge as usize) {
                // Nothing is known of its way, so nothing of it is credited.
                gauge.leave(flight.granted);
                if !(flight.is_sent && gauge.anchors_at_send()) {
                    gauge.meter.anchor(at);
                }
                gauge.meter.finish();
            }
        }
        self.release(&flight.set);
        self.touch_all(&flight.set, now);
    }

    /// It was given up after it was sent. A service that stands still counts it when it goes on: one that `lasts` holds its
    /// slots for as long as an answer could have come. Its place among those at once is free, because its connection is
    /// closed.
    pub(super) fn abandon(&mut self, flight: u32, serial: u64, lasts: bool, now: Tick) {
        let Some(entry) = self.flights.get(flight, serial) else { return };
        let soon = now.saturating_add(GUARD);
        let at = if lasts { entry.over.max(soon) } else { soon };
        self.lose(flight, serial, at, now);
    }

    /// So many bytes went, or came.
    pub(super) fn charge(&mut self, flight: u32, serial: u64, bytes: u64, now: Tick) {
        let Some(flight) = self.flights.get(flight, serial) else { return };
        let set = flight.set.clone();
        for gauge in set.gauges() {
            if let Some(gauge) = self.gauges.get_mut(*gauge as usize) {
                gauge.meter.charge(bytes, now);
            }
        }
    }

    /// Somebody holds on to these gauges, so that none of them is forgotten.
    pub(super) fn hold(&mut self, set: &Set) {
        if !set.is_keyed() {
            return;
        }
        for gauge in set.gauges() {
            if let Some(gauge) = self.gauges.get_mut(*gauge as usize) {
                gauge.holders += 1;
            }
        }
    }

    pub(super) fn release(&mut self, set: &Set) {
        if !set.is_keyed() {
            return;
        }
        for gauge in set.gauges() {
            if let Some(gauge) = self.gauges.get_mut(*gauge as usize) {
                gauge.holders -= 1;
            }
        }
    }
}

/// Where a service queues, latency is the sign of it: as many are sent at once as keep it busy, and 4 to 8 more stand
/// in its queue (after TCP Vegas). So its queue stays short, also where others fill it.
fn follow_latency(meter: &mut Meter, smallest: Option<Tick>, trip: Tick, flying: u32) {
    let (Meter::Paced(paced), Some(smallest)) = (meter, smallest) else { return };
    let queued = u64::from(flying) * trip.saturating_sub(smallest) / trip.max(1);
    match queued {
        0..4 => paced.set_cap(paced.cap().saturating_add(1)),
        4..=8 => {}
        _ => paced.set_cap(paced.cap().min(flying).saturating_sub(1).max(paced.within(smallest).saturating_add(4))),
    }
}

/// A request that was given up may still arrive this much later: a second.
const GUARD: Tick = 1_000_000_000;
