//! Side: a subject and what its service counted, and the table of all sides of one service.

use std::time::Duration;

use futures::{StreamExt, stream};
use longhaul::testing::Counts;
use tokio::time::Instant;

use crate::Failure;
use crate::report::{Report, Row, Unit};

/// What one subject did at its service.
pub(super) struct Side {
    subject: &'static str,
    counts: Counts,
    course: Course,
}

impl Side {
    pub(super) fn new(subject: &'static str, counts: Counts, course: Course) -> Self {
        Self { subject, counts, course }
    }
}

/// How the calls of one subject ended.
pub(super) struct Course {
    done: u32,
    wall: Duration,
}

impl Course {
    /// Makes all calls, so many at once, and counts those that succeed.
    pub(super) async fn run<C>(calls: impl IntoIterator<Item = C>, at_once: usize) -> Self
    where
        C: Future<Output = Result<(), Failure>>,
    {
        let begun = Instant::now();
        let mut calls = stream::iter(calls).buffer_unordered(at_once);
        let mut done = 0;
        while let Some(ended) = calls.next().await {
            match ended {
                Ok(()) => done += 1,
                Err(error) => eprintln!("a call failed: {error}"),
            }
        }
        Self { done, wall: begun.elapsed() }
    }

    /// This one, and another one that began at its end.
    pub(super) fn and(&self, then: &Self) -> Self {
        Self { done: self.done + then.done, wall: self.wall + then.wall }
    }
}

/// All sides of one service.
pub(super) struct Table {
    pub(super) title: String,
    /// The least time in which the limit of the service allows all calls.
    pub(super) ideal: Duration,
    pub(super) polls: Polls,
    pub(super) sides: Vec<Side>,
}

/// Whether a scenario polls tasks.
#[derive(Clone, Copy)]
pub(super) enum Polls {
    None,
    Some,
}

impl Table {
    pub(super) fn print(&self, report: &mut Report) -> Result<(), Failure> {
        let rows: Vec<_> = self.sides.iter().map(|side| self.row(side)).collect();
        Ok(report.table(&self.title, &format!("ideal {:.1} s", self.ideal.as_secs_f64()), &rows)?)
    }

    fn row(&self, side: &Side) -> Row {
        let (counts, course) = (&side.counts, &side.course);
        let row = Row::new(side.subject)
            .one("requests", Unit::Count, counts.requests() as f64)
            .one("refused", Unit::Count, counts.throttled() as f64)
            .one("done", Unit::Count, course.done.into())
            .one("wall s", Unit::Seconds, course.wall.as_secs_f64())
            .one("of ideal", Unit::Ratio, course.wall.as_secs_f64() / self.ideal.as_secs_f64());
        match self.polls {
            Polls::None => row.none("early polls"),
            Polls::Some => row.one("early polls", Unit::Count, counts.early_polls() as f64),
        }
    }
}

pub(super) const LONGHAUL: &str = "longhaul, the profile";
