//! Wire: one request out and its response back, reported to the throttle and the statistics.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderValue, StatusCode, header};
use tokio::task::unconstrained;
use tokio::time::{Instant, sleep_until};
use tracing::Span;

use super::span;
use crate::clock::Clock;
use crate::event::{Event, Observation, Observer, RequestInfo};
use crate::hint::{HintRule, Hints};
use crate::message::{Body, Http, HttpError, Priority, Reply, Request, Response, Trust};
use crate::redact::{Hidden, secrets_in};
use crate::retry::EnvelopeRule;
use crate::throttle::{Acquire, Permit, RequestFacts, Stopped, Throttle};

/// The carrier of requests to the API and of requests for tokens. The wire adds no credential.
#[derive(Clone)]
pub(crate) struct Wire {
    pub(crate) http: Arc<dyn Http>,
    /// The throttle, bound to the client's account.
    pub(crate) throttle: Throttle,
    /// The id of the credential for limits per credential; empty for requests without one.
    pub(crate) credential_id: Arc<str>,
    /// The label of the credential in events.
    pub(crate) credential_label: Option<Arc<str>>,
    /// The meaning of responses whose status does not express it.
    pub(crate) envelopes: Vec<EnvelopeRule>,
    /// The places at which this service's responses state waits and budgets, in addition to the known headers.
    pub(crate) hint_rules: Vec<HintRule>,
    /// The origins whose responses count for the account: its own.
    pub(crate) trust: Arc<Trust>,
    pub(crate) marks: Observer,
    pub(crate) clock: Clock,
    pub(crate) idle_timeout: Duration,
    /// The least average rate of a body, in bytes per second; 0 for no bound.
    pub(crate) least_rate: u32,
    pub(crate) body_limit: usize,
    pub(crate) user_agent: HeaderValue,
    /// The secrets that responses may repeat.
    pub(crate) hidden: Hidden,
}

impl Wire {
    /// Waits for the permit of a request, whose slot expires `timeout` after its send.
    pub(super) fn acquire(&self, request: &Request, timeout: Duration) -> Acquire {
        self.throttle.acquire_for(request.priority(), &self.facts(request)).hold(timeout + HOLD_GUARD)
    }

    /// Returns the permit of a request, if one is available now and no other request is ahead.
    pub(super) fn try_acquire(&self, request: &Request, timeout: Duration) -> Option<Permit> {
        self.throttle.try_acquire_for(request.priority(), &self.facts(request), timeout + HOLD_GUARD)
    }

    fn facts<'a>(&'a self, request: &'a Request) -> RequestFacts<'a> {
        RequestFacts {
            account: self.throttle.account_id(),
            is_foreign: !self.trust.is_own(request.url()),
            credential: &self.credential_id,
            host: request.url().host_str().unwrap_or_default(),
            method: Some(request.method()),
            path: request.url().path(),
            kind: request.kind(),
            task: request.task(),
        }
    }

    /// Sends `outgoing`, which is `request` with its credential, under the given permit. Observers see only `request`.
    ///
    /// The permit is borrowed, because a value that is moved into a future is stored in it twice.
    pub(super) async fn exchange(
        &self,
        permit: &mut Option<Permit>,
        request: &Request,
        mut outgoing: Request,
        timeout: Duration,
        hidden: Hidden,
    ) -> Result<Response, HttpError> {
        outgoing.headers_mut().entry(header::USER_AGENT).or_insert_with(|| self.user_agent.clone());
        // Without this header any coding is acceptable (RFC 9110, 12.5.3), and this build decodes none.
        if cfg!(not(feature = "gzip")) {
            outgoing.headers_mut().entry(header::ACCEPT_ENCODING).or_insert(HeaderValue::from_static("identity"));
        }
        let span = span::of(request);
        let queued = permit.as_mut().map_or(Duration::ZERO, |permit| {
            permit.sent();
            permit.charge(request.body().len() as u64);
            permit.waited()
        });
        let begun = Instant::now();
        self.marks.record_at(Observation::Sent { class: request.priority(), queued }, begun);
        let mut answer = self.http.send(outgoing);
        let answered = in_time(&mut answer, begun + timeout, &span).await;
        let (now, asked) = (Instant::now(), RequestInfo::of(request));
        let took = now - begun;
        match answered {
            Ok(response) => {
                let response = self.bounded(response);
                let (response, hints) = if self.hint_rules.is_empty() && self.envelopes.is_empty() {
                    let hints = Hints::from_answer_headers(response.headers(), || self.clock.now());
                    (response, hints)
                } else {
                    Box::pin(self.read(response, request.priority())).await
                };
                let hints = match hints.ignored() {
                    [] => hints,
                    _ => hints.masked(&hidden.mask().and(secrets_in(request.url()))),
                };
                let status = response.status();
                span::answered(&span, status);
                tracing::debug!(parent: &span, status = status.as_u16(), "answered");
                let route = permit.as_ref().and_then(Permit::route);
                self.marks.record_at(Observation::Answered { asked: asked.on(route), status, took }, now);
                if let Some(permit) = permit {
                    self.hear(permit, (status, now), &hints, asked);
                }
                let response = response.asked(request.url()).hinted(hints.wait_after(status)).hiding(hidden);
                Ok(match permit.take() {
                    Some(permit) if permit.counts_bodies() => counted(response, permit),
                    _ => response,
                })
            }
            Err(error) => {
                let (permit, unsent) = (permit.take(), error.is_unsent());
                if unsent && let Some(permit) = permit {
                    permit.unsent();
                }
                span::broke(&span, &error);
                tracing::debug!(parent: &span, %error, "no answer");
                self.marks.record_at(Observation::Broke { asked, unsent, took }, now);
                Err(error)
            }
        }
    }

    /// Sets the client's bounds of a body.
    pub(crate) fn bounded(&self, response: Response) -> Response {
        response.bounded(self.body_limit, self.idle_timeout, self.least_rate)
    }

    /// Reads the status of a response and the waits and budgets that it states, by the rules of the service. The body
    /// is only read if a rule names a place in it.
    async fn read(&self, mut response: Response, class: Priority) -> (Response, Hints) {
        let now = self.clock.now();
        let status = response.status();
        let refuses = |status| matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        // The bytes of a file are no envelope; but a short document in the place of a file may be one.
        let opens = class != Priority::Download || status.as_u16() >= 400 || is_short_document(&response);
        let envelopes = || self.envelopes.iter().filter(|rule| opens && rule.may_match(status));
        let hints_at = || self.hint_rules.iter().any(HintRule::is_of_the_body);
        let looks = envelopes().any(EnvelopeRule::is_of_the_body) || (refuses(status) && hints_at());
        let looked = if looks { response.peek(MOST_LOOKED_AT, DRAIN).await } else { None };
        let bare =
            |response: &Response| Reply::new(status, response.url().clone(), response.headers().clone(), Bytes::new());
        let reply = looked.unwrap_or_else(|| bare(&response));
        let body = if envelopes().next().is_some() { reply.json() } else { None };
        let meant = envelopes().find_map(|rule| rule.read(&reply, body.as_ref()));
        if let Some(meant) = meant.filter(|meant| *meant != status) {
            response = response.reads_as(meant);
        }
        let hints = if refuses(response.status()) || !hints_at() {
            Hints::from_reply(&reply, &self.hint_rules, now)
        } else {
            Hints::from_reply(&bare(&response), &self.hint_rules, now)
        };
        (response, hints)
    }

    /// Reports a response to the throttle: one refusal for load stops all requests under the limit.
    fn hear(&self, permit: &mut Permit, (status, at): (StatusCode, Instant), hints: &Hints, asked: RequestInfo<'_>) {
        let Some(stopped) = permit.hear(status, hints, at) else { return };
        permit.emit(|| Event::Refused {
            status,
            request: format!("{} {}", asked.method, crate::redact::shown(asked.url)).into(),
            credential: self.credential_label.clone(),
            limit: stopped.limit.clone(),
            cause: stopped.cause,
        });
        let Stopped { limit, cause, is_new, kept } = &stopped;
        self.marks.record(Observation::Refused { limit, cause: *cause, is_new: *is_new, kept: *kept });
        if *is_new {
            let pause = hints.wait_after(status);
            tracing::warn!(status = status.as_u16(), %limit, ?pause, ?cause, "refused for load: all requests under the \
                                                                              limit pause");
        }
    }
}

/// Returns whether a whole response is JSON by its type, and no longer than an envelope.
fn is_short_document(response: &Response) -> bool {
    let length = response.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    response.status() == StatusCode::OK
        && length.is_some_and(|length: usize| length <= MOST_LOOKED_AT)
        && kind.split(';').next().is_some_and(|kind| kind.trim().to_ascii_lowercase().ends_with("json"))
}

/// Returns the response, if it arrives before `due`; the response is polled within the span. The timer is armed only if
/// the first poll finds no response.
async fn in_time(
    answer: &mut BoxFuture<'_, Result<Response, HttpError>>,
    due: Instant,
    span: &Span,
) -> Result<Response, HttpError> {
    let mut timer = pin!(None);
    poll_fn(|cx| {
        let _within = span.enter();
        if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
            return Poll::Ready(answer);
        }
        if timer.is_none() {
            // The timer fires even if the response uses up the task's budget.
            timer.set(Some(unconstrained(sleep_until(due))));
        }
        let ended = timer.as_mut().as_pin_mut().map_or(Poll::Pending, |timer| timer.poll(cx));
        ended.map(|()| Err(HttpError::timeout()))
    })
    .await
}

/// Returns a response whose body is counted as it arrives, and holds the permit until its end.
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

/// Envelopes and refusals are short; a longer body is a result.
const MOST_LOOKED_AT: usize = 64 * 1024;
/// An attempt that timed out may still be counted this much later.
const HOLD_GUARD: Duration = Duration::from_secs(1);
/// Reading a refusal's body saves a connection, and is worth no longer wait.
pub(super) const DRAIN: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use futures::future;

    use super::*;

    fn answer() -> Result<Response, HttpError> {
        Ok(Response::new(StatusCode::OK, "https://a.example".parse().unwrap()))
    }

    /// Outside of any runtime a timer would panic.
    #[test]
    fn an_answer_that_is_there_at_the_first_look_needs_no_timer() {
        let mut sent: BoxFuture<'_, _> = Box::pin(future::ready(answer()));
        let answered = in_time(&mut sent, Instant::now(), &Span::none()).now_or_never();
        assert!(answered.unwrap().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_of_an_attempt_counts_from_its_send_and_not_from_the_first_look() {
        for (looked_after, answers_after, ends_after) in
            [(0, 9, Ok(9)), (0, 11, Err(10)), (4, 11, Err(10)), (4, 9, Ok(9))]
        {
            let (begun, seconds) = (Instant::now(), Duration::from_secs);
            let mut sent: BoxFuture<'_, _> = Box::pin(async move {
                sleep_until(begun + seconds(answers_after)).await;
                answer()
            });
            tokio::time::advance(seconds(looked_after)).await;
            let answered = in_time(&mut sent, begun + seconds(10), &Span::none()).await;
            let took = begun.elapsed().as_secs();
            assert_eq!(
                answered.map(|_| took).map_err(|error| (took, error.is_late())),
                ends_after.map_err(|at| (at, true))
            );
        }
    }
}
