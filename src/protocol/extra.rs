//! Extra: the data that few tasks have in their cursor. It is boxed, so that all other cursors stay small.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::HeaderName;
use serde::{Deserialize, Serialize};

use super::cookies::Cookies;
use crate::clock::unix_millis;

#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Extra {
    /// Whether cookies are kept for this task, whatever its protocol says.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) keeps_cookies: bool,
    #[serde(default, skip_serializing_if = "Cookies::is_empty")]
    pub(super) cookies: Cookies,
    /// The ETag of the last status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) etag: Option<String>,
    /// The URL for a cancel, as the service named it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cancel_url: Option<Box<str>>,
    /// The idempotency key of the submit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<String>,
    /// The query members of the submit that every poll repeats.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) query: Vec<(String, String)>,
    /// The unknown word, and the time since which it has not changed, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unknown: Option<(String, u64)>,
    /// Whether the answer of the submit is the value if its Location may not be requested.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) created_held: bool,
    /// The answer of the submit. Tokens do not contain it, because its contents are unknown.
    #[serde(skip)]
    pub(super) created: Option<Bytes>,
    /// The headers that the caller named as plain. A token lists them.
    #[serde(skip)]
    pub(super) plain: Vec<HeaderName>,
    /// The URLs that an answer of a foreign origin named, one bit each.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) bare: u8,
}

impl Extra {
    /// Returns how long this unknown word has not changed; `None` if that was already reported.
    pub(super) fn unknown_since(&mut self, word: &str, now: SystemTime) -> Option<Duration> {
        let now = unix_millis(now);
        let unknown = self.unknown.get_or_insert_with(|| (word.to_owned(), now));
        if unknown.0 != word {
            *unknown = (word.to_owned(), now);
        }
        (unknown.1 != REPORTED).then(|| Duration::from_millis(now.saturating_sub(unknown.1)))
    }

    /// Records that the unchanged word was reported.
    pub(super) const fn unknown_was_reported(&mut self) {
        if let Some(unknown) = &mut self.unknown {
            unknown.1 = REPORTED;
        }
    }

    /// Records that a known word arrived.
    pub(super) fn forget_unknown(&mut self) {
        self.unknown = None;
    }
}

/// The marker in place of a time.
const REPORTED: u64 = u64::MAX;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde wants")]
pub(super) const fn is_zero(number: &u8) -> bool {
    *number == 0
}
