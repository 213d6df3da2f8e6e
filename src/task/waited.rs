//! What an error of waiting carries: how to go on, and how far it came.

use std::time::Duration;

use super::{ResumeToken, Update};
use crate::error::Error;

pub(super) struct Waited {
    pub(super) token: Option<ResumeToken>,
    pub(super) last: Update,
    pub(super) elapsed: Duration,
    pub(super) explained: String,
}

/// What an error of waiting for a task carries.
impl Error {
    /// The token with which the wait goes on, where there is something to go on with.
    #[must_use]
    pub fn token(&self) -> Option<&ResumeToken> {
        self.attached::<Waited>()?.token.as_ref()
    }

    /// Why the answers were read as they were: which rule fired, on which header or member
    /// ([`TaskHandle::explain`](crate::TaskHandle::explain)).
    #[must_use]
    pub fn explain(&self) -> Option<&str> {
        self.attached::<Waited>().map(|waited| waited.explained.as_str())
    }

    /// The last update of the task.
    #[must_use]
    pub fn last_update(&self) -> Option<&Update> {
        self.attached::<Waited>().map(|waited| &waited.last)
    }

    /// How long this process had waited.
    #[must_use]
    pub fn elapsed(&self) -> Option<Duration> {
        self.attached::<Waited>().map(|waited| waited.elapsed)
    }

    /// How often the status had been asked for.
    #[must_use]
    pub fn polls(&self) -> Option<u32> {
        self.attached::<Waited>().map(|waited| waited.last.polls)
    }
}
