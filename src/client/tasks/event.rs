//! TaskEvent: what happened to a task of a set.

use std::fmt;

use crate::error::Error;
use crate::task::{Outcome, TaskHandle, Update};

/// The number of a task in its [set](super::Tasks): 0 for the first that was added, then 1, 2 and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(pub(super) u64);

impl TaskId {
    /// Returns the number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An event of a task of a [set](super::Tasks).
#[derive(Debug)]
#[non_exhaustive]
pub enum TaskEvent<T> {
    /// A submit was answered, or a poll.
    Update(Update),
    /// The task has its result. No further event of the task follows.
    Done(Box<Outcome<T>>),
    /// The submit failed, the task failed, or the wait for it ended. No further event of the task follows.
    Failed(FailedTask),
    /// The service did not accept the [cancel](super::Tasks::cancel_all). The task goes on.
    NotCanceled(Error),
}

/// A task of a [set](super::Tasks) that has no result.
#[derive(Debug)]
pub struct FailedTask {
    pub(super) error: Error,
    pub(super) handle: Option<TaskHandle>,
}

impl FailedTask {
    /// Returns the error: as of [`Client::submit`](crate::Client::submit), or as of the awaited
    /// [`Task`](crate::Task).
    #[must_use]
    pub const fn error(&self) -> &Error {
        &self.error
    }

    /// Returns the error by value.
    #[must_use]
    pub fn into_error(self) -> Error {
        self.error
    }

    /// Returns a handle to the task; `None` if it was not submitted.
    #[must_use]
    pub const fn handle(&self) -> Option<&TaskHandle> {
        self.handle.as_ref()
    }

    /// Acknowledges the failed task in the client's task store: [`TaskHandle::ack`].
    ///
    /// # Errors
    /// As [`TaskHandle::ack`].
    ///
    /// # Cancel safety
    /// As [`TaskHandle::ack`].
    pub async fn ack(&self) -> Result<(), Error> {
        match &self.handle {
            Some(handle) => handle.ack().await,
            None => Ok(()),
        }
    }
}
