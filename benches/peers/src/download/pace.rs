//! Pace: so many bytes of a second, without a burst after a rest.

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

#[derive(Debug)]
pub(super) struct Pace {
    /// Bytes of a second.
    rate: f64,
    /// When the next bytes are due.
    due: Option<Instant>,
}

impl Pace {
    pub(super) const fn new(rate: f64) -> Self {
        Self { rate, due: None }
    }

    /// Waits until so many bytes have passed since the ones before.
    pub(super) fn wait(&mut self, bytes: u64) {
        let now = Instant::now();
        let due = self.next(now, bytes);
        thread::sleep(due.saturating_duration_since(now));
    }

    /// Waits for a turn among all that share a pace.
    pub(super) fn wait_for_all(shared: &Mutex<Self>, bytes: u64) {
        let now = Instant::now();
        let due = shared.lock().unwrap_or_else(PoisonError::into_inner).next(now, bytes);
        thread::sleep(due.saturating_duration_since(now));
    }

    fn next(&mut self, now: Instant, bytes: u64) -> Instant {
        // Only the delay of a sleep is made up for, and never a rest.
        let earliest = now.checked_sub(SLACK).unwrap_or(now);
        let begin = self.due.map_or(now, |due| due.max(earliest));
        let due = begin + Duration::from_secs_f64(bytes as f64 / self.rate);
        self.due = Some(due);
        due
    }
}

const SLACK: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_its_rate_and_saves_nothing_up() {
        let begin = Instant::now();
        let after = |millis| begin + Duration::from_millis(millis);
        let mut pace = Pace::new(1000.0);
        assert_eq!(pace.next(begin, 100), after(100));
        // 5 ms late: made up for.
        assert_eq!(pace.next(after(105), 100), after(200));
        // A rest of 800 ms: but for the slack, it is lost.
        assert_eq!(pace.next(after(1000), 100), after(1080));
    }
}
