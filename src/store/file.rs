//! FileTaskStore: tasks in a file.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::runtime::Handle;
use tracing::dispatcher;

use super::counts::StoredCounts;
use super::lease::{Claimed, TaskLease};
use super::log::{Log, Why};
use super::table::Bounds;
use super::task_store::TaskStore;
use super::write::{Intent, TaskWrite, Written};
use crate::clock::{Clock, unix_millis};
use crate::credential::StoreError;

/// A store that keeps tasks in a file, for all processes of one host.
///
/// ```
/// use longhaul::tasks::{FileTaskStore, TaskStore};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// # let folder = std::env::temp_dir().join(format!("longhaul-task-store-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// # let path = folder.join("tasks");
/// let store = FileTaskStore::new(path);
/// assert_eq!(store.counts().await?.open(), 0);
/// let client = longhaul::Client::builder("https://api.example.com").task_store(store).build()?;
/// # drop(client);
/// # std::fs::remove_dir_all(folder)?;
/// # Ok(())
/// # }
/// ```
///
/// # The file
/// The file is a log. A change is one append under the lock of a second file beside it (`NAME.lock`); intents, tokens
/// and ends of tasks are synced to the disk before the call returns. A process that is killed in the middle of an append
/// leaves a cut change, which the next user removes: that change was never acknowledged. When more than half of the
/// file, and a MiB, are out of date, it is written anew beside itself (`NAME.0123456789abcdef.new`), synced and renamed.
/// On Unix the mode of the file is 0600.
///
/// # Limits
/// - The folder must exist, on a local disk: locks of network file systems are not reliable, and a file system without
///   locks is an error.
/// - The file takes at most twice the [bytes of its tasks](FileTaskStore::most_bytes) and a MiB, and half of that
///   again during a compaction. Each process keeps the names in memory, some 200 bytes a task, and reads the data when
///   it takes a task over.
/// - A task costs two syncs until it is submitted, and two at its end. The processes of one file take turns: some
///   hundred tasks a second on a disk that syncs in a millisecond.
/// - The data is plain text, unless the client has a key ([`ClientBuilder::task_store_key`], feature `token-file`).
///
/// [`ClientBuilder::task_store_key`]: crate::ClientBuilder::task_store_key
///
/// # Errors
/// Each error states the fault of the file and the remedy, and leaves the file unchanged. No error contains a secret.
#[derive(Clone)]
pub struct FileTaskStore {
    log: Arc<Log>,
    bounds: Bounds,
    clock: Clock,
}

impl FileTaskStore {
    /// Creates a store in this file. No file is read or written yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { log: Arc::new(Log::new(path.into())), bounds: Bounds::STANDARD, clock: Clock::system() }
    }

    /// Sets how long a lease lasts: 30 seconds by default. The tasks of a process that was killed are free after that
    /// time. A process that does not run for that long, stopped or starved, may lose its tasks to another.
    #[must_use]
    pub const fn lease_time(mut self, time: Duration) -> Self {
        self.bounds.lease = time;
        self
    }

    /// Sets how long the store keeps a task after its end: 7 days by default, longer than services keep results. The
    /// name of an acknowledged task is taken for that long. A finished task that nobody acknowledged, and nobody holds,
    /// is forgotten then too, with a warning in the log.
    #[must_use]
    pub const fn keep_finished(mut self, time: Duration) -> Self {
        self.bounds.keep_finished = time;
        self
    }

    /// Sets the bytes that the names and the data of all tasks may take: 64 MiB by default, a hundred thousand tasks. A
    /// submit beyond it is an error, before it is sent.
    #[must_use]
    pub const fn most_bytes(mut self, bytes: u64) -> Self {
        self.bounds.most_bytes = bytes;
        self
    }

    /// Sets the clock of leases and of [`keep_finished`](Self::keep_finished): the system's by default.
    #[must_use]
    pub const fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Returns the path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.log.path()
    }

    /// Runs the job on a thread that may block.
    async fn aside<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Log, u64, &Bounds) -> Result<T, Why> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (log, bounds, wall) = (self.log.clone(), self.bounds, unix_millis(self.clock.now()));
        // The caller's subscriber, on the other thread too.
        let subscriber = dispatcher::get_default(Clone::clone);
        let job = move || dispatcher::with_default(&subscriber, || job(&log, wall, &bounds));
        let done = match Handle::try_current() {
            Ok(runtime) => runtime.spawn_blocking(job).await.unwrap_or(Err(Why::Unfinished)),
            Err(_) => Err(Why::NoRuntime),
        };
        done.map_err(|why| BrokenFile { path: self.path().to_owned(), why }.into())
    }
}

impl TaskStore for FileTaskStore {
    fn lease_time(&self) -> Duration {
        self.bounds.lease
    }

    fn intend(&self, name: Arc<str>, owner: Arc<str>, data: Vec<u8>) -> BoxFuture<'_, Result<Intent, StoreError>> {
        Box::pin(self.aside(move |log, wall, bounds| {
            log.change(wall, bounds, |table, now| table.intend(name, owner, data, now, bounds))
        }))
    }

    fn write(&self, lease: TaskLease, change: TaskWrite) -> BoxFuture<'_, Result<Written, StoreError>> {
        Box::pin(self.aside(move |log, wall, bounds| {
            log.change(wall, bounds, |table, now| Ok(table.write(&lease, change, now)))
        }))
    }

    fn beat(&self, owner: Arc<str>, leases: Vec<TaskLease>) -> BoxFuture<'_, Result<Vec<TaskLease>, StoreError>> {
        Box::pin(self.aside(move |log, wall, bounds| {
            log.change(wall, bounds, |table, now| Ok(table.beat(owner, leases, now, bounds)))
        }))
    }

    fn claim(&self, owner: Arc<str>, most: usize) -> BoxFuture<'_, Result<Vec<Claimed>, StoreError>> {
        Box::pin(self.aside(move |log, wall, bounds| log.claim(wall, bounds, &owner, most)))
    }

    fn counts(&self) -> BoxFuture<'_, Result<StoredCounts, StoreError>> {
        Box::pin(self.aside(|log, wall, bounds| log.look(|table| table.counts(table.time(wall, bounds)))))
    }
}

impl fmt::Debug for FileTaskStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileTaskStore")
            .field("path", &self.path())
            .field("bounds", &self.bounds)
            .finish_non_exhaustive()
    }
}

/// The fault of the file, in one line.
#[derive(Debug, thiserror::Error)]
#[error("the task store `{}` {why}", .path.display())]
struct BrokenFile {
    path: PathBuf,
    why: Why,
}
