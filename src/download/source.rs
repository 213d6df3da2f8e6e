//! Source: the link of a download, which all its connections share: it is followed, renewed and asked for bytes here.

use std::error::Error as _;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue, header};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use url::Url;

use super::answer::Asked;
use super::carrier::{Carrier, Way, gave_up};
use super::{Renew, expiry, redirect};
use crate::error::{Error, ErrorKind};
use crate::hint;
use crate::message::{Origin, Reply, Response, is_transient};
use crate::protocol::read_fault;
use crate::redact::{SecretUrl, secrets_in};
use crate::transport::Broken;

/// The link of a download, and what became of it.
pub(super) struct Source {
    pub(super) carrier: Arc<Carrier>,
    /// The answer that named the link; `None` if the application did.
    named_by: Option<Box<Url>>,
    /// The caller's headers, for the API's own origin.
    own_headers: HeaderMap,
    /// The headers of the link, for its own origin.
    link_headers: HeaderMap,
    renew: Option<Arc<dyn Renew>>,
    pub(super) trusts_weak: bool,
    /// The deadline of the download: no wait goes past it.
    until: Option<Instant>,
    link: Mutex<Link>,
    /// Held while one connection renews the link for all.
    renewing: tokio::sync::Mutex<()>,
    /// Whether the storage refuses a Range.
    without_range: AtomicBool,
    /// Whether the storage answered a resume in a way that nothing can be done with.
    is_odd: AtomicBool,
    renewed: AtomicU32,
    /// What went wrong last, if nothing has come since.
    trouble: Mutex<Option<Error>>,
    /// How often the storage was too busy.
    busy: AtomicU32,
    /// How far the storage's clock is ahead of ours, in seconds.
    ahead: AtomicI64,
    /// Whether the storage has stated its time.
    knows_time: AtomicBool,
    /// The time from the last request to its answer, in microseconds.
    answered_within: AtomicU64,
}

struct Link {
    url: SecretUrl,
    /// The URL that the link last redirected to.
    led_to: Option<SecretUrl>,
    /// Whether a foreign origin named the link, or a link that it was renewed from.
    is_bare: bool,
    /// When the link was renewed, if it was not used since: only an immediate refusal then proves that it does not work.
    fresh: Option<Instant>,
    /// When the link is to be renewed before it is used.
    stale_from: Option<SystemTime>,
}

/// The bytes that a connection asks for.
pub(super) struct Ask<'a> {
    pub(super) asked: Asked<'a>,
    /// One past the last byte; `None` for all that follow.
    pub(super) end: Option<u64>,
    /// The ETag of a file that is there already: the storage is to say whether it is still the same.
    pub(super) unless: Option<&'a str>,
    /// Until when to wait for a host that accepts no connection.
    pub(super) patience: Instant,
}

/// What came of a request.
pub(super) enum Asking {
    Answered(Response),
    /// The host accepts no connection: this is not yet a failure.
    Absent,
    /// Try again.
    Again(Pause, Error),
}

/// The pause before another attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pause {
    None,
    /// The next step of the schedule, and at least as long as the storage asked for.
    Step(Duration),
}

impl Source {
    pub(super) fn new(
        carrier: Arc<Carrier>,
        url: SecretUrl,
        named_by: Option<Box<Url>>,
        own_headers: HeaderMap,
        renew: Option<Arc<dyn Renew>>,
        is_bare: bool,
    ) -> Self {
        let stale_from = stale_from(&url, carrier.now());
        let link = Link { url, led_to: None, is_bare, fresh: None, stale_from };
        Self {
            carrier,
            named_by,
            own_headers,
            link_headers: HeaderMap::new(),
            renew,
            trusts_weak: false,
            until: None,
            link: Mutex::new(link),
            renewing: tokio::sync::Mutex::default(),
            without_range: AtomicBool::new(false),
            is_odd: AtomicBool::new(false),
            renewed: AtomicU32::new(0),
            trouble: Mutex::default(),
            busy: AtomicU32::new(0),
            ahead: AtomicI64::new(0),
            knows_time: AtomicBool::new(false),
            answered_within: AtomicU64::new(0),
        }
    }

    pub(super) fn set(mut self, trusts_weak: bool, until: Option<Instant>) -> Self {
        (self.trusts_weak, self.until) = (trusts_weak, until);
        self
    }

    /// Sets the headers of the link.
    pub(super) fn sending(mut self, headers: HeaderMap) -> Self {
        self.link_headers = headers;
        self
    }

    /// No code panics while it holds the lock.
    fn link(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn url(&self) -> SecretUrl {
        self.link().url.clone()
    }

    /// Keeps what went wrong, for the error of a deadline that passes meanwhile.
    pub(super) fn note(&self, trouble: Option<Error>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    pub(super) fn trouble(&self) -> Option<Error> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for the right to a connection, which the files of a client share.
    pub(super) async fn connection(&self) -> Result<Option<OwnedSemaphorePermit>, Error> {
        Ok(self.carrier.connections.wait().await)
    }

    /// Returns whether a request counts against the limits of the API.
    pub(super) fn counts_as_a_call(&self) -> bool {
        self.carrier.way(&self.link().url) == Way::Pipeline
    }

    pub(super) fn renewed(&self) -> u32 {
        self.renewed.load(Relaxed)
    }

    /// Returns how often the storage was too busy so far.
    pub(super) fn busy(&self) -> u32 {
        self.busy.load(Relaxed)
    }

    /// Returns the time from the last request to its answer.
    pub(super) fn answered_within(&self) -> Duration {
        Duration::from_micros(self.answered_within.load(Relaxed))
    }

    pub(super) fn asks_without_range(&self) -> bool {
        self.without_range.load(Relaxed)
    }

    /// Stops asking for ranges. Returns whether that is new.
    pub(super) fn give_up_ranges(&self) -> bool {
        !self.without_range.swap(true, Relaxed)
    }

    /// Stops going on in the middle: the storage's answer to that cannot be used.
    pub(super) fn give_up_resumes(&self) {
        self.is_odd.store(true, Relaxed);
    }

    pub(super) fn can_resume(&self) -> bool {
        !self.is_odd.load(Relaxed)
    }

    /// Notes that the link works, and waited for nothing: it does not count as fresh any more.
    pub(super) fn used(&self) {
        self.link().fresh = None;
        self.note(None);
    }

    pub(super) fn error(&self, kind: ErrorKind, why: impl Into<String>) -> Error {
        Error::new(kind, why).with_url(self.link().url.url())
    }

    /// Sends one request, and follows its redirects.
    ///
    /// Not cancel-safe: a request that is dropped may have reached the storage, and is sent again by the next call.
    pub(super) async fn ask(&self, ask: &Ask<'_>) -> Result<Asking, Error> {
        self.renew_ahead().await;
        let (url, is_bare) = {
            let link = self.link();
            (link.url.clone(), link.is_bare)
        };
        let mut way = if is_bare { Way::Bare } else { self.carrier.way(&url) };
        let (mut target, mut from) = (url.clone(), self.named_by.clone());
        let mut hops = 0;
        loop {
            self.carrier.check(&target, from.as_deref())?;
            if way == Way::Bare && self.carrier.may_ask(&target, self.until).await? {
                self.used();
            }
            let asked = Instant::now();
            let is_own = Origin::from_url(target.url()) == Origin::from_url(url.url());
            let response = match self.carrier.get(&target, way, self.headers(way, is_own, ask), ask.patience).await {
                Ok(response) => response,
                Err(Broken::Lost(error)) if error.is_absence() && Instant::now() < ask.patience => {
                    self.used();
                    self.note(Some(gave_up(Broken::Lost(error), &url)));
                    return Ok(Asking::Absent);
                }
                // A token that is unavailable for now states nothing about the download.
                Err(Broken::Refused(error)) if error.kind() == ErrorKind::TokenUnavailable => {
                    return Ok(Asking::Again(Pause::Step(Duration::ZERO), error));
                }
                Err(Broken::Refused(error)) => return Err(error),
                Err(lost) => return Ok(Asking::Again(Pause::Step(Duration::ZERO), gave_up(lost, &url))),
            };
            let took = u64::try_from(asked.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.answered_within.store(took, Relaxed);
            self.look_at_the_clock(&response);
            let Some(next) = redirect::read(&response)? else { return Ok(Asking::Answered(response)) };
            hops += 1;
            if hops > MAX_REDIRECTS {
                let message = format!("more than {MAX_REDIRECTS} redirects");
                return Err(self.error(ErrorKind::ResultUnavailable, message));
            }
            from = Some(Box::new(target.url().clone()));
            target = next;
            self.link().led_to = Some(target.clone());
            if way == Way::Pipeline {
                // A bare download stays bare to the end: a storage must not make the client call the API in its own
                // name.
                way = self.carrier.way(&target);
            }
        }
    }

    /// Returns the headers of a request; `is_own` states whether it goes to the link's own origin.
    fn headers(&self, way: Way, is_own: bool, ask: &Ask<'_>) -> HeaderMap {
        // The caller's headers are for the API: storage gets none of them.
        let mut headers = if way == Way::Pipeline { self.own_headers.clone() } else { HeaderMap::new() };
        if is_own {
            for (name, value) in &self.link_headers {
                headers.insert(name, value.clone());
            }
        }
        let mut put = |name, text: &str| {
            if let Ok(value) = HeaderValue::try_from(text) {
                headers.insert(name, value);
            }
        };
        if ask.asked.is_ranged {
            let last = ask.end.map(|end| (end - 1).to_string()).unwrap_or_default();
            put(header::RANGE, &format!("bytes={}-{last}", ask.asked.first));
        }
        if let Some(etag) = ask.unless {
            put(header::IF_NONE_MATCH, etag);
        }
        if let Some(identity) = ask.asked.identity {
            identity.condition(&mut headers);
        }
        headers
    }

    /// Handles an answer that refuses: a passing failure, an expired link, a storage without ranges, or the end.
    /// `renewals`: how often the link had been renewed when it was asked for.
    pub(super) async fn refused(&self, response: Response, asked: &Asked<'_>, renewals: u32) -> Result<Refusal, Error> {
        let hint = hint::from_answer(response.status(), response.headers(), self.carrier.now(), |_| false).delay;
        let (at, status) = (response.url().clone(), response.status());
        let reply = response.reply_with_what_came(None).await;
        let (url, led_to) = {
            let link = self.link();
            (link.url.clone(), link.led_to.clone())
        };
        // The links include the one that was requested first, and its former redirect target.
        let mask = reply
            .mask()
            .and([Some(&url), led_to.as_ref()].into_iter().flatten().flat_map(|link| secrets_in(link.url())));
        let error = |kind, why: String| {
            let fault = read_fault(&reply, reply.json().as_ref()).masked(&mask);
            Error::new(kind, why).with_url(url.url()).with_status(status).with_fault(fault)
        };
        match status.as_u16() {
            code if is_transient(code) || code == 202 => {
                if matches!(code, 429 | 503) {
                    self.busy.fetch_add(1, Relaxed);
                }
                let why =
                    if code == 202 { "the storage has not got the result yet (202)" } else { "the storage is busy" };
                if let Some(hint) = hint {
                    // A 202 is about one object, and all else about the storage.
                    match code {
                        202 => self.carrier.pause_object(&SecretUrl::from(at), hint),
                        _ => self.carrier.pause(&SecretUrl::from(at), hint),
                    }
                    if let Some(end) = self.carrier.is_too_long(hint, self.until) {
                        return Err(error(end.kind, why.into()).with_retry_after(Some(hint)).with_end(Some(end.why)));
                    }
                }
                let error = error(ErrorKind::Interrupted, why.into()).with_retry_after(hint);
                Ok(Refusal::Again(Pause::Step(hint.unwrap_or_default()), error))
            }
            code @ (401 | 403 | 404 | 410) => self.renew(code, &url, renewals, error).await,
            400 if says_expired(&reply) => self.renew(400, &url, renewals, error).await,
            code => {
                let why = if status.is_success() {
                    format!("the storage answered with {code}, which brings no file")
                } else {
                    format!("the storage answered with {code}")
                };
                let error = error(ErrorKind::ResultUnavailable, why);
                if asked.refuses_ranges(status).is_some() { Ok(Refusal::OfRange(error)) } else { Err(error) }
            }
        }
    }

    /// Replaces a link that does not work by a fresh one from the task, once for all connections.
    async fn renew(
        &self,
        code: u16,
        tried: &SecretUrl,
        renewals: u32,
        error: impl Fn(ErrorKind, String) -> Error,
    ) -> Result<Refusal, Error> {
        let is_bare = self.link().is_bare;
        let kind = match code {
            404 | 410 => ErrorKind::ResultUnavailable,
            401 if !is_bare && self.carrier.way(tried) == Way::Pipeline => ErrorKind::Unauthorized,
            _ => ErrorKind::AccessDenied,
        };
        let known = expiry::of(tried).map(|end| {
            if end <= self.storage_time() { "; the link has expired" } else { "; the link has not expired yet" }
        });
        let known = known.unwrap_or_default();
        let refused = error(kind, format!("answered with {code}{known}"));
        let _renewing = self.renewing.lock().await;
        if self.renewed() != renewals {
            // Another connection renewed it meanwhile.
            return Ok(Refusal::Again(Pause::None, refused));
        }
        // Only an immediate refusal proves that a fresh link does not work: a link that waited in a queue or behind a
        // slow answer may have expired like any other.
        let is_fresh = self.link().fresh.is_some_and(|since| since.elapsed() < AT_ONCE);
        let Some(renew) = self.renew.as_ref().filter(|_| !is_fresh) else {
            let fresh = if is_fresh { ", also with a fresh link" } else { "" };
            return Err(error(kind, format!("answered with {code}{fresh}{known}")));
        };
        let renewed = renew.renew().await.map_err(|error| match error.source() {
            Some(_) => error,
            None => error.with_source(refused.clone()),
        })?;
        self.take_fresh(renewed);
        Ok(Refusal::Again(Pause::None, refused))
    }

    /// Renews a link that is about to expire, before it is used. A failure is none yet: the link may still work.
    async fn renew_ahead(&self) {
        let Some(renew) = &self.renew else { return };
        let is_stale = |source: &Self| source.link().stale_from.is_some_and(|from| from <= source.storage_time());
        if !is_stale(self) {
            return;
        }
        let _renewing = self.renewing.lock().await;
        if !is_stale(self) {
            return;
        }
        match renew.renew().await {
            Ok(renewed) => self.take_fresh(renewed),
            Err(error) => {
                self.link().stale_from = None;
                tracing::debug!(%error, "a link that is about to expire could not be renewed ahead of time");
            }
        }
    }

    fn take_fresh(&self, renewed: super::Renewed) {
        let mut link = self.link();
        // A service that gives the same link again has no later one.
        let is_same = link.url == renewed.link;
        link.stale_from = stale_from(&renewed.link, self.storage_time()).filter(|_| !is_same);
        link.url = renewed.link;
        link.is_bare |= renewed.is_bare;
        link.fresh = Some(Instant::now());
        tracing::debug!(link = %link.url, "link renewed");
        drop(link);
        self.renewed.fetch_add(1, Relaxed);
    }

    fn look_at_the_clock(&self, response: &Response) {
        let stated = response.headers().get(header::DATE).and_then(|date| date.to_str().ok());
        let Some(stated) = stated.and_then(|date| httpdate::parse_http_date(date).ok()) else { return };
        let now = self.carrier.now();
        let seconds = |span: Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
        let ahead = match stated.duration_since(now) {
            Ok(ahead) => seconds(ahead),
            Err(behind) => -seconds(behind.duration()),
        };
        self.ahead.store(ahead, Relaxed);
        if !self.knows_time.swap(true, Relaxed) {
            // By our clock alone, the link may have seemed to have ended already.
            let now = self.storage_time();
            let mut link = self.link();
            link.stale_from = link.stale_from.or_else(|| stale_from(&link.url, now));
        }
    }

    /// Returns the time by the storage's clock, which decides when a link expires.
    fn storage_time(&self) -> SystemTime {
        let (now, ahead) = (self.carrier.now(), self.ahead.load(Relaxed));
        let by = Duration::from_secs(ahead.unsigned_abs());
        let corrected = if ahead < 0 { now.checked_sub(by) } else { now.checked_add(by) };
        corrected.unwrap_or(now)
    }
}

/// What a refusal means for the next attempt.
pub(super) enum Refusal {
    Again(Pause, Error),
    /// The storage may refuse the Range alone.
    OfRange(Error),
}

/// Returns when a link is to be renewed: at nine tenths of what is left of its life, or half a minute before its end.
/// `None` for a link without an end, and for one that has expired already: only the storage can tell whether it works.
fn stale_from(link: &SecretUrl, now: SystemTime) -> Option<SystemTime> {
    let end = expiry::of(link)?;
    let left = end.duration_since(now).ok().filter(|left| !left.is_zero())?;
    end.checked_sub((left / 10).min(AHEAD))
}

/// Returns whether the link has expired: S3 answers 400 to an expired session token.
fn says_expired(reply: &Reply) -> bool {
    let text = String::from_utf8_lossy(reply.body()).to_ascii_lowercase();
    ["expired", "securitytoken", "invalidtoken"].iter().any(|word| text.contains(word))
}

/// A fresh link is used at once, and refused at once.
const AT_ONCE: Duration = Duration::from_secs(5);
/// Time for a request to reach the storage, and for clocks that differ by some seconds.
const AHEAD: Duration = Duration::from_secs(30);
/// As many as curl allows by custom, fewer than a loop needs to hurt.
const MAX_REDIRECTS: u32 = 5;
