//! Rule: pauses that do not depend on earlier tasks.

use super::tally::Tally;

/// When the next poll is due, by the number of polls and the age of the task alone. No jitter.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rule {
    /// Every so many seconds.
    Fixed(f64),
    /// From one second on, each pause longer than the last by this factor, five minutes at most.
    Growing(f64),
    /// This share of the age, one second at least.
    OfAge(f64),
}

impl Rule {
    /// All intervals that are tried.
    pub(super) fn fixed() -> Vec<Self> {
        steps(0.5, 1.1, 2_000.0).map(Self::Fixed).collect()
    }

    pub(super) fn growing() -> Vec<Self> {
        steps(0.01, 1.15, 4.0).map(|growth| Self::Growing(1.0 + growth)).collect()
    }

    pub(super) fn of_age() -> Vec<Self> {
        steps(0.01, 1.1, 4.0).map(Self::OfAge).collect()
    }

    pub(super) fn name(self) -> String {
        match self {
            Self::Fixed(interval) => format!("every {interval:.1} s"),
            Self::Growing(factor) => format!("from 1 s, growing by {:.0} %", (factor - 1.0) * 100.0),
            Self::OfAge(share) => format!("{:.1} % of the age", share * 100.0),
        }
    }

    pub(super) fn run(self, duration: f64) -> Tally {
        let (mut age, mut polls, mut grown) = (0.0, 0, 1.0);
        while age < duration {
            age += match self {
                Self::Fixed(interval) => interval,
                Self::Growing(factor) => {
                    let pause = grown;
                    grown = f64::min(grown * factor, 300.0);
                    pause
                }
                Self::OfAge(share) => f64::max(age * share, 1.0),
            };
            polls += 1;
        }
        Tally { polls, lag: age - duration }
    }
}

fn steps(from: f64, factor: f64, to: f64) -> impl Iterator<Item = f64> {
    std::iter::successors(Some(from), move |at| Some(at * factor)).take_while(move |at| *at <= to)
}
