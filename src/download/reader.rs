//! Reader: the bytes behind a link in order, across any break: of the whole object, or of a range of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use tokio::time::Instant;

use super::answer::{Asked, Verdict};
use super::identity::Identity;
use super::source::{Ask, Asking, Pause, Refusal, Source};
use crate::error::{Error, ErrorKind};
use crate::message::Response;

pub(super) struct Reader {
    source: Arc<Source>,
    /// The object that the bytes so far are of.
    identity: Option<Identity>,
    /// The object of an answer that was handed out, and of which no byte came.
    voided: Option<Identity>,
    /// The head of the answer that the identity is from.
    head: Option<Head>,
    offset: u64,
    /// One past the last byte that is wanted; `None` for the end of the object.
    end: Option<u64>,
    /// The furthest offset so far: bytes repeated after a restart are no progress.
    furthest: u64,
    /// An answer that was already received, and begins at the first byte.
    received: Option<Response>,
    body: Option<Response>,
    /// The end of the last body, as the storage stated it.
    body_end: Option<u64>,
    /// Bytes still to be skipped, if a storage sends more than the rest.
    pass_over: u64,
    whole: bool,
    /// Whether other connections are at work, so that this one is not worth reading over what they fetch.
    is_one_of_many: bool,
    /// The ETag of a file that is there already.
    unless: Option<String>,
    /// Whether an answer that may be a gateway's page was asked for once more.
    has_doubted: bool,
    /// Failures since the last byte.
    failures: u32,
    /// Bytes of progress since the last request.
    since_open: u64,
    /// Whether the reader waits for a body that is open: it may be dropped then.
    is_reading: Arc<AtomicBool>,
    /// Since when the host accepts no connection.
    absent_since: Option<Instant>,
    reopened: u32,
}

/// The output of a reader.
pub(super) enum Piece {
    Chunk(Bytes),
    /// All bytes so far are void: the download begins anew.
    Restart,
    /// The storage did not answer with the range as it should, and other connections are at work: they have bytes that
    /// are good.
    NoRanges,
    /// The object is the one that the caller has already.
    NotModified,
    End,
}

/// The head of the first answer.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) headers: HeaderMap,
    /// Whether the body of the answer is the whole object.
    pub(super) is_whole: bool,
    /// Whether it answered a Range as it should.
    pub(super) has_ranges: bool,
}

enum Opened {
    Body,
    End,
    Restart,
    NoRanges,
    NotModified,
    /// Try again: the reader waits for the storage, and this is not yet a failure.
    Absent,
    /// Try again after this pause. Whether it counts as a failure.
    Again(Pause, Error, bool),
}

impl Reader {
    /// Creates a reader of the whole object.
    pub(super) fn new(source: Arc<Source>) -> Self {
        Self {
            source,
            identity: None,
            voided: None,
            head: None,
            offset: 0,
            end: None,
            furthest: 0,
            received: None,
            body: None,
            body_end: None,
            pass_over: 0,
            whole: false,
            is_one_of_many: false,
            unless: None,
            has_doubted: false,
            failures: 0,
            since_open: 0,
            is_reading: Arc::default(),
            absent_since: None,
            reopened: 0,
        }
    }

    /// Creates a reader of a range of an object that is known.
    pub(super) fn of_range(source: Arc<Source>, identity: Identity, first: u64, end: u64) -> Self {
        let mut reader = Self::new(source);
        (reader.identity, reader.offset, reader.furthest, reader.end) = (Some(identity), first, first, Some(end));
        reader
    }

    /// Creates a reader of all that follows a byte of an object that is known.
    pub(super) fn of_rest(source: Arc<Source>, identity: Identity, first: u64) -> Self {
        let mut reader = Self::new(source);
        (reader.identity, reader.offset, reader.furthest) = (Some(identity), first, first);
        reader
    }

    /// Begins with an answer that was received before.
    pub(super) fn received(mut self, response: Option<Response>) -> Self {
        self.received = response;
        self
    }

    /// Asks for the object unless it is the one with this ETag.
    pub(super) fn unless(mut self, etag: Option<String>) -> Self {
        self.unless = etag;
        self
    }

    /// Moves the end of the range: another connection took the rest, or left it.
    pub(super) const fn end_at(&mut self, end: u64) {
        self.end = Some(end);
    }

    pub(super) const fn among_others(&mut self, is_one_of_many: bool) {
        self.is_one_of_many = is_one_of_many;
    }

    pub(super) const fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    pub(super) const fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }

    pub(super) fn total(&self) -> Option<u64> {
        self.identity.as_ref().and_then(|identity| identity.total)
    }

    /// Returns how many bytes were handed out, counted from the start of the whole object.
    pub(super) const fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns a flag: whether the reader waits for a body that is open, so that it may be dropped.
    pub(super) fn is_reading(&self) -> Arc<AtomicBool> {
        self.is_reading.clone()
    }

    /// Returns how often a body broke off.
    pub(super) const fn reopened(&self) -> u32 {
        self.reopened
    }

    /// Opens the first body if none is open, and hands out nothing yet.
    pub(super) async fn begin(&mut self) -> Result<Option<Piece>, Error> {
        while self.body.is_none() && !self.whole {
            if let Some(piece) = self.open_once().await? {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }

    /// Returns the next piece.
    ///
    /// Cancel-safe while a body is open: bytes that were read are handed out or still to come. A request that is dropped
    /// is sent again.
    pub(super) async fn next(&mut self) -> Result<Piece, Error> {
        loop {
            if self.whole || self.end.is_some_and(|end| self.offset >= end) {
                self.body = None;
                return Ok(Piece::End);
            }
            if self.body.is_none() {
                if let Some(piece) = self.open_once().await? {
                    return Ok(piece);
                }
                continue;
            }
            let Some(body) = &mut self.body else { continue };
            self.is_reading.store(true, Relaxed);
            let chunk = body.next_chunk().await;
            self.is_reading.store(false, Relaxed);
            match chunk {
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
                    let error = self.source.error(ErrorKind::Interrupted, "the transfer broke off");
                    let error = match ended {
                        Err(cause) => error.with_source(cause),
                        Ok(_) => error,
                    };
                    if let Some(piece) = self.reopen(error).await? {
                        return Ok(piece);
                    }
                }
            }
        }
    }

    /// Gives up a body that is too slow: the next piece comes from another one.
    pub(super) async fn reopen_slow(&mut self) -> Result<Option<Piece>, Error> {
        let error = self.source.error(ErrorKind::Interrupted, "the transfer became too slow");
        self.reopen(error).await
    }

    async fn reopen(&mut self, error: Error) -> Result<Option<Piece>, Error> {
        self.body = None;
        self.is_reading.store(false, Relaxed);
        self.reopened += 1;
        // A body that delivered much is reopened at once.
        let pause = if self.since_open >= ENOUGH_PROGRESS { Pause::None } else { Pause::Step(Duration::ZERO) };
        self.pause(pause, error, true).await?;
        let trusts_weak = self.source.trusts_weak;
        let can_prove = self.identity.as_ref().is_some_and(|identity| identity.has_proof(trusts_weak));
        if self.offset > 0 && !(can_prove && self.source.can_resume()) {
            return Ok(Some(self.restart()));
        }
        Ok(None)
    }

    /// Voids all bytes so far.
    fn restart(&mut self) -> Piece {
        (self.identity, self.head, self.offset, self.body_end, self.pass_over) = (None, None, 0, None, 0);
        // What follows is the whole, also for a reader of a range.
        (self.end, self.is_one_of_many) = (None, false);
        self.body = None;
        Piece::Restart
    }

    async fn open_once(&mut self) -> Result<Option<Piece>, Error> {
        match self.open().await? {
            Opened::Body | Opened::Absent => Ok(None),
            Opened::End => {
                self.whole = true;
                Ok(None)
            }
            Opened::Restart => Ok(Some(Piece::Restart)),
            Opened::NoRanges => Ok(Some(Piece::NoRanges)),
            Opened::NotModified => Ok(Some(Piece::NotModified)),
            Opened::Again(pause, error, counts) => {
                self.pause(pause, error, counts).await?;
                Ok(None)
            }
        }
    }

    /// Returns whether the result is complete if a body ends here. For a range without a total, that is unknown: the
    /// reader asks for more.
    fn is_whole(&self) -> bool {
        let all = self.total().map_or(self.body_end.is_none(), |total| total == self.offset);
        all && self.pass_over == 0
    }

    /// Counts a chunk; bytes that were already handed out, or are not wanted, are cut off.
    fn take(&mut self, mut chunk: Bytes) -> Result<Option<Bytes>, Error> {
        if self.pass_over > 0 {
            let old = usize::try_from(self.pass_over).map_or(chunk.len(), |old| old.min(chunk.len()));
            self.pass_over -= old as u64;
            drop(chunk.split_to(old));
        }
        if self.body_end.or(self.total()).is_some_and(|end| self.offset + chunk.len() as u64 > end) {
            return Err(self.changed("the storage sent more bytes than it had stated"));
        }
        if let Some(end) = self.end {
            let wanted = usize::try_from(end.saturating_sub(self.offset)).unwrap_or(usize::MAX);
            chunk.truncate(wanted);
        }
        if chunk.is_empty() {
            return Ok(None);
        }
        let length = chunk.len() as u64;
        self.offset += length;
        if self.offset > self.furthest {
            self.since_open += length.min(self.offset - self.furthest);
            (self.furthest, self.failures) = (self.offset, 0);
        }
        Ok(Some(chunk))
    }

    /// Counts a failure, and waits before the next attempt if there is one.
    async fn pause(&mut self, pause: Pause, error: Error, counts: bool) -> Result<(), Error> {
        let step = usize::try_from(self.failures).unwrap_or(usize::MAX);
        let pause = match pause {
            Pause::None => Some(Duration::ZERO),
            Pause::Step(hint) => {
                self.source.carrier.schedule.delays(fastrand::u64(..)).nth(step).map(|pause| pause.max(hint))
            }
        };
        self.failures += u32::from(counts);
        let link = self.source.url();
        tracing::debug!(%link, offset = self.offset, failures = self.failures, %error, "download broke off");
        let (failures, trouble) = (self.failures.max(1), error.clone());
        let pause = pause.filter(|_| self.failures < MAX_FAILURES).ok_or_else(|| error.with_attempts(failures))?;
        if !pause.is_zero() {
            // A link that had to wait no longer counts as fresh.
            self.source.used();
            self.source.note(Some(trouble));
            tokio::time::sleep(pause).await;
        }
        Ok(())
    }

    /// Requests the bytes from the offset on.
    async fn open(&mut self) -> Result<Opened, Error> {
        self.is_reading.store(false, Relaxed);
        // No bytes were handed out that the rest would have to match.
        if let Some(identity) = self.identity.take_if(|_| self.offset == 0 && self.end.is_none()) {
            self.voided = Some(identity);
        }
        let is_first = self.identity.is_none();
        if let Some(response) = self.received.take() {
            (self.since_open, self.pass_over) = (0, 0);
            let asked = Asked { first: 0, is_ranged: false, identity: None, trusts_weak: false, last_end: None };
            let verdict = asked.read(response.status(), response.headers());
            let is_stated = response.content_length().is_some();
            let opened = self.opened(verdict, response, false)?;
            if let Some(identity) = self.identity.as_mut().filter(|_| !is_stated) {
                // A body without a length may have been decoded on the way: no part of the stored object would fit.
                *identity = Identity::default();
            }
            return Ok(opened);
        }
        let begun = Instant::now();
        let wait = self.source.carrier.transport.retry.patience();
        let is_ranged = !self.source.asks_without_range();
        let (trusts_weak, last_end) = (self.source.trusts_weak, self.body_end);
        let identity = self.identity.clone().filter(|_| !is_first);
        let asked = Asked { first: self.offset, is_ranged, identity: identity.as_ref(), trusts_weak, last_end };
        let patience = self.absent_since.unwrap_or(begun) + wait;
        let unless = self.unless.as_deref().filter(|_| is_first);
        let renewals = self.source.renewed();
        // A range to the end is asked for as all storages know it.
        let end = self.end.filter(|end| self.total().is_none_or(|total| *end < total));
        let response = match self.source.ask(&Ask { asked, end, unless, patience }).await? {
            Asking::Answered(response) => response,
            Asking::Absent => {
                self.absent_since.get_or_insert(begun);
                return Ok(Opened::Absent);
            }
            Asking::Again(pause, error) => return Ok(Opened::Again(pause, error, true)),
        };
        self.absent_since = None;
        (self.since_open, self.pass_over) = (0, 0);
        let verdict = match asked.read(response.status(), response.headers()) {
            Verdict::NotModified if unless.is_none() => Verdict::Refused,
            verdict => verdict,
        };
        if matches!(verdict, Verdict::Refused | Verdict::NotYet | Verdict::NoFile) {
            // A storage that says when the result will be there is not failing.
            let waits = verdict == Verdict::NotYet && response.headers().contains_key(http::header::RETRY_AFTER);
            let status = response.status();
            return match self.source.refused(response, &asked, renewals).await? {
                Refusal::Again(pause, error) => Ok(Opened::Again(pause, error, !waits)),
                Refusal::OfRange(error) => match asked.refuses_ranges(status) {
                    Some(Verdict::Anew(_)) if self.is_one_of_many => Ok(Opened::NoRanges),
                    Some(Verdict::Anew(_)) => Ok(self.anew()),
                    _ => self.without_range(error),
                },
            };
        }
        if self.is_doubtful(&verdict) {
            let why = "the storage answered the request for the rest with a body without a length and a validator";
            return Ok(Opened::Again(
                Pause::Step(Duration::ZERO),
                self.source.error(ErrorKind::Interrupted, why),
                true,
            ));
        }
        let opened = self.opened(verdict, response, is_ranged)?;
        // The head of another object was handed out: all that was begun with it is begun anew.
        Ok(match opened {
            Opened::Body | Opened::End => {
                let voided = self.voided.take();
                if voided.is_some() && voided != self.identity { Opened::Restart } else { opened }
            }
            opened => opened,
        })
    }

    /// Returns whether an answer may be a gateway's page, where a proven transfer has come some way: it is asked for once
    /// more before the bytes so far are given up for it.
    fn is_doubtful(&mut self, verdict: &Verdict) -> bool {
        let Verdict::BodyAnew { end: None, identity } = verdict else { return false };
        let is_proven = self.identity.as_ref().is_some_and(|known| known.has_proof(self.source.trusts_weak));
        let says_nothing = *identity == Identity::default();
        is_proven && says_nothing && !self.is_one_of_many && !std::mem::replace(&mut self.has_doubted, true)
    }

    fn opened(&mut self, verdict: Verdict, response: Response, is_ranged: bool) -> Result<Opened, Error> {
        let (first, end, identity) = match verdict {
            Verdict::Body { first, .. } if self.is_one_of_many && first < self.offset => return Ok(Opened::NoRanges),
            Verdict::BodyAnew { .. } if self.is_one_of_many => return Ok(Opened::NoRanges),
            Verdict::Body { first, end, identity } => (first, end, identity),
            Verdict::BodyAnew { end, identity } => {
                self.restart();
                self.keep(&response, identity, is_ranged);
                (self.body_end, self.body) = (end, Some(response));
                self.source.used();
                return Ok(Opened::Restart);
            }
            Verdict::End(identity) => {
                self.keep(&response, identity, is_ranged);
                self.whole = true;
                return Ok(Opened::End);
            }
            Verdict::Anew(_) if self.is_one_of_many => return Ok(Opened::NoRanges),
            Verdict::Anew(why) => {
                tracing::debug!(offset = self.offset, why, "the download begins anew");
                return Ok(self.anew());
            }
            Verdict::WithoutRange(why) => {
                return self.without_range(self.source.error(ErrorKind::ResultUnavailable, why));
            }
            Verdict::Changed(why) => return Err(self.changed(why)),
            Verdict::NotModified => return Ok(Opened::NotModified),
            Verdict::NotYet | Verdict::NoFile | Verdict::Refused => {
                let why = format!("the storage answered with {}, which brings no file", response.status());
                return Err(self.source.error(ErrorKind::ResultUnavailable, why).with_status(response.status()));
            }
        };
        self.keep(&response, identity, is_ranged);
        self.pass_over = self.offset - first;
        (self.body_end, self.body) = (end, Some(response));
        self.source.used();
        Ok(Opened::Body)
    }

    /// Keeps the identity of the object, if this is its first answer, or what is new of it; and the head of the first
    /// answer, also of one that goes on with the part of an earlier call.
    fn keep(&mut self, response: &Response, identity: Identity, is_ranged: bool) {
        let is_part = response.status() == http::StatusCode::PARTIAL_CONTENT;
        let length = response.content_length();
        // A 416 describes its own body.
        let is_whole =
            response.status() == http::StatusCode::OK || (is_part && length.is_some() && length == identity.total);
        let head = || Head { headers: response.headers().clone(), is_whole, has_ranges: is_ranged && is_part };
        match &mut self.identity {
            Some(known) if self.offset > 0 || self.end.is_some() => {
                known.total = known.total.or(identity.total);
                self.head.get_or_insert_with(head);
            }
            _ => (self.head, self.identity) = (Some(head()), Some(identity)),
        }
    }

    /// Begins anew, because the storage cannot go on in the middle. It counts as a failure: no byte was gained.
    fn anew(&mut self) -> Opened {
        self.source.give_up_resumes();
        self.failures += 1;
        self.restart();
        Opened::Restart
    }

    /// Asks once more without a Range.
    fn without_range(&self, error: Error) -> Result<Opened, Error> {
        if self.source.give_up_ranges() { Ok(Opened::Again(Pause::None, error, true)) } else { Err(error) }
    }

    fn changed(&self, why: &str) -> Error {
        self.source.error(ErrorKind::ResultChanged, why)
    }
}

/// Attempts in a row without a byte of progress: with the standard pauses, some two minutes.
const MAX_FAILURES: u32 = 8;
/// A body that delivered at least this much is reopened without a pause.
const ENOUGH_PROGRESS: u64 = 64 * 1024;
