//! Message: the ask of a process, and the answer of the store.

use super::Micros;

/// The ask of one process about one shared window. All times are durations, so that no two clocks are compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::throttle) struct Ask {
    /// The process; no two live ones have the same name.
    pub(in crate::throttle) member: String,
    /// Grows with each new ask. An ask that is repeated, because its answer was lost, has the same number and content.
    pub(in crate::throttle) seq: u64,
    /// The epoch of the last answer; empty before the first.
    pub(in crate::throttle) epoch: String,
    /// The run of the store: another one means that the store may have forgotten its last writes.
    pub(in crate::throttle) run: String,
    /// For how long the store has run, at least.
    pub(in crate::throttle) uptime: Micros,
    /// The slots of the window, as this process declares them.
    pub(in crate::throttle) count: u64,
    /// How long a slot that is used now is taken, at most.
    pub(in crate::throttle) window: Micros,
    /// How long the process may use its slots without another exchange.
    pub(in crate::throttle) ttl: Micros,
    /// How long after the end of a lease a request of its holder may still arrive.
    pub(in crate::throttle) guard: Micros,
    /// Dates in the pool are rounded up to a multiple of this, for windows of many slots; 0 for none.
    pub(in crate::throttle) grain: Micros,
    /// The slots that the process holds once its returns are gone, those in flight too.
    pub(in crate::throttle) held: u64,
    /// The slots that the process has use for.
    pub(in crate::throttle) want: u64,
    /// The slots that it gives back, by the time until they are free.
    pub(in crate::throttle) returns: Vec<(Micros, u64)>,
}

impl Ask {
    /// Returns how many slots the process gives back.
    pub(super) fn returned(&self) -> u64 {
        self.returns.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }
}

/// The answer of the store to one ask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::throttle) struct Answer {
    pub(in crate::throttle) epoch: String,
    /// The lease was over, and its slots went to others: nothing that the process held before counts any longer.
    pub(in crate::throttle) is_void: bool,
    /// How many slots the process is asked to give back.
    pub(in crate::throttle) recall: u64,
    /// When to ask again, if the want is not met; 0 for no need.
    pub(in crate::throttle) poll: Micros,
    /// The processes that share the window.
    pub(in crate::throttle) members: u64,
    /// How many of them come before this one.
    pub(in crate::throttle) rank: u64,
    /// Whether another process waits for slots.
    pub(in crate::throttle) contended: bool,
    /// The slots of the window: the smallest number that a member declares.
    pub(in crate::throttle) count: u64,
    /// The slots that no process holds.
    pub(in crate::throttle) free: u64,
    /// The slots that must come back before any is lent, because the store lost data.
    pub(in crate::throttle) debt: u64,
    /// The slots that are lent, by the time until they are free.
    pub(in crate::throttle) grants: Vec<(Micros, u64)>,
}
