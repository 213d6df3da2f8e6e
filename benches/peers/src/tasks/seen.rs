//! Seen: what one subject needed for all tasks.

use std::time::Duration;

pub(super) struct Seen {
    pub(super) tasks: u32,
    /// Bytes for each waiting task, if all of them waited at one time.
    pub(super) heap: Option<f64>,
    /// Until the last submit was accepted.
    pub(super) submitted: Duration,
    /// Until the end of the last task was known.
    pub(super) done: Duration,
    pub(super) cpu: Duration,
    pub(super) polls: u64,
    pub(super) refused: u64,
    /// Sorted.
    pub(super) lags: Vec<Duration>,
}

impl Seen {
    /// Microseconds of a poll, to which the submits are added.
    pub(super) fn cost(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.polls as f64
    }

    pub(super) fn polls_each(&self) -> f64 {
        self.polls as f64 / f64::from(self.tasks)
    }

    pub(super) fn lag(&self, percent: usize) -> f64 {
        let at = (self.lags.len() * percent / 100).min(self.lags.len().saturating_sub(1));
        self.lags.get(at).map_or(f64::NAN, Duration::as_secs_f64)
    }
}
