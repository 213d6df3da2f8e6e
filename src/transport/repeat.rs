//! Repeating: the loop that obeys the decision of `retry`.

use std::pin::{Pin, pin};

use http::{HeaderName, StatusCode, header};
use tokio::time::Instant;

use super::late::late_after;
use super::{Broken, DRAIN, Trail, Transport};
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
        let trail = Trail::default();
        let first = by(deadline, pin!(self.attempt_in(jar.as_deref_mut(), request, deadline, &trail))).await;
        match first.map_err(|late| self.late_without_answer(late, request, &trail))? {
            Ok(response) if response.status().as_u16() < 400 => {
                self.budget.give_back(0);
                Ok(response)
            }
            Err(Broken::Refused(error)) => Err(error),
            // What few requests need has no place in the future of each.
            failed => Box::pin(self.repeat(failed, request, key, deadline, jar, trail)).await,
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
        mut trail: Trail,
    ) -> Result<Response, Error> {
        let keyed = key.is_some_and(|key| request.headers().contains_key(key));
        let mut pauses = self.retry.pauses().pauses(fastrand::u64(..));
        let mut retries = 0;
        let mut outcome = failed;
        let mut last: Option<Response> = None;
        let mut cause = None;
        loop {
            let attempts = trail.sent();
            let (failure, hint) = match &outcome {
                Ok(response) => (Failure::Status(response.status()), response.hint()),
                Err(Broken::Lost(error)) if error.is_unsent() => (Failure::Unsent, None),
                Err(Broken::Lost(error)) if !error.is_late() && self.budget.is_paid_for(Instant::now()) => {
                    (Failure::LostWithOthers, None)
                }
                Err(Broken::Lost(_) | Broken::Refused(_)) => (Failure::Lost, None),
            };
            // A host without connections is waited for by the clock, and takes no step of the schedule.
            let is_absent = matches!(&outcome, Err(Broken::Lost(error)) if error.is_absence());
            let patience = (is_absent && self.retry.limit() > 0)
                .then(|| self.patience(&trail).saturating_duration_since(Instant::now()));
            let step = if patience.is_some() { Some(self.outages.pause(request.url())) } else { pauses.next() };
            let decision = decide(&Case {
                method: request.method(),
                class: request.class(),
                keyed,
                failure,
                hint,
                step,
                patience,
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
            if patience.is_none() {
                retries += 1;
                trail.unreachable.take();
            }
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
            let attempt = pin!(self.attempt_in(jar.as_deref_mut(), request, deadline, &trail));
            outcome = match by(deadline, attempt).await {
                Ok(Ok(response)) if response.status().as_u16() < 400 => {
                    self.budget.give_back(cost);
                    return Ok(response.after(trail.sent()));
                }
                Ok(Err(Broken::Refused(error))) => {
                    let last = last.filter(|_| error.kind() == ErrorKind::DeadlineExceeded);
                    return answer_of(last, GiveUp::Deadline.words()).ok_or(error.with_attempts(trail.sent()));
                }
                Ok(failed) => failed,
                Err(late) => {
                    return answer_of(last, GiveUp::Deadline.words()).ok_or_else(|| match cause {
                        Some(error) => late_after(error, request, trail.sent()),
                        None => self.late_without_answer(late, request, &trail),
                    });
                }
            };
        }
    }

    /// One attempt, with the cookies of a task.
    async fn attempt_in(
        &self,
        jar: Option<&mut Cookies>,
        request: &Request,
        deadline: Option<Instant>,
        trail: &Trail,
    ) -> Result<Response, Broken> {
        let Some(jar) = jar else { return self.try_once(None, request, deadline, trail).await };
        let mut next = request.clone();
        jar.give(&mut next);
        let response = Box::pin(self.try_once(None, &next, deadline, trail)).await?;
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
            return Ok(response.until(deadline));
        }
        let (attempts, hint, end) = (response.attempts(), response.hint(), response.end());
        let http_status = response.http_status();
        // The status is the answer; its words count as far as they came.
        let reply = response.reply_with_what_came(deadline).await;
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
    let mut what = format!("{what}: {}", crate::error::root_cause(&error));
    if let Some(advice) = crate::error::out_of_files(&error) {
        what = format!("{what}: {advice}");
    }
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
