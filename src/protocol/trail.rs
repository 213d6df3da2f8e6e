//! Trail: the redirects of a task's request, and the looks for its result.
//!
//! In a token it lies flat in the cursor's own object, as the [phase](super::phase) does.

use serde::{Deserialize, Serialize};
use url::Url;

use super::step::Step;
use crate::error::{ErrorKind, Fault};

/// The redirects since the URL that the phase began with.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Trail {
    /// The URL that is requested next, in place of the status URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) following: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "super::extra::is_zero")]
    pub(super) hops: u8,
    /// How often the target was fetched as the result, and was not one.
    #[serde(default, skip_serializing_if = "super::extra::is_zero")]
    pub(super) looks: u8,
}

impl Trail {
    /// Counts a redirect; the error states why no further one is allowed.
    pub(super) fn hop(&mut self, from: &Url, to: &Url) -> Result<(), Step> {
        self.hops = self.hops.saturating_add(1);
        let why = if from == to {
            "it redirects to itself".to_owned()
        } else if self.hops > MAX_HOPS {
            format!("more than {MAX_HOPS} redirects in a row")
        } else {
            return Ok(());
        };
        Err(Step::Stop { kind: ErrorKind::StatusUnreadable, why, fault: Fault::default() })
    }

    /// Counts one more look for the result; returns the number of looks, or `None` if the limit is reached.
    pub(super) fn look_again(&mut self) -> Option<u8> {
        self.looks = self.looks.saturating_add(1);
        Some(self.looks).filter(|looks| *looks < MOST_LOOKS)
    }
}

/// More redirects than any service needs, few enough to end a loop soon.
const MAX_HOPS: u8 = 10;
/// The number of fetches of a result that is not a document: a gateway's page is gone after seconds, a login page
/// stays.
pub(super) const MOST_LOOKS: u8 = 3;
