//! The parts of an error of waiting: how to continue the wait, and how far it came.

use std::time::Duration;

use super::{ResumeToken, Update};
use crate::error::Error;

pub(super) struct Waited {
    pub(super) token: Option<ResumeToken>,
    pub(super) last: Update,
    pub(super) elapsed: Duration,
    pub(super) explained: String,
}

/// The data that an error of waiting for a task carries.
impl Error {
    /// Returns the token that resumes the wait, if the task can be resumed.
    #[must_use]
    pub fn token(&self) -> Option<&ResumeToken> {
        self.attached::<Waited>()?.token.as_ref()
    }

    /// Returns an explanation of how the answers were read: which rule matched, on which header or member
    /// ([`TaskHandle::explain`](crate::TaskHandle::explain)).
    #[must_use]
    pub fn explain(&self) -> Option<&str> {
        self.attached::<Waited>().map(|waited| waited.explained.as_str())
    }

    /// Returns the last update of the task.
    #[must_use]
    pub fn last_update(&self) -> Option<&Update> {
        self.attached::<Waited>().map(|waited| &waited.last)
    }

    /// Returns how long this process waited.
    #[must_use]
    pub fn elapsed(&self) -> Option<Duration> {
        self.attached::<Waited>().map(|waited| waited.elapsed)
    }

    /// Returns how often the status was requested.
    #[must_use]
    pub fn polls(&self) -> Option<u32> {
        self.attached::<Waited>().map(|waited| waited.last.polls)
    }
}
