//! Reader: the bytes behind a link in order, across any break.

use std::error::Error as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use tokio::time::Instant;
use url::Url;

use super::carrier::{Carrier, HINT_TOO_LONG, Way, gave_up};
use super::range::{ContentRange, Pin};
use super::{Receipt, Renew, expiry, redirect};
use crate::error::{Error, ErrorKind};
use crate::hint;
use crate::message::{Reply, Response, is_transient};
use crate::protocol::read_fault;
use crate::redact::{SecretUrl, secrets_in};
use crate::transport::Broken;

pub(super) struct Reader {
    carrier: Arc<Carrier>,
    link: SecretUrl,
    /// The URL that the link last redirected to.
    led_to: Option<SecretUrl>,
    /// The answer that named the link; `None` if the application did.
    from: Option<Box<Url>>,
    /// The caller's headers, for the API's own origin.
    own_headers: HeaderMap,
    renew: Option<Arc<dyn Renew>>,
    /// Whether a foreign origin named the link, or a link that it was renewed from.
    is_bare: bool,
    /// An answer that was already received, and begins at the first byte.
    opened: Option<Response>,
    /// The identity of the first answer's object.
    pin: Option<Pin>,
    offset: u64,
    /// The furthest offset so far: bytes repeated after a restart are no progress.
    furthest: u64,
    body: Option<Response>,
    /// The end of the last body, as the storage stated it.
    body_end: Option<u64>,
    /// Bytes still to be skipped, if a storage sends everything from the start.
    pass_over: u64,
    whole: bool,
    /// Whether the storage refuses ranges.
    without_range: bool,
    /// Failures since the last byte.
    failures: u32,
    /// Bytes of progress since the body was opened.
    since_open: u64,
    /// The arrival time of a link that has not yet been proven to work; `None` once the reader has waited with it.
    fresh: Option<Instant>,
    /// The time since which the storage accepts no connection.
    unreachable: Option<Instant>,
    receipt: Receipt,
}

/// The output of a reader.
pub(super) enum Piece {
    Chunk(Bytes),
    /// All bytes so far are void: the storage can only start anew.
    Restart,
    End,
}

/// The meaning of an answer for the download.
enum Opened {
    Body,
    End,
    Restart,
    /// Try again: the reader waits for the storage, and this is not yet a failure.
    Unreachable,
    /// Try again after this long; `None` if the schedule has ended.
    Again(Option<Duration>, Error),
}

impl Reader {
    pub(super) fn new(
        carrier: Arc<Carrier>,
        link: SecretUrl,
        from: Option<Box<Url>>,
        headers: HeaderMap,
        renew: Option<Arc<dyn Renew>>,
        opened: Option<Response>,
    ) -> Self {
        Self {
            opened,
            carrier,
            link,
            led_to: None,
            from,
            own_headers: headers,
            renew,
            is_bare: false,
            pin: None,
            offset: 0,
            furthest: 0,
            body: None,
            body_end: None,
            pass_over: 0,
            whole: false,
            without_range: false,
            failures: 0,
            since_open: 0,
            fresh: None,
            unreachable: None,
            receipt: Receipt::default(),
        }
    }

    pub(super) fn bare(mut self, is_bare: bool) -> Self {
        self.is_bare = is_bare;
        self
    }

    fn way(&self) -> Way {
        if self.is_bare { Way::Bare } else { self.carrier.way(&self.link) }
    }

    /// Continues where an earlier reader ended.
    pub(super) fn resume(&mut self, pin: Pin, offset: u64) {
        self.pin = Some(pin);
        self.offset = offset;
        self.receipt.resumed_at = offset;
    }

    /// Discards everything: starts at the first byte, with the object as it is now.
    pub(super) fn start_over(&mut self) {
        (self.pin, self.offset, self.body, self.body_end, self.pass_over) = (None, 0, None, None, 0);
        self.receipt.resumed_at = 0;
    }

    pub(super) const fn link(&self) -> &SecretUrl {
        &self.link
    }

    pub(super) const fn pin(&self) -> Option<&Pin> {
        self.pin.as_ref()
    }

    pub(super) fn total(&self) -> Option<u64> {
        self.pin.as_ref().and_then(|pin| pin.total)
    }

    /// Returns how many bytes were handed out, counted from the start of the whole result.
    pub(super) const fn offset(&self) -> u64 {
        self.offset
    }

    pub(super) const fn receipt(&self) -> Receipt {
        Receipt { bytes: self.offset, ..self.receipt }
    }

    /// Returns the next piece.
    ///
    /// Cancel-safe: bytes that were read are handed out or still to come.
    pub(super) async fn next(&mut self) -> Result<Piece, Error> {
        loop {
            if self.whole {
                return Ok(Piece::End);
            }
            if self.body.is_none() {
                match self.open().await? {
                    Opened::Body => {}
                    Opened::End => {
                        self.whole = true;
                        continue;
                    }
                    Opened::Restart => return Ok(Piece::Restart),
                    Opened::Unreachable => continue,
                    Opened::Again(pause, error) => {
                        let pause = self.fail(error, pause)?;
                        self.rest(pause).await;
                        continue;
                    }
                }
            }
            let Some(body) = &mut self.body else { continue };
            match body.next_chunk().await {
                Ok(Some(chunk)) => {
                    if let Some(chunk) = self.take(chunk)? {
                        return Ok(Piece::Chunk(chunk));
                    }
                }
                Ok(None) if self.is_whole() => {
                    self.body = None;
                    self.whole = true;
                }
                ended => {
                    let error = Error::new(ErrorKind::Interrupted, "the transfer broke off").with_url(self.link.url());
                    let error = match ended {
                        Err(cause) => error.with_source(cause),
                        Ok(_) => error,
                    };
                    self.body = None;
                    self.receipt.reopened += 1;
                    let pause = self.pause_after_a_break();
                    let pause = self.fail(error, pause)?;
                    self.rest(pause).await;
                }
            }
        }
    }

    /// Pauses. A link that had to wait no longer counts as fresh.
    async fn rest(&mut self, pause: Duration) {
        if !pause.is_zero() {
            self.fresh = None;
            tokio::time::sleep(pause).await;
        }
    }

    /// Returns whether the result is complete if a body ends here. For a range without a total, that is unknown: the
    /// reader asks for more.
    fn is_whole(&self) -> bool {
        let all = self.total().map_or(self.body_end.is_none(), |total| total == self.offset);
        all && self.pass_over == 0
    }

    /// Counts a chunk; bytes that were already handed out are cut off.
    fn take(&mut self, mut chunk: Bytes) -> Result<Option<Bytes>, Error> {
        if self.pass_over > 0 {
            let old = usize::try_from(self.pass_over).map_or(chunk.len(), |old| old.min(chunk.len()));
            self.pass_over -= old as u64;
            drop(chunk.split_to(old));
        }
        if chunk.is_empty() {
            return Ok(None);
        }
        let length = chunk.len() as u64;
        self.offset += length;
        self.fresh = None;
        if [self.body_end, self.total()].into_iter().flatten().any(|end| self.offset > end) {
            return Err(self.changed("the storage sent more bytes than it had stated"));
        }
        if self.offset > self.furthest {
            self.since_open += length.min(self.offset - self.furthest);
            (self.furthest, self.failures) = (self.offset, 0);
        }
        Ok(Some(chunk))
    }

    /// Counts a failure, and returns the pause before the next attempt if there is one.
    fn fail(&mut self, error: Error, pause: Option<Duration>) -> Result<Duration, Error> {
        self.failures += 1;
        tracing::debug!(link = %self.link, offset = self.offset, failures = self.failures, %error, "download broke off");
        pause.filter(|_| self.failures < MAX_FAILURES).ok_or_else(|| error.with_attempts(self.failures))
    }

    /// Returns the pause after a break; a body that delivered much is reopened at once.
    fn pause_after_a_break(&self) -> Option<Duration> {
        if self.since_open >= ENOUGH_PROGRESS { Some(Duration::ZERO) } else { self.next_pause() }
    }

    /// Returns the next pause; `None` if the schedule has ended.
    fn next_pause(&self) -> Option<Duration> {
        let step = usize::try_from(self.failures).unwrap_or(usize::MAX);
        self.carrier.schedule.delays(fastrand::u64(..)).nth(step)
    }

    /// Requests the bytes from the offset on.
    async fn open(&mut self) -> Result<Opened, Error> {
        if self.offset == 0 {
            // No bytes were handed out that the rest would have to match.
            self.pin = None;
        }
        if let Some(response) = self.opened.take() {
            (self.since_open, self.pass_over) = (0, 0);
            let opened = self.opened_whole(response)?;
            if let Some(pin) = self.pin.as_mut().filter(|pin| pin.total.is_none()) {
                // A body without a length may have been decoded on the way: no part of the stored object would fit.
                (pin.etag, pin.last_modified) = (None, None);
            }
            return Ok(opened);
        }
        let mut target = self.link.clone();
        let mut way = self.way();
        let mut from = self.from.clone();
        let mut hops = 0;
        let response = loop {
            self.carrier.check(&target, from.as_deref())?;
            let begun = Instant::now();
            if way == Way::Bare && self.carrier.may_ask(&target).await? {
                self.fresh = None;
            }
            let wait = self.carrier.transport.retry.patience();
            let patience = self.unreachable.unwrap_or(begun) + wait;
            let response = match self.carrier.get(&target, way, self.headers(way), patience).await {
                Ok(response) => response,
                Err(Broken::Lost(error)) if error.is_absence() && Instant::now() < patience => {
                    self.unreachable.get_or_insert(begun);
                    self.fresh = None;
                    return Ok(Opened::Unreachable);
                }
                // A token that is unavailable for now states nothing about the download.
                Err(Broken::Refused(error)) if error.kind() == ErrorKind::TokenUnavailable => {
                    return Ok(Opened::Again(self.next_pause(), error));
                }
                Err(Broken::Refused(error)) => return Err(error),
                Err(lost) => return Ok(Opened::Again(self.next_pause(), gave_up(lost, &self.link))),
            };
            self.unreachable = None;
            let Some(next) = redirect::read(&response)? else { break response };
            hops += 1;
            if hops > MAX_REDIRECTS {
                let message = format!("more than {MAX_REDIRECTS} redirects");
                return Err(Error::new(ErrorKind::ResultUnavailable, message).with_url(self.link.url()));
            }
            from = Some(Box::new(target.url().clone()));
            target = next;
            self.led_to = Some(target.clone());
            if way == Way::Pipeline {
                // A bare download stays bare to the end: a storage must not make the client call the API in its own
                // name.
                way = self.carrier.way(&target);
            }
        };
        (self.since_open, self.pass_over) = (0, 0);
        match response.status().as_u16() {
            206 => self.opened_partial(response),
            200 | 203 | 204 => self.opened_whole(response),
            412 => Err(self.changed("the storage says that it is not the same any more (412)")),
            416 => self.unsatisfied(&response),
            _ => self.refused(response).await,
        }
    }

    fn headers(&self, way: Way) -> HeaderMap {
        // The caller's headers are for the API: storage gets none of them.
        let mut headers = if way == Way::Pipeline { self.own_headers.clone() } else { HeaderMap::new() };
        if !self.without_range
            && let Ok(range) = HeaderValue::try_from(format!("bytes={}-", self.offset))
        {
            headers.insert(header::RANGE, range);
        }
        if let Some(pin) = &self.pin {
            pin.condition(&mut headers);
        }
        headers
    }

    fn opened_partial(&mut self, response: Response) -> Result<Opened, Error> {
        let fits = |range: &ContentRange| {
            let length = range.end - range.first;
            range.first == self.offset && response.content_length().is_none_or(|stated| stated == length)
        };
        let Some(range) = ContentRange::of(response.headers()).filter(fits) else {
            let message = "the storage answered with another range than was asked for";
            return Err(Error::new(ErrorKind::ResultUnavailable, message).with_url(self.link.url()));
        };
        let now = Pin::of(response.headers(), range.total);
        match &mut self.pin {
            None => self.pin = Some(now),
            Some(pin) => {
                if let Some(why) = pin.differs(&now) {
                    return Err(self.changed(why));
                }
                if pin.etag.is_none() && pin.last_modified.is_none() && pin.total.is_none() {
                    self.start_over();
                    return Ok(Opened::Restart);
                }
                pin.total = pin.total.or(range.total);
            }
        }
        if range.end == self.offset && range.total == Some(self.offset) {
            return Ok(Opened::End);
        }
        self.body_end = Some(range.end);
        self.body = Some(response);
        Ok(Opened::Body)
    }

    /// Handles a storage that sends everything from the start.
    fn opened_whole(&mut self, response: Response) -> Result<Opened, Error> {
        let total = response.content_length();
        let now = Pin::of(response.headers(), total);
        let mut opened = Opened::Body;
        match &mut self.pin {
            None => self.pin = Some(now),
            Some(pin) => {
                if let Some(why) = pin.differs(&now) {
                    return Err(self.changed(why));
                }
                // The bytes so far may stay only if this is provably the same object.
                if pin.proves(&now) {
                    pin.total = pin.total.or(total);
                    self.pass_over = self.offset;
                } else {
                    self.start_over();
                    self.pin = Some(now);
                    opened = Opened::Restart;
                }
            }
        }
        self.body_end = total;
        self.body = Some(response);
        Ok(opened)
    }

    /// Handles a 416: there is no byte at the offset.
    fn unsatisfied(&mut self, response: &Response) -> Result<Opened, Error> {
        let stated = ContentRange::unsatisfied(response.headers());
        let now = Pin::of(response.headers(), stated);
        if let Some(why) = self.pin.as_ref().and_then(|pin| pin.differs(&now)) {
            return Err(self.changed(why));
        }
        // Not every storage states the total; without it, the earlier statement holds.
        let total = stated.or(self.total()).or(self.body_end);
        if total == Some(self.offset) {
            self.pin.get_or_insert_default().total = total;
            return Ok(Opened::End);
        }
        if self.offset > 0 {
            return Err(self.changed("it ends before what is asked for (416)"));
        }
        if std::mem::replace(&mut self.without_range, true) {
            let message = "the storage answered with 416 to a request without a range";
            return Err(Error::new(ErrorKind::ResultUnavailable, message).with_url(self.link.url()));
        }
        let error = Error::new(ErrorKind::Interrupted, "the storage refused a range").with_url(self.link.url());
        Ok(Opened::Again(Some(Duration::ZERO), error))
    }

    /// Handles any other status: a passing failure, an expired link, or the end.
    async fn refused(&mut self, response: Response) -> Result<Opened, Error> {
        let hint = hint::from_answer(response.status(), response.headers(), self.carrier.now(), |_| false).delay;
        let stated = response.headers().get(header::DATE).and_then(|date| date.to_str().ok());
        let storage_time = stated.and_then(|date| httpdate::parse_http_date(date).ok());
        let (asked, status) = (response.url().clone(), response.status());
        let reply = response.reply_with_what_came(None).await;
        let link = self.link.clone();
        // The links include the one that was requested first, and its former redirect target.
        let links = [Some(&link), self.led_to.as_ref()].into_iter().flatten();
        let mask = reply.mask().and(links.flat_map(|link| secrets_in(link.url())));
        let error = |kind, why: String| {
            let fault = read_fault(&reply, reply.json().as_ref()).masked(&mask);
            Error::new(kind, why).with_url(link.url()).with_status(status).with_fault(fault)
        };
        match status.as_u16() {
            code if is_transient(code) => {
                let error = error(ErrorKind::Interrupted, "the storage is busy".into()).with_retry_after(hint);
                if let Some(hint) = hint {
                    self.carrier.pause(&SecretUrl::from(asked), hint);
                    if self.carrier.transport.retry.most_asked().is_some_and(|most| hint > most) {
                        return Err(error.with_attempts(self.failures + 1).with_end(Some(HINT_TOO_LONG)));
                    }
                }
                Ok(Opened::Again(self.next_pause().map(|pause| hint.unwrap_or_default().max(pause)), error))
            }
            code @ (401 | 403 | 404 | 410) => self.renew(code, storage_time, error).await,
            400 if says_expired(&reply) => self.renew(400, storage_time, error).await,
            code => Err(error(ErrorKind::ResultUnavailable, format!("the storage answered with {code}"))),
        }
    }

    /// Replaces a link that does not work by a fresh one from the task, once.
    async fn renew(
        &mut self,
        code: u16,
        storage_time: Option<SystemTime>,
        error: impl Fn(ErrorKind, String) -> Error,
    ) -> Result<Opened, Error> {
        let kind = match code {
            404 | 410 => ErrorKind::ResultUnavailable,
            401 if self.way() == Way::Pipeline => ErrorKind::Unauthorized,
            _ => ErrorKind::AccessDenied,
        };
        let known = expiry::of(&self.link).map(|end| {
            let now = storage_time.unwrap_or_else(|| self.carrier.now());
            if end <= now { "; the link has expired" } else { "; the link has not expired yet" }
        });
        let known = known.unwrap_or_default();
        // Only an immediate refusal proves that a fresh link does not work: a link that waited in a queue or behind a
        // slow answer may have expired like any other.
        let fresh = self.fresh.is_some_and(|since| since.elapsed() < AT_ONCE);
        let Some(renew) = self.renew.as_ref().filter(|_| !fresh) else {
            let fresh = if fresh { ", also with a fresh link" } else { "" };
            return Err(error(kind, format!("answered with {code}{fresh}{known}")));
        };
        let refused = error(kind, format!("answered with {code}{known}"));
        let renewed = renew.renew().await.map_err(|error| match error.source() {
            Some(_) => error,
            None => error.with_source(refused.clone()),
        })?;
        self.link = renewed.link;
        self.is_bare |= renewed.is_bare;
        self.fresh = Some(Instant::now());
        self.receipt.renewed += 1;
        tracing::debug!(link = %self.link, "link renewed");
        Ok(Opened::Again(Some(Duration::ZERO), refused))
    }

    fn changed(&self, why: &str) -> Error {
        Error::new(ErrorKind::ResultChanged, why).with_url(self.link.url())
    }
}

/// Returns whether the link has expired: S3 answers 400 to an expired session token.
fn says_expired(reply: &Reply) -> bool {
    String::from_utf8_lossy(reply.body()).contains("Expired")
}

/// A fresh link is used at once, and refused at once.
const AT_ONCE: Duration = Duration::from_secs(5);
/// Attempts in a row without a byte of progress: with the standard pauses, some two minutes.
const MAX_FAILURES: u32 = 8;
/// As many as curl allows by custom, fewer than a loop needs to hurt.
const MAX_REDIRECTS: u32 = 5;
/// A body that delivered at least this much is reopened without a pause.
const ENOUGH_PROGRESS: u64 = 64 * 1024;
