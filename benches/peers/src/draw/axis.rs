//! Axis: from zero to a round number, with a few ticks.

/// The scale of a panel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    step: f64,
    steps: u32,
}

impl Axis {
    /// The shortest axis of three to six round steps that holds all values.
    pub(super) fn over(values: impl IntoIterator<Item = f64>) -> Self {
        let most = values.into_iter().filter(|value| value.is_finite()).fold(0.0, f64::max);
        if most <= 0.0 {
            return Self { step: 1.0, steps: 1 };
        }
        let power = 10_f64.powf((most / 6.0).log10().floor());
        let fits = |step: &f64| (most / step).ceil() <= 6.0;
        let step = [1.0, 2.0, 5.0, 10.0, 20.0].map(|factor| factor * power).into_iter().find(fits).unwrap_or(most);
        Self { step, steps: (most / step).ceil() as u32 }
    }

    pub(super) fn ticks(self) -> impl Iterator<Item = f64> {
        (0..=self.steps).map(move |at| f64::from(at) * self.step)
    }

    /// How far along the axis a value lies, from 0 to 1.
    pub(super) fn place(self, value: f64) -> f64 {
        (value / (self.step * f64::from(self.steps))).clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_at_a_round_number() {
        for (most, end) in [(0.4845, 0.5), (0.98, 1.0), (1.03, 1.2), (0.18, 0.2), (0.2, 0.2), (61.0, 80.0), (0.0, 1.0)]
        {
            let last = Axis::over([most, 0.0]).ticks().last().unwrap();
            assert!((last - end).abs() < 1e-9, "{most}: {last}");
        }
    }

    #[test]
    fn a_value_has_its_place() {
        let axis = Axis::over([0.5]);
        assert_eq!([0.0, 0.25, 0.5, 9.0, f64::NAN].map(|value| axis.place(value).max(0.0)), [0.0, 0.5, 1.0, 1.0, 0.0]);
    }
}
