//! Cursor: where a task stands in its protocol. All that reading needs beside the answer.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderName, Method};
use serde::{Deserialize, Serialize};
use url::Url;

use super::cookies::Cookies;
use super::plain::without_secrets;
use super::rule::Rule;
use super::{State, StatusKind};
use crate::clock::unix_millis;
use crate::message::Trust;
use crate::redact::{SecretUrl, holds_secret, looks_secret, sounds_secret};

/// Where a task stands in its protocol: what [`Protocol::read`](super::Protocol::read) needs beside the answer.
///
/// It is data, and part of a resume token. `Debug` shows no query of a URL.
#[derive(Clone, Serialize, Deserialize)]
pub struct Cursor {
    pub(super) phase: Phase,
    pub(super) kind: StatusKind,
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
    /// What is followed is to be asked from now on, once a status stands there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) moved: bool,
    /// A poll was redirected to the result.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) redirected: bool,
    /// The result's URL is the last Location, which nothing named as the result's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) guessed: bool,
    /// It was refused there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) location_refused: bool,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) hops: u8,
    /// How often the result was fetched and was none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) looks: u8,
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
    /// The URL that is followed now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) following: Option<Box<str>>,
    /// Milliseconds since 1970.
    pub(super) submitted: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) troubled_since: Option<NonZeroU64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) result_since: Option<NonZeroU64>,
    /// The last hint, in milliseconds and one more: it holds until another comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_hint: Option<NonZeroU64>,
    /// The last state that was told.
    #[serde(default = "accepted", skip_serializing_if = "is_accepted")]
    pub(super) state: State,
    /// Which of the protocol's starts is being fired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) firing: Option<u8>,
    /// Which were fired, a bit each.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) started: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) extra: Option<Box<Extra>>,
    /// Why the submit and the last answer were read as they were.
    #[serde(skip)]
    pub(super) rules: (Rule, Rule),
    #[serde(skip)]
    trust: Option<Arc<Trust>>,
}

/// What few tasks have.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Extra {
    /// Cookies are kept for this task, whatever its protocol says.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    keeps_cookies: bool,
    #[serde(default, skip_serializing_if = "Cookies::is_empty")]
    pub(super) cookies: Cookies,
    /// The ETag of the last status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) etag: Option<String>,
    /// Where the service says that a cancel goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cancel_url: Option<String>,
    /// The idempotency key of the submit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<String>,
    /// The query members of the submit that every poll repeats.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) query: Vec<(String, String)>,
    /// The word that nobody knows, and since when it stays the same, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) unknown: Option<(String, u64)>,
    /// The answer of the submit is the value where its Location may not be looked at.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) created_held: bool,
    /// The headers that the caller named as plain. A token lists them.
    #[serde(skip)]
    plain: Vec<HeaderName>,
    /// Which of the URLs an answer of a foreign origin named, a bit each.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) bare: u8,
    /// That answer. It is no part of a token, because nobody knows what it holds.
    #[serde(skip)]
    pub(super) created: Option<Bytes>,
}

/// What the next answer is the answer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    Submit,
    Poll,
    /// A poll was redirected: either the status or the result.
    Moved,
    /// The request that a state fired.
    Start,
    Result,
}

impl Cursor {
    /// A cursor before the submit, for a request of `method` to `url`.
    #[must_use]
    pub fn new(method: Method, url: &Url, now: SystemTime) -> Self {
        Self {
            phase: Phase::Submit,
            kind: StatusKind::Bare,
            seen_alive: false,
            guessed: false,
            location_refused: false,
            cancel_asked: false,
            shown_state: false,
            created: false,
            moved: false,
            redirected: false,
            hops: 0,
            looks: 0,
            method,
            request_url: url.as_str().into(),
            id: None,
            status_url: None,
            last_location: None,
            following: None,
            submitted: unix_millis(now),
            troubled_since: None,
            result_since: None,
            last_hint: None,
            state: State::Accepted,
            firing: None,
            started: 0,
            extra: None,
            rules: (Rule::NotReadYet, Rule::NotReadYet),
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

    pub(crate) const fn phase(&self) -> Phase {
        self.phase
    }

    /// The URL to ask next, outside of the submit.
    pub(crate) fn next_url(&self) -> Option<Url> {
        self.following.as_deref().or(self.status_url.as_deref()).and_then(|url| Url::parse(url).ok())
    }

    /// Back to where the status is asked for, with nothing remembered of the way to the result.
    pub(crate) fn rewind(&mut self) {
        if self.status_url.is_some() {
            self.phase = Phase::Poll;
            self.following = None;
        }
        self.firing = None;
        self.forget_etag();
        (self.hops, self.result_since, self.troubled_since, self.looks) = (0, None, None, 0);
    }

    /// The status is asked for there from now on.
    pub(super) fn move_to(&mut self, url: &Url) {
        if self.status_url.as_deref() != Some(url.as_str()) {
            self.status_url = Some(url.as_str().into());
            // It was of what stood at the other URL.
            self.forget_etag();
        }
    }

    pub(super) fn forget_etag(&mut self) {
        if let Some(extra) = &mut self.extra {
            extra.etag = None;
        }
    }

    /// Whether the next answer is to a poll, and not to a redirect of one.
    pub(crate) fn is_polling(&self) -> bool {
        self.phase == Phase::Poll && self.following.is_none()
    }

    /// Whether the last answers said nothing of the task.
    pub(crate) const fn is_troubled(&self) -> bool {
        self.troubled_since.is_some()
    }

    /// Another process begins to wait, with patience of its own.
    pub(crate) const fn forget_trouble(&mut self) {
        self.troubled_since = None;
    }

    pub(crate) fn can_be_asked_again(&self) -> bool {
        self.status_url.is_some()
    }

    pub(super) fn extra(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }

    pub(crate) fn keeps_cookies(&self) -> bool {
        self.extra.as_ref().is_some_and(|extra| extra.keeps_cookies)
    }

    pub(crate) fn keep_cookies(&mut self) {
        self.extra().keeps_cookies = true;
    }

    /// Since when this word, which nobody knows, stays the same; `None` where it was reported already.
    pub(super) fn unknown_since(&mut self, word: &str, now: SystemTime) -> Option<Duration> {
        let now = unix_millis(now);
        let unknown = self.extra().unknown.get_or_insert_with(|| (word.to_owned(), now));
        if unknown.0 != word {
            *unknown = (word.to_owned(), now);
        }
        (unknown.1 != REPORTED).then(|| Duration::from_millis(now.saturating_sub(unknown.1)))
    }

    /// That the word stays the same was reported.
    pub(super) fn unknown_was_reported(&mut self) {
        if let Some(unknown) = self.extra.as_mut().and_then(|extra| extra.unknown.as_mut()) {
            unknown.1 = REPORTED;
        }
    }

    /// A word that is known has come.
    pub(super) fn forget_unknown(&mut self) {
        if let Some(extra) = &mut self.extra {
            extra.unknown = None;
        }
    }

    /// The start that is being fired was sent.
    pub(super) const fn fired(&mut self) {
        if let Some(at) = self.firing.take() {
            self.started |= 1 << (at & 7);
        }
    }

    /// It was provably not done.
    pub(crate) const fn not_fired(&mut self) {
        if let Some(at) = self.firing.take() {
            self.started &= !(1 << (at & 7));
        }
    }

    pub(crate) fn idempotency_key(&self) -> Option<&str> {
        self.extra.as_ref()?.key.as_deref()
    }

    pub(crate) fn keep_idempotency_key(&mut self, key: String) {
        self.extra().key = Some(key);
    }

    /// Says why the submit was read as it was.
    pub(super) const fn accepted_because(&mut self, rule: Rule) {
        self.rules.0 = rule;
    }

    /// Says why this answer is read as it is.
    pub(super) const fn because(&mut self, rule: Rule) {
        self.rules.1 = rule;
    }

    pub(crate) const fn rules(&self) -> (Rule, Rule) {
        self.rules
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

    /// Without the signed URLs.
    pub(crate) fn without_signed(mut self) -> Self {
        if let Some(url) = Url::parse(&self.request_url).ok().filter(holds_secret) {
            self.request_url = without_secrets(url).as_str().into();
        }
        for url in [&mut self.status_url, &mut self.last_location, &mut self.following] {
            if url.as_deref().is_some_and(signed) {
                *url = None;
            }
        }
        if let Some(extra) = &mut self.extra {
            extra.cancel_url = extra.cancel_url.take().filter(|url| !signed(url));
            extra.query.retain(|(name, value)| !sounds_secret(name) && !looks_secret(value));
        }
        if self.following.is_none() && self.phase != Phase::Submit {
            self.phase = Phase::Poll;
            self.firing = None;
        }
        self
    }

    /// Applies to every URL that is kept: a credential's key that the service echoes is taken out.
    pub(crate) fn clean(&mut self, clean: impl Fn(&mut Url)) {
        if let Ok(mut url) = Url::parse(&self.request_url) {
            clean(&mut url);
            if url.as_str() != &*self.request_url {
                self.request_url = url.as_str().into();
            }
        }
        if let Some(extra) = &mut self.extra {
            if let Some(mut url) = extra.cancel_url.as_deref().and_then(|url| Url::parse(url).ok()) {
                clean(&mut url);
                extra.cancel_url = Some(url.into());
            }
            let mut query = Url::parse("x:").ok();
            if let Some(url) = query.as_mut().filter(|_| !extra.query.is_empty()) {
                url.query_pairs_mut().extend_pairs(&extra.query);
                clean(url);
                extra.query = url.query_pairs().map(|(name, value)| (name.into(), value.into())).collect();
            }
        }
        for kept in [&mut self.status_url, &mut self.last_location, &mut self.following] {
            if let Some(mut url) = kept.as_deref().and_then(|url| Url::parse(url).ok()) {
                clean(&mut url);
                if kept.as_deref() != Some(url.as_str()) {
                    *kept = Some(url.as_str().into());
                }
            }
        }
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

/// In the place of a time.
const REPORTED: u64 = u64::MAX;

fn signed(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| holds_secret(&url))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde wants")]
const fn is_zero(number: &u8) -> bool {
    *number == 0
}

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
