//! TokenRoad: how requests for tokens go out. No credential is on it, so that none can leak by it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::time::Instant;
use url::Url;

use super::{DRAIN, Wire, lost};
use crate::credential::Exchange;
use crate::error::{Error, ErrorKind};
use crate::event::{Asked, Mark};
use crate::message::{Class, HttpError, RESERVED_WHY, Reply, Request, is_reserved};
use crate::redact::secrets_on;
use crate::retry::{Case, Decision, Failure, RetryPolicy, decide};

/// Sends requests for tokens: through the throttle as the most urgent class, with retries of its own.
pub(crate) struct TokenRoad {
    wire: Wire,
    attempt_timeout: Duration,
    /// Why a request is being repeated.
    trouble: Mutex<Option<String>>,
}

impl TokenRoad {
    /// Over the client's own wire, without what it knows of the API's answers and of its credential.
    pub(crate) fn over(wire: &Wire, attempt_timeout: Duration) -> Self {
        let wire = Wire {
            credential_id: "".into(),
            credential_label: None,
            envelopes: Vec::new(),
            hint_rules: Vec::new(),
            idle_timeout: wire.idle_timeout.min(DRAIN),
            body_limit: MOST_OF_AN_ANSWER,
            ..wire.clone()
        };
        Self { wire, attempt_timeout: attempt_timeout.min(LONGEST_ATTEMPT), trouble: Mutex::default() }
    }

    fn is_troubled_by(&self, what: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = what;
    }

    async fn send(&self, request: http::Request<Bytes>) -> Result<Reply, Error> {
        let (parts, body) = request.into_parts();
        if let Some(name) = parts.headers.keys().find(|name| is_reserved(name)) {
            return Err(Error::new(
                ErrorKind::Request,
                format!("the header `{name}` of a request for a token {RESERVED_WHY}"),
            ));
        }
        let url = Url::parse(&parts.uri.to_string())
            .map_err(|error| Error::new(ErrorKind::Request, "the token endpoint is no URL").with_source(error))?;
        let request = Request::new(parts.method, url, Class::Token).with_headers(parts.headers).with_body(body);
        let policy = RetryPolicy::standard();
        let mut pauses = policy.pauses().pauses(fastrand::u64(..));
        let mut attempts = 0;
        let _told = Told(self);
        let outcome = loop {
            attempts += 1;
            let outcome = self.attempt(&request).await?;
            let (failure, hint) = match &outcome {
                Ok((reply, _)) if reply.status().as_u16() < 400 => break outcome,
                Ok((reply, hint)) => (Failure::Status(reply.status()), *hint),
                Err(error) if error.is_unsent() => (Failure::Unsent, None),
                Err(_) => (Failure::Lost, None),
            };
            let decision = decide(&Case {
                method: request.method(),
                class: Class::Token,
                keyed: false,
                failure,
                hint,
                step: pauses.next(),
                patience: None,
                retries: policy.limit().saturating_sub(attempts - 1),
                budget: u32::MAX,
                // Callers wait for it.
                give_up_over: Some(LONGEST_HINT),
                time: None,
            });
            let Decision::Retry { after: pause, reason, .. } = decision else {
                break outcome;
            };
            self.is_troubled_by(Some(match &outcome {
                Ok((reply, _)) => format!("it answered with {}", reply.status().as_u16()),
                Err(error) => crate::error::root_cause(error),
            }));
            tracing::info!(attempts, ?pause, %reason, "retrying for a token");
            self.wire.marks.tell(Mark::Retrying { asked: Asked::of(&request), reason, attempts, pause });
            tokio::time::sleep(pause).await;
        };
        outcome.map(|(reply, _)| reply).map_err(|error| lost(error, &request, attempts))
    }

    /// The answer with what it asks to wait, or none.
    async fn attempt(&self, request: &Request) -> Result<Result<(Reply, Option<Duration>), HttpError>, Error> {
        let acquire = self.wire.acquire(request, self.attempt_timeout).deadline(Instant::now() + LONGEST_QUEUE);
        let permit = acquire.await?;
        let ends = Instant::now() + self.attempt_timeout;
        let hidden = self.wire.hidden.and(secrets_on(request.headers()));
        let response = match self.wire.carry(permit, request, request.clone(), self.attempt_timeout, hidden).await {
            Ok(response) => response,
            Err(error) => return Ok(Err(error)),
        };
        let hint = response.hint();
        // One that trickles is as good as none.
        Ok(match tokio::time::timeout_at(ends, response.reply()).await {
            Ok(Ok(reply)) => Ok((reply, hint)),
            Ok(Err(_)) => Err(HttpError::broken()),
            Err(_) => Err(HttpError::timeout()),
        })
    }
}

/// What is told of a request ends with it, also where it is dropped.
struct Told<'a>(&'a TokenRoad);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        self.0.is_troubled_by(None);
    }
}

impl Exchange for TokenRoad {
    fn exchange(&self, request: http::Request<Bytes>) -> BoxFuture<'_, Result<Reply, Error>> {
        Box::pin(self.send(request))
    }

    fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A token is some thousand bytes.
const MOST_OF_AN_ANSWER: usize = 256 * 1024;
/// Callers wait for the token: a longer wait is theirs to choose.
const LONGEST_HINT: Duration = Duration::from_secs(60);
/// Longer than the throttle pauses by its own choice (64 seconds), and no hour that a service asked for.
const LONGEST_QUEUE: Duration = Duration::from_secs(2 * 60);
/// A token comes at once, or not.
const LONGEST_ATTEMPT: Duration = Duration::from_secs(30);
