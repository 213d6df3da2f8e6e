//! Sending: one request on its way to the API.

use std::ops::ControlFlow;
use std::pin::pin;
use std::time::Duration;

use http::{HeaderName, StatusCode, header};
use tokio::time::Instant;
use tracing::Instrument;

use super::attempts::{AttemptOutcome, Attempts, repeat};
use super::broken::{Broken, lost};
use super::headers::keep_plain;
use super::late::{by, late_after};
use super::outage::Pass;
use super::rejection::rejection;
use super::retries::Absence;
use super::shared::Transport;
use super::span;
use super::wire::DRAIN;
use crate::clock::{NO_RUNTIME, has_runtime};
use crate::credential::{AttachedTokens, Credential};
use crate::error::{Error, ErrorKind};
use crate::event::{Observation, RequestInfo, RetryReason};
use crate::message::{HttpError, Request, Response, Standing, is_transient};
use crate::protocol::Cookies;
use crate::redact::secrets_on;
use crate::retry::GiveUp;
use crate::throttle::Permit;

/// One request on its way to the API. [`send`](Sending::send) repeats an [`attempt`](Sending::attempt). An attempt
/// makes one [`exchange`](Sending::exchange), and one more after a token that was refused.
pub(crate) struct Sending<'a> {
    transport: &'a Transport,
    request: &'a Request,
    /// The header that carries an idempotency key.
    key: Option<&'a HeaderName>,
    deadline: Option<Instant>,
    /// The cookies of a task: cookies that a response sets go with the next attempt.
    jar: Option<&'a mut Cookies>,
    /// The permit of the next attempt, held until its response. The first permit may have been acquired before.
    permit: Option<Permit>,
    /// How often the request was sent.
    sent: u32,
    /// Whether the service may have acted on an attempt that was no success: it got no answer, or one that leaves it open.
    is_open: bool,
    /// Since when the host accepts no connection.
    unreachable: Option<Instant>,
    /// The last response, in case no later attempt gets one.
    last: Option<Response>,
    /// Why the last attempt without a response had none.
    cause: Option<Box<HttpError>>,
}

impl<'a> Sending<'a> {
    pub(crate) const fn of(transport: &'a Transport, request: &'a Request) -> Self {
        Self {
            transport,
            request,
            key: None,
            deadline: None,
            jar: None,
            permit: None,
            sent: 0,
            is_open: false,
            unreachable: None,
            last: None,
            cause: None,
        }
    }

    /// Sets the header of the idempotency key, if the request carries one.
    pub(crate) const fn key(mut self, key: Option<&'a HeaderName>) -> Self {
        self.key = key;
        self
    }

    pub(crate) const fn until(mut self, deadline: Option<Instant>) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets the cookies of a task.
    pub(crate) fn jar(mut self, jar: Option<&'a mut Cookies>) -> Self {
        self.jar = jar;
        self
    }

    /// Sets the permit of the first attempt, if it was acquired before.
    pub(crate) fn permit(mut self, permit: Option<Permit>) -> Self {
        self.permit = permit;
        self
    }

    /// Sends the request, and turns a 4xx or 5xx into an error.
    pub(crate) async fn call(&mut self) -> Result<Response, Error> {
        let response = self.send().await?;
        if response.status().as_u16() < 400 {
            return Ok(response.until(self.deadline));
        }
        let sent_none =
            self.transport.credential.is_none() && !self.request.headers().contains_key(header::AUTHORIZATION);
        Err(Box::pin(rejection(response, sent_none, self.deadline)).await)
    }

    /// Returns whether the service may have acted on the request, although no attempt was a success.
    pub(crate) const fn may_have_acted(&self) -> bool {
        self.is_open
    }

    /// Sends the request, and repeats it as the policy allows. The last response is returned whatever its status, even
    /// if a later attempt got none.
    pub(crate) async fn send(&mut self) -> Result<Response, Error> {
        if !has_runtime() {
            return Err(Error::new(ErrorKind::Config, NO_RUNTIME));
        }
        let first = by(self.deadline, pin!(self.attempt())).await;
        let failed = match first {
            Ok(Ok(response)) if response.status().as_u16() < 400 => {
                self.transport.budget.give_back(0);
                return Ok(response);
            }
            Ok(Ok(response)) => Ok(response),
            Ok(Err(Broken::Lost(error))) => Err(error),
            Ok(Err(Broken::Refused(error))) => return Err(error),
            Err(late) => return Err(self.late_without_answer(late)),
        };
        let keyed = self.key.is_some_and(|key| self.request.headers().contains_key(key));
        let retries = self.transport.retries(self.request).keyed(keyed).until(self.deadline);
        // Boxed, so that the retry loop does not enlarge every request's future.
        Box::pin(repeat(self, retries, ControlFlow::Continue(failed))).await
    }

    /// Makes one attempt: trust, credential, permit, the credential again, exchange. A refused token is replaced, and
    /// the request is sent once more.
    pub(crate) async fn attempt(&mut self) -> Result<Response, Broken> {
        const NONE: &Credential = &Credential::none();
        let (transport, request) = (self.transport, self.request);
        let standing = match transport.trust.standing(request.url()).map_err(Broken::Refused)? {
            _ if request.is_bare() => Standing::Foreign,
            standing => standing,
        };
        let credential = if standing == Standing::Own { &transport.credential } else { NONE };
        let mut sends = 0;
        loop {
            let mut tokens = match credential.peek(&transport.token_transport) {
                Some(tokens) => tokens,
                None => {
                    // A request must not wait for a token while it holds a permit: it would block others, perhaps the
                    // request for that token.
                    self.permit = None;
                    let ready = Box::pin(credential.get(&transport.token_transport)).await;
                    ready.map_err(|error| self.without_token(error, sends))?
                }
            };
            let pass = self.admitted().await?;
            // The token may have aged in the queue, or have been refused to another request.
            if !credential.is_good(&tokens, &transport.token_transport) {
                match credential.peek(&transport.token_transport) {
                    Some(fresh) => tokens = fresh,
                    // The permit is released while the request waits for a token.
                    None => continue,
                }
            }
            sends += 1;
            let response = self.exchange(pass, standing, &tokens).await?.after(sends);
            let again = match response.status().as_u16() {
                401 if sends > 1 => {
                    credential.refuse_again(request);
                    false
                }
                401 => credential.refuse(&tokens, request),
                status => {
                    // A service that refuses for load or fails may not have checked the token.
                    if status < 500 && status != 429 {
                        tokens.accept();
                    }
                    false
                }
            };
            if !again {
                if let Some(jar) = &mut self.jar {
                    jar.take(response.url(), response.headers());
                }
                return Ok(response);
            }
            tracing::info!(class = ?request.priority(), "the token was refused: another is fetched");
            let (reason, pause) = (RetryReason::Unauthorized, Duration::ZERO);
            transport.wire.marks.record(Observation::Retrying {
                asked: RequestInfo::of(request),
                reason,
                attempts: sends,
                pause,
            });
            drop(Box::pin(response.held(DRAIN)).await);
        }
    }

    /// Sends once, with a permit and valid tokens.
    async fn exchange(
        &mut self,
        pass: Pass<'a>,
        standing: Standing,
        tokens: &AttachedTokens,
    ) -> Result<Response, Broken> {
        let (transport, request) = (self.transport, self.request);
        let mut outgoing = request.clone();
        if let Some(jar) = &self.jar {
            jar.give(&mut outgoing);
        }
        let mut secrets = secrets_on(outgoing.headers());
        let timeout = match standing {
            Standing::Own => {
                for (name, value) in &transport.headers {
                    outgoing.headers_mut().entry(name).or_insert_with(|| value.clone());
                }
                let made = transport.credential.stamp(&mut outgoing, tokens);
                secrets.extend(made.map_err(Broken::Refused)?);
                transport.timeout(request)
            }
            Standing::Foreign => {
                keep_plain(outgoing.headers_mut());
                transport.attempt_timeout
            }
        };
        self.sent += 1;
        // An exchange that is dropped half-way leaves it open, too.
        let was_open = std::mem::replace(&mut self.is_open, true);
        let hidden = transport.wire.hidden.and(secrets);
        let _writing = transport.cache.writing(request);
        let answer = transport.wire.exchange(&mut self.permit, request, outgoing, timeout, hidden).await;
        match &answer {
            Ok(response) => {
                self.is_open = was_open || leaves_open(response.status());
                pass.connected(request.url());
            }
            Err(error) if error.is_unsent() => {
                self.is_open = was_open;
                self.sent -= 1;
                if error.is_absence() {
                    pass.refused(request.url());
                } else {
                    pass.connected(request.url());
                }
            }
            Err(_) => pass.broke(request.url()),
        }
        answer.map_err(Broken::Lost)
    }

    /// Acquires the right to send: from the throttle, whose permit is kept here, and from the host.
    async fn admitted(&mut self) -> Result<Pass<'a>, Broken> {
        let (transport, request) = (self.transport, self.request);
        loop {
            if self.permit.is_none() {
                self.permit = transport.try_acquire(request);
            }
            if self.permit.is_none() {
                self.permit = Some(Box::pin(self.queued()).await?);
            }
            if let Some(pass) = transport.outages.try_pass(request.url(), || self.patience()) {
                return Ok(pass);
            }
            // A request must not wait for a host while it holds a permit that others could use.
            self.permit = None;
            let patience = self.patience();
            Box::pin(transport.outages.wait(request.url(), patience)).await;
        }
    }

    async fn queued(&mut self) -> Result<Permit, Broken> {
        let request = self.request;
        let permit = self.transport.acquire(request, self.deadline).instrument(span::queue(request)).await;
        permit
            .map_err(|error| Broken::Refused(if error.url().is_none() { error.with_url(request.url()) } else { error }))
    }

    /// Returns until when the request waits for its host, which accepts no connection.
    fn patience(&mut self) -> Instant {
        *self.unreachable.get_or_insert_with(Instant::now) + self.transport.retry.patience()
    }

    /// Returns the failure of an attempt that got no token, after `sends` sends.
    fn without_token(&self, error: Error, sends: u32) -> Broken {
        let error = error.with_attempts(sends);
        // The 401 that made a new token necessary, if there was one.
        Broken::Refused(match sends {
            0 => error,
            _ => error.with_status(StatusCode::UNAUTHORIZED).with_url(self.request.url()),
        })
    }

    /// Returns the error of a deadline before any response.
    fn late_without_answer(&self, late: Error) -> Error {
        let (transport, request) = (self.transport, self.request);
        let mut late = transport.late(late);
        if transport.outages.is_down(request.url()) {
            let why = format!("{}; its host accepts no connection", late.message());
            late = Error::new(ErrorKind::DeadlineExceeded, why);
        }
        late.with_url(request.url()).with_attempts(self.sent)
    }

    /// Returns the last response, if a later attempt got none.
    fn last_answer(&mut self, why: &'static str) -> Option<Response> {
        self.last.take().map(|response| response.ended(Some(why)))
    }
}

/// Returns whether a failure with this status leaves open whether the service acted.
const fn leaves_open(status: StatusCode) -> bool {
    is_transient(status.as_u16()) && !matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
}

impl Attempts for Sending<'_> {
    type Answer = Response;

    fn read(answer: &Response) -> (StatusCode, Option<Duration>) {
        (answer.status(), answer.hint())
    }

    fn sent(&self) -> u32 {
        self.sent
    }

    fn absence(&mut self, failed: &Result<Response, HttpError>) -> Option<Absence> {
        let is_absent = failed.as_ref().is_err_and(HttpError::is_absence);
        if !is_absent || self.transport.retry.limit() == 0 {
            self.unreachable = None;
            return None;
        }
        let patience = self.patience().saturating_duration_since(Instant::now());
        Some(Absence { patience, pause: self.transport.outages.pause(self.request.url()) })
    }

    async fn keep(&mut self, failed: Result<Response, HttpError>) {
        match failed {
            Ok(response) => {
                // The body is read to its end, so that the connection can be reused, and kept in case this response is
                // the last.
                let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
                let within = left.map_or(DRAIN, |left| left.min(DRAIN));
                self.last = Some(response.held(within).await.after(self.sent));
            }
            Err(error) => self.cause = Some(Box::new(error)),
        }
    }

    async fn again(&mut self) -> AttemptOutcome<Response> {
        let attempted = by(self.deadline, pin!(self.attempt())).await;
        ControlFlow::Break(match attempted {
            Ok(Ok(response)) => return ControlFlow::Continue(Ok(response.after(self.sent))),
            Ok(Err(Broken::Lost(error))) => return ControlFlow::Continue(Err(error)),
            Ok(Err(Broken::Refused(error))) => {
                let is_late = error.kind() == ErrorKind::DeadlineExceeded;
                let last = if is_late { self.last_answer(GiveUp::Deadline.words()) } else { None };
                last.ok_or_else(|| error.with_attempts(self.sent))
            }
            Err(late) => self.last_answer(GiveUp::Deadline.words()).ok_or_else(|| match self.cause.take() {
                Some(error) => late_after(*error, self.request, self.sent),
                None => self.late_without_answer(late),
            }),
        })
    }

    fn give_up(&mut self, failed: Result<Response, HttpError>, why: GiveUp) -> Result<Response, Error> {
        let attempts = self.sent;
        // No reason is needed if the status or the single attempt explains the end.
        let end = (why != GiveUp::Permanent && (attempts > 1 || why != GiveUp::Attempts)).then(|| why.words());
        match failed {
            Ok(response) => Ok(response.after(attempts).ended(end)),
            Err(error) => self.last_answer("and then no answer came").ok_or_else(|| {
                let end = end.filter(|_| why != GiveUp::MayHaveActed);
                lost(error, self.request, attempts).with_end(end)
            }),
        }
    }
}
