//! Disk: runs a part on threads that may block.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::part::Part;

/// A part, and the background jobs on it.
///
/// When a download is dropped, its last bytes are still written and made resumable, on threads that may block. At the
/// end of the runtime, no job starts any more; then the part itself does as much as it can.
pub(super) struct Disk {
    /// `None` after the drop.
    part: Option<Arc<Part>>,
    jobs: Mutex<Vec<JoinHandle<io::Result<()>>>>,
    runtime: Handle,
    /// Whether what is still in a buffer is void.
    discards: AtomicBool,
}

impl Disk {
    pub(super) fn new(part: Part) -> Self {
        Self {
            part: Some(Arc::new(part)),
            jobs: Mutex::default(),
            runtime: Handle::current(),
            discards: AtomicBool::new(false),
        }
    }

    /// Runs a job on the part, and waits for it.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Part) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        done(self.spawn(job).await)
    }

    /// Begins a job on the part.
    fn spawn<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Part) -> io::Result<T> + Send + 'static,
    ) -> JoinHandle<io::Result<T>> {
        let part = self.part.clone();
        self.runtime
            .spawn_blocking(move || part.map_or_else(|| Err(io::Error::other("it is closed")), |part| job(&part)))
    }

    /// Begins to write these bytes; `None` after the end.
    fn write<T: Send + 'static>(
        &self,
        at: u64,
        buffer: Vec<u8>,
        after: impl FnOnce(Vec<u8>) -> T + Send + 'static,
    ) -> Option<JoinHandle<io::Result<T>>> {
        let write = Write { part: self.part.clone()?, buffer, at };
        Some(self.runtime.spawn_blocking(move || write.run().map(after)))
    }

    /// Makes the bytes so far resumable, in the background; not while the last such job is still running.
    pub(super) fn keep_in_background(&self) {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.retain(|job| !job.is_finished());
        if jobs.is_empty() {
            jobs.push(self.spawn(Part::keep));
        }
    }

    /// Returns whether some bytes are resumable.
    pub(super) fn has_kept(&self) -> bool {
        self.part.as_ref().is_some_and(|part| part.has_kept())
    }

    /// Waits for the background jobs: from then on the part has no write under way, if no lane is open.
    pub(super) async fn settle(&self) -> io::Result<()> {
        let jobs = std::mem::take(&mut *self.jobs.lock().unwrap_or_else(PoisonError::into_inner));
        let mut settled = Ok(());
        for job in jobs {
            settled = settled.and(done(job.await));
        }
        settled
    }

    /// Discards all bytes so far, also those that are not written yet. No lane may be open.
    pub(super) async fn begin_anew(&self) -> io::Result<()> {
        // A write that failed is void, too.
        self.settle().await.ok();
        self.discards.store(false, Relaxed);
        self.run(Part::begin_anew).await
    }

    /// Gives the complete part its name. A call that is dropped meanwhile keeps it from that.
    pub(super) async fn finish(&self, total: u64, replaces: bool) -> io::Result<()> {
        let guard = GivesUp(self.part.clone());
        let finished = self.run(move |part| part.finish(total, replaces)).await;
        guard.defuse();
        finished
    }

    /// Closes the part, and waits for that: its lock is free then.
    pub(super) async fn close(mut self) {
        self.settle().await.ok();
        if let Some(part) = self.part.take() {
            self.runtime.spawn_blocking(move || drop(part)).await.ok();
        }
    }

    /// Makes what is in the buffers of dropped lanes void.
    pub(super) fn discard_buffers(&self) {
        self.discards.store(true, Relaxed);
    }
}

impl Drop for Disk {
    /// Drops the part on a thread that may block, after all jobs on it.
    fn drop(&mut self) {
        if let Some(part) = self.part.take() {
            drop(self.runtime.spawn_blocking(move || drop(part)));
        }
    }
}

/// Gives a part up when it is dropped.
struct GivesUp(Option<Arc<Part>>);

impl GivesUp {
    fn defuse(mut self) {
        self.0 = None;
    }
}

impl Drop for GivesUp {
    fn drop(&mut self) {
        if let Some(part) = &self.0 {
            part.give_up();
        }
    }
}

/// The bytes of one connection on their way to the part: one buffer is filled while the other is written.
///
/// Bytes are copied out of the chunks, because a chunk keeps the whole buffer of its connection in memory.
pub(super) struct Lane {
    disk: Arc<Disk>,
    buffer: Vec<u8>,
    /// The offset of the buffer's first byte.
    at: u64,
    size: usize,
    spare: Option<Vec<u8>>,
    job: Option<JoinHandle<io::Result<Vec<u8>>>>,
}

impl Lane {
    /// Opens a lane with buffers of this size.
    pub(super) fn new(disk: Arc<Disk>, size: usize) -> Self {
        Self { disk, buffer: Vec::new(), at: 0, size, spare: None, job: None }
    }

    /// Takes bytes for an offset, and waits only while both buffers are full. An error may belong to earlier bytes.
    pub(super) async fn write(&mut self, at: u64, mut bytes: &[u8]) -> io::Result<()> {
        if self.at + self.buffer.len() as u64 != at {
            self.flush().await?;
            self.at = at;
        }
        while !bytes.is_empty() {
            let room = self.size - self.buffer.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.buffer.reserve_exact(self.size - self.buffer.len());
            self.buffer.extend_from_slice(now);
            bytes = later;
            if self.buffer.len() == self.size {
                self.flush().await?;
            }
        }
        Ok(())
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Begins to write what the buffer holds.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.wait().await?;
        let next = self.spare.take().unwrap_or_default();
        let buffer = std::mem::replace(&mut self.buffer, next);
        let (at, length) = (self.at, buffer.len() as u64);
        self.at += length;
        self.job = self.disk.write(at, buffer, |buffer| buffer);
        Ok(())
    }

    /// Waits for the write that is under way.
    async fn wait(&mut self) -> io::Result<()> {
        let Some(job) = &mut self.job else { return Ok(()) };
        let written = job.await;
        self.job = None;
        self.spare = Some(done(written)?);
        Ok(())
    }

    /// Writes all that is left.
    pub(super) async fn end(&mut self) -> io::Result<()> {
        self.flush().await?;
        self.wait().await
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        let (job, buffer, at) = (self.job.take(), std::mem::take(&mut self.buffer), self.at);
        let discards = self.disk.discards.load(Relaxed);
        let mut jobs = self.disk.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        if !buffer.is_empty() && !discards {
            jobs.extend(self.disk.write(at, buffer, |_| ()));
        }
        if let Some(job) = job.filter(|job| !job.is_finished()) {
            jobs.push(self.disk.runtime.spawn(async move { done(job.await).map(drop) }));
        }
    }
}

/// Bytes to be written. They are written in any case: at the end of a runtime, which runs no job any more, by the drop
/// of the job.
struct Write {
    part: Arc<Part>,
    buffer: Vec<u8>,
    at: u64,
}

impl Write {
    /// Writes, and gives the buffer back.
    fn run(mut self) -> io::Result<Vec<u8>> {
        let mut buffer = std::mem::take(&mut self.buffer);
        self.part.write(self.at, &buffer)?;
        buffer.clear();
        Ok(buffer)
    }
}

impl Drop for Write {
    fn drop(&mut self) {
        if !self.buffer.is_empty()
            && let Err(error) = self.part.write(self.at, &self.buffer)
        {
            tracing::debug!(%error, "the last bytes of a download could not be written");
        }
    }
}

fn done<T>(job: Result<io::Result<T>, tokio::task::JoinError>) -> io::Result<T> {
    job.unwrap_or_else(|crash| Err(io::Error::other(crash)))
}
