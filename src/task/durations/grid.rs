//! Grid: time, cut into cells in which a task may end.

use std::ops::Range;

use super::per_cell::PerCell;
use super::prior::Prior;

/// Cells of time: each begins where the one before it ends, and the first at zero. The ends are the times at which a poll
/// is considered.
#[derive(Clone, Debug)]
pub(super) struct Grid {
    ends: Vec<f64>,
    unit: f64,
}

impl Grid {
    /// Cuts time at every bound of these spans, which are multiples of the unit, and between and around them.
    pub(super) fn over(spans: &[(f64, f64)], prior: Prior, unit: f64) -> Self {
        let mut bounds: Vec<f64> = spans.iter().flat_map(|(after, by)| [*after, *by]).filter(|at| *at > 0.0).collect();
        bounds.push(prior.low);
        let step = |at: f64, ratio: f64| (at * ratio).max(at + unit * 2.0);
        let mut at = (prior.low / BELOW).max(unit);
        while at < prior.low {
            bounds.push(snapped(at, unit));
            at = step(at, OUTSIDE);
        }
        let mut at = prior.high;
        for _ in 0..CELLS_ABOVE {
            at = step(at, OUTSIDE);
            bounds.push(snapped(at, unit));
        }
        bounds.sort_by(f64::total_cmp);
        bounds.dedup_by(|next, at| *next - *at < unit * 0.5);
        let mut ends = Vec::with_capacity(bounds.len() * 2);
        let mut from = 0.0;
        for bound in bounds {
            if from >= prior.low && bound <= prior.high + unit * 0.5 {
                cut(from, bound, ((bound - from) / (from * INSIDE).max(unit * 4.0)).min(64.0), |end| ends.push(end));
            } else {
                ends.push(bound);
            }
            from = bound;
        }
        Self { ends, unit }
    }

    pub(super) const fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn start(&self, cell: usize) -> f64 {
        cell.checked_sub(1).map_or(0.0, |before| self.end(before))
    }

    pub(super) fn end(&self, cell: usize) -> f64 {
        self.ends.get(cell).or(self.ends.last()).copied().unwrap_or_default()
    }

    /// The ends of the cells from this one on.
    pub(super) fn ends_from(&self, cell: usize) -> &[f64] {
        self.ends.get(cell..).unwrap_or_default()
    }

    /// Returns the first cell that ends after this time.
    pub(super) fn cell_after(&self, at: f64) -> usize {
        self.ends.partition_point(|end| *end <= at)
    }

    /// Returns the cells of a span: one at least.
    pub(super) fn cells_of(&self, (after, by): (f64, f64)) -> Range<usize> {
        let start = self.cell_after(after + self.unit * 0.25);
        start..self.cell_after(by + self.unit * 0.25).max(start + 1).min(self.len())
    }

    /// Returns what the prior says of each cell.
    pub(super) fn prior(&self, prior: Prior) -> PerCell {
        (0..self.len()).map(|cell| prior.within(self.start(cell), self.end(cell))).collect()
    }

    /// Cuts the cells in which several polls may pay off, and spreads the shares of durations over their parts.
    pub(super) fn finer(&self, shares: &PerCell, cost: f64) -> (Self, PerCell) {
        let (mut ends, mut finer, mut gone) = (Vec::with_capacity(self.len() * 2), Vec::new(), 0.0);
        for (cell, share) in shares.iter().enumerate() {
            let (start, end) = (self.start(cell), self.end(cell));
            let alive = f64::max(1.0 - gone, 1e-6);
            gone += share;
            // With a constant hazard, polls at a distance of the root of 2 x cost / hazard are the best.
            let parts = (1.5 * (share * (end - start) / (2.0 * cost * alive)).sqrt()).min(16.0);
            let before = ends.len();
            cut(start, end, parts, |end| ends.push(end));
            let parts = ends.len() - before;
            finer.extend((0..parts).map(|_| share / parts as f64));
        }
        (Self { ends, unit: self.unit }, finer.into_iter().collect())
    }
}

/// Returns the first multiple of the unit at or behind this time.
pub(super) fn snapped(at: f64, unit: f64) -> f64 {
    (at / unit).ceil() * unit
}

/// Cuts a stretch of time into at least this many equal parts.
fn cut(from: f64, to: f64, parts: f64, mut push: impl FnMut(f64)) {
    let parts = (1..=64).find(|count| f64::from(*count) >= parts).unwrap_or(64);
    for part in 1..parts {
        push(from + (to - from) * f64::from(part) / f64::from(parts));
    }
    push(to);
}

/// The ratio of two neighbouring bounds where durations were seen, less one, and elsewhere.
const INSIDE: f64 = 0.05;
const OUTSIDE: f64 = 1.2;
/// How far below the shortest duration time is cut finely.
const BELOW: f64 = 40.0;
/// The last cell ends at some 80 times the longest duration.
const CELLS_ABOVE: usize = 24;
