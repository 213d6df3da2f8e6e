//! ManyAnswer: the answer to one request for the status of several tasks.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::time::Instant;
use url::Url;

use crate::error::Error;
use crate::hint::from_answer;
use crate::message::Reply;

/// The answer to one request for the status of several tasks, which each of them reads for itself.
pub(super) struct ManyAnswer {
    said: Said,
    at: Instant,
    /// How long the headers ask to wait.
    asked: Option<Duration>,
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
    pub(super) fn new(said: Said, now: SystemTime) -> Self {
        let asked = match &said {
            Said::Documents(reply, _) | Said::SameForAll(reply) => {
                from_answer(reply.status(), reply.headers(), now, |_| false).delay
            }
            Said::Unfit | Said::Silence(_) | Said::Refused(_) => None,
        };
        Self { said, at: Instant::now(), asked }
    }

    pub(super) const fn is_unfit(&self) -> bool {
        matches!(self.said, Said::Unfit)
    }

    /// Returns whether the request failed, and not for load: one for a single task may succeed.
    pub(super) fn is_failure(&self) -> bool {
        match &self.said {
            Said::SameForAll(reply) => !matches!(reply.status().as_u16(), 401 | 429 | 503),
            Said::Silence(_) => true,
            Said::Documents(..) | Said::Unfit | Said::Refused(_) => false,
        }
    }

    /// Returns the part of the task with this id, as if its own status URL had been answered.
    pub(super) fn part(&self, id: &str, status_url: Url) -> Part {
        // The task was not awaited meanwhile. The wait that the service asked for counts all the same.
        let age = self.at.elapsed();
        if age > STALE && self.asked.is_none_or(|asked| asked <= age) {
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
