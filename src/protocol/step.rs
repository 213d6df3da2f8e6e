//! Step: the consequence of an answer for the task; Report: the answer's statement about it; Finding: the result.

use std::time::Duration;

use bytes::Bytes;
use url::Url;

use super::words::State;
use crate::error::{ErrorKind, Fault};
use crate::message::Reply;
use crate::redact::{self, Hidden, SecretUrl, shown};

/// The consequence of an answer for the task: the next action.
#[derive(Clone)]
#[non_exhaustive]
pub enum Step {
    /// The task continues: poll the cursor's status URL again, no earlier than the report's hint.
    Wait(Report),
    /// Request this URL next, with GET, after this long: a redirect, or the result.
    Follow {
        /// The URL.
        url: Url,
        /// How long the service asked to wait before the request.
        after: Duration,
        /// The answer's report on the task, if it was a status.
        report: Option<Report>,
    },
    /// The task has a result.
    Done(Report, Finding),
    /// The service reports that the task failed, was canceled or expired.
    Ended(Report, Fault),
    /// Further waiting makes no sense; the task itself may be well.
    Stop {
        /// The kind of the error that the caller gets.
        kind: ErrorKind,
        /// The reason, in words.
        why: String,
        /// The service's description of the failure.
        fault: Fault,
    },
}

impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Wait(report) => write!(f, "Wait({report:?})"),
            Self::Follow { url, after, .. } => write!(f, "Follow({}, after {after:?})", shown(url)),
            Self::Done(report, finding) => write!(f, "Done({report:?}, {finding:?})"),
            Self::Ended(report, fault) => write!(f, "Ended({report:?}, {fault:?})"),
            Self::Stop { kind, why, .. } => write!(f, "Stop({kind:?}, {why})"),
        }
    }
}

/// The statements of one answer about the task.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    pub(crate) state: State,
    pub(crate) word: Option<Box<str>>,
    pub(crate) percent: Option<f64>,
    pub(crate) hint: Option<Duration>,
    pub(crate) warning: Option<Box<str>>,
    /// Whether an unknown word has not changed for as long as the protocol's patience.
    pub(crate) is_stuck: bool,
}

impl Report {
    pub(crate) const fn new(state: State) -> Self {
        Self { state, word: None, percent: None, hint: None, warning: None, is_stuck: false }
    }

    /// Returns the class of the state.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// Returns the service's own word for the state.
    #[must_use]
    pub fn word(&self) -> Option<&str> {
        self.word.as_deref()
    }

    /// Returns the task's progress, 0 to 100.
    #[must_use]
    pub const fn percent(&self) -> Option<f64> {
        self.percent
    }

    /// Returns how long the service asked to wait before the next poll.
    #[must_use]
    pub const fn hint(&self) -> Option<Duration> {
        self.hint
    }

    /// Returns a description of a tolerated flaw: a malformed header, or an answer that could not be read. For a
    /// success, the warning describes a doubt: an error in its answer, or nothing at a place that was named for the
    /// result.
    #[must_use]
    pub fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
    }

    pub(super) fn warn(&mut self, warning: impl Into<String>) {
        let warning = redact::scrub(&warning.into()).into_owned();
        self.warning = Some(match self.warning.take() {
            Some(before) => format!("{before}; {warning}").into(),
            None => warning.into(),
        });
    }
}

/// The result of a finished task: links, and the body that contains or describes the result.
#[derive(Clone, Default)]
pub struct Finding {
    pub(crate) links: Vec<SecretUrl>,
    /// Whether the one link is the URL of this answer, whose body was too large to hold.
    pub(crate) is_itself: bool,
    pub(crate) body: Option<Bytes>,
    /// The places that should have a link and have none: the body is then the status, and not the file.
    pub(crate) lacks_link: Option<Box<str>>,
    pub(crate) pages: Option<Url>,
    /// The first page, if it was already received.
    pub(crate) page: Option<Box<Reply>>,
    /// The secrets that the body may repeat.
    pub(crate) hidden: Hidden,
    /// Whether a foreign origin named the links: they are fetched without a credential, wherever they lead.
    pub(crate) is_bare: bool,
}

impl Finding {
    /// Returns the links, in the service's order.
    #[must_use]
    pub fn links(&self) -> &[SecretUrl] {
        &self.links
    }

    /// Returns the URL of the first page of a paged result.
    #[must_use]
    pub const fn pages(&self) -> Option<&Url> {
        self.pages.as_ref()
    }

    /// Returns the value as the service wrote it; `None` if there is none, or if it was too large to hold.
    #[must_use]
    pub const fn body(&self) -> Option<&Bytes> {
        self.body.as_ref()
    }
}

impl std::fmt::Debug for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = self.body.as_ref().map(Bytes::len);
        f.debug_struct("Finding").field("links", &self.links).field("body_bytes", &bytes).finish()
    }
}
