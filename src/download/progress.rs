//! Progress: how far a download has come.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// The progress of a download.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    bytes: u64,
    total: Option<u64>,
    rate: u64,
    connections: usize,
}

impl Progress {
    /// Returns how many bytes are there, those of an earlier call among them.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns the total number of bytes, once the storage has stated it.
    #[must_use]
    pub const fn total(&self) -> Option<u64> {
        self.total
    }

    /// Returns the rate of this call over about the last three seconds, in bytes a second; 0 before the first
    /// measurement.
    #[must_use]
    pub const fn rate(&self) -> u64 {
        self.rate
    }

    /// Returns the time until the end at the present rate; `None` while rate or total are unknown.
    #[must_use]
    pub fn eta(&self) -> Option<Duration> {
        let left = self.total?.checked_sub(self.bytes)?;
        let millis = (u128::from(left) * 1_000).checked_div(u128::from(self.rate))?;
        Some(Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX)))
    }

    /// Returns how many connections deliver bytes now.
    #[must_use]
    pub const fn connections(&self) -> usize {
        self.connections
    }
}

impl std::iter::Sum for Progress {
    /// Adds up the progress of several downloads. The total is known once each is.
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self { total: Some(0), ..Self::default() }, |sum, one| Self {
            bytes: sum.bytes.saturating_add(one.bytes),
            total: sum.total.zip(one.total).map(|(sum, one)| sum.saturating_add(one)),
            rate: sum.rate.saturating_add(one.rate),
            connections: sum.connections + one.connections,
        })
    }
}

/// Watches a download from another task.
///
/// ```no_run
/// # async fn run(client: longhaul::Client) -> longhaul::Result<()> {
/// let download = client.download("https://store.example.net/7.parquet?sig=…");
/// let mut progress = download.progress();
/// tokio::spawn(async move {
///     while let Some(progress) = progress.changed().await {
///         println!("{} of {:?}, {} B/s, {:?} left", progress.bytes(), progress.total(), progress.rate(), progress.eta());
///     }
/// });
/// download.to_file("7.parquet").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ProgressWatch(watch::Receiver<Progress>);

impl ProgressWatch {
    /// Returns the current progress.
    #[must_use]
    pub fn now(&self) -> Progress {
        *self.0.borrow()
    }

    /// Waits for further progress, and returns it; `None` when the download has ended. Steps between two calls are not
    /// kept.
    ///
    /// # Cancel safety
    /// Cancel-safe.
    pub async fn changed(&mut self) -> Option<Progress> {
        self.0.changed().await.ok()?;
        Some(*self.0.borrow_and_update())
    }
}

/// The sending side of a watch.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    sender: watch::Sender<Progress>,
    meter: Mutex<Meter>,
}

/// Measures the rate.
#[derive(Debug, Default)]
struct Meter {
    /// When the last measurement was taken, and the bytes since.
    since: Option<Instant>,
    bytes: u64,
    rate: f64,
}

impl Gauge {
    pub(super) fn watch(&self) -> ProgressWatch {
        ProgressWatch(self.sender.subscribe())
    }

    pub(super) fn now(&self) -> Progress {
        *self.sender.borrow()
    }

    /// Sets what is there, without counting it as received now.
    pub(super) fn set(&self, bytes: u64, total: Option<u64>) {
        self.sender.send_modify(|progress| (progress.bytes, progress.total) = (bytes, total));
    }

    /// Sets all, for a gauge over several downloads.
    pub(super) fn show(&self, progress: Progress) {
        self.sender.send_if_modified(|shown| std::mem::replace(shown, progress) != progress);
    }

    /// Counts bytes that were received now.
    pub(super) fn received(&self, bytes: u64) {
        let now = Instant::now();
        let rate = {
            // No code panics while it holds the lock.
            let mut meter = self.meter.lock().unwrap_or_else(PoisonError::into_inner);
            meter.received(now, bytes)
        };
        self.sender.send_modify(|progress| {
            progress.bytes = progress.bytes.saturating_add(bytes);
            progress.rate = rate.unwrap_or(progress.rate);
        });
    }

    pub(super) fn connections(&self, connections: usize) {
        self.sender
            .send_if_modified(|progress| std::mem::replace(&mut progress.connections, connections) != connections);
    }
}

impl Meter {
    /// Counts bytes, and returns a new rate now and then.
    fn received(&mut self, now: Instant, bytes: u64) -> Option<u64> {
        let Some(since) = self.since else {
            // The time to the first byte is the time of the request.
            self.since = Some(now);
            return None;
        };
        self.bytes += bytes;
        let window = now.saturating_duration_since(since);
        if window < WINDOW {
            return None;
        }
        let window = window.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a rate is no count")]
        let rate = self.bytes as f64 / window;
        let weight = if self.rate == 0.0 { 1.0 } else { 1.0 - (-window / MEMORY.as_secs_f64()).exp() };
        self.rate += (rate - self.rate) * weight;
        (self.since, self.bytes) = (Some(now), 0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate is no count")]
        Some(self.rate as u64)
    }
}

/// The rate is shown, not reckoned with: ten a second are enough.
const WINDOW: Duration = Duration::from_millis(100);
/// An older rate counts for less.
const MEMORY: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_rate_is_that_of_this_call() {
        let gauge = Gauge::default();
        gauge.set(1_000_000, Some(3_000_000));
        for _ in 0..100 {
            gauge.received(10_000);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let progress = gauge.now();
        assert_eq!((progress.bytes(), progress.total()), (2_000_000, Some(3_000_000)));
        assert_eq!(progress.rate().div_ceil(1_000), 100);
        assert_eq!(progress.eta().unwrap().as_secs(), 10);
        assert_eq!(Progress::default().eta(), None);
    }
}
