//! The crate `backoff`: its sequences as schedules, and delays as one of its sequences.

use std::time::Duration;

use backoff::backoff::Backoff;

use super::{Delays, Schedule};

/// Methods of the feature `backoff`.
impl Schedule {
    /// Creates a schedule from a [`Backoff`], which is cloned and reset for each request, and for each task that is
    /// paced. When the backoff returns no pause, retries end. Serializing the schedule is an error, as for a
    /// [custom](Schedule::custom) schedule.
    ///
    /// The backoff yields the durations, and longhaul waits. Retry-After is kept, and a [`longest`](Schedule::longest)
    /// that is set here also bounds the backoff's own jitter above its `max_interval`. Its `max_elapsed_time` runs on
    /// the wall clock, from the first attempt of a request, or from the first poll of a task whose pace the service
    /// left to the client. A download resets the backoff at each failure.
    ///
    /// ```
    /// use std::time::Duration;
    /// use backoff::ExponentialBackoff;
    /// use longhaul::retries::Schedule;
    ///
    /// let theirs = ExponentialBackoff {
    ///     initial_interval: Duration::from_secs(2),
    ///     randomization_factor: 0.0,
    ///     ..ExponentialBackoff::default()
    /// };
    /// let pauses: Vec<Duration> = Schedule::backoff(theirs).delays(0).take(3).collect();
    /// assert_eq!(pauses, [2.0, 3.0, 4.5].map(Duration::from_secs_f64));
    /// ```
    #[must_use]
    pub fn backoff<B: Backoff + Clone + Send + Sync + 'static>(backoff: B) -> Self {
        Self::custom(move |_| {
            let mut backoff = backoff.clone();
            backoff.reset();
            std::iter::from_fn(move || backoff.next_backoff())
        })
    }
}

/// With the feature `backoff`, the pauses of a schedule serve wherever a [`Backoff`] is expected. A reset restarts from
/// the same seed.
///
/// ```
/// use std::time::Duration;
/// use longhaul::retries::Schedule;
///
/// let mut tries = 0;
/// let answer = backoff::retry(Schedule::constant(Duration::from_millis(1)).delays(7), || {
///     tries += 1;
///     if tries < 3 { Err(backoff::Error::transient("not yet")) } else { Ok(tries) }
/// });
/// assert_eq!(answer.unwrap(), 3);
/// ```
impl Backoff for Delays {
    fn reset(&mut self) {
        self.restart();
    }

    fn next_backoff(&mut self) -> Option<Duration> {
        self.next()
    }
}
