//! Repeating: the loop that obeys the decision of `retry`.

use std::pin::{Pin, pin};
use std::time::Duration;

use http::{HeaderName, StatusCode, header};
use tokio::time::Instant;

use super::late::late_after;
use super::{Broken, DRAIN, Transport};
use crate::clock::{NO_RUNTIME, has_runtime, later};
use crate::credential::NO_CREDENTIAL;
use crate::error::{Error, ErrorKind};
use crate::event::{Asked, Mark};
use crate::message::{HttpError, Request, Response};
use crate::protocol::{Cookies, read_fault};
use crate::retry::{Case, Decision, Failure, GiveUp, decide};

impl Transport {
    /// Sends, and repeats what may be repeated. The last answer comes back whatever its status; where a later attempt got
    /// none, too.
    ///
    /// `key` names the idempotency header, if the request carries one.
    pub(crate) fn send(
        &self,
        request: &Request,
        key: Option<&HeaderName>,
        deadline: Option<Instant>,
    ) -> impl Future<Output = Result<Response, Error>> {
        self.send_with(request, key, deadline, None)
    }

    /// As [`send`](Self::send), with the cookies of a task: what a refusal sets goes with the next attempt.
    pub(crate) async fn send_with(
        &self,
        request: &Request,
        key: Option<&HeaderName>,
        deadline: Option<Instant>,
        mut jar: Option<&mut Cookies>,
    ) -> Result<Response, Error> {
        if !has_runtime() {
            return Err(Error::new(ErrorKind::Config, NO_RUNTIME));
        }
        let first = by(deadline, pin!(self.attempt_in(jar.as_deref_mut(), request, deadline))).await;
        match first.map_err(|late| self.late(late))? {
            Ok(response) if response.status().as_u16() < 400 => {
                self.budget.give_back(0);
                Ok(response)
            }
            Err(Broken::Refused(error)) => Err(error),
            // What few requests need has no place in the future of each.
            failed => Box::pin(self.repeat(failed, request, key, deadline, jar)).await,
        }
    }

    /// Repeats what failed, as long as the decision is to.
    async fn repeat(
        &self,
        failed: Result<Response, Broken>,
        request: &Request,
        key: Option<&HeaderName>,
        deadline: Option<Instant>,
        mut jar: Option<&mut Cookies>,
    ) -> Result<Response, Error> {
        let keyed = key.is_some_and(|key| request.headers().contains_key(key));
        let mut pauses = self.retry.pauses().pauses(fastrand::u64(..));
        let (mut attempts, mut retries) = (0, 0);
        let mut outcome = failed;
        let mut last: Option<Response> = None;
        let mut cause = None;
        loop {
            attempts += outcome.as_ref().map_or(1, Response::attempts);
            let (failure, hint) = match &outcome {
                Ok(response) => (Failure::Status(response.status()), response.hint()),
                Err(Broken::Lost(error)) if error.is_unsent() => (Failure::Unsent, None),
                Err(Broken::Lost(_) | Broken::Refused(_)) => (Failure::Lost, None),
            };
            let decision = decide(&Case {
                method: request.method(),
                class: request.class(),
                keyed,
                failure,
                hint,
                step: pauses.next(),
                retries: self.retry.limit().saturating_sub(retries),
                budget: self.budget.left(),
                give_up_over: self.retry.most_asked(),
                time: deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())),
            });
            let (pause, cost) = match decision {
                Decision::GiveUp(why) => return self.give_up(outcome, last, why, request, attempts),
                Decision::Retry { after, reason, cost } => {
                    tracing::info!(class = ?request.class(), attempts, pause = ?after, %reason, "retrying");
                    self.wire.marks.tell(Mark::Retrying { asked: Asked::of(request), reason, attempts, pause: after });
                    self.budget.take(cost);
                    (after, cost)
                }
            };
            retries += 1;
            let due = later(Instant::now(), pause);
            match outcome {
                Ok(response) => {
                    // Read to its end, so that the connection can be used again, and kept in case that it was the last.
                    let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
                    let within = left.map_or(DRAIN, |left| left.min(DRAIN));
                    last = Some(Box::pin(response.held(within)).await.after(attempts));
                }
                Err(Broken::Lost(error)) => cause = Some(error),
                Err(Broken::Refused(_)) => {}
            }
            tokio::time::sleep_until(due).await;
            let attempt = pin!(self.attempt_in(jar.as_deref_mut(), request, deadline));
            outcome = match by(deadline, attempt).await {
                Ok(Ok(response)) if response.status().as_u16() < 400 => {
                    self.budget.give_back(cost);
                    let attempts = attempts + response.attempts();
                    return Ok(response.after(attempts));
                }
                Ok(Err(Broken::Refused(error))) => {
                    let last = last.filter(|_| error.kind() == ErrorKind::DeadlineExceeded);
                    return answer_of(last, GiveUp::Deadline.words()).ok_or(error);
                }
                Ok(failed) => failed,
                Err(late) => {
                    return answer_of(last, GiveUp::Deadline.words()).ok_or_else(|| match cause {
                        Some(error) => late_after(error, request, attempts),
                        None => self.late(late),
                    });
                }
            };
        }
    }

    /// The pause before a request is sent again whose answer broke off inside its body, after so many that did; `None` where
    /// it is not sent again.
    pub(crate) fn pause_after_loss(
        &self,
        request: &Request,
        key: Option<&HeaderName>,
        deadline: Option<Instant>,
        losses: u32,
    ) -> Option<Duration> {
        let step = usize::try_from(losses).ok().and_then(|nth| self.retry.pauses().pauses(fastrand::u64(..)).nth(nth));
        let decision = decide(&Case {
            method: request.method(),
            class: request.class(),
            keyed: key.is_some_and(|key| request.headers().contains_key(key)),
            failure: Failure::Lost,
            hint: None,
            step,
            retries: self.retry.limit().saturating_sub(losses),
            budget: self.budget.left(),
            give_up_over: self.retry.most_asked(),
            time: deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())),
        });
        let Decision::Retry { after, reason, cost } = decision else { return None };
        self.budget.take(cost);
        let asked = Asked::of(request);
        self.wire.marks.tell(Mark::Retrying { asked, reason, attempts: losses + 1, pause: after });
        Some(after)
    }

    /// One attempt, with the cookies of a task.
    async fn attempt_in(
        &self,
        jar: Option<&mut Cookies>,
        request: &Request,
        deadline: Option<Instant>,
    ) -> Result<Response, Broken> {
        let Some(jar) = jar else { return self.attempt(request, deadline).await };
        let mut next = request.clone();
        jar.give(&mut next);
        let response = Box::pin(self.attempt(&next, deadline)).await?;
        jar.take(response.url(), response.headers());
        Ok(response)
    }

    fn give_up(
        &self,
        outcome: Result<Response, Broken>,
        last: Option<Response>,
        why: GiveUp,
        request: &Request,
        attempts: u32,
    ) -> Result<Response, Error> {
        // What needs no word: the status says it, or the only attempt did.
        let end = (why != GiveUp::Permanent && (attempts > 1 || why != GiveUp::Attempts)).then(|| why.words());
        match outcome {
            Ok(response) => Ok(response.after(attempts).ended(end)),
            Err(Broken::Refused(error)) => Err(error),
            Err(Broken::Lost(error)) => answer_of(last, "and then no answer came").ok_or_else(|| {
                let end = end.filter(|_| why != GiveUp::MayHaveActed);
                lost(error, request, attempts).with_end(end)
            }),
        }
    }

    /// Sends, and turns a 4xx or 5xx into an error.
    pub(crate) async fn call(
        &self,
        request: &Request,
        key: Option<&HeaderName>,
        deadline: Option<Instant>,
    ) -> Result<Response, Error> {
        let response = self.send(request, key, deadline).await?;
        if response.status().as_u16() < 400 {
            return Ok(response);
        }
        let (attempts, hint, end) = (response.attempts(), response.hint(), response.end());
        let http_status = response.http_status();
        let reply = by(deadline, pin!(response.reply())).await??;
        let kind = match reply.status() {
            StatusCode::UNAUTHORIZED => ErrorKind::Unauthorized,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => ErrorKind::Throttled,
            _ => ErrorKind::Rejected,
        };
        let meant = match http_status == reply.status() {
            true => String::new(),
            false => format!(", which its envelope makes {}", reply.status().as_u16()),
        };
        let sent_none = self.credential.is_none() && !request.headers().contains_key(header::AUTHORIZATION);
        let none = if kind == ErrorKind::Unauthorized && sent_none { NO_CREDENTIAL } else { "" };
        Err(Error::new(kind, format!("answered with {}{meant}{none}", http_status.as_u16()))
            .with_url(reply.url())
            .with_status(reply.status())
            .with_attempts(attempts)
            .with_retry_after(hint)
            .with_end(end)
            .with_fault(read_fault(&reply, reply.json().as_ref()).masked(&reply.mask())))
    }
}

/// The last answer there was, where a later attempt got none.
fn answer_of(last: Option<Response>, why: &'static str) -> Option<Response> {
    last.map(|response| response.ended(Some(why)))
}

/// What an attempt without an answer becomes, when it is the last of so many.
pub(crate) fn lost(error: HttpError, request: &Request, attempts: u32) -> Error {
    let what = match (error.is_unsent(), request.method().is_idempotent()) {
        (true, _) => "the request was not sent",
        (false, true) => "it broke off",
        (false, false) if attempts > 1 => "it broke off, and the service may have acted",
        (false, false) => "it broke off, and the service may have acted; it was not repeated",
    };
    let what = format!("{what}: {}", crate::error::root_cause(&error));
    let unsent = error.is_unsent();
    let lost = Error::new(ErrorKind::Network, what).with_url(request.url()).with_unsent(unsent);
    lost.with_attempts(attempts).with_source(error)
}

/// Ends with an error at the deadline. The future stays where it is: to move it would be to copy a kilobyte for each
/// request.
pub(crate) async fn by<T>(deadline: Option<Instant>, future: Pin<&mut impl Future<Output = T>>) -> Result<T, Error> {
    let late = |_| Error::new(ErrorKind::DeadlineExceeded, "no answer before the deadline");
    match deadline {
        Some(deadline) => tokio::time::timeout_at(deadline, future).await.map_err(late),
        None => Ok(future.await),
    }
}
