//! Connections: how many of them a download uses at a time.

use std::time::Duration;

/// The number of connections, found by trying: it is doubled while that gains, and halved when the storage is busy.
#[derive(Debug)]
pub(super) struct Connections {
    most: usize,
    /// How long a rate is measured.
    window: Duration,
    wanted: usize,
    phase: Phase,
    /// When the present window began, and the bytes by then.
    since: Duration,
    bytes: u64,
    busy: u32,
    /// How long the number stays after the next try that gains nothing.
    stays_for: Duration,
}

#[derive(Debug, PartialEq, Eq)]
enum Phase {
    /// Lets the first bytes pass: a storage may have sent what its buffers hold at once.
    Warming,
    /// Measures the rate of a single connection.
    First,
    /// Measures whether twice as many connections gain, against this rate in bytes a second.
    Trying { before: u64, begun: Duration },
    /// Stays, until it is time for another try.
    Settled { until: Duration },
    /// Stays, because the storage was too busy.
    Yielding,
}

impl Connections {
    /// `answered_within`: the time from a request to its answer. A window of some of them shows a rate.
    pub(super) fn new(most: usize, answered_within: Duration) -> Self {
        let window = (answered_within * ANSWERS).clamp(SHORTEST, LONGEST);
        Self {
            most,
            window,
            wanted: 1,
            phase: Phase::Warming,
            since: Duration::ZERO,
            bytes: 0,
            busy: 0,
            stays_for: SHORTEST_STAY,
        }
    }

    /// Uses no further connections from now on.
    pub(super) fn stay_single(&mut self) {
        (self.most, self.wanted, self.phase) = (1, 1, Phase::Settled { until: Duration::MAX });
    }

    /// Looks at the progress: the time and the bytes since the first byte, how often the storage was too busy, and how
    /// many connections deliver. Returns the number of connections that are wanted now.
    pub(super) fn look(&mut self, now: Duration, bytes: u64, busy: u32, delivering: usize) -> usize {
        if busy > self.busy {
            self.busy = busy;
            self.wanted = (self.wanted / 2).max(1);
            self.begin(Phase::Yielding, now, bytes);
            return self.wanted;
        }
        let window = now.saturating_sub(self.since);
        match self.phase {
            Phase::Warming if window >= self.window => self.begin(Phase::First, now, bytes),
            // A connection this fast is limited by this machine.
            Phase::First if window >= self.window && self.rate(window, bytes) > FAST => {
                self.begin(Phase::Settled { until: now + LONGEST_STAY }, now, bytes);
            }
            Phase::First if window >= self.window => self.double(self.rate(window, bytes), now, bytes),
            // A connection that has delivered nothing yet is still being made.
            Phase::Trying { begun, .. } if delivering < self.wanted && now.saturating_sub(begun) < STARTUP => {
                (self.since, self.bytes) = (now, bytes);
            }
            Phase::Trying { before, .. } if window >= self.window => {
                let rate = self.rate(window, bytes);
                if rate >= before.saturating_add(before / 100 * GAIN) {
                    self.stays_for = SHORTEST_STAY;
                    self.double(rate, now, bytes);
                } else {
                    self.wanted = (self.wanted / 2).max(1);
                    self.begin(Phase::Settled { until: now + self.stays_for }, now, bytes);
                    self.stays_for = (self.stays_for * 2).min(LONGEST_STAY);
                }
            }
            Phase::Settled { until } if now >= until => self.double(self.rate(window, bytes), now, bytes),
            Phase::Yielding if window >= YIELDING => self.begin(Phase::Settled { until: now }, now, bytes),
            _ => {}
        }
        self.wanted
    }

    fn double(&mut self, rate: u64, now: Duration, bytes: u64) {
        let wanted = (self.wanted * 2).min(self.most);
        let phase = match wanted > self.wanted {
            true => Phase::Trying { before: rate, begun: now },
            false => Phase::Settled { until: now + LONGEST_STAY },
        };
        self.wanted = wanted;
        self.begin(phase, now, bytes);
    }

    fn begin(&mut self, phase: Phase, now: Duration, bytes: u64) {
        (self.phase, self.since, self.bytes) = (phase, now, bytes);
    }

    fn rate(&self, window: Duration, bytes: u64) -> u64 {
        let micros = window.as_micros().max(1);
        let rate = u128::from(bytes - self.bytes) * 1_000_000 / micros;
        u64::try_from(rate).unwrap_or(u64::MAX)
    }
}

/// In the first round trips, TCP still looks for the rate of the path.
const ANSWERS: u32 = 5;
/// With longer windows, eight connections come too late for a file of some hundred megabytes.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(1);
/// A connection that is not made within this time does not gain anything.
const STARTUP: Duration = Duration::from_secs(2);
/// Bytes a second, or some 4 Gbit: storages give one connection far less.
const FAST: u64 = 512 << 20;
/// In percent: less is noise.
const GAIN: u64 = 15;
/// The first try may have met a moment that says nothing; later, the load of a network changes over minutes.
const SHORTEST_STAY: Duration = Duration::from_secs(1);
const LONGEST_STAY: Duration = Duration::from_secs(60);
const YIELDING: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs for some seconds over a network that gives each connection `each` bytes a second and all of them `all`, and
    /// returns the numbers of connections that were wanted, in order.
    fn run(most: usize, seconds: u64, each: u64, all: u64, busy_at: Option<u64>) -> Vec<usize> {
        let mut connections = Connections::new(most, Duration::from_millis(40));
        let (mut bytes, mut wanted) = (0, vec![1]);
        for step in 1..=seconds * 20 {
            let now = Duration::from_millis(step * 50);
            let at_once = connections.wanted;
            bytes += (each * at_once as u64).min(all) / 20;
            let busy = u32::from(busy_at.is_some_and(|at| now.as_secs() >= at));
            let next = connections.look(now, bytes, busy, at_once);
            if wanted.last() != Some(&next) {
                wanted.push(next);
            }
        }
        wanted
    }

    #[test]
    fn doubles_while_that_gains() {
        assert_eq!(run(8, 5, 20, 1_000, None), [1, 2, 4, 8]);
        assert_eq!(run(3, 5, 20, 1_000, None), [1, 2, 3]);
        assert_eq!(run(1, 5, 20, 1_000, None), [1]);
    }

    #[test]
    fn goes_back_where_nothing_is_gained() {
        // After 1, 2 and 4 seconds it is tried again.
        assert_eq!(run(8, 1, 1_000, 1_000, None), [1, 2, 1]);
        assert_eq!(run(8, 7, 1_000, 1_000, None), [1, 2, 1, 2, 1, 2, 1]);
        // Three would do: the fourth is not worth giving up, the eighth is.
        assert_eq!(run(8, 1, 400, 1_200, None), [1, 2, 4, 8, 4]);
        let tries = run(8, 600, 1_000, 1_000, None).len() / 2;
        assert!((12..=16).contains(&tries), "{tries}");
    }

    #[test]
    fn halves_for_a_storage_that_is_too_busy_and_tries_again_later() {
        assert_eq!(run(8, 20, 20, 1_000, Some(10)), [1, 2, 4, 8, 4]);
        assert_eq!(run(8, 120, 20, 1_000, Some(10)), [1, 2, 4, 8, 4, 8]);
    }

    #[test]
    fn a_connection_that_never_delivers_ends_the_try() {
        let mut connections = Connections::new(8, Duration::from_millis(40));
        let wanted: Vec<_> =
            (1..100).map(|step| connections.look(Duration::from_millis(step * 50), step * 50, 0, 1)).collect();
        assert_eq!((wanted[10], wanted[60], wanted[98]), (2, 1, 2));
    }

    #[test]
    fn stays_single_on_demand() {
        let mut connections = Connections::new(8, Duration::from_millis(40));
        connections.stay_single();
        assert!((1..2_000).all(|step| connections.look(Duration::from_millis(step * 50), step * 500, 0, 1) == 1));
    }
}
