//! Cursor: the position of a task in its protocol, and everything that reading needs beside the answer.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{HeaderName, Method};
use serde::{Deserialize, Serialize};
use url::Url;

use super::extra::Extra;
use super::phase::Phase;
use super::reason::Reason;
use super::rules::StatusKind;
use super::since::Since;
use super::step::Step;
use super::trail::Trail;
use super::words::State;
use crate::clock::unix_millis;
use crate::error::{ErrorKind, Fault};
use crate::message::Trust;
use crate::redact::SecretUrl;

/// The position of a task in its protocol: the input of [`Protocol::read`](super::Protocol::read) beside the answer.
///
/// A cursor is data, and part of a resume token. `Debug` shows no query of a URL.
#[derive(Clone, Serialize, Deserialize)]
pub struct Cursor {
    #[serde(flatten)]
    pub(super) phase: Phase,
    #[serde(flatten)]
    pub(super) trail: Trail,
    pub(super) kind: StatusKind,
    /// Whether a status was read: the service knows the task.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) seen_alive: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) cancel_asked: bool,
    /// Whether a status document with a state was read at the status URL.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) shown_state: bool,
    /// Whether the status URL is the Location of the created resource, and was not requested yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) created: bool,
    /// Whether the last Location was requested for the result, and refused.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) location_refused: bool,
    #[serde(with = "method")]
    pub(super) method: Method,
    /// The URL of the submit.
    pub(super) request_url: Box<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) status_url: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) last_location: Option<Box<str>>,
    /// The time of the submit, in milliseconds since 1970.
    submitted: u64,
    /// The time since which no answer states anything about the task.
    #[serde(default, skip_serializing_if = "Since::is_none")]
    troubled_since: Since,
    /// The time since which the result is missing. It outlasts the phase: a service that withdraws and repeats its
    /// success is not asked forever.
    #[serde(default, skip_serializing_if = "Since::is_none")]
    result_since: Since,
    /// The last hint, in milliseconds plus one: it holds until the next one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_hint: Option<NonZeroU64>,
    /// The last reported state.
    #[serde(default = "accepted", skip_serializing_if = "is_accepted")]
    pub(super) state: State,
    /// The protocol's start requests that were sent, one bit each.
    #[serde(default, skip_serializing_if = "super::extra::is_zero")]
    started: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) extra: Option<Box<Extra>>,
    /// The reasons why the submit and the last answer were read as they were.
    #[serde(skip)]
    reasons: (Reason, Reason),
    #[serde(skip)]
    trust: Option<Arc<Trust>>,
}

impl Cursor {
    /// Creates a cursor before the submit, for a request of `method` to `url`.
    #[must_use]
    pub fn new(method: Method, url: &Url, now: SystemTime) -> Self {
        Self {
            phase: Phase::Submitting,
            trail: Trail::default(),
            kind: StatusKind::Bare,
            seen_alive: false,
            cancel_asked: false,
            shown_state: false,
            created: false,
            location_refused: false,
            method,
            request_url: url.as_str().into(),
            id: None,
            status_url: None,
            last_location: None,
            submitted: unix_millis(now),
            troubled_since: Since::default(),
            result_since: Since::default(),
            last_hint: None,
            state: State::Accepted,
            started: 0,
            extra: None,
            reasons: (Reason::NotReadYet, Reason::NotReadYet),
            trust: Some(Arc::new(Trust::new(url, []))),
        }
    }

    /// Returns the task's id at the service, if the service gave one.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Returns the status URL. Its query may be secret.
    #[must_use]
    pub fn status_url(&self) -> Option<SecretUrl> {
        self.status_url.as_deref().and_then(|url| Url::parse(url).ok()).map(SecretUrl::from)
    }

    pub(crate) const fn submit_method(&self) -> &Method {
        &self.method
    }

    pub(crate) fn on_behalf(mut self, trust: Arc<Trust>) -> Self {
        self.trust = Some(trust);
        self
    }

    /// Returns the URL of the next request, except for the submit.
    pub(crate) fn next_url(&self) -> Option<Url> {
        self.following().or(self.status_url.as_deref()).and_then(|url| Url::parse(url).ok())
    }

    /// Returns the URL that is requested next in place of the status URL.
    pub(super) fn following(&self) -> Option<&str> {
        self.trail.following.as_deref()
    }

    /// Prepares the cursor for another process, whose patience starts anew.
    pub(crate) fn resume(&mut self) {
        self.settle();
        if matches!(self.phase, Phase::Submitting | Phase::Starting { .. }) {
            self.rewind();
        }
    }

    /// Returns to the status URL, and forgets the path to the result.
    pub(crate) fn rewind(&mut self) {
        if self.status_url.is_some() {
            self.phase = Phase::POLLING;
            self.trail.following = None;
        }
        self.forget_etag();
        (self.trail.hops, self.trail.looks) = (0, 0);
        (self.result_since, self.troubled_since) = (Since::default(), Since::default());
    }

    /// Returns to the previous status URL: a redirect led nowhere.
    pub(super) fn turn_back(&mut self) {
        (self.phase, self.trail.following) = (Phase::POLLING, None);
    }

    /// Changes the status URL from now on.
    pub(super) fn move_to(&mut self, url: &Url) {
        if self.status_url.as_deref() != Some(url.as_str()) {
            self.status_url = Some(url.as_str().into());
            // The ETag belonged to the other URL.
            self.forget_etag();
        }
    }

    /// Returns whether the followed redirect is permanent, and clears the mark.
    pub(super) const fn take_moved(&mut self) -> bool {
        match &mut self.phase {
            Phase::Polling { moved } => std::mem::replace(moved, false),
            _ => false,
        }
    }

    /// Checks whether a request may go to `url`; the error states why not.
    pub(super) fn admit(&self, url: &Url) -> Result<(), Step> {
        let stop = |kind, why: &str| Step::Stop { kind, why: why.to_owned(), fault: Fault::default() };
        let trust = self.trust().ok_or_else(|| stop(ErrorKind::InvalidToken, "the cursor's base is no URL"))?;
        trust.standing(url).map(drop).map_err(|error| stop(error.kind(), error.message()))
    }

    pub(super) fn forget_etag(&mut self) {
        if let Some(extra) = &mut self.extra {
            extra.etag = None;
        }
    }

    /// Returns whether the next answer belongs to a poll, and not to a redirect of one.
    pub(crate) const fn is_polling(&self) -> bool {
        matches!(self.phase, Phase::Polling { .. }) && self.trail.following.is_none()
    }

    /// Returns whether polling has begun: the submit did not end the task.
    pub(crate) const fn is_accepted(&self) -> bool {
        matches!(self.phase, Phase::Polling { .. })
    }

    /// Returns whether the last answers stated nothing about the task.
    pub(crate) const fn is_troubled(&self) -> bool {
        !self.troubled_since.is_none()
    }

    /// Records that the status could be read.
    pub(super) fn settle(&mut self) {
        self.troubled_since = Since::default();
    }

    /// Returns whether the patience lasts for one more answer that states nothing about the task. `asked` is how long
    /// the service asked to wait.
    pub(super) fn is_patient(&mut self, patience: Duration, asked: Option<Duration>, now: SystemTime) -> bool {
        if self.troubled_since.lasted(now) > patience {
            return false;
        }
        // Of a wait that the service asks for, no more than a tenth of the patience counts: two waits of a quarter of
        // an hour are no outage, and ten answers that state nothing are one. A poll policy may lengthen the wait by a
        // tenth.
        let asked = asked.unwrap_or_default();
        self.troubled_since.put_off(asked.saturating_add(asked / 10).saturating_sub(patience / 10));
        true
    }

    /// Returns a number that changes when a token of an earlier time would resume the task elsewhere.
    pub(crate) fn mark(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (&self.id, &self.status_url, self.following(), self.cancel_url(), self.started, self.cancel_asked)
            .hash(&mut hasher);
        hasher.finish()
    }

    /// Returns how long the result has been missing.
    pub(super) fn result_missing_for(&mut self, now: SystemTime) -> Duration {
        self.result_since.lasted(now)
    }

    pub(crate) const fn can_be_asked_again(&self) -> bool {
        self.status_url.is_some()
    }

    pub(super) fn extra(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }

    /// Returns the query members of the submit that every poll repeats.
    pub(crate) fn repeated_query(&self) -> &[(String, String)] {
        self.extra.as_ref().map_or(&[], |extra| &extra.query)
    }

    pub(super) fn keeps_cookies(&self) -> bool {
        self.extra.as_ref().is_some_and(|extra| extra.keeps_cookies)
    }

    pub(crate) fn keep_cookies(&mut self) {
        self.extra().keeps_cookies = true;
    }

    pub(super) const fn was_fired(&self, start: u8) -> bool {
        self.started & (1 << (start & 7)) != 0
    }

    /// Records that the start request at this index was sent, or may have been.
    pub(super) const fn fired(&mut self, start: u8) {
        self.started |= 1 << (start & 7);
    }

    /// Records that the start request was provably not carried out.
    pub(crate) const fn not_fired(&mut self) {
        if let Phase::Starting { firing } = self.phase {
            self.started &= !(1 << (firing & 7));
        }
    }

    pub(crate) fn idempotency_key(&self) -> Option<&str> {
        self.extra.as_ref()?.key.as_deref()
    }

    pub(crate) fn keep_idempotency_key(&mut self, key: String) {
        self.extra().key = Some(key);
    }

    /// Records why the submit was read as it was.
    pub(super) const fn accepted_because(&mut self, reason: Reason) {
        self.reasons.0 = reason;
    }

    /// Records why this answer is read as it is.
    pub(super) const fn because(&mut self, reason: Reason) {
        self.reasons.1 = reason;
    }

    pub(super) const fn reasons(&self) -> (Reason, Reason) {
        self.reasons
    }

    /// Records that the caller named this header as plain: tokens contain it.
    pub(crate) fn keep_plain(&mut self, name: HeaderName) {
        self.extra().plain.push(name);
    }

    pub(crate) fn is_plain(&self, name: &HeaderName) -> bool {
        self.extra.as_ref().is_some_and(|extra| extra.plain.contains(name))
    }

    pub(crate) const fn cancel_was_asked(&mut self) {
        self.cancel_asked = true;
    }

    pub(crate) const fn is_cancel_asked(&self) -> bool {
        self.cancel_asked
    }

    pub(crate) fn age(&self, now: SystemTime) -> Duration {
        Duration::from_millis(unix_millis(now).saturating_sub(self.submitted))
    }

    pub(crate) fn sticky_hint(&self) -> Option<Duration> {
        self.last_hint.map(|hint| Duration::from_millis(hint.get() - 1))
    }

    pub(super) fn keep_hint(&mut self, hint: Duration) {
        let millis = u64::try_from(hint.as_millis()).unwrap_or(u64::MAX);
        self.last_hint = NonZeroU64::new(millis.saturating_add(1));
    }

    pub(super) fn cancel_url(&self) -> Option<&str> {
        self.extra.as_ref()?.cancel_url.as_deref()
    }

    /// Returns the URLs that answers named.
    pub(super) fn named_urls(&self) -> [Option<&str>; 4] {
        [self.status_url.as_deref(), self.last_location.as_deref(), self.following(), self.cancel_url()]
    }

    /// Returns the URLs for modification; otherwise as [`named_urls`](Self::named_urls).
    pub(super) fn named_urls_mut(&mut self) -> impl Iterator<Item = &mut Option<Box<str>>> {
        let cancel = self.extra.as_mut().map(|extra| &mut extra.cancel_url);
        [&mut self.status_url, &mut self.last_location, &mut self.trail.following].into_iter().chain(cancel)
    }

    /// Returns which of [`named_urls`](Self::named_urls) came from an answer of a foreign origin, one bit each.
    pub(super) fn bare(&self) -> u8 {
        self.extra.as_ref().map_or(0, |extra| extra.bare)
    }

    /// Returns whether a foreign origin named the next URL.
    pub(super) fn is_next_bare(&self) -> bool {
        self.bare() & if self.following().is_some() { FOLLOWING } else { STATUS } != 0
    }

    /// Returns whether a foreign origin named the status URL.
    pub(super) fn is_status_bare(&self) -> bool {
        self.bare() & STATUS != 0
    }

    /// Returns whether a foreign origin named the URL for a cancel.
    pub(super) fn is_cancel_bare(&self) -> bool {
        self.bare() & CANCEL != 0
    }

    /// Returns the trusted origins: the client's, or else that of the submit alone.
    pub(super) fn trust(&self) -> Option<Arc<Trust>> {
        let of_submit = || Url::parse(&self.request_url).ok().map(|url| Arc::new(Trust::new(&url, [])));
        self.trust.clone().or_else(of_submit)
    }

    pub(super) fn is_trusted(&self, url: &Url) -> bool {
        self.trust().is_some_and(|trust| trust.is_own(url))
    }
}

impl std::fmt::Debug for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cursor")
            .field("phase", &self.phase)
            .field("kind", &self.kind)
            .field("id", &self.id)
            .field("status_url", &self.status_url())
            .field("seen_alive", &self.seen_alive)
            .field("cancel_asked", &self.cancel_asked)
            .finish_non_exhaustive()
    }
}

// The positions of URLs in `named_urls`.
const STATUS: u8 = 1;
const FOLLOWING: u8 = 1 << 2;
const CANCEL: u8 = 1 << 3;

const fn accepted() -> State {
    State::Accepted
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde wants")]
const fn is_accepted(state: &State) -> bool {
    matches!(state, State::Accepted)
}

mod method {
    use http::Method;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(method: &Method, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(method.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Method, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Tokens as version 0.1.0 wrote them, before the phase carried data of its own.
    #[test]
    fn tokens_of_every_phase_read_and_are_written_as_before() {
        let common = json!({"kind": "bare", "method": "POST", "request_url": "https://a.example/x", "submitted": 1});
        for (phase, own, debug) in [
            ("submit", json!({}), "Submitting"),
            ("poll", json!({}), "Polling"),
            ("poll", json!({"following": "https://a.example/t/2", "hops": 1, "moved": true}), "Polling"),
            ("poll", json!({"looks": 2, "created": true, "last_hint": 5001, "troubled_since": 9}), "Polling"),
            ("moved", json!({"following": "https://a.example/t/2", "hops": 3}), "Moved"),
            ("start", json!({"firing": 3, "started": 8, "state": "running"}), "Starting"),
            ("result", json!({"following": "https://a.example/r", "redirected": true, "hops": 1}), "Fetching"),
            ("result", json!({"guessed": true, "looks": 1, "result_since": 7, "location_refused": true}), "Fetching"),
            (
                "poll",
                json!({"extra": {"unknown": ["READY", 5], "cancel_url": "https://a.example/c", "bare": 8}}),
                "Polling",
            ),
        ] {
            let mut written = common.clone();
            written["phase"] = phase.into();
            written.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
            let cursor: Cursor = serde_json::from_value(written.clone()).unwrap();
            assert_eq!(format!("{:?}", cursor.phase), debug, "{written}");
            assert_eq!(serde_json::to_value(&cursor).unwrap(), written);
            let text = serde_json::to_string(&cursor).unwrap();
            assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), written);
            assert!(serde_json::from_str::<Cursor>(&text).is_ok());
        }
    }

    #[test]
    fn marks_of_another_phase_are_passed_over() {
        let written = json!({"phase": "poll", "kind": "bare", "method": "POST", "request_url": "https://a.example/x",
            "submitted": 1, "guessed": true, "redirected": true, "firing": 2, "of_a_later_version": [1]});
        let cursor: Cursor = serde_json::from_value(written).unwrap();
        assert!(cursor.phase == Phase::POLLING);
        let unknown =
            json!({"phase": "dreaming", "kind": "bare", "method": "POST", "request_url": "x", "submitted": 1});
        assert!(serde_json::from_value::<Cursor>(unknown).is_err());
    }
}
