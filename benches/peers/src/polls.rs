//! Polls: polls and lag of tasks whose durations follow a distribution, on a paused clock, beside the offline optimum.

mod distribution;
#[cfg(feature = "longhaul")]
mod learner;
mod optimum;
mod rule;
mod tally;

use fastrand::Rng;

use distribution::Distribution;
use optimum::Optimum;
use rule::Rule;
use tally::Tally;

use crate::report::{Report, Row, Unit};
use crate::{Failure, Length};

pub(crate) fn run(report: &mut Report, length: Length) -> Result<(), Failure> {
    let seeds = length.pick(6, 40);
    let mut early = Vec::new();
    for distribution in Distribution::ALL {
        let sequences: Vec<Vec<f64>> =
            (0..seeds).map(|seed| distribution.sequence(&mut Rng::with_seed(seed))).collect();
        let standard = standard(&sequences)?;
        for cost in COSTS {
            let scene = Scene { distribution, sequences: &sequences, cost };
            let learned = scene.learned()?;
            let title = format!("{}, a poll worth {cost} s, the last 50 tasks", distribution.name);
            report.table(&title, &format!("{seeds} seeds"), &scene.rows(learned.as_deref(), standard.as_deref()))?;
            if let (Some(learned), Some(standard)) = (&learned, &standard) {
                early.push(scene.windows(learned, standard));
            }
        }
    }
    report.table("cost while longhaul learns, of 5 % of the age", &format!("{seeds} seeds"), &early)?;
    Ok(())
}

/// How many seconds of lag a poll is worth.
const COSTS: [f64; 3] = [1.0, 5.0, 20.0];
const LAST: usize = 50;

/// What each task costs with a client as it comes, whatever a poll is worth.
#[cfg(feature = "longhaul")]
fn standard(sequences: &[Vec<f64>]) -> Result<Option<Vec<Tally>>, Failure> {
    learner::play(sequences, learner::Policy::Standard).map(Some)
}

#[cfg(not(feature = "longhaul"))]
fn standard(_: &[Vec<f64>]) -> Result<Option<Vec<Tally>>, Failure> {
    Ok(None)
}

/// The tasks of one distribution, with one cost of a poll.
struct Scene<'a> {
    distribution: Distribution,
    /// The durations of the tasks of each seed, one after the other.
    sequences: &'a [Vec<f64>],
    cost: f64,
}

impl Scene<'_> {
    /// What each task costs with a client that learns; the sequences one after the other.
    fn learned(&self) -> Result<Option<Vec<Tally>>, Failure> {
        #[cfg(feature = "longhaul")]
        return learner::play(self.sequences, learner::Policy::Learn(self.cost)).map(Some);
        #[cfg(not(feature = "longhaul"))]
        Ok(None)
    }

    fn rows(&self, learned: Option<&[Tally]>, standard: Option<&[Tally]>) -> Vec<Row> {
        let optimum = Optimum::of(self.distribution, self.cost);
        let best = self.with(|duration| optimum.run(duration));
        let least = Tally::cost(&best, self.cost);
        let mut rows = Vec::new();
        let mut row = |name: String, tallies: &[Tally]| {
            let cost = Tally::cost(tallies, self.cost);
            rows.push(
                Row::new(name)
                    .one("polls a task", Unit::Ratio, Tally::polls(tallies))
                    .one("lag p50", Unit::Seconds, Tally::lag(tallies, 50))
                    .one("lag p99", Unit::Seconds, Tally::lag(tallies, 99))
                    .one("lag + c x polls", Unit::Seconds, cost)
                    .one("of the optimum", Unit::Ratio, cost / least),
            );
        };
        if let Some(learned) = learned {
            row("longhaul, PollPolicy::learn".into(), &self.last(learned));
        }
        if let Some(standard) = standard {
            row("longhaul, 5 % of the age, 1 to 30 s".into(), &self.last(standard));
        }
        for rule in [Rule::Fixed(1.0), Rule::Fixed(5.0), Rule::Fixed(30.0), Rule::Growing(1.5)] {
            row(rule.name(), &self.with(|duration| rule.run(duration)));
        }
        for family in [Rule::fixed(), Rule::growing(), Rule::of_age()] {
            let tallies = family.into_iter().map(|rule| (rule, self.with(|duration| rule.run(duration))));
            let by_cost = |tallies: &Vec<Tally>| Tally::cost(tallies, self.cost);
            if let Some((rule, tallies)) = tallies.min_by(|a, b| by_cost(&a.1).total_cmp(&by_cost(&b.1))) {
                row(format!("the best: {}", rule.name()), &tallies);
            }
        }
        row("offline optimum".into(), &best);
        rows
    }

    /// The last tasks of each sequence by a rule that does not learn.
    fn with(&self, run: impl Fn(f64) -> Tally) -> Vec<Tally> {
        let last = self.sequences.iter().flat_map(|sequence| sequence.iter().rev().take(LAST));
        last.map(|duration| run(*duration)).collect()
    }

    fn last(&self, tallies: &[Tally]) -> Vec<Tally> {
        tallies
            .chunks(self.distribution.tasks())
            .flat_map(|sequence| sequence.iter().rev().take(LAST).copied())
            .collect()
    }

    /// The cost of the learned polls over that of 5 % of the age, in windows of tasks since the start and since the change.
    fn windows(&self, learned: &[Tally], standard: &[Tally]) -> Row {
        let ratio = |from: usize, to: usize| {
            let sum = |tallies: &[Tally]| {
                let windows = tallies.chunks(self.distribution.tasks()).filter_map(|sequence| sequence.get(from..to));
                windows.flatten().map(|tally| tally.total(self.cost)).sum::<f64>()
            };
            sum(learned) / sum(standard)
        };
        let row = Row::new(format!("{}, a poll worth {} s", self.distribution.name, self.cost))
            .one("tasks 1-10", Unit::Ratio, ratio(0, 10))
            .one("11-50", Unit::Ratio, ratio(10, 50));
        match self.distribution.changes_after() {
            Some(at) => row
                .one("after the change: 1-10", Unit::Ratio, ratio(at, at + 10))
                .one("1-25", Unit::Ratio, ratio(at, at + 25))
                .one("1-50", Unit::Ratio, ratio(at, at + 50)),
            None => row.none("after the change: 1-10").none("1-25").none("1-50"),
        }
    }
}
