//! Transport: the pipeline that every request to the API goes through.
//!
//! Its order matters: the credential is made sure of, *then* the permit is taken, then the credential is looked at again
//! and stamped on.

mod repeat;
mod reqwest;
pub(crate) mod span;
mod token;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use tokio::time::Instant;
use tracing::Instrument;

use crate::clock::Clock;
use crate::credential::{Credential, Proof, Road};
use crate::error::Error;
use crate::event::{Asked, Event, Mark, Marks, RetryReason};
use crate::hint::{HintRule, Hints};
use crate::message::{Body, Class, Http, HttpError, Reply, Request, Response, Standing, Trust};
use crate::retry::{Budget, EnvelopeRule, RetryPolicy};
use crate::throttle::{Acquire, Asker, Permit, Stopped, Throttle};

pub(crate) use repeat::{by, lost};
pub(crate) use reqwest::{Connector, Proxying, Purpose};
pub(crate) use token::TokenRoad;

/// Everything below a task: the right to send, the credential, the sending, the retries.
pub(crate) struct Transport {
    pub(crate) http: Arc<dyn Http>,
    pub(crate) trust: Arc<Trust>,
    pub(crate) credential: Credential,
    /// It has tokens that are fetched, by this road.
    pub(crate) is_live: bool,
    pub(crate) road: Road,
    /// What the credential is called, and by what its own limits know it.
    pub(crate) credential_label: Option<Arc<str>>,
    pub(crate) credential_id: String,
    /// Bound to the client's account.
    pub(crate) throttle: Throttle,
    pub(crate) retry: RetryPolicy,
    pub(crate) budget: Budget,
    /// What answers mean, where their status does not say it.
    pub(crate) envelopes: Vec<EnvelopeRule>,
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
    /// One attempt: trust, credential, permit, the credential again, send. A refused token is replaced, and the request
    /// sent once more.
    pub(crate) fn attempt(
        &self,
        request: &Request,
        deadline: Option<Instant>,
    ) -> impl Future<Output = Result<Response, Broken>> {
        self.attempt_with(None, request, deadline)
    }

    /// Waits for the right to send a request: a ticket in the throttle's queue, not a built send.
    pub(crate) fn admit(&self, request: &Request, deadline: Option<Instant>) -> Acquire {
        // What it will need is fetched while it stands there.
        if self.is_live && self.trust.is_own(request.url()) {
            self.credential.prepare(&self.road);
        }
        self.acquire(request, deadline)
    }

    fn acquire(&self, request: &Request, deadline: Option<Instant>) -> Acquire {
        let acquire = self.throttle.acquire_for(request.class(), &self.asker(request));
        let acquire = acquire.hold(self.timeout(request) + HOLD_GUARD);
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
        let standing = self.trust.standing(request.url()).map_err(Broken::Refused)?;
        if !self.is_live || standing == Standing::Foreign {
            let permit = match permit {
                Some(permit) => permit,
                None => self.admitted(request, deadline).await?,
            };
            return self.send_once(permit, request, standing, &Proof::default()).await;
        }
        self.attempt_live(permit, request, deadline).await
    }

    /// One attempt with tokens that are fetched.
    async fn attempt_live(
        &self,
        mut permit: Option<Permit>,
        request: &Request,
        deadline: Option<Instant>,
    ) -> Result<Response, Broken> {
        let (credential, road) = (&self.credential, &self.road);
        let mut sends = 0;
        loop {
            let mut proof = match credential.now(road) {
                Some(proof) => proof,
                None => {
                    // Nobody waits for a token with a permit in hand: it would hold up others, the token's own request
                    // perhaps.
                    permit = None;
                    credential.ready(road).await.map_err(|error| {
                        // The 401 that called for it, if there was one.
                        let error = error.with_attempts(sends);
                        Broken::Refused(if sends > 0 { error.with_status(StatusCode::UNAUTHORIZED) } else { error })
                    })?
                }
            };
            let held = match permit.take() {
                Some(permit) => permit,
                None => self.admitted(request, deadline).await?,
            };
            // It may have aged in the queue, or have been refused to another.
            if !credential.is_good(&proof, road) {
                match credential.now(road) {
                    Some(fresh) => proof = fresh,
                    None => continue,
                }
            }
            sends += 1;
            let response = self.send_once(held, request, Standing::Own, &proof).await?.after(sends);
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
            self.marks.tell(Mark::Retrying { asked: Asked::of(request), reason, attempts: sends, pause });
            credential.prepare(road);
            drop(Box::pin(response.held(DRAIN)).await);
        }
    }

    async fn admitted(&self, request: &Request, deadline: Option<Instant>) -> Result<Permit, Broken> {
        self.acquire(request, deadline)
            .instrument(span::queue(request))
            .await
            .map_err(|error| Broken::Refused(if error.url().is_none() { error.with_url(request.url()) } else { error }))
    }

    /// Sends, with a permit in hand and tokens that are good.
    async fn send_once(
        &self,
        mut permit: Permit,
        request: &Request,
        standing: Standing,
        proof: &Proof,
    ) -> Result<Response, Broken> {
        let span = span::of(request);
        let mut outgoing = request.clone();
        match standing {
            Standing::Own => self.credential.stamp(&mut outgoing, proof).map_err(Broken::Refused)?,
            Standing::Foreign => keep_plain(outgoing.headers_mut()),
        }
        outgoing.headers_mut().entry(header::USER_AGENT).or_insert_with(|| self.user_agent.clone());

        let timeout = self.timeout(&outgoing);
        permit.sent();
        permit.charge(request.body().len() as u64);
        self.marks.tell(Mark::Sent { class: request.class(), queued: permit.waited() });
        let begun = Instant::now();
        let sent = tokio::time::timeout(timeout, self.http.send(outgoing)).instrument(span.clone()).await;
        let took = begun.elapsed();
        let asked = Asked::of(request);
        match sent.unwrap_or_else(|_| Err(HttpError::timeout())) {
            Ok(response) => {
                let response = response.bounded(self.body_limit, self.idle_timeout);
                let (response, hints) = if self.hint_rules.is_empty() && self.envelopes.is_empty() {
                    let hints = Hints::of(response.headers(), self.clock.now());
                    (response, hints)
                } else {
                    Box::pin(self.read(response, request.class())).await
                };
                let status = response.status();
                span::answered(&span, status);
                tracing::debug!(parent: &span, status = status.as_u16(), "answered");
                self.marks.tell(Mark::Answered { asked, status, took });
                self.hear(&mut permit, status, &hints, asked);
                let response = response.asked(request.url()).hinted(hints.delay());
                Ok(if permit.counts_bodies() { counted(response, permit) } else { response })
            }
            Err(error) => {
                let unsent = error.is_unsent();
                if unsent {
                    permit.unsent();
                }
                span::broke(&span, &error);
                tracing::debug!(parent: &span, %error, "no answer");
                self.marks.tell(Mark::Broke { asked, unsent, took });
                Err(Broken::Lost(error))
            }
        }
    }

    /// What an answer means, and what it says of time and budgets, by the rules of the service. Its body is looked at only
    /// where one names a place in it.
    async fn read(&self, mut response: Response, class: Class) -> (Response, Hints) {
        let now = self.clock.now();
        let status = response.status();
        let refuses = |status| matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        // The bytes of a file are no envelope.
        let opens = class != Class::Download || status.as_u16() >= 400;
        let envelopes = || self.envelopes.iter().filter(|rule| opens && rule.may_match(status));
        let hints_at = || self.hint_rules.iter().any(HintRule::is_of_the_body);
        let looks = envelopes().any(EnvelopeRule::is_of_the_body) || (refuses(status) && hints_at());
        let looked = if looks { response.peek(MOST_LOOKED_AT, DRAIN).await } else { None };
        let bare = || Reply::new(status, response.url().clone(), response.headers().clone(), Bytes::new());
        let reply = looked.unwrap_or_else(bare);
        let body = if envelopes().next().is_some() { reply.json() } else { None };
        let meant = envelopes().find_map(|rule| rule.read(&reply, body.as_ref()));
        if let Some(meant) = meant.filter(|meant| *meant != status) {
            response = response.reads_as(meant);
        }
        let hints = if refuses(response.status()) || !hints_at() {
            Hints::read(&reply, &self.hint_rules, now)
        } else {
            let reply = Reply::new(status, response.url().clone(), response.headers().clone(), Bytes::new());
            Hints::read(&reply, &self.hint_rules, now)
        };
        (response, hints)
    }

    /// Lets the throttle know what a service says: one refusal for load stops everybody whom it concerns.
    fn hear(&self, permit: &mut Permit, status: StatusCode, hints: &Hints, asked: Asked<'_>) {
        let Some(stopped) = permit.hear(status, hints) else { return };
        permit.tell(|| Event::Refused {
            status,
            request: format!("{} {}", asked.method, crate::redact::shown(asked.url)).into(),
            credential: self.credential_label.clone(),
            limit: stopped.limit.clone(),
            blame: stopped.blame,
        });
        let Stopped { limit, blame, is_new } = &stopped;
        self.marks.tell(Mark::Refused { limit, blame: *blame, is_new: *is_new });
        if *is_new {
            let pause = hints.delay();
            tracing::warn!(status = status.as_u16(), %limit, ?pause, ?blame, "refused for load: all under it pause");
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

/// How long the service was asked to hold its answer (`Prefer: wait=10`, RFC 7240), with some time for the way.
fn held_for(headers: &HeaderMap) -> Duration {
    static PREFER: HeaderName = HeaderName::from_static("prefer");
    let preferences = headers.get_all(&PREFER).into_iter().filter_map(|value| value.to_str().ok());
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
/// Envelopes and refusals are short; what is longer is a result.
const MOST_LOOKED_AT: usize = 64 * 1024;
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
