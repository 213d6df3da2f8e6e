//! Regimes: since when durations are distributed as they are.

use std::ops::Range;

use super::grid::Grid;
use super::prior::Prior;
use super::shape::Shape;

/// The weight of each span, oldest first, after a look for changes of the distribution.
#[derive(Debug)]
pub(super) struct Regimes {
    pub(super) weights: Vec<f64>,
    /// The share of durations that follow none of those seen.
    pub(super) unknown: f64,
    /// To how many spans of equal weight the weights correspond.
    pub(super) samples: f64,
}

impl Regimes {
    /// Weighs the spans: the last spans of each number may be those since the last change, and each number is as likely
    /// as it foretold the spans, one after the other.
    pub(super) fn of(spans: &[(f64, f64)], cells: &[Range<usize>], grid: &Grid, prior: Prior, cost: f64) -> Self {
        let runs = runs(spans, cells, grid, prior);
        let mut weights: Vec<f64> = Vec::with_capacity(spans.len());
        let mut weight = 0.0;
        // The oldest span counts only if all spans are of one regime.
        for (length, run) in runs.iter().enumerate().skip(1).rev() {
            weight += run / length as f64;
            weights.push(weight);
        }
        // A settled regime gives less away to what was never seen than a poll costs.
        let rare = RARE * cost / prior.high;
        let unknown = runs
            .iter()
            .enumerate()
            .map(|(length, run)| {
                let unknown = DOUBT / (length as f64 + DOUBT);
                run * if length < SETTLED { unknown } else { unknown.min(rare) }
            })
            .sum();
        let (sum, squares) = weights.iter().fold((0.0, 0.0), |(sum, squares), w| (sum + w, squares + w * w));
        let samples = if squares > 0.0 { sum * sum / squares } else { 1.0 };
        Self { weights, unknown, samples }
    }
}

/// Returns for each length how likely it is that the last change lies so many spans back.
fn runs(spans: &[(f64, f64)], cells: &[Range<usize>], grid: &Grid, prior: Prior) -> Vec<f64> {
    let equal = vec![1.0; spans.len()];
    let shares = Shape::MIDDLE.gathered(cells, &equal, &grid.prior(prior), 0.02);
    let widths = Shape::MIDDLE.widths(grid, &shares, spans.len() as f64);
    let kernels: Vec<(f64, f64, f64)> = shares
        .iter()
        .zip(widths.iter())
        .enumerate()
        .map(|(cell, (share, width))| (share, grid.start(cell) * (-width).exp(), grid.end(cell) * width.exp()))
        .collect();
    let mut runs = vec![1.0];
    for (at, span) in spans.iter().enumerate() {
        let unseen = prior.within(span.0, span.1);
        let mut next = vec![0.0; runs.len() + 1];
        let (mut alike, mut changed) = (0.0, 0.0);
        // The last span before this one, the last two, and so on.
        let earlier = std::iter::once(None).chain(cells.iter().take(at).rev().map(Some));
        for (length, ((run, earlier), next)) in runs.iter().zip(earlier).zip(next.iter_mut().skip(1)).enumerate() {
            alike += earlier.map_or(0.0, |cells| foretold(kernels.get(cells.clone()).unwrap_or_default(), *span));
            let foretold = (alike + DOUBT * unseen) / (length as f64 + DOUBT);
            *next = run * (1.0 - CHANGE) * foretold;
            changed += run * CHANGE * unseen;
        }
        if let Some(first) = next.get_mut(1) {
            *first += changed;
        }
        runs = next;
        normalise(&mut runs);
    }
    let recent: f64 = runs.iter().take(SETTLED).sum();
    if runs.len() > SETTLED && recent < TRUST {
        runs.iter_mut().take(SETTLED).for_each(|run| *run = 0.0);
        normalise(&mut runs);
    }
    runs
}

/// Returns how much of an earlier span's kernels lies in a span.
fn foretold(kernels: &[(f64, f64, f64)], (after, by): (f64, f64)) -> f64 {
    let all: f64 = kernels.iter().map(|(share, ..)| share).sum();
    let inside = kernels.iter().map(|(share, start, end)| {
        let common = f64::max(f64::min(by, *end) - f64::max(after, *start), 0.0);
        share * f64::min(common / f64::max(end - start, 1e-12), 1.0)
    });
    if all > 0.0 { inside.sum::<f64>() / all } else { 0.0 }
}

fn normalise(runs: &mut [f64]) {
    let sum: f64 = runs.iter().sum();
    if sum > 0.0 {
        runs.iter_mut().for_each(|run| *run /= sum);
    }
}

/// How likely a change is before each task: one in 200 tasks.
const CHANGE: f64 = 1.0 / 200.0;
/// A distribution counts as if half a task had shown the prior.
const DOUBT: f64 = 0.5;
/// A regime of so many spans is no longer young.
const SETTLED: usize = 8;
/// A young regime counts from this likelihood on.
const TRUST: f64 = 0.2;
/// In a settled regime, durations that were never seen have this share of the poll cost over the longest duration.
const RARE: f64 = 0.3;
