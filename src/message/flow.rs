//! Flow: whether a body arrives fast enough to wait for.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use tokio::time::Instant;

use super::{Body, HttpError};
use crate::clock::{NO_RUNTIME, has_runtime};

/// The bounds of the wait for a body: for its next byte, for its average rate, and for the whole.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flow {
    idle: Duration,
    /// The least rate, in bytes per second; 0 for no bound.
    least_rate: u32,
    until: Option<Instant>,
    /// The time spent waiting in this span, without the time that the reader takes for itself.
    waited: Duration,
    /// The bytes that arrived in this span.
    came: u64,
}

impl Flow {
    pub(crate) const fn new(idle: Duration, least_rate: u32) -> Self {
        Self { idle, least_rate, until: None, waited: Duration::ZERO, came: 0 }
    }

    pub(crate) const fn until(mut self, deadline: Option<Instant>) -> Self {
        self.until = deadline;
        self
    }

    /// Removes the bound on the average rate, for a reader that decides by itself.
    pub(crate) const fn at_any_rate(mut self) -> Self {
        self.least_rate = 0;
        self
    }

    pub(crate) fn is_over(&self) -> bool {
        self.until.is_some_and(|until| until <= Instant::now())
    }

    /// Returns the next chunk of a body, if it arrives in time.
    pub(crate) async fn chunk(&mut self, body: &mut Body) -> Result<Option<Bytes>, HttpError> {
        let mut chunk = pin!(body.chunk());
        // A chunk that is already there needs no timer.
        if let Some(chunk) = chunk.as_mut().now_or_never() {
            return chunk.inspect(|chunk| self.count(chunk.as_ref()));
        }
        if !has_runtime() {
            return Err(HttpError::broken().because(NO_RUNTIME));
        }
        let begun = Instant::now();
        let idle = begun + self.idle.min(LONGEST_IDLE);
        let due = self.until.map_or(idle, |until| until.min(idle));
        let chunk = tokio::time::timeout_at(due, chunk).await.unwrap_or_else(|_| Err(HttpError::timeout()))?;
        self.count(chunk.as_ref());
        self.waited += begun.elapsed();
        // The span is twice the idle timeout, so that one allowed pause is not decisive.
        if chunk.is_some() && self.waited >= 2 * self.idle.min(LONGEST_IDLE) {
            if (self.came as f64) < self.waited.as_secs_f64() * f64::from(self.least_rate) {
                return Err(HttpError::slow());
            }
            (self.waited, self.came) = (Duration::ZERO, 0);
        }
        Ok(chunk)
    }

    fn count(&mut self, chunk: Option<&Bytes>) {
        self.came = self.came.saturating_add(chunk.map_or(0, |chunk| chunk.len() as u64));
    }
}

/// The longest that a stalled connection is worth waiting for.
const DEFAULT_IDLE: Duration = Duration::from_secs(30);
/// Bounds every sum of times.
const LONGEST_IDLE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl Default for Flow {
    fn default() -> Self {
        Self::new(DEFAULT_IDLE, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A body with this many bytes in each chunk, and one chunk every few seconds.
    fn dripping(bytes: usize, every: u64) -> Body {
        Body::stream(futures::stream::unfold((), move |()| async move {
            tokio::time::sleep(Duration::from_secs(every)).await;
            Some((Ok(Bytes::from(vec![7; bytes])), ()))
        }))
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_drips_ends_where_its_rate_is_too_low() {
        // Bytes per chunk, seconds between chunks, least rate, and whether the reader gives up within an hour.
        for (bytes, every, least, ends) in [
            (1, 29, 100, true),
            (1, 29, 1, true),
            (1, 29, 0, false),
            (2899, 29, 100, true),
            (2901, 29, 100, false),
            (99, 1, 100, true),
            (101, 1, 100, false),
            (1_000_000, 31, 0, true),
        ] {
            let mut body = dripping(bytes, every);
            let mut flow = Flow::new(Duration::from_secs(30), least);
            let begun = Instant::now();
            let ended = loop {
                if flow.chunk(&mut body).await.is_err() {
                    break true;
                }
                if begun.elapsed() > Duration::from_secs(3600) {
                    break false;
                }
            };
            assert_eq!(ended, ends, "{bytes} bytes every {every} s against {least}");
            assert!(!ends || begun.elapsed() <= Duration::from_secs(120), "{bytes} {every}: {:?}", begun.elapsed());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_fast_start_lends_nothing_to_a_slow_end() {
        let fast = futures::stream::iter([Ok(Bytes::from(vec![7; 10_000_000]))]);
        let slow = futures::stream::unfold((), async |()| {
            tokio::time::sleep(Duration::from_secs(29)).await;
            Some((Ok(Bytes::from_static(b"7")), ()))
        });
        let mut body = Body::stream(futures::StreamExt::chain(fast, slow));
        let mut flow = Flow::new(Duration::from_secs(30), 100);
        let begun = Instant::now();
        while flow.chunk(&mut body).await.is_ok() {}
        assert!(begun.elapsed() <= Duration::from_secs(240), "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_of_the_reader_is_not_the_time_of_the_body() {
        let mut body = dripping(1000, 1);
        let mut flow = Flow::new(Duration::from_secs(30), 100);
        for _ in 0..100 {
            flow.chunk(&mut body).await.unwrap();
            tokio::time::sleep(Duration::from_secs(600)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_ends_any_body() {
        let mut body = dripping(1000, 1);
        let deadline = Instant::now() + Duration::from_millis(9500);
        let mut flow = Flow::new(Duration::from_secs(30), 0).until(Some(deadline));
        while flow.chunk(&mut body).await.is_ok() {}
        assert_eq!(Instant::now(), deadline);
        assert!(flow.is_over());
    }
}
