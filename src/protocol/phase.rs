//! Phase: the request of a task that the next answer belongs to, with the data that is valid in that phase alone.
//!
//! In a token it lies flat in the cursor's own object, under the names that version 1 of the format gave them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The request that the next answer belongs to.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase")]
pub(super) enum Phase {
    /// The submit.
    #[serde(rename = "submit")]
    Submitting,
    /// A poll, including its redirects.
    #[serde(rename = "poll")]
    Polling {
        /// Whether the followed redirect is permanent: its target becomes the status URL once a status is found there.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        moved: bool,
    },
    /// A poll that was redirected by 302: the target holds either the status or the result.
    #[serde(rename = "moved")]
    Moved,
    /// The request that a state triggered.
    #[serde(rename = "start")]
    Starting {
        /// The index of the request in the protocol's list.
        #[serde(default)]
        firing: u8,
    },
    /// The request for the result.
    #[serde(rename = "result")]
    Fetching {
        /// Whether the URL is the last Location, which nothing named as the result's.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        guessed: bool,
        /// Whether a redirect of a poll led there.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        redirected: bool,
    },
}

impl Phase {
    /// Polls of the status URL itself.
    pub(super) const POLLING: Self = Self::Polling { moved: false };
}

/// Shows the name alone.
impl fmt::Debug for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Submitting => "Submitting",
            Self::Polling { .. } => "Polling",
            Self::Moved => "Moved",
            Self::Starting { .. } => "Starting",
            Self::Fetching { .. } => "Fetching",
        })
    }
}
