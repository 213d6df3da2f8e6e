//! Transport: the pipeline that every request to the API goes through.
//!
//! Its order matters: the credential is made sure of, *then* the permit is taken, then the credential is looked at again
//! and stamped on.

mod advice;
mod breaks;
mod late;
mod outage;
mod repeat;
mod reqwest;
pub(crate) mod span;
mod token;
mod wire;

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{self, Either};
use http::{HeaderMap, HeaderName, StatusCode, header};
use tokio::time::Instant;
use tracing::Instrument;

use crate::credential::{AttachedTokens, Credential, TokenTransport};
use crate::error::Error;
use crate::event::{Asked, Mark, RetryReason};
use crate::message::{HttpError, Request, Response, Standing, Trust};
use crate::redact::secrets_on;
use crate::retry::{Budget, RetryPolicy};
use crate::throttle::{Acquire, Permit};

pub(crate) use outage::{Outages, Pass};
pub(crate) use repeat::{by, lost};
pub(crate) use reqwest::{Connector, Proxying, Purpose};
pub(crate) use token::TokenRoad;
pub(crate) use wire::Wire;

/// Everything below a task: the right to send, the credential, the sending, the retries.
pub(crate) struct Transport {
    pub(crate) wire: Wire,
    pub(crate) trust: Arc<Trust>,
    pub(crate) credential: Credential,
    /// How its tokens are fetched.
    pub(crate) road: TokenTransport,
    pub(crate) retry: RetryPolicy,
    pub(crate) budget: Budget,
    pub(crate) outages: Outages,
    pub(crate) attempt_timeout: Duration,
}

/// Why an attempt has no answer.
#[derive(Debug)]
pub(crate) enum Broken {
    /// It may not be made.
    Refused(Error),
    /// It was made.
    Lost(HttpError),
}

/// What is known of the attempts of one request.
#[derive(Debug, Default)]
struct Trail {
    /// How often it was sent.
    sent: AtomicU32,
    /// Since when its host takes no connection.
    unreachable: OnceLock<Instant>,
}

impl Trail {
    fn sent(&self) -> u32 {
        self.sent.load(Relaxed)
    }

    fn unreachable_since(&self) -> Instant {
        *self.unreachable.get_or_init(Instant::now)
    }
}

impl Transport {
    /// One attempt: trust, credential, permit, the credential again, send. A refused token is replaced, and the request
    /// sent once more.
    pub(crate) fn attempt(
        &self,
        request: &Request,
        deadline: Option<Instant>,
    ) -> impl Future<Output = Result<Response, Broken>> {
        self.attempt_with(None, request, deadline)
    }

    /// Until when a request waits for its host, which takes no connection.
    fn patience(&self, trail: &Trail) -> Instant {
        trail.unreachable_since() + self.retry.patience()
    }

    /// Waits for the right to send a request: a ticket in the throttle's queue, not a built send.
    pub(crate) fn admit(&self, request: &Request, deadline: Option<Instant>) -> Acquire {
        // What it will need is fetched while it stands there.
        if self.credential.is_live() && !request.is_bare() && self.trust.is_own(request.url()) {
            self.credential.prefetch(&self.road);
        }
        self.acquire(request, deadline)
    }

    fn acquire(&self, request: &Request, deadline: Option<Instant>) -> Acquire {
        let acquire = self.wire.acquire(request, self.timeout(request));
        match deadline {
            Some(deadline) => acquire.deadline(deadline),
            None => acquire,
        }
    }

    /// One attempt, with the right to it where it was waited for already.
    pub(crate) async fn attempt_with(
        &self,
        permit: Option<Permit>,
        request: &Request,
        deadline: Option<Instant>,
    ) -> Result<Response, Broken> {
        self.try_once(permit, request, deadline, &Trail::default()).await
    }

    /// One attempt of several.
    async fn try_once(
        &self,
        permit: Option<Permit>,
        request: &Request,
        deadline: Option<Instant>,
        trail: &Trail,
    ) -> Result<Response, Broken> {
        let standing = match self.trust.standing(request.url()).map_err(Broken::Refused)? {
            _ if request.is_bare() => Standing::Foreign,
            standing => standing,
        };
        if !self.credential.is_live() || standing == Standing::Foreign {
            let (permit, pass) = self.admitted(permit, request, deadline, trail).await?;
            return self.send_once(permit, pass, request, standing, &AttachedTokens::default(), trail).await;
        }
        self.attempt_live(permit, request, deadline, trail).await
    }

    /// One attempt with tokens that are fetched.
    async fn attempt_live(
        &self,
        mut permit: Option<Permit>,
        request: &Request,
        deadline: Option<Instant>,
        trail: &Trail,
    ) -> Result<Response, Broken> {
        let (credential, road) = (&self.credential, &self.road);
        let mut sends = 0;
        loop {
            let mut proof = match credential.peek(road) {
                Some(proof) => proof,
                None => {
                    // Nobody waits for a token with a permit in hand: it would hold up others, the token's own request
                    // perhaps.
                    permit = None;
                    credential.get(road).await.map_err(|error| {
                        // The 401 that called for it, if there was one.
                        let error = error.with_attempts(sends);
                        Broken::Refused(match sends {
                            0 => error,
                            _ => error.with_status(StatusCode::UNAUTHORIZED).with_url(request.url()),
                        })
                    })?
                }
            };
            let (held, pass) = self.admitted(permit.take(), request, deadline, trail).await?;
            // It may have aged in the queue, or have been refused to another.
            if !credential.is_good(&proof, road) {
                match credential.peek(road) {
                    Some(fresh) => proof = fresh,
                    None => continue,
                }
            }
            sends += 1;
            let response = self.send_once(held, pass, request, Standing::Own, &proof, trail).await?.after(sends);
            match response.status().as_u16() {
                401 if sends > 1 => credential.refuse_again(request),
                401 if credential.refuse(&proof, request) => {}
                status => {
                    // A refusal for load, and a service that fails, may not have looked at it.
                    if status < 500 && !matches!(status, 401 | 429) {
                        proof.accept();
                    }
                    return Ok(response);
                }
            }
            if sends > 1 {
                return Ok(response);
            }
            tracing::info!(class = ?request.class(), "the token was refused: another is fetched");
            let (reason, pause) = (RetryReason::Unauthorized, Duration::ZERO);
            self.wire.marks.tell(Mark::Retrying { asked: Asked::of(request), reason, attempts: sends, pause });
            drop(Box::pin(response.held(DRAIN)).await);
        }
    }

    /// The right to send, of the throttle and of the host.
    async fn admitted(
        &self,
        mut permit: Option<Permit>,
        request: &Request,
        deadline: Option<Instant>,
        trail: &Trail,
    ) -> Result<(Permit, Pass<'_>), Broken> {
        loop {
            let held = match permit.take().or_else(|| self.wire.try_acquire(request, self.timeout(request))) {
                Some(permit) => permit,
                None => self.queued(request, deadline).await?,
            };
            if let Some(pass) = self.outages.try_pass(request.url(), || self.patience(trail)) {
                return Ok((held, pass));
            }
            // Nobody waits for a host with a permit in hand: others could use it.
            drop(held);
            Box::pin(self.outages.wait(request.url(), self.patience(trail))).await;
        }
    }

    async fn queued(&self, request: &Request, deadline: Option<Instant>) -> Result<Permit, Broken> {
        self.acquire(request, deadline)
            .instrument(span::queue(request))
            .await
            .map_err(|error| Broken::Refused(if error.url().is_none() { error.with_url(request.url()) } else { error }))
    }

    /// Sends, with a permit in hand and tokens that are good.
    fn send_once<'a>(
        &'a self,
        permit: Permit,
        pass: Pass<'a>,
        request: &'a Request,
        standing: Standing,
        proof: &AttachedTokens,
        trail: &'a Trail,
    ) -> impl Future<Output = Result<Response, Broken>> + use<'a> {
        let mut outgoing = request.clone();
        let mut sent = secrets_on(request.headers());
        let stamped = match standing {
            Standing::Own => self.credential.stamp(&mut outgoing, proof).map(|made| {
                sent.extend(made);
                self.timeout(request)
            }),
            Standing::Foreign => {
                keep_plain(outgoing.headers_mut());
                Ok(self.attempt_timeout)
            }
        };
        match stamped {
            Ok(timeout) => {
                trail.sent.fetch_add(1, Relaxed);
                let hidden = self.wire.hidden.and(sent);
                let carried = self.wire.carry(permit, request, outgoing, timeout, hidden);
                Either::Left(carried.map(move |carried| heard(carried, pass, request, trail)))
            }
            Err(error) => Either::Right(future::ready(Err(Broken::Refused(error)))),
        }
    }

    fn timeout(&self, request: &Request) -> Duration {
        self.attempt_timeout.max(held_for(request.headers()))
    }
}

/// What an attempt says of its host.
fn heard(
    carried: Result<Response, HttpError>,
    pass: Pass<'_>,
    request: &Request,
    trail: &Trail,
) -> Result<Response, Broken> {
    match &carried {
        Ok(_) => pass.connected(request.url()),
        Err(error) if error.is_unsent() => {
            trail.sent.fetch_sub(1, Relaxed);
            if error.is_absence() {
                pass.refused(request.url());
            } else {
                pass.connected(request.url());
            }
        }
        Err(_) => pass.broke(request.url()),
    }
    carried.map_err(Broken::Lost)
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transport")
            .field("trust", &self.trust)
            .field("credential", &self.credential)
            .finish_non_exhaustive()
    }
}

/// How long the service was asked to hold its answer (`Prefer: wait=10`, RFC 7240), with some time for the way.
fn held_for(headers: &HeaderMap) -> Duration {
    static PREFER: HeaderName = HeaderName::from_static("prefer");
    let preferences = headers.get_all(&PREFER).into_iter().filter_map(|value| value.to_str().ok());
    let waits = preferences.flat_map(|value| value.split([',', ';'])).filter_map(|part| {
        let (name, wait) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("wait").then(|| wait.trim().trim_matches('"'))
    });
    let longest = waits.filter_map(|wait| wait.parse::<u32>().ok()).max();
    longest.map_or(Duration::ZERO, |wait| Duration::from_secs(wait.into()).min(LONGEST_HELD) + HELD_GUARD)
}

/// What may go to another origin: nothing that the caller or a credential put there.
fn keep_plain(headers: &mut HeaderMap) {
    const PLAIN: [HeaderName; 6] = [
        header::ACCEPT,
        header::RANGE,
        header::IF_MATCH,
        header::IF_UNMODIFIED_SINCE,
        header::ACCEPT_ENCODING,
        header::CONTENT_TYPE,
    ];
    let kept: HeaderMap =
        PLAIN.into_iter().filter_map(|name| headers.remove(&name).map(|value| (name, value))).collect();
    *headers = kept;
}

/// No service holds an answer for longer; a number that stands for ever would take the attempt its timeout.
const LONGEST_HELD: Duration = Duration::from_secs(60 * 60);
/// An answer that is held to the last moment still has to come.
const HELD_GUARD: Duration = Duration::from_secs(10);
/// A refusal's body is worth a connection, and no more of a wait.
const DRAIN: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_may_be_held_as_long_as_was_asked_for_and_no_longer_than_an_hour() {
        for (values, seconds) in [
            (&["wait=10"][..], 20),
            (&["respond-async, wait=10"], 20),
            (&["respond-async;Wait = \"10\""], 20),
            (&["wait=5", "wait=10"], 20),
            (&["wait=3600"], 3610),
            (&["wait=3601"], 3610),
            (&["wait=4294967295"], 3610),
            (&["wait=99999999999999999999"], 0),
            (&["wait=-1", "awaits=7", "respond-async"], 0),
            (&[], 0),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("prefer", value.parse().unwrap());
            }
            assert_eq!(held_for(&headers), Duration::from_secs(seconds), "{values:?}");
        }
    }
}
