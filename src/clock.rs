//! The wall clock, for dates in headers and the life of signed URLs. Waits use tokio's clock.

mod alarm;
mod runtime;

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

pub(crate) use alarm::Alarm;
pub(crate) use runtime::{NO_RUNTIME, has_runtime};

/// The wall clock of a client.
///
/// [`Clock::system`] is the default. [`Clock::starting_at`] moves with tokio's clock instead: in a test with a paused
/// clock, dates then agree with waits.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock(Option<(SystemTime, Instant)>);

impl Clock {
    /// Returns the system's wall clock.
    #[must_use]
    pub const fn system() -> Self {
        Self(None)
    }

    /// Returns a wall clock that reads `start` now and then moves with tokio's clock.
    #[must_use]
    pub fn starting_at(start: SystemTime) -> Self {
        Self(Some((start, Instant::now())))
    }

    /// Returns the wall time.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        match self.0 {
            None => SystemTime::now(),
            Some((start, since)) => wall_later(start, since.elapsed()),
        }
    }
}

/// Returns the moment after this wait. A moment that no clock can hold is replaced by one 30 years away.
pub(crate) fn later(from: Instant, wait: Duration) -> Instant {
    from.checked_add(wait).or_else(|| from.checked_add(FAR)).unwrap_or(from)
}

/// As [`later`], on the wall clock.
pub(crate) fn wall_later(from: SystemTime, wait: Duration) -> SystemTime {
    from.checked_add(wait).or_else(|| from.checked_add(FAR)).unwrap_or(from)
}

/// The longest wait.
pub(crate) const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// Returns milliseconds since 1970, for serialized data.
pub(crate) fn unix_millis(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Serializes durations as a number of seconds, as people write them.
pub(crate) mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
        if duration.subsec_nanos() == 0 {
            // TOML has no larger number.
            to.serialize_u64(duration.as_secs().min(i64::MAX.unsigned_abs()))
        } else {
            to.serialize_f64(duration.as_secs_f64())
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        from_seconds(f64::deserialize(from)?).map_err(D::Error::custom)
    }

    /// Clamps to the longest possible duration.
    fn from_seconds(seconds: f64) -> Result<Duration, String> {
        if seconds.is_nan() || seconds < 0.0 {
            return Err(format!("{seconds} is no number of seconds"));
        }
        Ok(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
    }

    pub(crate) mod option {
        use super::{Deserialize, Deserializer, Duration, Error, Serializer};

        #[expect(clippy::ref_option, reason = "the shape that serde wants")]
        pub(crate) fn serialize<S: Serializer>(duration: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
            match duration {
                Some(duration) => super::serialize(duration, to),
                None => to.serialize_none(),
            }
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
            let seconds = Option::<f64>::deserialize(from)?;
            seconds.map(super::from_seconds).transpose().map_err(D::Error::custom)
        }
    }
}
