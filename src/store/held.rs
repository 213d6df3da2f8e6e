//! Held: a stored task that this process holds.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use super::lease::TaskLease;
use super::write::{TaskWrite, Written};
use super::writer::Writer;
use crate::error::{Error, ErrorKind};

/// A stored task that this process holds. The last drop releases it, unless it was acknowledged.
pub(crate) struct Held {
    writer: Arc<Writer>,
    lease: TaskLease,
    is_lost: AtomicBool,
    /// Whether nothing is left to be written: the task was acknowledged or withdrawn.
    is_over: AtomicBool,
    /// The mark of the token that was stored last.
    stored: AtomicU64,
}

impl Held {
    pub(super) fn new(writer: Arc<Writer>, lease: TaskLease) -> Arc<Self> {
        let (is_lost, is_over) = (AtomicBool::new(false), AtomicBool::new(false));
        Arc::new(Self { writer, lease, is_lost, is_over, stored: AtomicU64::new(0) })
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        self.lease.name()
    }

    pub(super) const fn lease(&self) -> &TaskLease {
        &self.lease
    }

    /// Returns whether another process has taken the task over.
    pub(crate) fn is_lost(&self) -> bool {
        self.is_lost.load(Relaxed)
    }

    /// Returns whether nothing is left to be written.
    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Relaxed)
    }

    pub(super) fn lose(&self) {
        self.is_lost.store(true, Relaxed);
    }

    /// Stores the data of a task that the service accepted.
    pub(crate) async fn submitted(&self, data: Vec<u8>, mark: u64) -> Result<(), Error> {
        let data = self.writer.seal(self.name(), data)?;
        self.write(TaskWrite::Submitted(data)).await?;
        self.stored.store(mark, Relaxed);
        Ok(())
    }

    /// Returns whether the store seals what it keeps.
    pub(crate) fn is_sealed(&self) -> bool {
        self.writer.seals()
    }

    /// Returns whether a token of this mark is stored already.
    pub(crate) fn has(&self, mark: u64) -> bool {
        self.stored.load(Relaxed) == mark
    }

    /// Stores the data of a task that has moved: soon, and not before this call returns.
    pub(crate) fn moved(&self, data: Vec<u8>, mark: u64) {
        self.stored.store(mark, Relaxed);
        if let Ok(data) = self.writer.seal(self.name(), data) {
            self.writer.note(self.lease.clone(), TaskWrite::Submitted(data));
        }
    }

    /// Records that the service reported the end of the task: soon, and not before this call returns.
    pub(crate) fn finished(&self) {
        self.writer.note(self.lease.clone(), TaskWrite::Finished);
    }

    pub(crate) async fn uncertain(&self) -> Result<(), Error> {
        self.write(TaskWrite::Uncertain).await
    }

    /// Records that the application's own work for the task is done.
    pub(crate) async fn ack(&self) -> Result<(), Error> {
        if self.is_over.load(Relaxed) {
            return Ok(());
        }
        self.write(TaskWrite::Acknowledged).await?;
        self.is_over.store(true, Relaxed);
        Ok(())
    }

    async fn write(&self, change: TaskWrite) -> Result<(), Error> {
        match self.writer.write(&self.lease, change).await? {
            Written::Done => Ok(()),
            Written::Lost => {
                self.lose();
                Err(self.taken_over())
            }
        }
    }

    /// Returns the error of a process that lost the task to another one.
    pub(crate) fn taken_over(&self) -> Error {
        Error::new(ErrorKind::TakenOver, format!("`{}`", self.name().escape_debug()))
    }

    /// Removes the task: the service refused its submit.
    pub(crate) async fn withdraw(&self) -> Result<(), Error> {
        self.write(TaskWrite::Withdrawn).await?;
        self.is_over.store(true, Relaxed);
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.is_over.load(Relaxed) && !self.is_lost() {
            self.writer.note(self.lease.clone(), TaskWrite::Released);
        }
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("lease", &self.lease).field("is_lost", &self.is_lost).finish_non_exhaustive()
    }
}
