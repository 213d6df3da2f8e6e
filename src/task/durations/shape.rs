//! Shape: how a distribution is estimated from spans, from smooth to sharp.

use std::ops::Range;

use super::grid::Grid;
use super::per_cell::PerCell;

/// A way to estimate a distribution: by expectation maximisation, which gathers the shares of durations in the cells that
/// most spans have in common, and then a kernel around each cell, as wide as the distance to its nearest neighbours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Few rounds leave shares spread over their spans; many gather them.
    pub(super) rounds: u32,
    /// The width of the kernel, as a share of the distance to the neighbours.
    pub(super) width: f64,
    /// The number of samples to this power, negative, is the share of neighbours.
    pub(super) reach: f64,
}

impl Shape {
    /// For durations that differ, for those that are almost the same, and between.
    pub(super) const ALL: [Self; 3] =
        [Self { rounds: 8, width: 1.0, reach: 0.4 }, Self::MIDDLE, Self { rounds: 200, width: 0.3, reach: 0.9 }];
    pub(super) const MIDDLE: Self = Self { rounds: 25, width: 0.7, reach: 0.6 };

    /// Estimates the share of durations of each cell, from spans with these cells and weights.
    pub(super) fn estimate(
        self,
        grid: &Grid,
        cells: &[Range<usize>],
        weights: &[f64],
        prior: &PerCell,
        samples: f64,
    ) -> PerCell {
        let gathered = self.gathered(cells, weights, prior, 1e-3);
        let widths = self.widths(grid, &gathered, samples);
        spread(grid, &gathered, &widths)
    }

    /// Gathers the shares of durations. `floor` is the share of the prior.
    pub(super) fn gathered(self, cells: &[Range<usize>], weights: &[f64], prior: &PerCell, floor: f64) -> PerCell {
        let total: f64 = weights.iter().sum();
        let mut shares = prior.clone();
        let (mut sums, mut steps) = (shares.sums(), PerCell::zero(prior.from(0).len() + 1));
        for _ in 0..self.rounds {
            shares.sums_into(&mut sums);
            steps.clear();
            for (cells, weight) in cells.iter().zip(weights) {
                let inside = sums.at(cells.end) - sums.at(cells.start);
                if inside > 1e-12 && *weight > 1e-9 {
                    let factor = weight / total * (1.0 - floor) / inside;
                    steps.add(cells.start, factor);
                    steps.add(cells.end, -factor);
                }
            }
            let mut factor = 0.0;
            for ((share, step), prior) in shares.iter_mut().zip(steps.iter()).zip(prior.iter()) {
                factor += step;
                *share = *share * f64::max(factor, 0.0) + prior * floor;
            }
        }
        shares
    }

    /// Returns the width of each cell's kernel, in the logarithm of time.
    pub(super) fn widths(self, grid: &Grid, shares: &PerCell, samples: f64) -> PerCell {
        let need = samples.powf(-self.reach) * shares.sum();
        let middles: PerCell = (0..grid.len())
            .map(|cell| {
                let start = if cell == 0 { grid.end(0) * 0.5 } else { grid.start(cell) };
                ((start + grid.end(cell)) * 0.5).ln()
            })
            .collect();
        (0..grid.len())
            .map(|cell| {
                let (mut first, mut last, mut sum, mut reach) = (cell, cell, shares.at(cell), 0.0);
                let middle = middles.at(cell);
                while sum < need {
                    let below = first.checked_sub(1).map_or(f64::MAX, |below| middle - middles.at(below));
                    let above = if last + 1 < grid.len() { middles.at(last + 1) - middle } else { f64::MAX };
                    if below.min(above) == f64::MAX {
                        break;
                    }
                    reach = below.min(above);
                    if below <= above {
                        first -= 1;
                        sum += shares.at(first);
                    } else {
                        last += 1;
                        sum += shares.at(last);
                    }
                }
                f64::min(reach * self.width, WIDEST)
            })
            .collect()
    }
}

/// Spreads the shares evenly over the kernels of their cells, and makes their sum one.
fn spread(grid: &Grid, shares: &PerCell, widths: &PerCell) -> PerCell {
    let sum = shares.sum();
    let mut smooth = PerCell::zero(grid.len());
    for (cell, (share, width)) in shares.iter().zip(widths.iter()).enumerate() {
        if share < 1e-7 {
            continue;
        }
        if width <= 0.0 {
            smooth.add(cell, share);
            continue;
        }
        let (start, end) = (grid.start(cell) * (-width).exp(), grid.end(cell) * width.exp());
        for other in grid.cell_after(start)..grid.len() {
            let (other_start, other_end) = (grid.start(other), grid.end(other));
            if other_start >= end {
                break;
            }
            smooth.add(other, share * (f64::min(other_end, end) - f64::max(other_start, start)) / (end - start));
        }
    }
    let kept = if sum > 0.0 { smooth.sum() } else { 1.0 };
    smooth.iter().map(|share| share / kept).collect()
}

/// Twice or half of the duration.
const WIDEST: f64 = 0.7;
