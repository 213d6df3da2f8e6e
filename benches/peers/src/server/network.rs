//! Network: how long one way takes.

use std::time::Duration;

use fastrand::Rng;

/// A least time, and an exponentially distributed one on top.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Network {
    least: Duration,
    mean_extra: Duration,
}

impl Network {
    pub(crate) const fn new(least: Duration, mean_extra: Duration) -> Self {
        Self { least, mean_extra }
    }

    pub(crate) fn way(self, rng: &mut Rng) -> Duration {
        self.least + self.mean_extra.mul_f64(-(1.0 - rng.f64()).ln())
    }
}
