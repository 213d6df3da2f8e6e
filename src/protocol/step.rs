//! Step: what an answer means for the task; Report: what it says of the task; Finding: the result.

use std::time::Duration;

use bytes::Bytes;
use url::Url;

use super::words::State;
use crate::error::{ErrorKind, Fault};
use crate::message::Reply;
use crate::redact::{self, Hidden, SecretUrl, shown};

/// What an answer means for the task, and what to do next.
#[derive(Clone)]
#[non_exhaustive]
pub enum Step {
    /// The task goes on: look again at the cursor's status URL, no earlier than the report's hint.
    Wait(Report),
    /// Ask this URL next, with GET, after this long: a redirect, or the result.
    Follow {
        /// Where.
        url: Url,
        /// How long the service asked to wait before.
        after: Duration,
        /// What the answer said of the task, where it was a status.
        report: Option<Report>,
    },
    /// The task has a result.
    Done(Report, Finding),
    /// The service says that the task failed, was canceled or expired.
    Ended(Report, Fault),
    /// Waiting makes no sense any more; the task itself may be well.
    Stop {
        /// Which error the caller gets.
        kind: ErrorKind,
        /// Why, in words.
        why: String,
        /// What the service said.
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

/// What one answer said of the task.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    pub(crate) state: State,
    pub(crate) word: Option<Box<str>>,
    pub(crate) percent: Option<f64>,
    pub(crate) hint: Option<Duration>,
    pub(crate) warning: Option<Box<str>>,
    /// A word that nobody knows has stayed the same for as long as the protocol is patient.
    pub(crate) is_stuck: bool,
}

impl Report {
    pub(crate) const fn new(state: State) -> Self {
        Self { state, word: None, percent: None, hint: None, warning: None, is_stuck: false }
    }

    /// The class of the state.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// The service's own word for it.
    #[must_use]
    pub fn word(&self) -> Option<&str> {
        self.word.as_deref()
    }

    /// How far the task is, 0 to 100.
    #[must_use]
    pub const fn percent(&self) -> Option<f64> {
        self.percent
    }

    /// How long the service asked to wait before the next poll.
    #[must_use]
    pub const fn hint(&self) -> Option<Duration> {
        self.hint
    }

    /// What was passed over: a malformed header, an answer that could not be read; and what makes a success doubtful: an
    /// error in its answer, nothing at a place that was named for the result.
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

/// What a finished task left: links, and the body that holds or describes the result.
#[derive(Clone, Default)]
pub struct Finding {
    pub(crate) links: Vec<SecretUrl>,
    /// The one link is the URL of this answer, whose body was too large to hold.
    pub(crate) is_itself: bool,
    pub(crate) body: Option<Bytes>,
    pub(crate) pages: Option<Url>,
    /// The first page, where it came already.
    pub(crate) page: Option<Box<Reply>>,
    /// The secrets that the body may repeat.
    pub(crate) hidden: Hidden,
    /// A foreign origin named the links: they are fetched without a credential, wherever they lead.
    pub(crate) is_bare: bool,
}

impl Finding {
    /// The links, in the service's order.
    #[must_use]
    pub fn links(&self) -> &[SecretUrl] {
        &self.links
    }

    /// The URL of the first page, of a result that comes in pages.
    #[must_use]
    pub const fn pages(&self) -> Option<&Url> {
        self.pages.as_ref()
    }

    /// The value as the service wrote it; `None` where there is none, or it was too large to hold.
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
