//! Phase: which request of a task the next answer belongs to, with the data that holds in that phase alone.
//!
//! In a token both types lie flat in the cursor's own object, under the names that version 1 of the format gave them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What the next answer is the answer to.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase")]
pub(super) enum Phase {
    /// The submit.
    #[serde(rename = "submit")]
    Submitting,
    /// A poll, also where it was redirected.
    #[serde(rename = "poll")]
    Polling {
        /// The redirect that is followed is for good: its target becomes the status URL once a status stands there.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        moved: bool,
    },
    /// A poll that was redirected by 302: either the status or the result stands there.
    #[serde(rename = "moved")]
    Moved,
    /// The request that a state fired.
    #[serde(rename = "start")]
    Starting {
        /// The place of it in the protocol's list.
        #[serde(default)]
        firing: u8,
    },
    /// The request for the result.
    #[serde(rename = "result")]
    Fetching {
        /// The URL is the last Location, which nothing named as the result's.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        guessed: bool,
        /// A redirect of a poll led there.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        redirected: bool,
    },
}

impl Phase {
    /// Polls of the status URL itself.
    pub(super) const POLLING: Self = Self::Polling { moved: false };
}

/// The name alone.
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

/// The way that redirects led from the URL that the phase began with.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Trail {
    /// The URL that is asked next, in place of the status URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) following: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "super::extra::is_zero")]
    pub(super) hops: u8,
    /// How often what stands at its end was fetched as the result, and was none.
    #[serde(default, skip_serializing_if = "super::extra::is_zero")]
    pub(super) looks: u8,
}
