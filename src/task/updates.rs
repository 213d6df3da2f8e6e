//! Updates: a task as a stream.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures::stream::{FusedStream, Stream};

use super::{Doing, Ready, Task, Update};
use crate::error::Error;

/// The updates of a task, as a stream that borrows it: [`Task::updates`].
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct Updates<'a, T>(&'a mut Task<T>);

/// The updates of a task, as a stream that owns it: [`Task::into_updates`].
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct TaskUpdates<T>(Task<T>);

impl<T> Task<T> {
    /// Returns the updates of the task as a stream. The first arrives at once, from the submit's answer; the last
    /// reports how the task ended, also if it failed.
    ///
    /// # Cancel safety
    /// Dropping the stream at any point loses nothing: another stream, or awaiting the task, continues.
    pub fn updates(&mut self) -> Updates<'_, T> {
        Updates(self)
    }

    /// Returns the updates of the task as a stream without a lifetime. [`TaskUpdates::into_task`] returns the task.
    pub fn into_updates(self) -> TaskUpdates<T> {
        TaskUpdates(self)
    }

    fn is_told(&self) -> bool {
        matches!((&self.doing, &self.ready), (Doing::Over(_), Ready::Nothing))
    }
}

impl<T> TaskUpdates<T> {
    /// Returns the task, for its outcome.
    pub fn into_task(self) -> Task<T> {
        self.0
    }
}

impl<T> Stream for Updates<'_, T> {
    type Item = Result<Update, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_advance(cx)
    }
}

impl<T> FusedStream for Updates<'_, T> {
    fn is_terminated(&self) -> bool {
        self.0.is_told()
    }
}

impl<T> Stream for TaskUpdates<T> {
    type Item = Result<Update, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_advance(cx)
    }
}

impl<T> FusedStream for TaskUpdates<T> {
    fn is_terminated(&self) -> bool {
        self.0.is_told()
    }
}
