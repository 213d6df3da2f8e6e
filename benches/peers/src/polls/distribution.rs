//! Distribution: how long tasks take.

use fastrand::Rng;

/// How long the tasks of a sequence take, in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Distribution {
    pub(super) name: &'static str,
    first: Shape,
    /// The distribution from the task after the first 100 on.
    then: Option<Shape>,
}

#[derive(Clone, Copy, Debug)]
enum Shape {
    Constant(f64),
    /// The median, and the standard deviation of the logarithm.
    LogNormal(f64, f64),
    /// The share of the first, a duration, and the other one, both log-normal with this deviation.
    Bimodal(f64, f64, f64, f64),
    /// The least duration, and the exponent.
    Pareto(f64, f64),
}

impl Distribution {
    pub(super) const ALL: [Self; 9] = [
        Self::constantly("constant 120 s", Shape::Constant(120.0)),
        Self::constantly("constant 1800 s", Shape::Constant(1800.0)),
        Self::constantly("log-normal, 100 s, sigma 0.5", Shape::LogNormal(100.0, 0.5)),
        Self::constantly("bimodal, 70 % 20 s, 30 % 300 s, sigma 0.1", Shape::Bimodal(0.7, 20.0, 300.0, 0.1)),
        Self::constantly("bimodal, 90 % 30 s, 10 % 240 s exactly", Shape::Bimodal(0.9, 30.0, 240.0, 0.0)),
        Self::constantly("heavy-tailed: Pareto from 30 s, alpha 1.5", Shape::Pareto(30.0, 1.5)),
        Self::changing("60 s, then 240 s, sigma 0.3", Shape::LogNormal(60.0, 0.3), Shape::LogNormal(240.0, 0.3)),
        Self::changing("240 s, then 60 s, sigma 0.3", Shape::LogNormal(240.0, 0.3), Shape::LogNormal(60.0, 0.3)),
        Self::changing("240 s, then 60 s exactly", Shape::Constant(240.0), Shape::Constant(60.0)),
    ];

    const fn constantly(name: &'static str, first: Shape) -> Self {
        Self { name, first, then: None }
    }

    const fn changing(name: &'static str, first: Shape, then: Shape) -> Self {
        Self { name, first, then: Some(then) }
    }

    /// The number of tasks in a sequence.
    pub(super) fn tasks(self) -> usize {
        if self.then.is_some() { 200 } else { 100 }
    }

    pub(super) fn changes_after(self) -> Option<usize> {
        self.then.map(|_| 100)
    }

    pub(super) fn sequence(self, rng: &mut Rng) -> Vec<f64> {
        (0..self.tasks()).map(|at| if at < 100 { self.first } else { self.last() }.draw(rng)).collect()
    }

    /// Draws from the distribution of the last tasks.
    pub(super) fn draw_last(self, rng: &mut Rng) -> f64 {
        self.last().draw(rng)
    }

    fn last(self) -> Shape {
        self.then.unwrap_or(self.first)
    }
}

impl Shape {
    fn draw(self, rng: &mut Rng) -> f64 {
        match self {
            Self::Constant(duration) => duration,
            Self::LogNormal(median, sigma) => median * (sigma * normal(rng)).exp(),
            Self::Bimodal(share, one, other, sigma) => {
                let median = if rng.f64() < share { one } else { other };
                Self::LogNormal(median, sigma).draw(rng)
            }
            Self::Pareto(least, alpha) => least * (1.0 - rng.f64()).powf(-1.0 / alpha),
        }
    }
}

/// Box and Muller.
fn normal(rng: &mut Rng) -> f64 {
    let radius = (-2.0 * f64::max(rng.f64(), f64::MIN_POSITIVE).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.f64()).cos()
}
