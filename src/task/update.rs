//! Update: the report of one poll.

use std::time::Duration;

use http::StatusCode;

use crate::protocol::{Report, State};

/// The report of one poll of a task.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    pub(super) report: Report,
    pub(super) status: Option<StatusCode>,
    pub(super) next_poll: Option<Duration>,
    pub(super) polls: u32,
    pub(super) heartbeat: bool,
}

impl Update {
    pub(super) fn before_any() -> Self {
        let report = Report::new(State::Running);
        Self { report, status: None, next_poll: None, polls: 0, heartbeat: false }
    }

    pub(super) const fn again(mut self) -> Self {
        self.heartbeat = true;
        self
    }

    /// Returns whether the update repeats the previous one ([`Task::heartbeat`](crate::Task::heartbeat)).
    #[must_use]
    pub const fn is_heartbeat(&self) -> bool {
        self.heartbeat
    }

    /// Returns the class of the state.
    #[must_use]
    pub const fn state(&self) -> State {
        self.report.state
    }

    /// Returns the service's own word for the state, verbatim.
    #[must_use]
    pub fn word(&self) -> Option<&str> {
        self.report.word.as_deref()
    }

    /// Returns the task's progress, 0 to 100; `None` until the service reports it once.
    ///
    /// An update whose answer names no progress keeps the last value, so that a progress bar does not fall back. The
    /// value itself is the service's, which may lower it. Progress is kept in this process: a resumed task begins
    /// without one.
    #[must_use]
    pub const fn percent(&self) -> Option<f64> {
        self.report.percent
    }

    /// Returns how long the service asked to wait before the next poll, if this answer did.
    #[must_use]
    pub const fn hint(&self) -> Option<Duration> {
        self.report.hint
    }

    /// Returns a description of a tolerated flaw, such as a malformed header or a poll that returned no status; the
    /// wait continues. At the end, the warning describes a doubt about a success: an error in its answer, or nothing at
    /// a place that was named for the result.
    #[must_use]
    pub fn warning(&self) -> Option<&str> {
        self.report.warning.as_deref()
    }

    /// Returns the HTTP status of the answer; `None` if no answer arrived.
    #[must_use]
    pub const fn status(&self) -> Option<StatusCode> {
        self.status
    }

    /// Returns how long the task waits before the next poll; `None` after the last.
    #[must_use]
    pub const fn next_poll(&self) -> Option<Duration> {
        self.next_poll
    }

    /// Returns how often this task has requested the status so far.
    #[must_use]
    pub const fn polls(&self) -> u32 {
        self.polls
    }
}
