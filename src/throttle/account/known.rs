//! Known sets: the sets of recent requests, so that the next similar request needs no check of the rules.
//!
//! A known set is valid as long as no rule, no learner and no key of the throttle changes: it belongs to a version, and
//! all known sets of an account are dropped with the next version. An account whose responses made their own limiters
//! (gates of routes, stated budgets) does not use known sets. In debug builds each hit is compared with the full
//! lookup.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use http::Method;

use crate::message::{Priority, write_route};
use crate::throttle::ids::SetId;
use crate::throttle::limiters::Limiters;
use crate::throttle::request::{Attribution, RequestFacts};

/// The sets of an account's recent requests.
#[derive(Debug, Default)]
pub(in crate::throttle) struct KnownSets {
    version: u64,
    /// Whether a rule depends on the method or the path: only a request to the same URL then has the same set.
    by_route: bool,
    entries: Vec<Known>,
    /// The entry that is replaced next.
    next: usize,
    /// Requests that were looked up recently: only a request that repeats is worth an entry.
    seen: [u64; MOST_KNOWN],
    text: String,
}

/// A request and its lookup result. The entry holds its set.
#[derive(Debug)]
struct Known {
    is_token: bool,
    method: Option<Method>,
    credential: String,
    host: String,
    path: String,
    kind: Option<String>,
    set: SetId,
    attribution: Arc<Attribution>,
}

impl Known {
    #[inline]
    fn is_like(&self, request: &RequestFacts<'_>, class: Priority) -> bool {
        self.is_token == (class == Priority::Token)
            && is_same(&self.credential, request.credential)
            && is_same(&self.host, request.host)
            && match (&self.kind, request.kind) {
                (Some(own), Some(other)) => is_same(own, other),
                (None, None) => true,
                _ => false,
            }
    }

    #[inline]
    fn is_to(&self, request: &RequestFacts<'_>) -> bool {
        self.method.as_ref() == request.method && is_same(&self.path, request.path)
    }
}

impl KnownSets {
    /// Returns the set and the attribution of a request, if they are known. The caller does not hold the set yet.
    #[inline]
    pub(in crate::throttle) fn find(
        &mut self,
        request: &RequestFacts<'_>,
        class: Priority,
        version: u64,
    ) -> Option<(SetId, Arc<Attribution>)> {
        if self.version != version {
            return None;
        }
        let found = self.entries.iter().find(|known| known.is_to(request) && known.is_like(request, class));
        found.map(|known| (known.set, known.attribution.clone()))
    }

    /// As [`find`](Self::find), for a request to another URL of the same route, if no rule depends on URLs.
    pub(in crate::throttle) fn find_route(
        &mut self,
        request: &RequestFacts<'_>,
        class: Priority,
        version: u64,
    ) -> Option<(SetId, Arc<Attribution>)> {
        if self.version != version || self.by_route || request.method.is_none() {
            return None;
        }
        self.text.clear();
        write_route(&mut self.text, request.method, request.host, request.path);
        let text = self.text.as_str();
        let is_it =
            |known: &&mut Known| known.is_like(request, class) && known.attribution.route.as_deref() == Some(text);
        let known = self.entries.iter_mut().find(is_it)?;
        known.method = request.method.cloned();
        request.path.clone_into(&mut known.path);
        Some((known.set, known.attribution.clone()))
    }

    /// Caches the set of a request that was also looked up a short while ago; the entry holds the set from now on. A
    /// request that occurs once, such as the only poll of one of a thousand tasks, is not worth the copies.
    pub(in crate::throttle) fn keep(
        &mut self,
        request: &RequestFacts<'_>,
        class: Priority,
        set: SetId,
        attribution: &Arc<Attribution>,
        limiters: &mut Limiters,
    ) {
        let mark = mark_of(request, class, self.by_route);
        if !self.seen.contains(&mark) {
            self.seen.rotate_right(1);
            self.seen[0] = mark;
            return;
        }
        limiters.hold(set);
        let known = Known {
            is_token: class == Priority::Token,
            method: request.method.cloned(),
            credential: request.credential.to_owned(),
            host: request.host.to_owned(),
            path: request.path.to_owned(),
            kind: request.kind.map(str::to_owned),
            set,
            attribution: attribution.clone(),
        };
        match self.entries.get_mut(self.next) {
            Some(entry) => limiters.release(std::mem::replace(entry, known).set),
            None => self.entries.push(known),
        }
        self.next = (self.next + 1) % MOST_KNOWN;
    }

    /// Drops all known sets, and begins a version. `by_route`: a rule depends on the method or the path.
    pub(in crate::throttle) fn begin(&mut self, version: u64, by_route: bool, limiters: &mut Limiters) {
        if self.version != version {
            self.clear(limiters);
            (self.version, self.by_route) = (version, by_route);
        }
    }

    /// Drops all known sets, and with them their holds on limiters and on the account.
    pub(in crate::throttle) fn clear(&mut self, limiters: &mut Limiters) {
        self.entries.drain(..).for_each(|known| limiters.release(known.set));
        (self.version, self.next, self.seen) = (0, 0, [0; MOST_KNOWN]);
    }
}

/// Returns a hash of the properties that the set of a request depends on.
fn mark_of(request: &RequestFacts<'_>, class: Priority, by_route: bool) -> u64 {
    let mut hasher = DefaultHasher::new();
    (class == Priority::Token, request.credential, request.host, request.kind).hash(&mut hasher);
    if by_route {
        (request.method, request.path).hash(&mut hasher);
    }
    hasher.finish()
}

/// Most of these texts are empty in many requests.
#[inline]
fn is_same(one: &str, other: &str) -> bool {
    one.len() == other.len() && (one.is_empty() || one == other)
}

/// Submits, polls, results and downloads of a few kinds alternate.
const MOST_KNOWN: usize = 8;
