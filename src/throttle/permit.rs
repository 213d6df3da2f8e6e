//! Permit: the right to send one attempt, in two phases.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use tokio::time::Instant;

use super::core::Granted;
use super::feedback::Stopped;
use super::ids::InFlightId;
use super::in_flight::PermitReport;
use super::limiter::Reports;
use super::request::Attribution;
use super::shared::Shared;
use super::time::Tick;
use crate::event::Event;
use crate::hint::Hints;

/// The right to send one request now.
///
/// A permit that is dropped unsent is refunded. After [`sent`](Permit::sent), one of [`answered`](Permit::answered) and
/// [`heard`](Permit::heard) reports the response. A permit that is dropped after the send and before the response is
/// charged from the end of the time that its request may take ([`Acquire::hold`](super::Acquire::hold)), or, if no time
/// was set, from a second after the drop.
///
/// A permit that is held for longer than its request may take ([`Acquire::hold`](super::Acquire::hold), 2 minutes)
/// expires, and its slot goes to another request: do not send with it, acquire a new permit. If a limit counts bytes or
/// concurrent requests, keep the permit until the end of the body.
#[must_use = "a permit that is dropped unsent is refunded"]
pub struct Permit {
    shared: Arc<Shared>,
    id: InFlightId,
    waited: Tick,
    attribution: Arc<Attribution>,
    reports: Reports,
    phase: PermitPhase,
    /// Whether the request's longest duration was set; then the slot is held until that time.
    lasts: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PermitPhase {
    Reserved,
    Sent,
    Answered,
    Over,
}

impl Permit {
    pub(super) fn new(shared: Arc<Shared>, granted: Granted) -> Self {
        let Granted { id, reports, waited, attribution } = granted;
        Self { shared, id, waited, attribution, reports, phase: PermitPhase::Reserved, lasts: false }
    }

    /// Holds the slot until the request is over, even if the permit is dropped after it was sent.
    pub(super) const fn lasting(mut self, lasts: bool) -> Self {
        self.lasts = lasts;
        self
    }

    /// Reports that the request is being sent: from now on the service may count it.
    pub fn sent(&mut self) {
        if self.phase == PermitPhase::Reserved {
            self.phase = PermitPhase::Sent;
            if self.reports.send {
                self.report(PermitReport::Sent);
            }
        }
    }

    /// Reports that the headers of the response have arrived: the service counted the request before now.
    pub fn answered(&mut self) {
        if let Some(whole) = self.arrive() {
            self.report(PermitReport::Answered { whole });
        }
    }

    /// As [`answered`](Permit::answered), and lets the throttle act on the response: the throttle pauses after a 429 or
    /// 503, and keeps within the budgets that the headers state.
    pub fn heard(&mut self, status: StatusCode, headers: &HeaderMap) {
        let now = self.shared.lock().accounts.clock().now();
        let stopped = self.hear(status, &Hints::from_headers(headers, now), Instant::now());
        if let Some(Stopped { limit, cause, .. }) = stopped {
            let request = self.attribution.route.clone().unwrap_or_else(|| "a request".into());
            self.emit(|| Event::Refused { status, request, credential: None, limit, cause });
        }
    }

    /// As [`heard`](Permit::heard), with hints that are already parsed and the time of the response. Returns the
    /// limiter that the response stopped.
    pub(crate) fn hear(&mut self, status: StatusCode, hints: &Hints, at: Instant) -> Option<Stopped> {
        let whole = self.arrive()?;
        let (id, attribution) = (self.id, &*self.attribution);
        self.shared.with_at(Some(at), |core, now| core.heard(id, attribution, (status, hints), whole, now))
    }

    /// Records the response. Returns whether no limit counts its body, or `None` if the response was already recorded.
    fn arrive(&mut self) -> Option<bool> {
        if matches!(self.phase, PermitPhase::Over | PermitPhase::Answered) {
            return None;
        }
        self.phase = if self.reports.body { PermitPhase::Answered } else { PermitPhase::Over };
        Some(!self.reports.body)
    }

    /// Charges bytes of a body that were sent or received.
    pub fn charge(&mut self, bytes: u64) {
        if self.reports.body && bytes > 0 {
            self.report(PermitReport::Bytes(bytes));
        }
    }

    /// Refunds the permit, because the request provably was never sent.
    pub fn unsent(mut self) {
        if self.phase == PermitPhase::Sent {
            self.phase = PermitPhase::Reserved;
        }
    }

    /// Returns the route of the request, if the throttle uses it.
    pub(crate) fn route(&self) -> Option<&str> {
        self.attribution.route.as_deref()
    }

    /// Returns whether a limit requires the permit to be kept until the end of the body.
    #[must_use]
    pub const fn counts_bodies(&self) -> bool {
        self.reports.body
    }

    /// Returns how long the request waited in the queue.
    #[must_use]
    pub const fn waited(&self) -> Duration {
        Duration::from_nanos(self.waited)
    }

    fn report(&self, report: PermitReport) {
        self.shared.with(|core, now| core.report(self.id, report, now));
    }

    pub(crate) fn emit(&self, event: impl FnOnce() -> Event) {
        if self.shared.is_watched.load(Relaxed) {
            // No watcher may be left.
            let _ = self.shared.events.send(event());
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        match self.phase {
            PermitPhase::Over => {}
            PermitPhase::Reserved => self.report(PermitReport::Unsent),
            PermitPhase::Sent => self.report(PermitReport::GivenUp { lasts: self.lasts }),
            PermitPhase::Answered => self.report(PermitReport::Finished),
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("phase", &self.phase).finish_non_exhaustive()
    }
}
