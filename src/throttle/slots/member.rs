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
    /// How many slots it was lent that are free only later than it needs them, and when the first of them is free.
    #[serde(default)]
    pub(super) late: u64,
    #[serde(default)]
    pub(super) late_at: Micros,
    /// Whether it was nudged since its last ask.
    #[serde(default)]
    pub(super) is_called: bool,
    /// The answer to its last ask.
    pub(super) kept: Option<Kept>,
}

impl Member {
    /// Returns whether it waits for an earlier slot than those that it was lent.
    pub(super) const fn is_late(&self, soon: Micros) -> bool {
        self.late > 0 && self.late_at > soon
    }

    /// Notes which of the slots that it is lent are free only after `soon`, unless all slots are in use. Returns whether
    /// there are any.
    pub(super) fn wait_for(&mut self, grants: &[(Micros, u64)], soon: Micros, is_scarce: bool) -> bool {
        if !self.is_late(soon) {
            self.late = 0;
        }
        let mut late = grants.iter().filter(|(date, _)| !is_scarce && *date > soon).peekable();
        let Some((first, _)) = late.peek() else { return false };
        self.late_at = if self.late == 0 { *first } else { self.late_at.min(*first) };
        self.late += late.map(|(_, count)| count).sum::<u64>();
        true
    }
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
