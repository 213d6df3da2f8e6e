//! Transport: the pipeline that every request to the API goes through.
//!
//! Its order matters: the credential is made sure of, *then* the permit is taken, then the credential is stamped on.

mod reqwest;

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use tokio::time::Instant;

use crate::clock::Clock;
use crate::credential::Credential;
use crate::error::{Error, ErrorKind};
use crate::event::{Event, Events};
use crate::hint;
use crate::message::{Http, HttpError, Request, Response, Standing, Trust};
use crate::protocol::{Cookies, read_fault};
use crate::retry::{Failure, RetryPolicy, may_retry};
use crate::throttle::Throttle;

pub(crate) use reqwest::{Connector, Proxying, Purpose};

/// Everything below a task: the right to send, the credential, the sending, the retries.
pub(crate) struct Transport {
    pub(crate) http: Arc<dyn Http>,
    pub(crate) trust: Arc<Trust>,
    pub(crate) credential: Credential,
    pub(crate) throttle: Throttle,
    pub(crate) retry: RetryPolicy,
    pub(crate) events: Events,
    pub(crate) clock: Clock,
    pub(crate) attempt_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) body_limit: usize,
    pub(crate) user_agent: HeaderValue,
}

/// Why an attempt has no answer.
#[derive(Debug)]
pub(crate) enum Broken {
    /// It may not be made.
    Refused(Error),
    /// It was made.
    Lost(HttpError),
}

impl Transport {
    /// Sends, and repeats what may be repeated. The last answer comes back whatever its status.
    ///
    /// `key` names the idempotency header, if the request carries one.
    pub(crate) async fn send(
        &self,
        request: Request,
        key: Option<&HeaderName>,
        deadline: Option<Instant>,
    ) -> Result<Response, Error> {
        self.send_with(request, key, deadline, None).await
    }

    /// As [`send`](Self::send), with the cookies of a task: what a refusal sets goes with the next attempt.
    pub(crate) async fn send_with(
        &self,
        request: Request,
        key: Option<&HeaderName>,
        deadline: Option<Instant>,
        mut jar: Option<&mut Cookies>,
    ) -> Result<Response, Error> {
        let keyed = key.is_some_and(|key| request.headers().contains_key(key));
        let mut pauses = self.retry.pauses().pauses(fastrand::u64(..));
        let mut attempts = 0;
        loop {
            attempts += 1;
            let mut next = request.clone();
            if let Some(jar) = &jar {
                jar.give(&mut next);
            }
            let outcome = by(deadline, self.attempt(next)).await?;
            if let (Some(jar), Ok(response)) = (&mut jar, &outcome) {
                jar.take(response.url(), response.headers());
            }
            let (failure, hint) = match &outcome {
                Ok(response) if response.status().as_u16() < 400 => (None, None),
                Ok(response) => {
                    let hint = hint::from_headers(response.headers(), self.clock.now()).delay;
                    (Some(Failure::Status(response.status())), hint)
                }
                Err(Broken::Refused(_)) => (None, None),
                Err(Broken::Lost(error)) if error.is_unsent() => (Some(Failure::Unsent), None),
                Err(Broken::Lost(_)) => (Some(Failure::Lost), None),
            };
            let again = failure.is_some_and(|failure| may_retry(request.method(), keyed, failure));
            let pause = pauses.next().max(hint).unwrap_or_default();
            let in_time = deadline.is_none_or(|deadline| Instant::now() + pause < deadline);
            if !again || attempts > self.retry.limit() || !in_time {
                return match outcome {
                    Ok(response) => Ok(response.after(attempts)),
                    Err(Broken::Refused(error)) => Err(error),
                    Err(Broken::Lost(error)) => Err(lost(error, &request).with_attempts(attempts)),
                };
            }
            tracing::info!(class = ?request.class(), attempts, ?pause, ?failure, "retrying");
            self.events.tell(Event::Retrying);
            if let Ok(response) = outcome {
                // Read to its end, so that the connection can be used again.
                by(deadline, async { drop(tokio::time::timeout(DRAIN, response.reply()).await) }).await?;
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Sends, and turns a 4xx or 5xx into an error.
    pub(crate) async fn call(
        &self,
        request: Request,
        key: Option<&HeaderName>,
        deadline: Option<Instant>,
    ) -> Result<Response, Error> {
        let response = self.send(request, key, deadline).await?;
        if response.status().as_u16() < 400 {
            return Ok(response);
        }
        let (attempts, hint) = (response.attempts(), hint::from_headers(response.headers(), self.clock.now()).delay);
        let reply = by(deadline, response.reply()).await??;
        let kind = match reply.status() {
            StatusCode::UNAUTHORIZED => ErrorKind::Unauthorized,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => ErrorKind::Throttled,
            _ => ErrorKind::Rejected,
        };
        Err(Error::new(kind, format!("answered with {}", reply.status().as_u16()))
            .with_url(reply.url())
            .with_status(reply.status())
            .with_attempts(attempts)
            .with_retry_after(hint)
            .with_fault(read_fault(&reply, reply.json().as_ref())))
    }

    /// One attempt: trust, permit, credential, send.
    pub(crate) async fn attempt(&self, mut request: Request) -> Result<Response, Broken> {
        let standing = self.trust.standing(request.url()).map_err(Broken::Refused)?;
        let asked = request.url().clone();
        let class = request.class();

        let queued = Instant::now();
        let timeout = self.attempt_timeout.max(held_for(request.headers()));
        let mut permit = self.throttle.acquire().hold(timeout + HOLD_GUARD).await;
        self.events.tell(Event::Waited { queued: queued.elapsed() });
        match standing {
            Standing::Own => self.credential.stamp(&mut request).map_err(Broken::Refused)?,
            Standing::Foreign => keep_plain(request.headers_mut()),
        }
        request.headers_mut().entry(header::USER_AGENT).or_insert_with(|| self.user_agent.clone());

        permit.sent();
        self.events.tell(Event::Sent { class });
        let sent = tokio::time::timeout(timeout, self.http.send(request)).await;
        match sent.unwrap_or_else(|_| Err(HttpError::timeout())) {
            Ok(response) => {
                permit.answered();
                let status = response.status();
                tracing::debug!(?class, status = status.as_u16(), url = %crate::redact::shown(&asked), "answered");
                self.events.tell(Event::Answered { status });
                let refused = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
                if refused && standing == Standing::Own {
                    self.pause(&response);
                }
                Ok(response.bounded(self.body_limit, self.idle_timeout).asked(asked))
            }
            Err(error) => {
                if error.is_unsent() {
                    permit.unsent();
                }
                tracing::debug!(?class, %error, url = %crate::redact::shown(&asked), "no answer");
                self.events.tell(Event::Broke);
                Err(Broken::Lost(error))
            }
        }
    }

    /// One refusal for load stops everybody, for as long as the service asks.
    fn pause(&self, response: &Response) {
        let hint = hint::from_headers(response.headers(), self.clock.now()).delay;
        let pause = hint.unwrap_or(PAUSE_WITHOUT_HINT);
        if self.throttle.pause(Instant::now() + pause) {
            tracing::warn!(status = response.status().as_u16(), ?pause, "refused for load: everybody pauses");
            self.events.tell(Event::Paused);
        }
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

/// What an attempt without an answer becomes, when it is the last.
pub(crate) fn lost(error: HttpError, request: &Request) -> Error {
    let what = match (error.is_unsent(), request.method().is_idempotent()) {
        (true, _) => "the request was not sent",
        (false, true) => "it broke off",
        (false, false) => "it broke off, and the service may have acted; it was not repeated",
    };
    let what = format!("{what}: {}", crate::error::root_cause(&error));
    let unsent = error.is_unsent();
    Error::new(ErrorKind::Network, what).with_url(request.url()).with_unsent(unsent).with_source(error)
}

/// Ends with an error at the deadline.
pub(crate) async fn by<T>(deadline: Option<Instant>, future: impl Future<Output = T>) -> Result<T, Error> {
    let Some(deadline) = deadline else { return Ok(future.await) };
    tokio::time::timeout_at(deadline, future)
        .await
        .map_err(|_| Error::new(ErrorKind::DeadlineExceeded, "no answer before the deadline"))
}

/// How long the service was asked to hold its answer (`Prefer: wait=10`, RFC 7240), with some time for the way.
fn held_for(headers: &HeaderMap) -> Duration {
    let preferences = headers.get_all("prefer").into_iter().filter_map(|value| value.to_str().ok());
    let waits =
        preferences.flat_map(|value| value.split([',', ';'])).filter_map(|part| part.trim().strip_prefix("wait="));
    let longest = waits.filter_map(|wait| wait.trim_matches('"').parse::<u32>().ok()).max();
    longest.map_or(Duration::ZERO, |wait| Duration::from_secs(wait.into()) + HELD_GUARD)
}

/// What may go to another origin: nothing that the caller or a credential put there.
fn keep_plain(headers: &mut HeaderMap) {
    const PLAIN: [HeaderName; 5] =
        [header::ACCEPT, header::RANGE, header::IF_MATCH, header::IF_UNMODIFIED_SINCE, header::ACCEPT_ENCODING];
    let kept: HeaderMap =
        PLAIN.into_iter().filter_map(|name| headers.remove(&name).map(|value| (name, value))).collect();
    *headers = kept;
}

/// An answer that is held to the last moment still has to come.
const HELD_GUARD: Duration = Duration::from_secs(10);
/// A 429 without a word of how long.
const PAUSE_WITHOUT_HINT: Duration = Duration::from_secs(1);
/// A refusal's body is worth a connection, and no more of a wait.
const DRAIN: Duration = Duration::from_secs(5);
/// An attempt that timed out may still be counted this much later.
const HOLD_GUARD: Duration = Duration::from_secs(1);
