//! Job: one download to a file, as its connections see it.

use std::io;
use std::path::{Path, absolute};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::bandwidth::Bandwidth;
use super::budget::Promise;
use super::disk::Disk;
use super::part::{Part, is_full};
use super::progress::Gauge;
use super::reader::Reader;
use super::settings::{MOST_CONNECTIONS, Settings};
use super::source::Source;
use crate::error::{Error, ErrorKind};

/// One download to a file, as its connections see it.
pub(super) struct Job<'a> {
    pub(super) source: &'a Arc<Source>,
    pub(super) settings: &'a Settings,
    pub(super) disk: &'a Arc<Disk>,
    target: &'a Path,
    pub(super) gauge: &'a Gauge,
    bandwidth: Option<Bandwidth>,
    reopened: AtomicU32,
    connections: AtomicUsize,
    saves: AtomicU32,
}

/// How a fetch ended.
pub(super) enum Ended {
    Whole {
        total: u64,
    },
    /// The file that is there already is the result.
    Unchanged {
        verified: Vec<&'static str>,
    },
    /// All bytes so far are void; this reader goes on.
    Anew(Box<Reader>),
}

impl<'a> Job<'a> {
    pub(super) fn new(
        source: &'a Arc<Source>,
        settings: &'a Settings,
        disk: &'a Arc<Disk>,
        target: &'a Path,
        gauge: &'a Gauge,
    ) -> Self {
        let bandwidth = settings.bandwidth.map(Bandwidth::new);
        let (reopened, connections) = (AtomicU32::new(0), AtomicUsize::new(0));
        let saves = AtomicU32::new(0);
        Self { source, settings, disk, target, gauge, bandwidth, reopened, connections, saves }
    }

    /// Returns how many connections there may be at a time.
    pub(super) fn most_connections(&self) -> usize {
        let usual = if self.source.counts_as_a_call() { 1 } else { MOST_CONNECTIONS };
        self.settings.connections.unwrap_or(usual)
    }

    /// Returns how often a body broke off, and the largest number of connections at once.
    pub(super) fn counts(&self) -> (u32, usize) {
        (self.reopened.load(Relaxed), self.connections.load(Relaxed))
    }

    /// Runs a job on the part, and waits for it.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Part) -> io::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        self.disk.run(work).await.map_err(|error| self.refused(error))
    }

    pub(super) fn refused(&self, error: io::Error) -> Error {
        io_error(self.target, error)
    }

    /// Counts a chunk that arrived, and waits as long as the limits of bandwidth ask for.
    pub(super) async fn received(&self, chunk: &Bytes) {
        self.gauge.received(chunk.len() as u64);
        for limit in [self.bandwidth.as_ref(), self.source.carrier.bandwidth.as_ref()].into_iter().flatten() {
            limit.take(chunk.len()).await;
        }
    }

    /// Notes how many connections deliver.
    pub(super) fn connected(&self, connections: usize) {
        self.gauge.connections(connections);
        self.connections.fetch_max(connections, Relaxed);
    }

    /// Notes what became of a reader.
    pub(super) fn count(&self, reader: &Reader) {
        self.reopened.fetch_add(reader.reopened(), Relaxed);
    }

    /// Returns the right to a further connection, if the client has one left.
    pub(super) fn try_connection(&self) -> Option<OwnedSemaphorePermit> {
        self.source.carrier.connections.further()
    }

    /// Promises a connection to another file, if one waits for its first.
    pub(super) fn promise_connection(&self) -> Option<Promise<'_>> {
        self.source.carrier.connections.promise()
    }

    /// A short download is resumable, too.
    pub(super) fn first_save(&self) -> Instant {
        Instant::now() + FIRST_SAVE
    }

    /// Until something is resumable, the next tries come soon: what has come may still be in a buffer.
    pub(super) fn next_save(&self) -> Instant {
        let is_early = self.saves.fetch_add(1, Relaxed) < EARLY_SAVES && !self.disk.has_kept();
        Instant::now() + if is_early { FIRST_SAVE } else { SAVE_EVERY }
    }
}

pub(super) fn io_error(target: &Path, error: io::Error) -> Error {
    let shown = target.display();
    let mut why = if target.as_os_str().is_empty() {
        "the path of the target is empty: give a file to write to".to_owned()
    } else if error.kind() == io::ErrorKind::AlreadyExists {
        format!("{shown}: there is a file of that name, and `Overwrite::Never` keeps it")
    } else {
        missing_folder(&error, target).unwrap_or_else(|| format!("{shown}: {error}"))
    };
    if let Some(advice) = crate::error::out_of_files(&error) {
        why = format!("{why}: {advice}");
    }
    let kind = if is_full(&error) { ErrorKind::DiskFull } else { ErrorKind::Io };
    Error::new(kind, why).with_source(error)
}

/// Names the missing folder. A download creates no folder, because a typo in a path would then go unnoticed.
fn missing_folder(error: &io::Error, target: &Path) -> Option<String> {
    if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) {
        return None;
    }
    let whole_path = absolute(target).ok()?;
    let folder = whole_path.parent()?;
    let shown = folder.display();
    if folder.is_dir() {
        return None;
    }
    Some(match folder.ancestors().find(|above| above.exists()) {
        Some(file) if file.is_file() => format!("{}: {} is a file, and no folder", target.display(), file.display()),
        _ => format!("{}: the folder {shown} does not exist: make it before the download", target.display()),
    })
}

/// A kill after this time costs at most what came since. Each connection has begun to write by then.
const FIRST_SAVE: Duration = Duration::from_millis(250);
const EARLY_SAVES: u32 = 8;
const SAVE_EVERY: Duration = Duration::from_secs(2);
/// One connection fills a large buffer while another is written; eight of them keep within the same memory.
pub(super) const ONE_BUFFER: usize = 1 << 20;
pub(super) const MANY_BUFFERS: usize = 512 << 10;
