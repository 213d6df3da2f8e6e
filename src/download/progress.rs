//! Progress: how far a download has come.

use tokio::sync::watch;

/// The progress of a download.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    bytes: u64,
    total: Option<u64>,
}

impl Progress {
    /// Returns how many bytes have arrived.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns the total number of bytes, once the storage has stated it.
    #[must_use]
    pub const fn total(&self) -> Option<u64> {
        self.total
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
///         println!("{} of {:?}", progress.bytes(), progress.total());
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
pub(super) struct Gauge(watch::Sender<Progress>);

impl Gauge {
    pub(super) fn watch(&self) -> ProgressWatch {
        ProgressWatch(self.0.subscribe())
    }

    pub(super) fn set(&self, bytes: u64, total: Option<u64>) {
        self.0.send_replace(Progress { bytes, total });
    }
}
