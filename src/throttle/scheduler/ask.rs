//! Ask: a request that has to wait, and the answer to it.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Id;

use crate::message::Priority;
use crate::throttle::ids::{InFlightId, SetId, WaiterId};
use crate::throttle::limiter::Limiter;
use crate::throttle::time::{Tick, elapsed};

/// A request that has to wait. The request already holds its set.
#[derive(Debug)]
pub(in crate::throttle) struct Ask {
    pub(in crate::throttle) set: SetId,
    pub(in crate::throttle) class: Priority,
    pub(in crate::throttle) task: u64,
    pub(in crate::throttle) deadline: Tick,
    pub(in crate::throttle) runtime: Option<Id>,
}

/// The answer to a waiting request.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::throttle) enum Answer {
    /// A permit, and how long the request waited.
    Granted(InFlightId, Tick),
    Waiting(WaiterId),
    TooLate(TooLate),
}

/// The reason why a request cannot be sent before its deadline.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::throttle) struct TooLate {
    pub(in crate::throttle) limit: Arc<str>,
    /// Whether the limit pauses after a refusal.
    pub(in crate::throttle) is_paused: bool,
    /// The time until the limit opens.
    pub(in crate::throttle) opens_in: Duration,
    /// The time that the service asks to stay away.
    pub(in crate::throttle) asked: Option<Duration>,
}

impl TooLate {
    /// Describes a limiter that opens after the deadline.
    pub(super) fn new(limiter: &Limiter, opens: Tick, now: Tick) -> Self {
        Self {
            limit: limiter.label.clone(),
            is_paused: limiter.is_paused(now),
            opens_in: elapsed(now, opens),
            asked: limiter.asked_until(now).map(|until| elapsed(now, until)),
        }
    }
}
