//! Optimum: the polls that cost least for those who know the distribution.

use fastrand::Rng;

use super::distribution::Distribution;
use super::tally::Tally;

/// The poll times that minimise lag + cost x polls, by dynamic programming on a grid of 0.6 %.
pub(super) struct Optimum {
    /// Ascending, up to three times the longest of 200,000 durations.
    times: Vec<f64>,
}

/// A time of the grid: how many durations are over by then, and their sum, both as shares of all.
#[derive(Clone, Copy)]
struct Point {
    at: f64,
    over: f64,
    sum: f64,
}

/// The least cost from a point on, and the points of its polls.
struct Rest {
    cost: f64,
    /// The number of points from here to the next poll.
    next: usize,
}

impl Optimum {
    pub(super) fn of(distribution: Distribution, cost: f64) -> Self {
        let points = points(distribution);
        // From the last point backwards: after it nothing is left.
        let mut rests = vec![Rest { cost: 0.0, next: 0 }];
        for (at, from) in points.iter().enumerate().rev().skip(1) {
            let later = points.iter().skip(at + 1).zip(rests.iter().rev());
            let options = later.enumerate().map(|(next, (to, rest))| {
                let lag = to.at * (to.over - from.over) - (to.sum - from.sum);
                Rest { cost: cost * (1.0 - from.over) + lag + rest.cost, next: next + 1 }
            });
            rests.extend(options.min_by(|a, b| a.cost.total_cmp(&b.cost)));
        }
        rests.reverse();
        let mut times = Vec::new();
        let mut at = 0;
        while let Some(rest) = rests.get(at).filter(|rest| rest.next > 0) {
            at += rest.next;
            times.extend(points.get(at).map(|point| point.at));
        }
        Self { times }
    }

    pub(super) fn run(&self, duration: f64) -> Tally {
        // A duration beyond all of the sample is polled for as at the end of the grid.
        let last = self.times.last().copied().unwrap_or(1.0);
        let mut times = self.times.iter().copied().chain(std::iter::successors(Some(last * 1.1), |at| Some(at * 1.1)));
        let mut polls = 0;
        let at = times.find(|at| {
            polls += 1;
            *at >= duration - 1e-9
        });
        Tally { polls, lag: f64::max(at.unwrap_or(duration) - duration, 0.0) }
    }
}

fn points(distribution: Distribution) -> Vec<Point> {
    const DURATIONS: usize = 200_000;
    let mut rng = Rng::with_seed(u64::MAX);
    let mut durations: Vec<f64> = (0..DURATIONS).map(|_| distribution.draw_last(&mut rng)).collect();
    durations.sort_by(f64::total_cmp);
    let least = durations.first().copied().unwrap_or(1.0);
    let most = durations.last().copied().unwrap_or(1.0);
    let grid = std::iter::successors(Some(least), |at| Some(at * 1.006)).take_while(|at| *at < most * 3.0);
    // A duration that many tasks have exactly is a time of its own.
    let exact = durations.windows(DURATIONS / 100).filter_map(|same| match same {
        [first, .., last] if first == last => Some(*first),
        _ => None,
    });
    let mut times: Vec<f64> = grid.chain(exact).collect();
    times.sort_by(f64::total_cmp);
    times.dedup();
    let mut points = vec![Point { at: 0.0, over: 0.0, sum: 0.0 }];
    let mut rest = durations.iter().copied().peekable();
    let (mut over, mut sum) = (0.0, 0.0);
    for at in times {
        while let Some(duration) = rest.next_if(|duration| *duration <= at) {
            over += 1.0 / DURATIONS as f64;
            sum += duration / DURATIONS as f64;
        }
        points.push(Point { at, over, sum });
    }
    points
}
