//! Sketch: the last durations of one kind and size class, and the polls that follow from them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::probe::probe;
use super::span::Span;
use super::timetable::Timetable;

/// The durations of the last tasks of one kind and size class.
#[derive(Debug, Default)]
pub(super) struct Sketch {
    spans: VecDeque<Span>,
    /// The number of tasks that asked for their polls, which decides which tasks are probed.
    begun: u64,
    table: Option<Kept>,
}

/// A timetable, until durations are learned that it does not know.
#[derive(Debug)]
struct Kept {
    table: Option<Arc<Timetable>>,
    cost: f64,
    made: Instant,
    is_stale: bool,
}

impl Sketch {
    pub(super) fn recalled(spans: impl IntoIterator<Item = Span>) -> Self {
        let mut sketch = Self::default();
        spans.into_iter().for_each(|span| sketch.learn(span));
        sketch.begun = u64::try_from(sketch.spans.len()).unwrap_or_default();
        sketch
    }

    pub(super) fn learn(&mut self, span: Span) {
        while self.spans.len() >= MOST_SPANS {
            self.spans.pop_front();
        }
        self.spans.push_back(span);
        if let Some(kept) = &mut self.table {
            kept.is_stale = true;
        }
    }

    /// Oldest first.
    pub(super) fn spans(&self) -> impl Iterator<Item = Span> {
        self.spans.iter().copied()
    }

    /// Returns the timetable for this poll cost; `None` while too few durations are known.
    pub(super) fn table(&mut self, cost: f64, now: Instant) -> Option<Arc<Timetable>> {
        let is_good = |kept: &&Kept| kept.cost == cost && (!kept.is_stale || now < kept.made + LIFE);
        if let Some(kept) = self.table.as_ref().filter(is_good) {
            return kept.table.clone();
        }
        let spans: Vec<_> = self.spans.iter().map(|span| span.seconds()).collect();
        let table = Timetable::of(&spans, cost).map(Arc::new);
        self.table = Some(Kept { table: table.clone(), cost, made: now, is_stale: false });
        table
    }

    /// Counts a task, and returns the age of an additional poll if it is the task's turn to be probed.
    pub(super) fn begin(&mut self, table: &Timetable, chance: f64) -> Option<f64> {
        let turn = self.begun;
        self.begun = self.begun.saturating_add(1);
        probe(table, turn, chance)
    }
}

/// More durations describe a distribution better, and remember an earlier one for longer.
pub(super) const MOST_SPANS: usize = 96;
/// The least age at which a timetable is made anew, so that thousands of short tasks do not make one each.
const LIFE: Duration = Duration::from_secs(1);
