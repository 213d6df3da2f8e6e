//! LongTasks: tasks that have been running for long and have not ended.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

/// Tasks that have been running for long.
#[derive(Debug, Default)]
pub(super) struct LongTasks(Vec<LongTask>);

#[derive(Debug)]
struct LongTask {
    number: u64,
    name: Arc<str>,
    age: Duration,
    /// When the task had that age.
    at: Instant,
}

impl LongTasks {
    pub(super) fn add(&mut self, number: u64, name: &str, age: Duration, now: Instant) {
        self.0.push(LongTask { number, name: name.into(), age, at: now });
    }

    pub(super) fn remove(&mut self, number: u64) {
        self.0.retain(|task| task.number != number);
    }

    /// Returns their names and ages now, in the order in which they became long.
    pub(super) fn all(&self, now: Instant) -> impl Iterator<Item = (&Arc<str>, Duration)> {
        self.0.iter().map(move |task| (&task.name, task.age + now.saturating_duration_since(task.at)))
    }
}
