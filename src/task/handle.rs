//! TaskHandle: a task from elsewhere.

use std::fmt;
use std::sync::Arc;

use super::{ResumeToken, Shared, Update};
use crate::error::{Error, ErrorKind};
use crate::redact::SecretUrl;
use crate::transport::Sending;

/// A task from elsewhere: to ask about it, put it away, cancel or nudge it, while somebody else awaits it.
///
/// Cheap to clone, `Send` and `Sync`. It does not keep the wait going.
#[derive(Clone)]
pub struct TaskHandle(Arc<Shared>);

impl TaskHandle {
    pub(super) const fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    /// The task's id at the service, if it gave one.
    #[must_use]
    pub fn id(&self) -> Option<String> {
        self.0.live().cursor.id().map(str::to_owned)
    }

    /// Where its status is asked for; `None` for one that finished at its submit.
    #[must_use]
    pub fn status_url(&self) -> Option<SecretUrl> {
        self.0.live().cursor.status_url()
    }

    /// What was last told of it.
    #[must_use]
    pub fn last_update(&self) -> Update {
        self.0.live().last.clone()
    }

    /// The task as data, to go on waiting in another process. Signed URLs are left out.
    #[must_use]
    pub fn token(&self) -> ResumeToken {
        self.0.token(&self.0.live(), false)
    }

    /// As [`token`](TaskHandle::token), with the signed URLs that are needed to go on: whoever reads it can read what
    /// they lead to.
    #[must_use]
    pub fn token_with_signed_urls(&self) -> ResumeToken {
        self.0.token(&self.0.live(), true)
    }

    /// Asks the service to give the task up. The wait goes on to the true end, which may still be a success.
    ///
    /// By default that is `DELETE` on the status URL; [`Protocol::cancel`](crate::Protocol::cancel) says otherwise. After
    /// the end of the task nothing is sent: there is nothing to give up, and a DELETE might remove the result.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where the protocol has no cancel, and those of any call.
    ///
    /// # Cancel safety
    /// Dropped in flight, the service may or may not have heard it; asking again is harmless.
    pub async fn cancel(&self) -> Result<(), Error> {
        let core = &self.0.core;
        let request = {
            let live = self.0.live();
            if live.ended {
                return Ok(());
            }
            core.protocol.cancel_request(&live.cursor, live.headers.as_deref().cloned().unwrap_or_default())
        };
        let Some(request) = request else {
            let why = format!("the protocol `{}` knows no cancel for this task", core.protocol.name());
            return Err(Error::new(ErrorKind::Unsupported, why));
        };
        let response = Sending::of(&core.transport, &request).call().await?;
        if !response.status().is_success() {
            let why = format!("the cancel was answered with {}", response.status().as_u16());
            return Err(Error::new(ErrorKind::Rejected, why).with_url(response.url()).with_status(response.status()));
        }
        self.0.live().cursor.cancel_was_asked();
        self.nudge();
        Ok(())
    }

    /// Why the answers so far were read as they were: which rule fired, on which header or member, and what to change
    /// where it is wrong. Some lines of text, without secrets.
    #[must_use]
    pub fn explain(&self) -> String {
        self.0.explain(&self.0.live())
    }

    /// Asks for a poll now, cutting short a pause of our own choice. What the service asked for is still kept.
    pub fn nudge(&self) {
        let waker = {
            let mut live = self.0.live();
            live.nudged = true;
            live.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl fmt::Debug for TaskHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskHandle").field("cursor", &self.0.live().cursor).finish_non_exhaustive()
    }
}
