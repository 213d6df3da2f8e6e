//! Word: what a process says to the others of its store, and what it hears.
//!
//! All times are durations, as in the messages about [slots](crate::throttle::slots): the trip of a message makes a pause
//! longer, never shorter, and no two clocks are compared.

use serde::{Deserialize, Serialize};

use crate::throttle::slots::Micros;

/// The words of one process about one account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::throttle) struct Post {
    /// The process; no two live ones have the same name.
    pub(in crate::throttle) member: String,
    /// The epoch of the last answer; empty before the first.
    pub(in crate::throttle) epoch: String,
    /// The version up to which the process knows all.
    pub(in crate::throttle) seen: u64,
    /// How long the process counts as one that asks the service, without another post.
    pub(in crate::throttle) ttl: Micros,
    pub(in crate::throttle) pauses: Vec<PauseWord>,
    pub(in crate::throttle) budgets: Vec<BudgetWord>,
    pub(in crate::throttle) learned: Option<LearnedWord>,
}

/// A word about a pause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::throttle) struct PauseWord {
    /// The limiter that pauses, by a name that is the same in all processes.
    pub(in crate::throttle) subject: String,
    /// A refusal that stopped the limiter.
    pub(in crate::throttle) stop: Option<Stop>,
    pub(in crate::throttle) probe: Probe,
}

/// How long a limiter stops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::throttle) struct Stop {
    pub(in crate::throttle) during: Micros,
    /// How long the service asked to stay away.
    pub(in crate::throttle) asked: Micros,
    /// The number of consecutive refusals without a stated wait.
    pub(in crate::throttle) refusals: u8,
}

/// What a process has to do with the first request after a pause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::throttle) enum Probe {
    /// Nothing, or nothing any longer.
    #[default]
    None,
    /// It has a request to send first, or one on its way.
    Wants,
    /// Its request was answered, and not refused.
    Passed,
}

/// What a process hears about a pause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::throttle) struct PauseNews {
    pub(in crate::throttle) subject: String,
    pub(in crate::throttle) stop: Stop,
    pub(in crate::throttle) turn: Turn,
}

/// Whose turn it is to send under a limiter that paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::throttle) enum Turn {
    /// Nobody's, or that of another process, which sends the first request.
    Others,
    /// That of the process that hears this: it sends the first request.
    Yours,
    /// Everybody's.
    Open,
}

/// A budget that the service states for one credential, or for a declared limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::throttle) struct BudgetWord {
    /// The same in all processes for the same budget.
    pub(in crate::throttle) subject: String,
    pub(in crate::throttle) credential: u64,
    pub(in crate::throttle) route: Option<String>,
    pub(in crate::throttle) name: Option<String>,
    pub(in crate::throttle) limit: Option<u64>,
    pub(in crate::throttle) remaining: u64,
    pub(in crate::throttle) window: Option<Micros>,
    /// How long it takes until the budget is full again.
    pub(in crate::throttle) reset: Micros,
}

/// A word about the limit that the processes search for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::throttle) enum LearnedWord {
    /// The process found this on its own.
    Found { count: u32, window: Micros },
    /// The process found that its share of a version is this instead.
    Changed { version: u64, from: u32, to: u32 },
    /// The process found that its share of a version is no longer so, and searches anew.
    Leaves { version: u64, from: u32 },
    /// The process takes a share of what the others know. It may know a count and a window from before, which hold if the
    /// others know nothing.
    Joins { known: Option<(u32, Micros)> },
}

/// What a process hears about the limit that the processes found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::throttle) struct LearnedNews {
    pub(in crate::throttle) version: u64,
    pub(in crate::throttle) window: Micros,
    /// The share of the process; `None` if it has none.
    pub(in crate::throttle) share: Option<u32>,
}

/// The answer to a post: all that changed since the version that the process knew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::throttle) struct Posted {
    pub(in crate::throttle) epoch: String,
    pub(in crate::throttle) version: u64,
    /// The processes that ask the service.
    pub(in crate::throttle) members: u32,
    /// How many of them come before this one.
    pub(in crate::throttle) rank: u32,
    pub(in crate::throttle) pauses: Vec<PauseNews>,
    pub(in crate::throttle) budgets: Vec<BudgetWord>,
    pub(in crate::throttle) learned: Option<LearnedNews>,
}
