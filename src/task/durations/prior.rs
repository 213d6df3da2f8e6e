//! Prior: how durations are distributed before any is known.

/// A broad distribution around the durations that were seen: even in the logarithm between `low` and `high`, and falling
/// with the first power of the duration on both sides.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prior {
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Prior {
    /// Returns the share of durations up to `age`.
    pub(super) fn up_to(self, age: f64) -> f64 {
        let Self { low, high } = self;
        let between = (high / low).ln();
        let part = if age <= 0.0 {
            0.0
        } else if age < low {
            BELOW * age / low
        } else if age < high {
            BELOW + (age / low).ln()
        } else {
            BELOW + between + ABOVE * (1.0 - high / age)
        };
        part / (BELOW + between + ABOVE)
    }

    /// Returns the share of durations in `(after, by]`.
    pub(super) fn within(self, after: f64, by: f64) -> f64 {
        self.up_to(by) - self.up_to(after)
    }
}

/// The weights of durations below and above all that were seen, beside that of a range of one e-fold between.
const BELOW: f64 = 0.5;
const ABOVE: f64 = 1.0;
