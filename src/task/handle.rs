//! TaskHandle: access to a task from elsewhere.

use std::fmt;
use std::sync::Arc;

use super::{ResumeToken, TaskShared, Update};
use crate::error::{Error, ErrorKind};
use crate::redact::SecretUrl;
use crate::transport::Sending;

/// A handle to query, save, cancel or nudge a task while another part of the program awaits it.
///
/// The handle is cheap to clone, `Send` and `Sync`. The handle does not drive the wait.
#[derive(Clone)]
pub struct TaskHandle(Arc<TaskShared>);

impl TaskHandle {
    pub(super) const fn new(shared: Arc<TaskShared>) -> Self {
        Self(shared)
    }

    /// Returns the task's id at the service, if the service gave one.
    #[must_use]
    pub fn id(&self) -> Option<String> {
        self.0.live().cursor.id().map(str::to_owned)
    }

    /// Returns the task's status URL; `None` for a task that finished at its submit.
    #[must_use]
    pub fn status_url(&self) -> Option<SecretUrl> {
        self.0.live().cursor.status_url()
    }

    /// Returns the last update of the task.
    #[must_use]
    pub fn last_update(&self) -> Update {
        self.0.live().last.clone()
    }

    /// Returns the task as data, so that another process can continue the wait. Signed URLs are left out.
    #[must_use]
    pub fn token(&self) -> ResumeToken {
        self.0.token(&self.0.live(), false)
    }

    /// Returns a token with the signed URLs that are needed to continue: whoever reads the token can read the data
    /// behind them. Otherwise as [`token`](TaskHandle::token).
    #[must_use]
    pub fn token_with_signed_urls(&self) -> ResumeToken {
        self.0.token(&self.0.live(), true)
    }

    /// Asks the service to cancel the task. The wait continues to the true end, which may still be a success.
    ///
    /// By default, the request is `DELETE` on the status URL; [`Protocol::cancel`](crate::Protocol::cancel) sets
    /// another. After the end of the task, no request is sent: there is nothing to cancel, and a DELETE might remove
    /// the result.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if the protocol defines no cancel, and the errors of any call.
    ///
    /// # Cancel safety
    /// If the future is dropped in flight, the service may or may not have received the request; a second request is
    /// harmless.
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
            let why = format!(
                "the protocol `{}` has no request that cancels this task: see Protocol::cancel",
                core.protocol.name()
            );
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

    /// Returns the name under which the client's [task store](crate::ClientBuilder::task_store) keeps the task; `None`
    /// without a store.
    #[must_use]
    pub fn stored_as(&self) -> Option<String> {
        self.0.live().held.as_ref().map(|held| held.name().to_string())
    }

    /// Acknowledges the task in the client's [task store](crate::ClientBuilder::task_store): the application's own work
    /// for it is done, or given up, and no process recovers it any more. Without a store, nothing happens.
    ///
    /// A task that is not acknowledged is recovered after its process has ended, or after its value, its handles and
    /// its [`Outcome`](crate::Outcome) were dropped: also one that failed. So the application's work for it is done at
    /// least once, and acknowledged once.
    ///
    /// # Errors
    /// [`ErrorKind::TakenOver`] if another process has taken the task over: it does the work, too.
    /// [`ErrorKind::TaskStore`] if the store failed: the same call may succeed later.
    ///
    /// # Cancel safety
    /// If the future is dropped in flight, the store may or may not have the acknowledgement; a second one is harmless.
    pub async fn ack(&self) -> Result<(), Error> {
        let held = self.0.live().held.clone();
        match held {
            Some(held) => held.ack().await,
            None => Ok(()),
        }
    }

    /// Returns an explanation of how the answers so far were read: which rule matched, on which header or member, and
    /// what to change if the reading is wrong. Some lines of text, without secrets.
    #[must_use]
    pub fn explain(&self) -> String {
        self.0.explain(&self.0.live())
    }

    /// Requests a poll now, and cuts short a pause that the client chose itself. A wait that the service asked for
    /// still holds.
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
