//! Trips: the smallest round trip of late, and what it says.

use super::meter::Tick;

/// The smallest round trip of the last minute or two.
#[derive(Debug, Default)]
pub(super) struct Trips {
    smallest: Option<Tick>,
    before: Option<Tick>,
    since: Tick,
    seen: u32,
}

impl Trips {
    pub(super) fn see(&mut self, trip: Tick, now: Tick) {
        if now >= self.since + SPAN {
            (self.before, self.smallest, self.since) = (self.smallest, None, now);
        }
        self.smallest = Some(self.smallest.map_or(trip, |smallest| smallest.min(trip)));
        self.seen = self.seen.saturating_add(1);
    }

    pub(super) fn smallest(&self) -> Option<Tick> {
        self.smallest.into_iter().chain(self.before).min()
    }

    /// How long before its answer a request arrived, together with how long after its send the next one does: 0.9 of
    /// the smallest round trip, once that is known.
    pub(super) fn credit(&self) -> Tick {
        if self.seen < KNOWN { 0 } else { self.smallest().map_or(0, |smallest| smallest / 10 * 9) }
    }
}

/// A minute.
const SPAN: Tick = 60 * 1_000_000_000;
/// After so many, the smallest is taken to be known.
const KNOWN: u32 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credits_the_smallest_of_the_last_minutes_once_it_is_known() {
        let mut trips = Trips::default();
        for trip in (100..115).rev() {
            trips.see(trip, 0);
            assert_eq!(trips.credit(), 0);
        }
        trips.see(200, 1);
        assert_eq!(trips.credit(), 90);
        trips.see(400, SPAN + 1);
        assert_eq!(trips.credit(), 90);
        trips.see(400, 2 * SPAN + 2);
        assert_eq!(trips.credit(), 360);
    }
}
