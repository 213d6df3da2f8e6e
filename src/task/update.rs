//! Update: what one poll told.

use std::time::Duration;

use http::StatusCode;

use crate::protocol::{Report, State};

/// What one poll told of a task.
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

    /// Whether it says again what was said before ([`Task::heartbeat`](crate::Task::heartbeat)).
    #[must_use]
    pub const fn is_heartbeat(&self) -> bool {
        self.heartbeat
    }

    /// The class of the state.
    #[must_use]
    pub const fn state(&self) -> State {
        self.report.state
    }

    /// The service's own word for it, verbatim.
    #[must_use]
    pub fn word(&self) -> Option<&str> {
        self.report.word.as_deref()
    }

    /// How far the task is, 0 to 100; `None` until the service says it once.
    ///
    /// An update whose answer names no progress keeps the last value, so that a progress bar does not fall back. The value
    /// itself is the service's, which may lower it. It is kept in this process: a resumed task begins without one.
    #[must_use]
    pub const fn percent(&self) -> Option<f64> {
        self.report.percent
    }

    /// How long the service asked to wait before the next poll, if this answer did.
    #[must_use]
    pub const fn hint(&self) -> Option<Duration> {
        self.report.hint
    }

    /// What was passed over: a malformed header, a poll that gave no status. The wait goes on. At the end, what makes a
    /// success doubtful: an error in its answer, nothing at a place that was named for the result.
    #[must_use]
    pub fn warning(&self) -> Option<&str> {
        self.report.warning.as_deref()
    }

    /// The HTTP status of the answer; `None` where none came.
    #[must_use]
    pub const fn status(&self) -> Option<StatusCode> {
        self.status
    }

    /// How long the task waits before the next poll; `None` after the last.
    #[must_use]
    pub const fn next_poll(&self) -> Option<Duration> {
        self.next_poll
    }

    /// How often the status was asked for by this task so far.
    #[must_use]
    pub const fn polls(&self) -> u32 {
        self.polls
    }
}
