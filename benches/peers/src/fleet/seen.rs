//! Seen: what the service, the stores and the processes of one cell counted.

use std::time::Duration;

use super::cell::Load;

pub(super) struct Seen {
    /// Of each process.
    pub(super) served: Vec<u32>,
    /// Of each process, in the first minute.
    pub(super) early: Vec<u32>,
    pub(super) refused: u32,
    /// Calls of the store, if it counts them.
    pub(super) calls: Option<u64>,
    /// How many windows of the limit the processes had.
    pub(super) keys: usize,
    pub(super) time: Duration,
    /// Of each arrival of an open loop, until its permit. Sorted.
    pub(super) waits: Vec<Duration>,
}

impl Seen {
    /// This and another round of the same cell.
    pub(super) fn and(mut self, other: Self) -> Self {
        let add = |these: &mut Vec<u32>, others: &[u32]| {
            for (this, other) in these.iter_mut().zip(others) {
                *this += other;
            }
        };
        add(&mut self.served, &other.served);
        add(&mut self.early, &other.early);
        self.refused += other.refused;
        self.calls = self.calls.zip(other.calls).map(|(this, other)| this + other);
        self.time += other.time;
        self.waits.extend(other.waits);
        self.waits.sort_unstable();
        self
    }

    pub(super) fn served(&self) -> f64 {
        f64::from(self.served.iter().sum::<u32>())
    }

    /// What the process with the fewest got in a minute at most, of that with the most.
    pub(super) fn fairness(&self, load: Load) -> Option<f64> {
        let (least, most) = (self.early.iter().min()?, self.early.iter().max()?);
        (load == Load::Greedy && self.early.len() > 1).then(|| f64::from(*least) / f64::from(*most))
    }

    pub(super) fn calls_a_permit(&self) -> Option<f64> {
        Some(self.calls? as f64 / (self.served() + f64::from(self.refused)))
    }

    /// For each window of the limit.
    pub(super) fn calls_a_second_and_member(&self) -> Option<f64> {
        Some(self.calls? as f64 / self.time.as_secs_f64() / self.served.len() as f64 / self.keys as f64)
    }

    pub(super) fn wait(&self, percent: usize) -> f64 {
        let at = (self.waits.len() * percent / 100).min(self.waits.len().saturating_sub(1));
        self.waits.get(at).map_or(f64::NAN, Duration::as_secs_f64)
    }
}
