//! What time it is, on the wall: dates in headers, the life of signed URLs. Waits use tokio's clock.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// The wall clock of a client.
///
/// [`Clock::system`] is the default. [`Clock::starting_at`] moves with tokio's clock instead, so that a test with a
/// paused clock has dates that agree with its waits.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock(Option<(SystemTime, Instant)>);

impl Clock {
    /// The system's wall clock.
    #[must_use]
    pub const fn system() -> Self {
        Self(None)
    }

    /// A wall clock that reads `start` now and then moves with tokio's clock.
    #[must_use]
    pub fn starting_at(start: SystemTime) -> Self {
        Self(Some((start, Instant::now())))
    }

    /// The wall time.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        match self.0 {
            None => SystemTime::now(),
            Some((start, since)) => start + since.elapsed(),
        }
    }
}

/// Milliseconds since 1970, for what is written down.
pub(crate) fn unix_millis(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
