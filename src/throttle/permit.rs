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
use super::in_flight::Report;
use super::limiter::Reports;
use super::request::Attribution;
use super::shared::Shared;
use super::time::Tick;
use crate::event::Event;
use crate::hint::Hints;

/// The right to send one request now.
///
/// Dropped unsent, it is refunded. After [`sent`](Permit::sent), one of [`answered`](Permit::answered) and
/// [`heard`](Permit::heard) says that the answer is here; dropped without, it is charged from the time on that its request
/// may take ([`Acquire::hold`](super::Acquire::hold)), or where that was not said, from a second later on. One that is held for longer than its request may take
/// ([`Acquire::hold`](super::Acquire::hold), 2 minutes) is over, and its slot goes to another: do not send with it, ask
/// again. Keep it until the end of the body where a limit counts bytes or requests at once.
#[must_use = "a permit that is dropped unsent is refunded"]
pub struct Permit {
    shared: Arc<Shared>,
    id: InFlightId,
    waited: Tick,
    attribution: Arc<Attribution>,
    reports: Reports,
    phase: Phase,
    /// How long its request may take was said, and so its slot is held until then.
    lasts: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Reserved,
    Sent,
    Answered,
    Over,
}

impl Permit {
    pub(super) fn new(shared: Arc<Shared>, granted: Granted) -> Self {
        let Granted { id, reports, waited, attribution } = granted;
        Self { shared, id, waited, attribution, reports, phase: Phase::Reserved, lasts: false }
    }

    /// Holds its slot until its request is over, also where it is dropped after it was sent.
    pub(super) const fn lasting(mut self, lasts: bool) -> Self {
        self.lasts = lasts;
        self
    }

    /// From here on the service may count it.
    pub fn sent(&mut self) {
        if self.phase == Phase::Reserved {
            self.phase = Phase::Sent;
            if self.reports.send {
                self.report(Report::Sent);
            }
        }
    }

    /// The headers of the answer are here: the service counted it before now.
    pub fn answered(&mut self) {
        if let Some(whole) = self.arrive() {
            self.report(Report::Answered { whole });
        }
    }

    /// As [`answered`](Permit::answered), and lets the throttle act on what the answer says: pause after a 429 or 503,
    /// keep the budgets that its headers tell.
    pub fn heard(&mut self, status: StatusCode, headers: &HeaderMap) {
        let now = self.shared.lock().accounts.clock().now();
        let stopped = self.hear(status, &Hints::of(headers, now), Instant::now());
        if let Some(Stopped { limit, cause, .. }) = stopped {
            let request = self.attribution.route.clone().unwrap_or_else(|| "a request".into());
            self.tell(|| Event::Refused { status, request, credential: None, limit, cause });
        }
    }

    /// As [`heard`](Permit::heard), with the hints read already, and the time at which the answer came; returns what it
    /// stopped.
    pub(crate) fn hear(&mut self, status: StatusCode, hints: &Hints, at: Instant) -> Option<Stopped> {
        let whole = self.arrive()?;
        let (id, attribution) = (self.id, &*self.attribution);
        self.shared.with_at(Some(at), |core, now| core.heard(id, attribution, (status, hints), whole, now))
    }

    /// The answer is here; returns whether no limit cares for its body, or `None` where it was here before.
    fn arrive(&mut self) -> Option<bool> {
        if matches!(self.phase, Phase::Over | Phase::Answered) {
            return None;
        }
        self.phase = if self.reports.body { Phase::Answered } else { Phase::Over };
        Some(!self.reports.body)
    }

    /// So many bytes of a body went, or came.
    pub fn charge(&mut self, bytes: u64) {
        if self.reports.body && bytes > 0 {
            self.report(Report::Bytes(bytes));
        }
    }

    /// It provably never left: refunded.
    pub fn unsent(mut self) {
        if self.phase == Phase::Sent {
            self.phase = Phase::Reserved;
        }
    }

    /// Where its request goes, if the throttle wants to know that.
    pub(crate) fn route(&self) -> Option<&str> {
        self.attribution.route.as_deref()
    }

    /// Whether a limit wants it to be kept until the end of the body.
    #[must_use]
    pub const fn counts_bodies(&self) -> bool {
        self.reports.body
    }

    /// How long it stood in the queue.
    #[must_use]
    pub const fn waited(&self) -> Duration {
        Duration::from_nanos(self.waited)
    }

    fn report(&self, report: Report) {
        self.shared.with(|core, now| core.report(self.id, report, now));
    }

    pub(crate) fn tell(&self, event: impl FnOnce() -> Event) {
        if self.shared.is_watched.load(Relaxed) {
            // Nobody listens any more.
            let _ = self.shared.events.send(event());
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        match self.phase {
            Phase::Over => {}
            Phase::Reserved => self.report(Report::Unsent),
            Phase::Sent => self.report(Report::GivenUp { lasts: self.lasts }),
            Phase::Answered => self.report(Report::Finished),
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("phase", &self.phase).finish_non_exhaustive()
    }
}
