//! Writer: writes to the store, at once or later, sealed with the user's key if there is one.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::lease::TaskLease;
use super::task_store::TaskStore;
use super::write::{TaskWrite, Written};
#[cfg(feature = "token-file")]
use crate::credential::{FileKey, STORED_TASK, Unreadable};
use crate::credential::{StoreError, failed_as, in_time};
use crate::error::{Error, ErrorKind};

/// Writes to the store of a client. It lives as long as the client or one of its held tasks.
pub(super) struct Writer {
    pub(super) store: Arc<dyn TaskStore>,
    #[cfg(feature = "token-file")]
    key: Option<Arc<FileKey>>,
    pub(super) notes: Arc<Notes>,
}

/// Writes that nobody waits for, in their order.
#[derive(Default)]
pub(super) struct Notes {
    queue: Mutex<VecDeque<(TaskLease, TaskWrite)>>,
    pub(super) wake: Notify,
    /// One writer at a time keeps the order.
    turn: tokio::sync::Mutex<()>,
}

/// The data of a stored task, and whether nobody else can have edited it.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) data: Vec<u8>,
    pub(crate) is_sealed: bool,
}

impl Writer {
    pub(super) fn new(
        store: Arc<dyn TaskStore>,
        #[cfg(feature = "token-file")] key: Option<Arc<FileKey>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            store,
            #[cfg(feature = "token-file")]
            key,
            notes: Arc::default(),
        })
    }

    pub(super) async fn write(&self, lease: &TaskLease, change: TaskWrite) -> Result<Written, Error> {
        let written = in_time(self.store.write(lease.clone(), change)).await;
        written.map_err(|error| failed("the change could not be written", error))
    }

    /// Writes a change later.
    pub(super) fn note(&self, lease: TaskLease, change: TaskWrite) {
        self.notes.queue().push_back((lease, change));
        self.notes.wake.notify_one();
    }

    /// Writes all that is still to be written.
    pub(super) async fn flush(&self) -> Result<(), Error> {
        self.notes.flush(&self.store).await.map_err(|error| failed("a change could not be written", error))
    }

    /// Returns the data as it is stored.
    pub(super) fn seal(&self, name: &str, data: Vec<u8>) -> Result<Vec<u8>, Error> {
        #[cfg(feature = "token-file")]
        if let Some(key) = &self.key {
            let why = "the task could not be sealed: the system has no random numbers";
            let sealed = STORED_TASK.seal(key, name.as_bytes(), &data);
            return sealed.map(|sealed| sealed.to_vec()).ok_or_else(|| Error::new(ErrorKind::TaskStore, why));
        }
        let _ = name;
        Ok(data)
    }

    /// Returns data that [`seal`](Self::seal) made.
    pub(super) fn open(&self, name: &str, stored: &[u8]) -> Result<Opened, Error> {
        let wrong = |why: &str| Error::new(ErrorKind::TaskStore, format!("the task `{}` {why}", name.escape_debug()));
        #[cfg(feature = "token-file")]
        if let Some(key) = &self.key {
            let data = STORED_TASK.unseal(key, name.as_bytes(), stored).map_err(|why| {
                wrong(match why {
                    Unreadable::Cut | Unreadable::Foreign => "is not stored by this crate",
                    Unreadable::OtherVersion => "is sealed by another version of this crate",
                    Unreadable::PlainText => {
                        "is not sealed, and this client has a key: recover it with a client that has none"
                    }
                    Unreadable::Changed => "cannot be opened: it was sealed with another key, or changed since",
                })
            })?;
            return Ok(Opened { data: data.to_vec(), is_sealed: true });
        }
        if stored.starts_with(b"{") {
            Ok(Opened { data: stored.to_vec(), is_sealed: false })
        } else {
            Err(wrong("is sealed: give the client its key, by ClientBuilder::task_store_key"))
        }
    }

    /// Returns whether stored data is sealed.
    pub(super) fn seals(&self) -> bool {
        #[cfg(feature = "token-file")]
        return self.key.is_some();
        #[cfg(not(feature = "token-file"))]
        false
    }
}

impl Notes {
    pub(super) async fn flush(&self, store: &Arc<dyn TaskStore>) -> Result<(), StoreError> {
        let _turn = self.turn.lock().await;
        loop {
            // It leaves the queue when it is written: this future may be dropped.
            let Some((lease, change)) = self.queue().front().cloned() else { return Ok(()) };
            // A lost lease needs no writes: the task is another process's.
            let _: Written = in_time(store.write(lease, change)).await?;
            self.queue().pop_front();
        }
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<(TaskLease, TaskWrite)>> {
        // No code panics while it holds the lock.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // The last writes are made, and the beats end.
        self.notes.wake.notify_one();
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("notes", &self.notes.queue().len()).finish_non_exhaustive()
    }
}

pub(super) fn failed(what: &str, error: StoreError) -> Error {
    failed_as(ErrorKind::TaskStore, what, error)
}
