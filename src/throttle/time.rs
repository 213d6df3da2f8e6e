//! Time: the throttle's own clock, in nanoseconds.

use std::time::Duration;

use tokio::time::Instant;

/// Nanoseconds since a throttle began: a small number that never runs back.
pub(super) type Tick = u64;

/// A duration in ticks. A duration that does not fit is longer than any wait.
pub(super) fn nanos(duration: Duration) -> Tick {
    Tick::try_from(duration.as_nanos()).unwrap_or(Tick::MAX / 4)
}

/// The time from one tick to another.
pub(super) const fn elapsed(from: Tick, to: Tick) -> Duration {
    Duration::from_nanos(to.saturating_sub(from))
}

/// When a limiter admits the next request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Opening {
    Open,
    /// By time alone.
    At(Tick),
    /// After an event: an answer, or the end of a body.
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

    /// The time, which never runs back, even where several runtimes with clocks of their own share a throttle.
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
