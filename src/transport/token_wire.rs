//! TokenWire: the path of requests for tokens. No credential travels on it, so none can leak through it.

use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::StatusCode;
use tokio::time::Instant;
use url::Url;

use super::attempts::{AttemptOutcome, Attempts, repeat};
use super::broken::lost;
use super::retries::{Absence, Retries};
use super::wire::{DRAIN, Wire};
use crate::credential::SendToken;
use crate::error::{Error, ErrorKind, root_cause};
use crate::message::{HttpError, Priority, RESERVED_WHY, Reply, Request, is_reserved};
use crate::redact::secrets_on;
use crate::retry::{GiveUp, RetryBudget, RetryPolicy};

/// Sends requests for tokens through the throttle, as the most urgent class and with their own retries.
pub(crate) struct TokenWire {
    wire: Wire,
    attempt_timeout: Duration,
    /// The reason why a request is being repeated.
    trouble: Mutex<Option<String>>,
}

impl TokenWire {
    /// Creates a token wire from the client's wire, without the rules for the API's responses and without its
    /// credential.
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
        let request = Request::new(parts.method, url, Priority::Token).with_headers(parts.headers).with_body(body);
        let (policy, budget) = (RetryPolicy::standard(), RetryBudget::new(u32::MAX));
        // Callers wait for the token.
        let retries = Retries::new(&request, &policy, &budget, &self.wire.marks).most_asked(LONGEST_HINT);
        let mut sending = TokenSending { token_transport: self, request: &request, sent: 0 };
        let first = sending.again().await;
        repeat(&mut sending, retries, first).await.map(|(reply, _)| reply)
    }

    /// Returns the response with the wait that it asks for, or none.
    async fn attempt(&self, request: &Request) -> Result<Result<(Reply, Option<Duration>), HttpError>, Error> {
        let acquire = self.wire.acquire(request, self.attempt_timeout).deadline(Instant::now() + LONGEST_QUEUE);
        let mut permit = Some(acquire.await?);
        let ends = Instant::now() + self.attempt_timeout;
        let hidden = self.wire.hidden.and(secrets_on(request.headers()));
        let response =
            match self.wire.exchange(&mut permit, request, request.clone(), self.attempt_timeout, hidden).await {
                Ok(response) => response,
                Err(error) => return Ok(Err(error)),
            };
        let hint = response.hint();
        // A response that trickles counts as none.
        Ok(match tokio::time::timeout_at(ends, response.reply()).await {
            Ok(Ok(reply)) => Ok((reply, hint)),
            Ok(Err(_)) => Err(HttpError::broken()),
            Err(_) => Err(HttpError::timeout()),
        })
    }
}

/// One request for a token in progress.
struct TokenSending<'a> {
    token_transport: &'a TokenWire,
    request: &'a Request,
    sent: u32,
}

impl Attempts for TokenSending<'_> {
    /// The response with the wait that it asks for.
    type Answer = (Reply, Option<Duration>);

    fn read((reply, hint): &Self::Answer) -> (StatusCode, Option<Duration>) {
        (reply.status(), *hint)
    }

    fn sent(&self) -> u32 {
        self.sent
    }

    /// A token endpoint that accepts no connection uses up retries as any other failure does, because callers wait for
    /// it.
    fn absence(&mut self, _: &Result<Self::Answer, HttpError>) -> Option<Absence> {
        None
    }

    async fn keep(&mut self, failed: Result<Self::Answer, HttpError>) {
        self.token_transport.is_troubled_by(Some(match failed {
            Ok((reply, _)) => format!("it answered with {}", reply.status().as_u16()),
            Err(error) => root_cause(&error),
        }));
    }

    async fn again(&mut self) -> AttemptOutcome<Self::Answer> {
        self.sent += 1;
        match self.token_transport.attempt(self.request).await {
            Ok(outcome) => ControlFlow::Continue(outcome),
            Err(error) => ControlFlow::Break(Err(error)),
        }
    }

    fn give_up(&mut self, failed: Result<Self::Answer, HttpError>, _: GiveUp) -> Result<Self::Answer, Error> {
        failed.map_err(|error| lost(error, self.request, self.sent))
    }
}

/// The report of a request ends with the request, even if the request is dropped.
impl Drop for TokenSending<'_> {
    fn drop(&mut self) {
        self.token_transport.is_troubled_by(None);
    }
}

impl SendToken for TokenWire {
    fn exchange(&self, request: http::Request<Bytes>) -> BoxFuture<'_, Result<Reply, Error>> {
        Box::pin(self.send(request))
    }

    fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A token is some thousand bytes.
const MOST_OF_AN_ANSWER: usize = 256 * 1024;
/// Callers wait for the token, and may choose to wait longer themselves.
const LONGEST_HINT: Duration = Duration::from_secs(60);
/// Longer than the throttle pauses on its own (64 seconds), but not an hour that a service asked for.
const LONGEST_QUEUE: Duration = Duration::from_secs(2 * 60);
/// A token arrives soon, or not at all.
const LONGEST_ATTEMPT: Duration = Duration::from_secs(30);
