//! Permit: the right to send one attempt, in two phases.

use std::time::Duration;

use tokio::time::Instant;

use super::Throttle;

/// The right to send one attempt now.
///
/// Dropped unsent, it is refunded. Dropped after [`sent`](Permit::sent), it is charged from then on, with a guard for
/// what may still be on its way. [`answered`](Permit::answered) anchors it.
#[derive(Debug)]
#[must_use = "a permit that is dropped unsent is refunded"]
pub(crate) struct Permit {
    throttle: Throttle,
    id: u64,
    hold: Instant,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Reserved,
    Sent,
    Anchored,
}

impl Permit {
    pub(super) const fn new(throttle: Throttle, id: u64, hold: Instant) -> Self {
        Self { throttle, id, hold, phase: Phase::Reserved }
    }

    /// From here on the service may count it.
    pub(crate) const fn sent(&mut self) {
        self.phase = Phase::Sent;
    }

    /// The answer is here: the service counted it before now.
    pub(crate) fn answered(mut self) {
        self.phase = Phase::Anchored;
        let now = Instant::now();
        let mut state = self.throttle.lock();
        state.anchor(self.id, self.hold, now);
        state.widen(now);
    }

    /// It provably never left.
    pub(crate) fn unsent(mut self) {
        self.phase = Phase::Reserved;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        match self.phase {
            Phase::Anchored => {}
            Phase::Reserved => self.throttle.lock().refund(self.id, self.hold),
            Phase::Sent => self.throttle.lock().anchor(self.id, self.hold, Instant::now() + GUARD),
        }
        self.throttle.0.changed.notify_one();
    }
}

/// A request that was given up may still arrive this much later.
const GUARD: Duration = Duration::from_secs(1);
