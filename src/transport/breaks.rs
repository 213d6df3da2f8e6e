//! Breaks: repeats of a request whose response is useless because its body broke off.

use std::time::Duration;

use tokio::time::Instant;

use super::retries::Retries;
use super::shared::Transport;
use crate::message::Request;
use crate::retry::Failure;

/// The repeats of one request, within the retry policy and its budget.
pub(crate) struct Breaks<'a> {
    retries: Retries<'a>,
    made: u32,
    cost: u32,
}

impl<'a> Breaks<'a> {
    /// `keyed`: the request carries an idempotency key.
    pub(crate) fn of(transport: &'a Transport, request: &'a Request, keyed: bool, deadline: Option<Instant>) -> Self {
        Self { retries: transport.retries(request).keyed(keyed).until(deadline), made: 0, cost: 0 }
    }

    /// Returns the pause before the request is sent again; `None` if the request must not be repeated.
    pub(crate) fn next(&mut self, hint: Option<Duration>) -> Option<Duration> {
        let retry = self.retries.next(self.attempts(), Failure::Lost, hint, None).ok()?;
        self.made += 1;
        self.cost += retry.cost;
        Some(retry.pause)
    }

    /// Returns how often the request was sent.
    pub(crate) const fn attempts(&self) -> u32 {
        self.made + 1
    }

    /// Records that the response was complete in the end.
    pub(crate) fn end(self) {
        if self.cost > 0 {
            self.retries.budget().give_back(self.cost);
        }
    }
}
