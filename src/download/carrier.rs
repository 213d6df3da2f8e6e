//! Carrier: the route of a download's requests, and the headers that they may carry.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, header};
use tokio::time::Instant;
use tracing::Instrument;
use url::Url;

use super::bandwidth::Bandwidth;
use super::budget::Budget;
use super::object;
use crate::error::{Error, ErrorKind};
use crate::hint::FURTHEST;
use crate::message::{Http, HttpError, Origin, Priority, Request, Response};
use crate::redact::SecretUrl;
use crate::retry::{GiveUp, Schedule};
use crate::transport::{Broken, Sending, Transport, span};

/// The state that the downloads of a client share.
pub(crate) struct Carrier {
    pub(crate) transport: Arc<Transport>,
    /// An HTTP client that no credential can reach.
    pub(crate) storage: Arc<dyn Http>,
    pub(crate) schedule: Schedule,
    /// The connections that all downloads of the client may use for files at a time.
    pub(super) connections: Budget,
    pub(super) bandwidth: Option<Bandwidth>,
    /// The storage hosts and the objects that asked for a pause, and when it ends.
    not_before: Mutex<HashMap<Paused, Instant>>,
}

/// The scope of a pause.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Paused {
    /// A storage that is busy.
    Host(Origin),
    /// An object that is not ready ([`object`]).
    Object(u64),
}

/// The route of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Through the client's pipeline, with its credential and limits: the API's own unsigned links.
    Pipeline,
    /// Over the HTTP client for storage, with nothing of the API's: all other links.
    Bare,
}

impl Carrier {
    pub(crate) fn new(
        transport: Arc<Transport>,
        storage: Arc<dyn Http>,
        schedule: Schedule,
        connections: usize,
        bandwidth: Option<NonZeroU64>,
    ) -> Self {
        let connections = Budget::new(connections);
        let bandwidth = bandwidth.map(Bandwidth::new);
        Self { transport, storage, schedule, connections, bandwidth, not_before: Mutex::default() }
    }

    /// Checks whether a link may be fetched; an answer or the application gave it.
    pub(super) fn check(&self, link: &SecretUrl, from: Option<&Url>) -> Result<(), Error> {
        match from {
            Some(from) => self.transport.trust.leads(from, link.url()),
            None => self.transport.trust.may_fetch(link.url()),
        }
    }

    /// Records a pause that a storage asked for: it holds for every download from there, also for a restarted one.
    pub(super) fn pause(&self, link: &SecretUrl, pause: Duration) {
        self.keep(Paused::Host(Origin::from_url(link.url())), pause);
    }

    /// Records a pause that a storage asked for because of one object, which is not ready.
    pub(super) fn pause_object(&self, link: &SecretUrl, pause: Duration) {
        self.keep(Paused::Object(object::of(link)), pause);
    }

    fn keep(&self, paused: Paused, pause: Duration) {
        let now = Instant::now();
        let until = now + pause.min(FURTHEST);
        // No code panics while it holds the lock.
        let mut kept = self.not_before.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, until| *until > now);
        let latest = kept.get(&paused).map_or(until, |known| until.max(*known));
        kept.insert(paused, latest);
    }

    fn paused_until(&self, link: &SecretUrl) -> Option<Instant> {
        let kept = self.not_before.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.is_empty() {
            return None;
        }
        let paused = [Paused::Host(Origin::from_url(link.url())), Paused::Object(object::of(link))];
        let latest = paused.iter().filter_map(|paused| kept.get(paused)).max();
        latest.copied().filter(|until| *until > Instant::now())
    }

    /// Returns why a wait that a storage asked for is an error, if it is one.
    pub(super) fn is_too_long(&self, wait: Duration, deadline: Option<Instant>) -> Option<TooLong> {
        let most = self.transport.retry.most_asked().unwrap_or(LONGEST_WAIT);
        if wait > most {
            return Some(TooLong { kind: ErrorKind::Interrupted, why: GiveUp::HintTooLong.words() });
        }
        let is_past = deadline.is_some_and(|deadline| Instant::now() + wait >= deadline);
        is_past.then_some(TooLong { kind: ErrorKind::DeadlineExceeded, why: GiveUp::Deadline.words() })
    }

    /// Waits until the storage may be requested again, and returns whether there was a wait. A pause longer than the
    /// retry policy allows is an error that carries it.
    ///
    /// Cancel-safe.
    pub(super) async fn may_ask(&self, link: &SecretUrl, deadline: Option<Instant>) -> Result<bool, Error> {
        let mut waited = false;
        while let Some(until) = self.paused_until(link) {
            let left = until.saturating_duration_since(Instant::now());
            if let Some(end) = self.is_too_long(left, deadline) {
                let error = Error::new(end.kind, "the storage is busy").with_url(link.url());
                return Err(error.with_retry_after(Some(left)).with_end(Some(end.why)));
            }
            tokio::time::sleep_until(until).await;
            waited = true;
        }
        Ok(waited)
    }

    pub(super) fn way(&self, link: &SecretUrl) -> Way {
        if !link.is_signed() && self.transport.trust.is_own(link.url()) { Way::Pipeline } else { Way::Bare }
    }

    /// Sends one GET, with these headers. If a storage accepts no connection, the request waits for it until `patience`
    /// ends.
    pub(super) async fn get(
        &self,
        link: &SecretUrl,
        way: Way,
        headers: HeaderMap,
        patience: Instant,
    ) -> Result<Response, Broken> {
        let transport = &self.transport;
        let mut request = Request::new(Method::GET, link.url().clone(), Priority::Download).with_headers(headers);
        request.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        // A foreign answer may name a link at the API: it is fetched without the credential, but within the limits.
        if way == Way::Pipeline || self.way(link) == Way::Pipeline {
            let request = request.bare(way == Way::Bare);
            return Sending::of(transport, &request).attempt().await;
        }
        let pass = loop {
            match transport.outages.try_pass(link.url(), || patience) {
                Some(pass) => break pass,
                None => transport.outages.wait(link.url(), patience).await,
            }
        };
        request.headers_mut().insert(header::USER_AGENT, transport.wire.user_agent.clone());
        let span = span::of(&request);
        let sending = tokio::time::timeout(transport.attempt_timeout, self.storage.send(request));
        let sent = sending.instrument(span.clone()).await.unwrap_or_else(|_| Err(HttpError::timeout()));
        match &sent {
            Ok(response) => {
                pass.connected(link.url());
                span::answered(&span, response.status());
            }
            Err(error) => {
                if error.is_absence() {
                    pass.refused(link.url());
                } else {
                    pass.broke(link.url());
                }
                span::broke(&span, error);
            }
        }
        let response = sent.map_err(Broken::Lost)?;
        let response = response.hiding(transport.wire.hidden.clone());
        Ok(response.bounded(transport.wire.body_limit, transport.wire.idle_timeout, transport.wire.least_rate))
    }

    pub(super) fn now(&self) -> std::time::SystemTime {
        self.transport.wire.clock.now()
    }
}

/// Returns the error of an attempt that is not repeated.
pub(super) fn gave_up(broken: Broken, link: &SecretUrl) -> Error {
    match broken {
        Broken::Refused(error) => error,
        Broken::Lost(error) => {
            let mut why = format!("no answer from the storage: {}", crate::error::root_cause(&error));
            if let Some(advice) = crate::error::out_of_files(&error) {
                why = format!("{why}: {advice}");
            }
            Error::new(ErrorKind::Interrupted, why).with_url(link.url()).with_source(error)
        }
    }
}

/// A wait that ends a download.
pub(super) struct TooLong {
    pub(super) kind: ErrorKind,
    pub(super) why: &'static str,
}

/// A storage that is busy says so in seconds or minutes. Who wants to wait for longer in silence sets
/// `RetryPolicy::give_up_over`.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);
