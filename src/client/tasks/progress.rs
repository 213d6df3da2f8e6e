//! TasksProgress: how far a set of tasks has come.

/// How far a [set](super::Tasks) of tasks has come.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct TasksProgress {
    /// Tasks that are not submitted yet. Tasks that a [feed](super::Tasks::feed) has not made yet are not counted.
    pub queued: u64,
    /// Tasks that run at the service.
    pub running: u64,
    /// Tasks that have a result.
    pub done: u64,
    /// Tasks that have none, and never will have one here.
    pub failed: u64,
    /// The sum of the last percentages of all running tasks, 0 for those without one.
    pub(super) sum: f64,
}

impl TasksProgress {
    /// Returns how many tasks there are.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.queued + self.running + self.done + self.failed
    }

    /// Returns the mean progress of all tasks, 0 to 100: 0 for queued ones, 100 for ended ones, and for a running task
    /// its last [percentage](crate::Update::percent), 0 without one. 100 without any task.
    #[must_use]
    pub fn percent(&self) -> f64 {
        match self.total() {
            0 => 100.0,
            // No set has so many tasks that a float would not hold their number.
            #[expect(clippy::cast_precision_loss)]
            total => ((self.sum + 100.0 * (self.done + self.failed) as f64) / total as f64).clamp(0.0, 100.0),
        }
    }
}
