//! Schedule: a sequence of pauses.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::seconds;

/// Exponential pauses: each the double of the one before, up to a longest, with equal jitter (half of a pause is
/// fixed, half is drawn), so that clients which failed together do not come back together.
///
/// ```
/// use std::time::Duration;
/// use longhaul::Schedule;
///
/// let schedule = Schedule::exponential(Duration::from_secs(1), Duration::from_secs(30));
/// let pauses: Vec<Duration> = schedule.pauses(7).take(8).collect();
/// assert!(pauses.iter().all(|pause| *pause <= Duration::from_secs(30)));
/// assert_eq!(pauses, schedule.pauses(7).take(8).collect::<Vec<_>>()); // the same seed, the same pauses
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Schedule {
    #[serde(with = "seconds")]
    first: Duration,
    #[serde(with = "seconds")]
    longest: Duration,
    jitter: bool,
}

impl Schedule {
    /// From 1 second to 30 seconds.
    #[must_use]
    pub const fn standard() -> Self {
        Self::exponential(Duration::from_secs(1), Duration::from_secs(30))
    }

    /// From `first` on, doubled up to `longest`, which jitter cannot pass.
    #[must_use]
    pub const fn exponential(first: Duration, longest: Duration) -> Self {
        Self { first, longest, jitter: true }
    }

    /// Without jitter: for tests.
    #[must_use]
    pub const fn without_jitter(mut self) -> Self {
        self.jitter = false;
        self
    }

    /// The pauses, drawn with this seed; there is always another.
    pub fn pauses(&self, seed: u64) -> impl Iterator<Item = Duration> + Send + use<> {
        let Self { first, longest, jitter } = *self;
        let mut chance = fastrand::Rng::with_seed(seed);
        let steps = std::iter::successors(Some(first), |step| Some(step.saturating_mul(2)));
        steps.map(move |step| {
            let step = step.min(longest);
            if jitter { step.mul_f64(0.5 + 0.5 * chance.f64()).min(longest) } else { step }
        })
    }
}

impl Default for Schedule {
    fn default() -> Self {
        Self::standard()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_longest_and_jitter_stays_below() {
        let schedule = Schedule::exponential(Duration::from_secs(1), Duration::from_secs(5));
        let exact: Vec<_> = schedule.without_jitter().pauses(0).take(5).map(|pause| pause.as_secs()).collect();
        assert_eq!(exact, [1, 2, 4, 5, 5]);
        for seed in 0..100 {
            for (pause, step) in schedule.pauses(seed).zip([1, 2, 4, 5, 5, 5]) {
                let step = Duration::from_secs(step);
                assert!(pause >= step / 2 && pause <= step, "{pause:?} for a step of {step:?}");
            }
        }
        assert_eq!(Schedule::standard().pauses(1).nth(1000).map(|pause| pause.as_secs() <= 30), Some(true));
    }
}
