//! Breaks: repeats of a request whose answer came and is of no use, because its body broke off.

use std::time::Duration;

use tokio::time::Instant;

use super::Transport;
use crate::event::{Asked, Mark};
use crate::message::Request;
use crate::retry::{Case, Decision, Failure, Pauses, decide};

/// The repeats of one request, within the retry policy and its budget.
pub(crate) struct Breaks<'t> {
    transport: &'t Transport,
    pauses: Pauses,
    retries: u32,
    cost: u32,
    /// The request carries an idempotency key.
    keyed: bool,
    deadline: Option<Instant>,
}

impl Transport {
    pub(crate) fn breaks(&self, keyed: bool, deadline: Option<Instant>) -> Breaks<'_> {
        let pauses = self.retry.pauses().pauses(fastrand::u64(..));
        Breaks { transport: self, pauses, retries: 0, cost: 0, keyed, deadline }
    }
}

impl Breaks<'_> {
    /// The pause before the request is sent again; `None` where it is not.
    pub(crate) fn next(&mut self, request: &Request, hint: Option<Duration>) -> Option<Duration> {
        let transport = self.transport;
        let decision = decide(&Case {
            method: request.method(),
            class: request.class(),
            keyed: self.keyed,
            failure: Failure::Lost,
            hint,
            step: self.pauses.next(),
            retries: transport.retry.limit().saturating_sub(self.retries),
            budget: transport.budget.left(),
            give_up_over: transport.retry.most_asked(),
            time: self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())),
            patience: None,
        });
        let Decision::Retry { after: pause, reason, cost } = decision else { return None };
        self.retries += 1;
        self.cost += cost;
        let attempts = self.retries;
        tracing::info!(class = ?request.class(), attempts, ?pause, %reason, "retrying");
        transport.wire.marks.tell(Mark::Retrying { asked: Asked::of(request), reason, attempts, pause });
        transport.budget.take(cost);
        Some(pause)
    }

    /// How often the request was sent.
    pub(crate) const fn attempts(&self) -> u32 {
        self.retries + 1
    }

    /// The answer was of use in the end.
    pub(crate) fn end(self) {
        if self.cost > 0 {
            self.transport.budget.give_back(self.cost);
        }
    }
}
