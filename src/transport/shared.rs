//! Transport: the state that all requests of a client share.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use tokio::time::Instant;

use super::answer_cache::AnswerCache;
use super::headers::held_for;
use super::outage::Outages;
use super::retries::Retries;
use super::wire::Wire;
use crate::credential::{Credential, TokenTransport};
use crate::error::{Error, ErrorKind};
use crate::message::{Request, Trust};
use crate::retry::{RetryBudget, RetryPolicy};
use crate::throttle::{Acquire, Permit};

/// Everything below a task: permits, the credential, sending and retries.
pub(crate) struct Transport {
    pub(crate) wire: Wire,
    pub(crate) trust: Arc<Trust>,
    /// The headers that each request to the API's own origins carries, unless it sets them itself.
    pub(crate) headers: HeaderMap,
    pub(crate) credential: Credential,
    /// The transport of requests for tokens.
    pub(crate) token_transport: TokenTransport,
    pub(crate) retry: RetryPolicy,
    pub(crate) budget: RetryBudget,
    pub(crate) outages: Outages,
    pub(crate) attempt_timeout: Duration,
    /// The answers to calls that are kept for a while.
    pub(crate) cache: AnswerCache,
}

impl Transport {
    /// Waits for the permit of a request: a ticket in the throttle's queue, not a built send.
    pub(crate) fn admit(&self, request: &Request, deadline: Option<Instant>) -> Acquire {
        // The token that the request will need is fetched while the request waits.
        if self.credential.is_live() && !request.is_bare() && self.trust.is_own(request.url()) {
            self.credential.prefetch(&self.token_transport);
        }
        self.acquire(request, deadline)
    }

    /// Returns a deadline error that includes why there was no token before the deadline.
    pub(crate) fn late(&self, late: Error) -> Error {
        match self.credential.trouble(&self.token_transport) {
            Some(why) => {
                let why = format!("{}; no token came from the token endpoint: {why}", late.message());
                Error::new(ErrorKind::DeadlineExceeded, why)
            }
            None => late,
        }
    }

    pub(super) fn acquire(&self, request: &Request, deadline: Option<Instant>) -> Acquire {
        let acquire = self.wire.acquire(request, self.timeout(request));
        match deadline {
            Some(deadline) => acquire.deadline(deadline),
            None => acquire,
        }
    }

    /// Returns the permit of a request, if one is available now and no other request is ahead.
    pub(super) fn try_acquire(&self, request: &Request) -> Option<Permit> {
        self.wire.try_acquire(request, self.timeout(request))
    }

    /// Returns how long an attempt may take until its response.
    pub(super) fn timeout(&self, request: &Request) -> Duration {
        self.attempt_timeout.max(held_for(request.headers()))
    }

    /// Returns the retries of a request, by the client's policy and budget.
    pub(super) fn retries<'a>(&'a self, request: &'a Request) -> Retries<'a> {
        Retries::new(request, &self.retry, &self.budget, &self.wire.marks)
    }
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transport")
            .field("trust", &self.trust)
            .field("credential", &self.credential)
            .finish_non_exhaustive()
    }
}
