//! Bandwidth: a limit of bytes a second, for one download or for all of a client.

use std::num::NonZeroU64;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A limit of bytes a second. Who takes bytes waits until they are due; the connection then reads no further, and the
/// window of TCP slows the storage down.
#[derive(Debug)]
pub(crate) struct Bandwidth {
    rate: NonZeroU64,
    /// When the bytes that were taken so far are paid for.
    due: Mutex<Option<Instant>>,
}

impl Bandwidth {
    pub(crate) const fn new(rate: NonZeroU64) -> Self {
        Self { rate, due: Mutex::new(None) }
    }

    /// Waits until these bytes may be used.
    ///
    /// Cancel-safe: the bytes count as used in any case, because they have arrived.
    pub(super) async fn take(&self, bytes: usize) {
        let due = {
            // No code panics while it holds the lock.
            let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let from = due.map_or(now, |due| due.max(now));
            *due.insert(from + self.time_of(bytes))
        };
        // The first bytes after a pause are free: a timer is too coarse for each chunk.
        if due > Instant::now() + BURST {
            tokio::time::sleep_until(due - BURST).await;
        }
    }

    fn time_of(&self, bytes: usize) -> Duration {
        let nanos = bytes as u128 * 1_000_000_000 / u128::from(self.rate.get());
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

const BURST: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn all_that_share_it_get_no_more_than_the_rate() {
        let limit = Bandwidth::new(NonZeroU64::new(1_000_000).unwrap());
        let begun = Instant::now();
        let takes = (0..8).map(|_| async {
            for _ in 0..125 {
                limit.take(10_000).await;
            }
        });
        futures::future::join_all(takes).await;
        // 10 MB at 1 MB/s, less the burst.
        assert_eq!(begun.elapsed().as_millis().div_ceil(10), 995);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_saves_up_nothing() {
        let limit = Bandwidth::new(NonZeroU64::new(1_000).unwrap());
        limit.take(1_000).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        let begun = Instant::now();
        limit.take(1_000).await;
        assert_eq!(begun.elapsed().as_millis(), 950);
    }
}
