//! Durations: how long the tasks of a client took, by kind and size class.
//!
//! - A [`Span`](span::Span) is the time in which a task has ended, as far as the polls show it.
//! - A [`Sketch`] keeps the last spans of one kind and size class.
//! - [`Regimes`](regimes::Regimes) finds since when the spans are distributed as they are.
//! - A [`Shape`](shape::Shape) estimates the distribution, on a [`Grid`](grid::Grid).
//! - The [`Timetable`](timetable::Timetable) holds the polls that cost least.
//! - A [`probe`] is an additional poll of some tasks.

mod grid;
mod learned;
mod per_cell;
mod prior;
mod probe;
mod regimes;
mod shape;
#[cfg(test)]
mod simulation;
mod sketch;
mod span;
mod timetable;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

pub use learned::{LearnedDurations, TaskDurations};

use sketch::{MOST_SPANS, Sketch};
use span::Span;

/// The durations of the tasks of one client and its clones.
#[derive(Debug, Default)]
pub(crate) struct Durations(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    by_name: BTreeMap<Name, Entry>,
    uses: u64,
}

#[derive(Debug)]
struct Entry {
    sketch: Sketch,
    used: u64,
}

/// The kind and the size class of a task.
type Name = (String, Option<String>);

/// The way of one task through its polls.
#[derive(Debug, Default)]
pub(super) struct Course {
    size_class: Option<Box<str>>,
    /// The age at the last answer that showed the task pending.
    pending: Option<Duration>,
    /// The age of an additional poll; `None` before it is drawn.
    probe: Option<Option<f64>>,
    /// Whether durations decided the last pause.
    pub(super) is_learned: bool,
}

impl Course {
    pub(super) const fn new(size_class: Option<Box<str>>) -> Self {
        Self { size_class, pending: None, probe: None, is_learned: false }
    }

    pub(super) fn size_class(&self) -> Option<&str> {
        self.size_class.as_deref()
    }

    /// Notes that the task was pending at this age.
    pub(super) const fn is_pending(&mut self, age: Duration) {
        self.pending = Some(age);
    }
}

impl Durations {
    /// Returns the pause before the next poll of a task of this age, after an answer that showed it pending; `None`
    /// while fewer than two durations are known. `chance` is drawn from 0 to 1; `jitter` is another one, or 0.
    pub(super) fn pause(
        &self,
        kind: &str,
        course: &mut Course,
        poll_cost: Duration,
        age: Duration,
        now: Instant,
        (chance, jitter): (f64, f64),
    ) -> Option<Duration> {
        let cost = poll_cost.clamp(LEAST_COST, MOST_COST).as_secs_f64();
        let mut entries = self.entries();
        let sketch = entries.entry((kind, course.size_class.as_deref()))?;
        let table = sketch.table(cost, now)?;
        let probe = *course.probe.get_or_insert_with(|| sketch.begin(&table, chance));
        drop(entries);
        let age = age.as_secs_f64();
        // The polls of tasks that began together spread a little, at a price of 2.5 % of a poll.
        let next = table.next(age) + jitter * cost * JITTER;
        let next = probe.filter(|probe| *probe > age && *probe < next).unwrap_or(next);
        Duration::try_from_secs_f64(next - age).ok()
    }

    /// Learns from a task that has ended by this age. A task that no answer showed pending tells nothing.
    pub(super) fn learn(&self, kind: &str, course: &Course, by: Duration) {
        let size_class = course.size_class();
        let Some(span) = course.pending.and_then(|after| Span::new(after, by)) else { return };
        let mut entries = self.entries();
        if let Some(sketch) = entries.entry((kind, size_class)) {
            sketch.learn(span);
        } else {
            entries.insert((kind.to_owned(), size_class.map(str::to_owned)), Sketch::recalled([span]));
        }
    }

    /// Returns all durations as data.
    pub(crate) fn learned(&self) -> LearnedDurations {
        let entries = self.entries();
        let tasks = entries.by_name.iter().map(|((kind, size_class), entry)| TaskDurations {
            kind: kind.clone(),
            size_class: size_class.clone(),
            spans: entry.sketch.spans().collect(),
        });
        LearnedDurations(tasks.collect())
    }

    /// Replaces the durations of the kinds and size classes that the data names.
    pub(crate) fn recall(&self, learned: &LearnedDurations) {
        if learned.0.len() > MOST_ENTRIES {
            tracing::warn!(
                entries = learned.0.len(),
                "more learned durations than a client keeps: the rest is ignored"
            );
        }
        let mut entries = self.entries();
        for TaskDurations { kind, size_class, spans } in learned.0.iter().take(MOST_ENTRIES) {
            let longest = size_class.iter().chain([kind]).map(String::len).max().unwrap_or_default();
            if longest > LONGEST_NAME || spans.is_empty() || !spans.iter().all(|span| span.is_possible()) {
                tracing::warn!(kind, "learned durations are ignored: no client can have learned them");
                continue;
            }
            let last = spans.iter().skip(spans.len().saturating_sub(MOST_SPANS)).copied();
            entries.insert((kind.clone(), size_class.clone()), Sketch::recalled(last));
        }
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        // No code panics while it holds the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn entry(&mut self, (kind, size_class): (&str, Option<&str>)) -> Option<&mut Sketch> {
        let entry = self.by_name.get_mut(&(kind.to_owned(), size_class.map(str::to_owned)))?;
        self.uses += 1;
        entry.used = self.uses;
        Some(&mut entry.sketch)
    }

    /// Inserts an entry, in place of the one that was not used for longest if there are too many.
    fn insert(&mut self, name: Name, sketch: Sketch) {
        if self.by_name.len() >= MOST_ENTRIES && !self.by_name.contains_key(&name) {
            let oldest = self.by_name.iter().min_by_key(|(_, entry)| entry.used).map(|(name, _)| name.clone());
            oldest.map(|oldest| self.by_name.remove(&oldest));
        }
        self.uses += 1;
        self.by_name.insert(name, Entry { sketch, used: self.uses });
    }
}

/// Some 10 KiB each.
const MOST_ENTRIES: usize = 256;
/// The most bytes of the name of a kind or a size class.
pub(crate) const LONGEST_NAME: usize = 100;
/// Polls are never closer than the floor of a poll policy, so a smaller cost would change nothing.
const LEAST_COST: Duration = Duration::from_millis(100);
const MOST_COST: Duration = Duration::from_secs(24 * 60 * 60);
/// The jitter of a poll, as a share of its cost.
const JITTER: f64 = 0.05;
