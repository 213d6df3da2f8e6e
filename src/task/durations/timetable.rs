//! Timetable: the polls that cost least, for durations as they were seen.

use super::grid::{Grid, snapped};
use super::per_cell::PerCell;
use super::prior::Prior;
use super::regimes::Regimes;
use super::shape::Shape;

/// The times of the polls that minimise the expected lag behind the end, plus the cost of the polls. All times are in
/// seconds of the task's age.
#[derive(Debug)]
pub(super) struct Timetable {
    cost: f64,
    grid: Grid,
    shares: PerCell,
    /// The share of durations before each cell, and the sum of these durations.
    before: PerCell,
    moment: PerCell,
    /// The share of all durations: those of the grid, and the tail behind it.
    all: f64,
    /// The expected cost after a poll at the start of each cell that found the task pending.
    rest: PerCell,
}

impl Timetable {
    /// Estimates the distribution of durations from spans, oldest first, and finds the best polls by dynamic programming;
    /// `None` if there are too few spans. `cost` is the cost of a poll in seconds of lag.
    pub(super) fn of(spans: &[(f64, f64)], cost: f64) -> Option<Self> {
        if spans.len() < FEWEST {
            return None;
        }
        let unit = cost / 16.0;
        let spans: Vec<_> = spans
            .iter()
            .map(|(after, by)| {
                let by = snapped(*by, unit);
                (snapped(*after, unit).min(by - unit), by)
            })
            .collect();
        let high = spans.iter().map(|(_, by)| *by).fold(unit, f64::max);
        let low = spans.iter().map(|(after, by)| if *after > 0.0 { *after } else { by * 0.5 }).fold(high, f64::min);
        let prior = Prior { low: low.max(unit), high };
        let grid = Grid::over(&spans, prior, unit);
        let cells: Vec<_> = spans.iter().map(|span| grid.cells_of(*span)).collect();
        let regimes = Regimes::of(&spans, &cells, &grid, prior, cost);
        let evidence = Evidence { grid: &grid, cells: &cells, prior: grid.prior(prior), regimes: &regimes };
        let seen = evidence.distribution();
        let shares = seen
            .iter()
            .zip(evidence.prior.iter())
            .map(|(seen, prior)| seen * (1.0 - regimes.unknown) + prior * regimes.unknown)
            .collect();
        let (grid, shares) = grid.finer(&shares, cost);
        let last = grid.end(grid.len().saturating_sub(1));
        let tail = (regimes.unknown * (1.0 - prior.up_to(last))).max(1e-9);
        Some(Self::new(grid, shares, tail, cost))
    }

    fn new(grid: Grid, shares: PerCell, tail: f64, cost: f64) -> Self {
        let moments: PerCell =
            shares.iter().enumerate().map(|(cell, share)| share * (grid.start(cell) + grid.end(cell)) * 0.5).collect();
        let (before, moment) = (shares.sums(), moments.sums());
        let cells = grid.len();
        let all = before.at(cells) + tail;
        let mut rest = PerCell::zero(cells + 1);
        rest.set(cells, tail * 2.0 * gap(grid.end(cells.saturating_sub(1)), cost));
        let mut table = Self { cost, grid, shares, before, moment, all, rest };
        for cell in (0..cells).rev() {
            let (cost, _) = table.best(cell, table.before.at(cell), table.moment.at(cell));
            table.rest.set(cell, cost);
        }
        table
    }

    /// Returns the least cost from an age in this cell on, and the time of the next poll. `before` and `moment` are the
    /// share and the sum of the durations up to that age.
    fn best(&self, cell: usize, before: f64, moment: f64) -> (f64, f64) {
        let pending = self.cost * (self.all - before);
        let ends = self.grid.ends_from(cell).iter();
        let sums = self.before.from(cell + 1).iter().zip(self.moment.from(cell + 1)).zip(self.rest.from(cell + 1));
        let options = ends.zip(sums).map(|(end, ((ended, of), rest))| {
            let lag = end * (ended - before) - (of - moment);
            (pending + lag + rest, *end)
        });
        options.fold((f64::MAX, 0.0), |best, option| if option.0 < best.0 { option } else { best })
    }

    /// Returns the age at which a task that is pending at this age is polled next.
    pub(super) fn next(&self, age: f64) -> f64 {
        let cell = self.grid.cell_after(age + 1e-9);
        let last = self.grid.end(self.grid.len().saturating_sub(1));
        if age >= last {
            return age + gap(age, self.cost);
        }
        let (start, end) = (self.grid.start(cell), self.grid.end(cell));
        let passed = self.shares.at(cell) * (age - start) / (end - start);
        let before = self.before.at(cell) + passed;
        let moment = self.moment.at(cell) + passed * (start + age) * 0.5;
        let (_, at) = self.best(cell, before, moment);
        if at >= last { at.min(age + gap(age, self.cost)) } else { at }
    }

    /// Returns the time before which half of the tasks have ended, of those that have ended by this time.
    pub(super) fn middle(&self, by: f64) -> f64 {
        let half = self.before.at(self.grid.cell_after(by - 1e-9) + 1) * 0.5;
        let sums = self.before.from(1).iter().zip(self.shares.iter()).enumerate();
        let mut later = sums.skip_while(|(_, (sum, _))| **sum < half);
        later.next().map_or(by, |(cell, (sum, share))| {
            let part = if share > 0.0 { 1.0 - (sum - half) / share } else { 0.5 };
            self.grid.start(cell) + (self.grid.end(cell) - self.grid.start(cell)) * part
        })
    }

    pub(super) const fn cost(&self) -> f64 {
        self.cost
    }
}

/// The spans, as the estimate needs them.
struct Evidence<'a> {
    grid: &'a Grid,
    cells: &'a [std::ops::Range<usize>],
    prior: PerCell,
    regimes: &'a Regimes,
}

impl Evidence<'_> {
    /// Estimates the distribution: the shapes, each as much as it foretells one half of the spans from the other.
    fn distribution(&self) -> PerCell {
        let scores = Shape::ALL.map(|shape| self.score(shape, 0) + self.score(shape, 1));
        let most = scores.iter().copied().fold(f64::MIN, f64::max);
        let mut sum = PerCell::zero(self.grid.len());
        for (shape, score) in Shape::ALL.into_iter().zip(scores) {
            let weight = (score - most).exp();
            if weight < 0.01 {
                continue;
            }
            let Regimes { weights, samples, .. } = self.regimes;
            let shares = shape.estimate(self.grid, self.cells, weights, &self.prior, *samples);
            sum.iter_mut().zip(shares.iter()).for_each(|(sum, share)| *sum += weight * share);
        }
        let all = sum.sum().max(1e-12);
        sum.iter().map(|share| share / all).collect()
    }

    /// Returns how likely the spans of the other half are by an estimate from this half, as a logarithm.
    fn score(&self, shape: Shape, half: usize) -> f64 {
        let weights = &self.regimes.weights;
        // Every eighth task may be probed: such tasks belong to both halves.
        let is_in = |at: usize| (at ^ (at >> 3)) & 1 == half;
        let own: Vec<f64> =
            weights.iter().enumerate().map(|(at, weight)| if is_in(at) { *weight } else { 0.0 }).collect();
        let (all, sum): (f64, f64) = (weights.iter().sum(), own.iter().sum());
        if sum <= 0.0 || self.cells.len() < FEWEST_TO_COMPARE {
            return 0.0;
        }
        let samples = sum * sum / own.iter().map(|weight| weight * weight).sum::<f64>();
        let sums = shape.estimate(self.grid, self.cells, &own, &self.prior, samples).sums();
        let unseen = self.prior.sums();
        let doubt = 0.5 / (samples + 0.5);
        let others = self.cells.iter().zip(weights).enumerate().filter(|(at, _)| !is_in(*at));
        others
            .map(|(_, (cells, weight))| {
                let share = |sums: &PerCell| sums.at(cells.end) - sums.at(cells.start);
                let likely = (1.0 - doubt) * share(&sums) + doubt * share(&unseen);
                weight / all * self.regimes.samples * likely.max(1e-12).ln()
            })
            .sum()
    }
}

/// Returns the best pause at an age beyond all durations that were seen, if few tasks last twice as long as others.
fn gap(age: f64, cost: f64) -> f64 {
    (2.0 * cost * age).sqrt().max(1.0)
}

/// Two tasks are the fewest that show how much durations differ.
const FEWEST: usize = 2;
const FEWEST_TO_COMPARE: usize = 4;
