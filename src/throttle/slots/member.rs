//! Member: one process that shares a window, as the store knows it.

use serde::{Deserialize, Serialize};

use super::Micros;

/// A process that shares a window. Times of 0 mean "not so".
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Member {
    /// The slots that it holds.
    pub(super) held: u64,
    /// The slots that it has use for.
    pub(super) want: u64,
    /// The slots of the window, as it declares them.
    pub(super) count: u64,
    /// When its lease is over, by the clock of the leases.
    pub(super) ends: Micros,
    /// The number of its last ask.
    pub(super) seq: u64,
    /// Since when it holds fewer slots than its share rounded down, and than its share rounded up.
    pub(super) below_low: Micros,
    pub(super) below_high: Micros,
    /// Since when it holds more slots than its share rounded down.
    pub(super) above_low: Micros,
    /// The slots that it was asked to give back.
    pub(super) recalled: u64,
    /// The answer to its last ask.
    pub(super) kept: Option<Kept>,
}

/// The part of an answer that is kept, in case it is lost; the grants by the times at which they are free.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) is_void: bool,
    pub(super) recall: u64,
    pub(super) poll: Micros,
    pub(super) contended: bool,
    pub(super) grants: Vec<(Micros, u64)>,
}
