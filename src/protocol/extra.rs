//! Extra: what few tasks have in their cursor. It is boxed, so that all others stay small.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::HeaderName;
use serde::{Deserialize, Serialize};

use super::cookies::Cookies;
use crate::clock::unix_millis;

#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Extra {
    /// Cookies are kept for this task, whatever its protocol says.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) keeps_cookies: bool,
    #[serde(default, skip_serializing_if = "Cookies::is_empty")]
    pub(super) cookies: Cookies,
    /// The ETag of the last status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) etag: Option<String>,
    /// Where the service says that a cancel goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cancel_url: Option<Box<str>>,
    /// The idempotency key of the submit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<String>,
    /// The query members of the submit that every poll repeats.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) query: Vec<(String, String)>,
    /// The word that nobody knows, and since when it stays the same, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unknown: Option<(String, u64)>,
    /// The answer of the submit is the value where its Location may not be looked at.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) created_held: bool,
    /// That answer. It is no part of a token, because nobody knows what it holds.
    #[serde(skip)]
    pub(super) created: Option<Bytes>,
    /// The headers that the caller named as plain. A token lists them.
    #[serde(skip)]
    pub(super) plain: Vec<HeaderName>,
    /// Which of the URLs an answer of a foreign origin named, a bit each.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) bare: u8,
}

impl Extra {
    /// Since when this word, which nobody knows, stays the same; `None` where it was reported already.
    pub(super) fn unknown_since(&mut self, word: &str, now: SystemTime) -> Option<Duration> {
        let now = unix_millis(now);
        let unknown = self.unknown.get_or_insert_with(|| (word.to_owned(), now));
        if unknown.0 != word {
            *unknown = (word.to_owned(), now);
        }
        (unknown.1 != REPORTED).then(|| Duration::from_millis(now.saturating_sub(unknown.1)))
    }

    /// That the word stays the same was reported.
    pub(super) const fn unknown_was_reported(&mut self) {
        if let Some(unknown) = &mut self.unknown {
            unknown.1 = REPORTED;
        }
    }

    /// A word that is known has come.
    pub(super) fn forget_unknown(&mut self) {
        self.unknown = None;
    }
}

/// In the place of a time.
const REPORTED: u64 = u64::MAX;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde wants")]
pub(super) const fn is_zero(number: &u8) -> bool {
    *number == 0
}
