//! ManyAnswer: the answer to one request for the status of several tasks.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use url::Url;

use crate::error::Error;
use crate::message::Reply;

/// The answer to one request for the status of several tasks, which each of them reads for itself.
pub(super) struct ManyAnswer {
    said: Said,
    at: Instant,
}

pub(super) enum Said {
    /// A document for each id, and the answer that they came in.
    Documents(Reply, BTreeMap<String, Bytes>),
    /// An answer that means the same for each task, such as a refusal for load.
    SameForAll(Reply),
    /// The service does not take the request: it says nothing about any task.
    Unfit,
    /// No answer; another attempt may help.
    Silence(String),
    /// No request could be made.
    Refused(Error),
}

/// The part of one task.
pub(super) enum Part {
    Reply(Box<Reply>),
    /// Nothing about this task: it is polled alone.
    Absent,
    Silence(String),
    Refused(Error),
}

impl ManyAnswer {
    pub(super) fn new(said: Said) -> Self {
        Self { said, at: Instant::now() }
    }

    pub(super) const fn is_unfit(&self) -> bool {
        matches!(self.said, Said::Unfit)
    }

    /// Returns the part of the task with this id, as if its own status URL had been answered.
    pub(super) fn part(&self, id: &str, status_url: Url) -> Part {
        // The task was not awaited meanwhile.
        if self.at.elapsed() > STALE {
            return Part::Absent;
        }
        match &self.said {
            Said::Documents(reply, documents) => match documents.get(id) {
                Some(document) => Part::Reply(Box::new(reply.part(status_url, document.clone()))),
                None => Part::Absent,
            },
            Said::SameForAll(reply) => Part::Reply(Box::new(reply.clone())),
            Said::Unfit => Part::Absent,
            Said::Silence(why) => Part::Silence(why.clone()),
            Said::Refused(error) => Part::Refused(error.clone()),
        }
    }
}

/// An answer that is read later than this is no news: the task polls again.
const STALE: Duration = Duration::from_secs(1);
