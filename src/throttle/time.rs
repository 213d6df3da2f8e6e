//! Time: the throttle's own clock, in nanoseconds.

use std::time::Duration;

use tokio::time::Instant;

/// Nanoseconds since a throttle was created: a small number that never runs backwards.
pub(super) type Tick = u64;

/// Converts a duration to ticks. A duration that does not fit is longer than any wait.
pub(super) fn nanos(duration: Duration) -> Tick {
    Tick::try_from(duration.as_nanos()).unwrap_or(Tick::MAX / 4)
}

/// Returns the time from one tick to another.
pub(super) const fn elapsed(from: Tick, to: Tick) -> Duration {
    Duration::from_nanos(to.saturating_sub(from))
}

/// When a limiter admits the next request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Opening {
    Open,
    /// By time alone.
    At(Tick),
    /// After an event: a response, or the end of a body.
    Closed,
}

/// The throttle's clock.
#[derive(Debug)]
pub(super) struct Timeline {
    began: Instant,
    latest: Tick,
}

impl Timeline {
    pub(super) const fn new(began: Instant) -> Self {
        Self { began, latest: 0 }
    }

    /// Returns the time, which never runs backwards, even if several runtimes with their own clocks share a throttle.
    pub(super) fn advance(&mut self, now: Instant) -> Tick {
        self.latest = self.latest.max(self.tick(now));
        self.latest
    }

    pub(super) fn tick(&self, at: Instant) -> Tick {
        let since = at.saturating_duration_since(self.began);
        // A u64 of nanoseconds is 584 years.
        since.as_secs().saturating_mul(1_000_000_000).saturating_add(u64::from(since.subsec_nanos()))
    }

    pub(super) fn instant(&self, tick: Tick) -> Option<Instant> {
        self.began.checked_add(Duration::from_nanos(tick))
    }
}
