//! TokenRoad: how requests for tokens go out. No credential is on it, so that none can leak by it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderValue, header};
use tokio::time::Instant;
use tracing::Instrument;
use url::Url;

use super::{DRAIN, HOLD_GUARD, lost, span};
use crate::clock::Clock;
use crate::credential::Exchange;
use crate::error::{Error, ErrorKind};
use crate::event::{Asked, Event, Mark, Marks};
use crate::hint::Hints;
use crate::message::{Class, Http, HttpError, Reply, Request};
use crate::retry::{Case, Decision, Failure, RetryPolicy, decide};
use crate::throttle::{Asker, Stopped, Throttle};

/// Sends requests for tokens: through the throttle as the most urgent class, with retries of its own.
pub(crate) struct TokenRoad {
    pub(crate) http: Arc<dyn Http>,
    pub(crate) throttle: Throttle,
    pub(crate) marks: Marks,
    pub(crate) clock: Clock,
    pub(crate) attempt_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) user_agent: HeaderValue,
}

impl TokenRoad {
    async fn send(&self, request: http::Request<Bytes>) -> Result<Reply, Error> {
        let (parts, body) = request.into_parts();
        let url = Url::parse(&parts.uri.to_string())
            .map_err(|error| Error::new(ErrorKind::Request, "the token endpoint is no URL").with_source(error))?;
        let mut request = Request::new(parts.method, url, Class::Token).with_headers(parts.headers).with_body(body);
        request.headers_mut().entry(header::USER_AGENT).or_insert_with(|| self.user_agent.clone());
        let policy = RetryPolicy::standard();
        let mut pauses = policy.pauses().pauses(fastrand::u64(..));
        let mut attempts = 0;
        let outcome = loop {
            attempts += 1;
            let outcome = self.attempt(&request).await?;
            let (failure, hint) = match &outcome {
                Ok((reply, _)) if reply.status().as_u16() < 400 => break outcome,
                Ok((reply, hints)) => (Failure::Status(reply.status()), hints.delay()),
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
                retries: policy.limit().saturating_sub(attempts - 1),
                budget: u32::MAX,
                // Callers wait for it.
                give_up_over: Some(LONGEST_HINT),
                time: None,
            });
            let Decision::Retry { after: pause, reason, .. } = decision else {
                break outcome;
            };
            tracing::info!(attempts, ?pause, %reason, "retrying for a token");
            self.marks.tell(Mark::Retrying { asked: Asked::of(&request), reason, attempts, pause });
            tokio::time::sleep(pause).await;
        };
        outcome.map(|(reply, _)| reply).map_err(|error| lost(error, &request).with_attempts(attempts))
    }

    async fn attempt(&self, request: &Request) -> Result<Result<(Reply, Hints), HttpError>, Error> {
        let asker = Asker {
            owner: self.throttle.owner(),
            credential: "",
            host: request.url().host_str().unwrap_or_default(),
            method: Some(request.method()),
            path: request.url().path(),
            kind: None,
            task: 0,
        };
        let acquire = self.throttle.acquire_for(Class::Token, &asker).hold(self.attempt_timeout + HOLD_GUARD);
        let mut permit = acquire.deadline(Instant::now() + LONGEST_HINT).await?;
        let span = span::of(request);
        permit.sent();
        permit.charge(request.body().len() as u64);
        self.marks.tell(Mark::Sent { class: Class::Token, queued: permit.waited() });
        let begun = Instant::now();
        let asked = Asked::of(request);
        let ends = begun + self.attempt_timeout;
        let sent = tokio::time::timeout_at(ends, self.http.send(request.clone()));
        match sent.instrument(span.clone()).await.unwrap_or_else(|_| Err(HttpError::timeout())) {
            Ok(response) => {
                let (status, took) = (response.status(), begun.elapsed());
                span::answered(&span, status);
                self.marks.tell(Mark::Answered { asked, status, took });
                let hints = Hints::of(response.headers(), self.clock.now());
                if let Some(Stopped { limit, blame, is_new }) = permit.hear(status, &hints) {
                    self.marks.tell(Mark::Refused { limit: &limit, blame, is_new });
                    let request = format!("{} {}", request.method(), crate::redact::shown(request.url())).into();
                    permit.tell(|| Event::Refused { status, request, credential: None, limit, blame });
                }
                let response = response.bounded(MOST_OF_AN_ANSWER, self.idle_timeout.min(DRAIN));
                // One that trickles is as good as none.
                match tokio::time::timeout_at(ends, response.reply()).await {
                    Ok(Ok(reply)) => Ok(Ok((reply, hints))),
                    Ok(Err(_)) => Ok(Err(HttpError::broken())),
                    Err(_) => Ok(Err(HttpError::timeout())),
                }
            }
            Err(error) => {
                if error.is_unsent() {
                    permit.unsent();
                }
                span::broke(&span, &error);
                self.marks.tell(Mark::Broke { asked, unsent: error.is_unsent(), took: begun.elapsed() });
                Ok(Err(error))
            }
        }
    }
}

impl Exchange for TokenRoad {
    fn exchange(&self, request: http::Request<Bytes>) -> BoxFuture<'_, Result<Reply, Error>> {
        Box::pin(self.send(request))
    }
}

/// A token is some thousand bytes.
const MOST_OF_AN_ANSWER: usize = 256 * 1024;
/// Callers wait for the token: a longer wait is theirs to choose.
const LONGEST_HINT: Duration = Duration::from_secs(60);
