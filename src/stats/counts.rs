//! Counts: numbers that are only added up.

use std::time::Duration;

use super::tally::Tally;

/// Numbers that are only added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) requests: u64,
    pub(super) polls: u64,
    pub(super) pauses: u64,
    pub(super) slow: u64,
    pub(super) unsent: u64,
    /// Responses to requests with a credential; and those of them that were 401.
    pub(super) answers: u64,
    pub(super) unauthorized: u64,
    pub(super) tally: Tally,
    pub(super) queued: Duration,
}
