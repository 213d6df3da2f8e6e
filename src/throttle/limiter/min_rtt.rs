//! Smallest round trip: the smallest recent round trip, and the credit that follows from it.

use crate::throttle::time::Tick;

/// The two smallest round trips of the last minute or two.
#[derive(Debug, Default)]
pub(in crate::throttle) struct MinRtt {
    smallest: Pair,
    before: Pair,
    since: Tick,
    seen: u32,
}

/// The smallest value, and the next.
#[derive(Clone, Copy, Debug, Default)]
struct Pair(Option<Tick>, Option<Tick>);

impl MinRtt {
    pub(super) fn record(&mut self, trip: Tick, now: Tick) {
        if now >= self.since + SPAN {
            (self.before, self.smallest, self.since) = (self.smallest, Pair::default(), now);
        }
        self.smallest = self.smallest.with(trip);
        self.seen = self.seen.saturating_add(1);
    }

    pub(super) fn smallest(&self) -> Option<Tick> {
        self.both().0
    }

    /// Returns how long before its response a request arrived, together with how long after its send the next one
    /// arrives: 0.9 of the smallest round trip, once that is known. The observed minimum exceeds the possible minimum
    /// by about as much as the next observed value exceeds the minimum.
    pub(super) fn credit(&self) -> Tick {
        match self.both() {
            Pair(Some(smallest), Some(next)) if self.seen >= KNOWN => smallest.saturating_sub(next - smallest) / 10 * 9,
            _ => 0,
        }
    }

    fn both(&self) -> Pair {
        let Pair(one, other) = self.before;
        one.into_iter().chain(other).fold(self.smallest, Pair::with)
    }
}

impl Pair {
    fn with(self, trip: Tick) -> Self {
        match self {
            Self(Some(smallest), next) if smallest <= trip => {
                Self(Some(smallest), Some(next.map_or(trip, |next| next.min(trip))))
            }
            Self(smallest, _) => Self(Some(trip), smallest),
        }
    }
}

/// One minute.
const SPAN: Tick = 60 * 1_000_000_000;
/// After this many round trips, the smallest is assumed to be known.
const KNOWN: u32 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credits_the_smallest_of_the_last_minutes_once_it_is_known() {
        let mut min_rtt = MinRtt::default();
        for trip in (100..163).rev() {
            min_rtt.record(trip, 0);
            assert_eq!(min_rtt.credit(), 0);
        }
        min_rtt.record(200, 1);
        assert_eq!((min_rtt.smallest(), min_rtt.credit()), (Some(100), 81), "99 is possible");
        min_rtt.record(400, SPAN + 1);
        assert_eq!(min_rtt.credit(), 81);
        min_rtt.record(400, 2 * SPAN + 2);
        assert_eq!(min_rtt.credit(), 360);
        min_rtt.record(500, 2 * SPAN + 3);
        min_rtt.record(390, 2 * SPAN + 4);
        assert_eq!(min_rtt.credit(), 342);
    }
}
