//! The state that the API, the storage, the token endpoint and the test share.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use http::StatusCode;
use http::request::Parts;

use super::access::Access;
use super::bytes::Bytes;
use super::content::Content;
use super::knobs::Knobs;
use super::sas::{Signer, Verdict};
use super::tasks::{Task, Tasks};
use crate::testing::counts::Counts;
use crate::testing::seen::{Seen, Side};
use crate::testing::tokens::Tokens;
use crate::testing::window::Windows;

pub(super) struct Service {
    pub(super) access: Access,
    pub(super) knobs: Knobs,
    /// Scheme, host and port, with nothing after them.
    pub(super) api_origin: String,
    pub(super) storage_origin: String,
    signer: Signer,
    started: Instant,
    first_modified: SystemTime,
    state: Mutex<State>,
}

/// All mutable data, under one lock: requests are counted, admitted and logged in one order.
pub(super) struct State {
    pub(super) windows: Windows,
    pub(super) bytes: Bytes,
    pub(super) tasks: Tasks,
    /// `None` if the API requires a fixed bearer.
    pub(super) tokens: Option<Tokens>,
    pub(super) counts: Counts,
    pub(super) log: Vec<Seen>,
    /// How often all results were replaced.
    pub(super) version: u64,
    /// How often all links were made to expire.
    pub(super) generation: u64,
}

impl Service {
    pub(super) fn new(access: Access, knobs: Knobs, api_origin: String, storage_origin: String) -> Self {
        let state = State {
            windows: Windows::new(&knobs.limits),
            bytes: Bytes::new(knobs.byte_limit),
            tasks: Tasks::default(),
            tokens: knobs.token_life.map(|life| Tokens::new(access.marks.clone(), life, &knobs.token_limits)),
            counts: Counts::default(),
            log: Vec::new(),
            version: 0,
            generation: 0,
        };
        let now = SystemTime::now();
        Self {
            access,
            api_origin,
            storage_origin,
            signer: Signer::new(knobs.link_life),
            knobs,
            started: Instant::now(),
            first_modified: now.checked_sub(HOUR).unwrap_or(now),
            state: Mutex::new(state),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns how long the next request to the API takes.
    pub(super) fn delay(&self) -> Duration {
        let jitter = self.knobs.jitter.mul_f64(fastrand::f64());
        self.knobs.latency.saturating_add(jitter)
    }

    /// Logs a request, and returns its index in the log. Counts the request if it carries a misplaced credential.
    pub(super) fn enter(&self, state: &mut State, side: Side, parts: &Parts, now: Instant) -> usize {
        let misplaced = self.access.is_misplaced(side, &parts.headers, &parts.uri);
        state.counts.misplaced_credentials += u64::from(misplaced);
        state.log.push(Seen {
            side,
            method: parts.method.clone(),
            path: parts.uri.path().to_owned(),
            status: None,
            at: now.saturating_duration_since(self.started),
            header_names: parts.headers.keys().cloned().collect(),
        });
        state.log.len() - 1
    }

    /// Returns a fresh signed link to the result of a task.
    pub(super) fn link(&self, generation: u64, uid: &str, task: &Task) -> String {
        let path = format!("{EXPORTS}{uid}.{}", task.format());
        let query = self.signer.sign(generation, &path, SystemTime::now());
        format!("{}{path}?{query}", self.storage_origin)
    }

    pub(super) fn check_link(&self, generation: u64, parts: &Parts) -> Verdict {
        let query = parts.uri.query().unwrap_or_default();
        self.signer.check(generation, parts.uri.path(), query, SystemTime::now())
    }

    /// Returns when a version of a result was written: an hour before the start, and every later version a second
    /// later, because the header has no finer resolution.
    pub(super) fn modified(&self, version: u64) -> SystemTime {
        self.first_modified.checked_add(Duration::from_secs(version)).unwrap_or(self.first_modified)
    }
}

impl State {
    pub(super) fn answered(&mut self, entry: usize, status: StatusCode) {
        if let Some(seen) = self.log.get_mut(entry) {
            seen.status = Some(status);
        }
    }

    /// Returns whether the API accepts this token.
    pub(super) fn is_bearer(&self, access: &Access, token: &str, now: Instant) -> bool {
        self.tokens.as_ref().map_or(token == access.bearer, |tokens| tokens.is_good(token, now))
    }

    /// Returns the current content of a task's result.
    pub(super) fn content(&self, uid: &str) -> Option<Content> {
        let task = self.tasks.get(uid)?;
        Some(Content::new(uid, self.version, task.size()))
    }
}

/// The common beginning of the paths of all results.
pub(super) const EXPORTS: &str = "/exports/";
const HOUR: Duration = Duration::from_secs(3_600);
