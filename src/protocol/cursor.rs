//! Cursor: where a task stands in its protocol. All that reading needs beside the answer.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{HeaderName, Method};
use serde::{Deserialize, Serialize};
use url::Url;

use super::extra::Extra;
use super::phase::{Phase, Trail};
use super::reason::Reason;
use super::rules::StatusKind;
use super::step::Step;
use super::words::State;
use crate::clock::unix_millis;
use crate::error::{ErrorKind, Fault};
use crate::message::Trust;
use crate::redact::SecretUrl;

/// Where a task stands in its protocol: what [`Protocol::read`](super::Protocol::read) needs beside the answer.
///
/// It is data, and part of a resume token. `Debug` shows no query of a URL.
#[derive(Clone, Serialize, Deserialize)]
pub struct Cursor {
    #[serde(flatten)]
    pub(super) phase: Phase,
    #[serde(flatten)]
    pub(super) trail: Trail,
    pub(super) kind: StatusKind,
    /// A status was read: the task is known to the service.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) seen_alive: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) cancel_asked: bool,
    /// A status document with a state was read at the status URL.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) shown_state: bool,
    /// The status URL is the Location of what was created, and nobody has looked there yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) created: bool,
    /// The last Location was asked for the result, and refused.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) location_refused: bool,
    #[serde(with = "method")]
    pub(super) method: Method,
    /// Where it was submitted.
    pub(super) request_url: Box<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) status_url: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) last_location: Option<Box<str>>,
    /// Milliseconds since 1970.
    submitted: u64,
    /// Since when no answer says anything of the task, in milliseconds since 1970 and one more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    troubled_since: Option<NonZeroU64>,
    /// Since when the result is not there, likewise. It outlasts the phase: a service that takes its word back and gives
    /// it again is not asked for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    result_since: Option<NonZeroU64>,
    /// The last hint, in milliseconds and one more: it holds until another comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_hint: Option<NonZeroU64>,
    /// The last state that was reported.
    #[serde(default = "accepted", skip_serializing_if = "is_accepted")]
    pub(super) state: State,
    /// Which of the protocol's starts were fired, a bit each.
    #[serde(default, skip_serializing_if = "super::extra::is_zero")]
    started: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) extra: Option<Box<Extra>>,
    /// Why the submit and the last answer were read as they were.
    #[serde(skip)]
    reasons: (Reason, Reason),
    #[serde(skip)]
    trust: Option<Arc<Trust>>,
}

impl Cursor {
    /// A cursor before the submit, for a request of `method` to `url`.
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
            troubled_since: None,
            result_since: None,
            last_hint: None,
            state: State::Accepted,
            started: 0,
            extra: None,
            reasons: (Reason::NotReadYet, Reason::NotReadYet),
            trust: Some(Arc::new(Trust::new(url, []))),
        }
    }

    /// The task's id at the service, if it gave one.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Where the status is asked for. Its query may be secret.
    #[must_use]
    pub fn status_url(&self) -> Option<SecretUrl> {
        self.status_url.as_deref().and_then(|url| Url::parse(url).ok()).map(SecretUrl::from)
    }

    pub(crate) fn on_behalf(mut self, trust: Arc<Trust>) -> Self {
        self.trust = Some(trust);
        self
    }

    /// The URL to ask next, outside of the submit.
    pub(crate) fn next_url(&self) -> Option<Url> {
        self.following().or(self.status_url.as_deref()).and_then(|url| Url::parse(url).ok())
    }

    /// The URL that is asked next in place of the status URL.
    pub(super) fn following(&self) -> Option<&str> {
        self.trail.following.as_deref()
    }

    /// Another process begins to wait, with patience of its own.
    pub(crate) fn resume(&mut self) {
        self.troubled_since = None;
        if matches!(self.phase, Phase::Submitting | Phase::Starting { .. }) {
            self.rewind();
        }
    }

    /// Back to where the status is asked for, with nothing remembered of the way to the result.
    pub(crate) fn rewind(&mut self) {
        if self.status_url.is_some() {
            self.phase = Phase::POLLING;
            self.trail.following = None;
        }
        self.forget_etag();
        (self.trail.hops, self.trail.looks) = (0, 0);
        (self.result_since, self.troubled_since) = (None, None);
    }

    /// The status is asked for where it was: a redirect led nowhere.
    pub(super) fn turn_back(&mut self) {
        (self.phase, self.trail.following) = (Phase::POLLING, None);
    }

    /// The status is asked for there from now on.
    pub(super) fn move_to(&mut self, url: &Url) {
        if self.status_url.as_deref() != Some(url.as_str()) {
            self.status_url = Some(url.as_str().into());
            // It was of what stood at the other URL.
            self.forget_etag();
        }
    }

    /// Whether the redirect that was followed is for good. The mark is taken.
    pub(super) const fn take_moved(&mut self) -> bool {
        match &mut self.phase {
            Phase::Polling { moved } => std::mem::replace(moved, false),
            _ => false,
        }
    }

    /// Counts a redirect; says why there may be no further one.
    pub(super) fn hop(&mut self, from: &Url, to: &Url) -> Result<(), Step> {
        self.trail.hops = self.trail.hops.saturating_add(1);
        let why = if from == to {
            "it redirects to itself".to_owned()
        } else if self.trail.hops > MAX_HOPS {
            format!("more than {MAX_HOPS} redirects in a row")
        } else {
            return Ok(());
        };
        Err(Step::Stop { kind: ErrorKind::StatusUnreadable, why, fault: Fault::default() })
    }

    /// Says why no request may go to `url`.
    pub(super) fn admit(&self, url: &Url) -> Result<(), Step> {
        let stop = |kind, why: &str| Step::Stop { kind, why: why.to_owned(), fault: Fault::default() };
        let trust = self.trust().ok_or_else(|| stop(ErrorKind::InvalidToken, "the cursor's base is no URL"))?;
        trust.standing(url).map(drop).map_err(|error| stop(error.kind(), error.message()))
    }

    /// Counts one more look at what should be the result; the number of looks, or `None` where there were enough.
    pub(super) fn look_again(&mut self) -> Option<u8> {
        self.trail.looks = self.trail.looks.saturating_add(1);
        Some(self.trail.looks).filter(|looks| *looks < MOST_LOOKS)
    }

    pub(super) fn forget_etag(&mut self) {
        if let Some(extra) = &mut self.extra {
            extra.etag = None;
        }
    }

    /// Whether the next answer is to a poll, and not to a redirect of one.
    pub(crate) const fn is_polling(&self) -> bool {
        matches!(self.phase, Phase::Polling { .. }) && self.trail.following.is_none()
    }

    /// Whether its polls have begun: the submit was no end.
    pub(crate) const fn is_accepted(&self) -> bool {
        matches!(self.phase, Phase::Polling { .. })
    }

    /// Whether the last answers said nothing of the task.
    pub(crate) const fn is_troubled(&self) -> bool {
        self.troubled_since.is_some()
    }

    /// The status could be read.
    pub(super) const fn settle(&mut self) {
        self.troubled_since = None;
    }

    /// Whether the patience lasts for one more answer that says nothing of the task. `asked` is how long the service asked
    /// to wait.
    pub(super) fn is_patient(&mut self, patience: Duration, asked: Option<Duration>, now: SystemTime) -> bool {
        let now = unix_millis(now);
        let since = *self.troubled_since.get_or_insert(NonZeroU64::MIN.saturating_add(now));
        let patience = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
        if now.saturating_add(1).saturating_sub(since.get()) > patience {
            return false;
        }
        // Of a wait that the service asks for, no more than a tenth of the patience counts: two of a quarter of an hour are
        // no outage, and ten answers that say nothing are one.
        let asked = asked.map_or(0, |hint| u64::try_from(hint.as_millis()).unwrap_or(u64::MAX));
        // A pace may lengthen it by a tenth.
        let asked = asked.saturating_add(asked / 10);
        self.troubled_since = Some(since.saturating_add(asked.saturating_sub(patience / 10)));
        true
    }

    /// For how long the result is missing.
    pub(super) fn result_missing_for(&mut self, now: SystemTime) -> Duration {
        let now = unix_millis(now);
        let since = self.result_since.get_or_insert(NonZeroU64::MIN.saturating_add(now)).get() - 1;
        Duration::from_millis(now.saturating_sub(since))
    }

    pub(crate) const fn can_be_asked_again(&self) -> bool {
        self.status_url.is_some()
    }

    pub(super) fn extra(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
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

    /// The start at this place was sent, or may have been.
    pub(super) const fn fired(&mut self, start: u8) {
        self.started |= 1 << (start & 7);
    }

    /// The start that is being fired was provably not done.
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

    /// Says why the submit was read as it was.
    pub(super) const fn accepted_because(&mut self, reason: Reason) {
        self.reasons.0 = reason;
    }

    /// Says why this answer is read as it is.
    pub(super) const fn because(&mut self, reason: Reason) {
        self.reasons.1 = reason;
    }

    pub(super) const fn reasons(&self) -> (Reason, Reason) {
        self.reasons
    }

    /// The caller named this header as plain: tokens hold it.
    pub(crate) fn keep_plain(&mut self, name: HeaderName) {
        self.extra().plain.push(name);
    }

    pub(crate) fn is_plain(&self, name: &HeaderName) -> bool {
        self.extra.as_ref().is_some_and(|extra| extra.plain.contains(name))
    }

    pub(crate) const fn cancel_was_asked(&mut self) {
        self.cancel_asked = true;
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

    /// The URLs that answers named.
    pub(super) fn named_urls(&self) -> [Option<&str>; 4] {
        [self.status_url.as_deref(), self.last_location.as_deref(), self.following(), self.cancel_url()]
    }

    /// As [`named_urls`](Self::named_urls), to change them.
    pub(super) fn named_urls_mut(&mut self) -> impl Iterator<Item = &mut Option<Box<str>>> {
        let cancel = self.extra.as_mut().map(|extra| &mut extra.cancel_url);
        [&mut self.status_url, &mut self.last_location, &mut self.trail.following].into_iter().chain(cancel)
    }

    /// Which of [`named_urls`](Self::named_urls) an answer of a foreign origin named, a bit each.
    pub(super) fn bare(&self) -> u8 {
        self.extra.as_ref().map_or(0, |extra| extra.bare)
    }

    /// Whether the URL that is asked next was named by a foreign origin.
    pub(super) fn is_next_bare(&self) -> bool {
        self.bare() & if self.following().is_some() { FOLLOWING } else { STATUS } != 0
    }

    /// Whether the status URL was.
    pub(super) fn is_status_bare(&self) -> bool {
        self.bare() & STATUS != 0
    }

    /// Whether the URL for a cancel was.
    pub(super) fn is_cancel_bare(&self) -> bool {
        self.bare() & CANCEL != 0
    }

    /// Whose origins these are: the client's, or else that of the submit alone.
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

// The places of URLs in `named_urls`.
const STATUS: u8 = 1;
const FOLLOWING: u8 = 1 << 2;
const CANCEL: u8 = 1 << 3;

/// More redirects than any service needs, few enough to end a circle soon.
const MAX_HOPS: u8 = 10;
/// A result that is no document is fetched so often: a gateway's page is gone after seconds, a login page stays.
pub(super) const MOST_LOOKS: u8 = 3;

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
