//! Transport: the pipeline that every request to the API goes through.
//!
//! Its order matters: the credential is made sure of, *then* the permit is taken, then the credential is stamped on.

mod reqwest;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use tokio::time::Instant;

use crate::clock::Clock;
use crate::credential::Credential;
use crate::error::{Error, ErrorKind};
use crate::event::{Event, Mark, Marks};
use crate::hint::{HintRule, Hints};
use crate::message::{Body, Http, HttpError, Reply, Request, Response, Standing, Trust};
use crate::protocol::{Cookies, read_fault};
use crate::retry::{Failure, RetryPolicy, may_retry};
use crate::throttle::{Acquire, Asker, Permit, Throttle};

pub(crate) use reqwest::{Connector, Proxying, Purpose};

/// Everything below a task: the right to send, the credential, the sending, the retries.
pub(crate) struct Transport {
    pub(crate) http: Arc<dyn Http>,
    pub(crate) trust: Arc<Trust>,
    pub(crate) credential: Credential,
    /// What the credential is called, and by what its own limits know it.
    pub(crate) credential_label: Option<Arc<str>>,
    pub(crate) credential_id: String,
    /// Bound to the client's account.
    pub(crate) throttle: Throttle,
    pub(crate) retry: RetryPolicy,
    /// Where this service's answers tell of time and budgets, beside the known headers.
    pub(crate) hint_rules: Vec<HintRule>,
    pub(crate) marks: Marks,
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
            let outcome = by(deadline, self.attempt(next, deadline)).await?;
            if let (Some(jar), Ok(response)) = (&mut jar, &outcome) {
                jar.take(response.url(), response.headers());
            }
            let (failure, hint) = match &outcome {
                Ok(response) if response.status().as_u16() < 400 => (None, None),
                Ok(response) => (Some(Failure::Status(response.status())), response.hint()),
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
            self.marks.tell(Mark::Retrying);
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
        let (attempts, hint) = (response.attempts(), response.hint());
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
    pub(crate) async fn attempt(&self, request: Request, deadline: Option<Instant>) -> Result<Response, Broken> {
        self.trust.standing(request.url()).map_err(Broken::Refused)?;
        let permit = self.admit(&request, deadline).await.map_err(|error| {
            let error = if error.url().is_none() { error.with_url(request.url()) } else { error };
            Broken::Refused(error)
        })?;
        self.attempt_with(permit, request).await
    }

    /// Waits for the right to send a request: a ticket in the throttle's queue, not a built send.
    pub(crate) fn admit(&self, request: &Request, deadline: Option<Instant>) -> Acquire {
        let acquire = self.throttle.acquire_for(request.class(), &self.asker(request));
        let acquire = acquire.hold(self.timeout(request) + HOLD_GUARD);
        match deadline {
            Some(deadline) => acquire.deadline(deadline),
            None => acquire,
        }
    }

    /// One attempt, with the right to it in hand.
    pub(crate) async fn attempt_with(&self, mut permit: Permit, mut request: Request) -> Result<Response, Broken> {
        let standing = self.trust.standing(request.url()).map_err(Broken::Refused)?;
        let asked = request.url().clone();
        let (class, method) = (request.class(), request.method().clone());
        self.marks.tell(Mark::Waited { queued: permit.waited() });
        match standing {
            Standing::Own => self.credential.stamp(&mut request).map_err(Broken::Refused)?,
            Standing::Foreign => keep_plain(request.headers_mut()),
        }
        request.headers_mut().entry(header::USER_AGENT).or_insert_with(|| self.user_agent.clone());

        let timeout = self.timeout(&request);
        permit.sent();
        permit.charge(request.body().len() as u64);
        self.marks.tell(Mark::Sent { class });
        let sent = tokio::time::timeout(timeout, self.http.send(request)).await;
        match sent.unwrap_or_else(|_| Err(HttpError::timeout())) {
            Ok(response) => {
                let status = response.status();
                tracing::debug!(?class, status = status.as_u16(), url = %crate::redact::shown(&asked), "answered");
                self.marks.tell(Mark::Answered { status });
                let response = response.bounded(self.body_limit, self.idle_timeout);
                let (response, hints) = self.hints(response).await;
                self.hear(&mut permit, status, &hints, &method, &asked);
                let response = response.asked(asked).hinted(hints.delay());
                Ok(if permit.counts_bodies() { counted(response, permit) } else { response })
            }
            Err(error) => {
                if error.is_unsent() {
                    permit.unsent();
                }
                tracing::debug!(?class, %error, url = %crate::redact::shown(&asked), "no answer");
                self.marks.tell(Mark::Broke);
                Err(Broken::Lost(error))
            }
        }
    }

    /// What an answer says of time and budgets. Its body is looked at where it refuses and a rule of the service names a
    /// place there.
    async fn hints(&self, response: Response) -> (Response, Hints) {
        let now = self.clock.now();
        if self.hint_rules.is_empty() {
            let hints = Hints::of(response.headers(), now);
            return (response, hints);
        }
        let refused = matches!(response.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        if refused && self.hint_rules.iter().any(HintRule::is_of_the_body) {
            let (response, reply) = response.held(DRAIN).await;
            return (response, Hints::read(&reply, &self.hint_rules, now));
        }
        let reply = Reply::new(response.status(), response.url().clone(), response.headers().clone(), Bytes::new());
        (response, Hints::read(&reply, &self.hint_rules, now))
    }

    /// Lets the throttle know what a service says: one refusal for load stops everybody whom it concerns.
    fn hear(&self, permit: &mut Permit, status: StatusCode, hints: &Hints, method: &http::Method, asked: &url::Url) {
        let Some(stopped) = permit.hear(status, hints) else { return };
        permit.tell(|| Event::Refused {
            status,
            request: format!("{method} {}", crate::redact::shown(asked)).into(),
            credential: self.credential_label.clone(),
            limit: stopped.limit.clone(),
            blame: stopped.blame,
        });
        if stopped.is_new {
            let (limit, pause) = (&*stopped.limit, hints.delay());
            tracing::warn!(status = status.as_u16(), %limit, ?pause, blame = ?stopped.blame, "refused for load: all under it pause");
            self.marks.tell(Mark::Paused);
        }
    }

    fn asker<'a>(&'a self, request: &'a Request) -> Asker<'a> {
        Asker {
            owner: self.throttle.owner(),
            credential: &self.credential_id,
            host: request.url().host_str().unwrap_or_default(),
            method: Some(request.method()),
            path: request.url().path(),
            kind: request.kind(),
            task: request.task(),
        }
    }

    fn timeout(&self, request: &Request) -> Duration {
        self.attempt_timeout.max(held_for(request.headers()))
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
/// A refusal's body is worth a connection, and no more of a wait.
const DRAIN: Duration = Duration::from_secs(5);
/// A response whose body is counted as it comes, and holds its permit until its end.
fn counted(mut response: Response, permit: Permit) -> Response {
    let body = std::mem::take(response.body_mut());
    let chunks = futures::stream::try_unfold((body, permit), async |(mut body, mut permit)| {
        let chunk = body.chunk().await?;
        Ok(chunk.map(|chunk| {
            permit.charge(chunk.len() as u64);
            (chunk, (body, permit))
        }))
    });
    response.body_from(Body::stream(chunks))
}

/// An attempt that timed out may still be counted this much later.
const HOLD_GUARD: Duration = Duration::from_secs(1);
