//! Keeper: the store as a client uses it, and the leases of its tasks.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::counts::StoredCounts;
use super::held::Held;
use super::lease::Claimed;
use super::state::StoredState;
use super::task_store::TaskStore;
use super::write::Intent;
use super::writer::{Notes, Opened, Writer, failed};
use crate::clock::later;
#[cfg(feature = "token-file")]
use crate::credential::FileKey;
use crate::credential::{StoreError, in_time};
use crate::error::{Error, ErrorKind};

/// The store of a client, and the tasks of it that this process holds.
///
/// The beats are sent by a task of their own, from the first held task on. It ends with the last clone of the client
/// and the last task of it.
pub(crate) struct Keeper {
    writer: Arc<Writer>,
    owner: Arc<str>,
    held: Arc<HeldTasks>,
    beats: Mutex<Option<JoinHandle<()>>>,
}

/// The tasks that this process holds, by name.
#[derive(Default)]
struct HeldTasks(Mutex<HashMap<Arc<str>, Weak<Held>>>);

impl Keeper {
    pub(crate) fn new(
        store: Arc<dyn TaskStore>,
        #[cfg(feature = "token-file")] key: Option<Arc<FileKey>>,
    ) -> Arc<Self> {
        let writer = Writer::new(
            store,
            #[cfg(feature = "token-file")]
            key,
        );
        let owner = format!("{:032x}", fastrand::u128(..)).into();
        Arc::new(Self { writer, owner, held: Arc::default(), beats: Mutex::default() })
    }

    /// Stores a task that is about to be submitted.
    pub(crate) async fn intend(&self, name: Arc<str>, data: Vec<u8>) -> Result<Arc<Held>, Error> {
        let data = self.writer.seal(&name, data)?;
        let answer = in_time(self.writer.store.intend(name.clone(), self.owner.clone(), data)).await;
        match answer.map_err(|error| failed("the task was not stored, and not submitted", error))? {
            Intent::Stored(lease) => Ok(self.hold(Held::new(self.writer.clone(), lease))),
            Intent::Known(state) => {
                let how = match state {
                    StoredState::Intended => "its submit was begun",
                    StoredState::Submitted => "it was submitted",
                    StoredState::Finished => "it has ended, and was not acknowledged",
                    StoredState::Uncertain => "its submit may have reached the service",
                    StoredState::Acknowledged => "it was acknowledged",
                };
                let why = format!("`{}`: {how}", name.escape_debug());
                Err(Error::new(ErrorKind::AlreadyStored, why))
            }
        }
    }

    /// Takes up to `most` free tasks over.
    pub(crate) async fn claim(&self, most: usize) -> Result<Vec<(Arc<Held>, Claimed)>, Error> {
        // The tasks that this process let go are free, too.
        self.writer.flush().await?;
        let claimed = in_time(self.writer.store.claim(self.owner.clone(), most)).await;
        let claimed = claimed.map_err(|error| failed("no task could be recovered", error))?;
        let hold = |claimed: &Claimed| self.hold(Held::new(self.writer.clone(), claimed.lease().clone()));
        Ok(claimed.into_iter().map(|claimed| (hold(&claimed), claimed)).collect())
    }

    pub(crate) async fn counts(&self) -> Result<StoredCounts, Error> {
        self.writer.flush().await?;
        in_time(self.writer.store.counts()).await.map_err(|error| failed("its tasks could not be counted", error))
    }

    /// Writes all that is still to be written.
    pub(crate) async fn flush(&self) -> Result<(), Error> {
        self.writer.flush().await
    }

    /// Returns the data of a stored task.
    pub(crate) fn open(&self, name: &str, stored: &[u8]) -> Result<Opened, Error> {
        self.writer.open(name, stored)
    }

    /// Returns whether stored data is sealed.
    pub(crate) fn seals(&self) -> bool {
        self.writer.seals()
    }

    fn hold(&self, held: Arc<Held>) -> Arc<Held> {
        self.held.tasks().insert(held.name().clone(), Arc::downgrade(&held));
        self.begin_beats();
        // The first task begins the beats.
        self.writer.notes.wake.notify_one();
        held
    }

    /// Begins the task that beats, unless it runs: in this runtime, or in one that has not ended.
    fn begin_beats(&self) {
        let Ok(runtime) = Handle::try_current() else { return };
        let mut beats = self.beats.lock().unwrap_or_else(PoisonError::into_inner);
        if beats.as_ref().is_none_or(JoinHandle::is_finished) {
            let beating = Beating {
                writer: Arc::downgrade(&self.writer),
                store: self.writer.store.clone(),
                notes: self.writer.notes.clone(),
                owner: self.owner.clone(),
                held: self.held.clone(),
            };
            *beats = Some(runtime.spawn(beating.run()));
        }
    }
}

impl HeldTasks {
    fn tasks(&self) -> MutexGuard<'_, HashMap<Arc<str>, Weak<Held>>> {
        // No code panics while it holds the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the tasks that are still held.
    fn living(&self) -> Vec<Arc<Held>> {
        let mut living = Vec::new();
        self.tasks().retain(|_, held| {
            let held = held.upgrade();
            living.extend(held.clone());
            held.is_some()
        });
        living
    }
}

/// The task that beats. It does not keep the writer alive.
struct Beating {
    writer: Weak<Writer>,
    store: Arc<dyn TaskStore>,
    notes: Arc<Notes>,
    owner: Arc<str>,
    held: Arc<HeldTasks>,
}

impl Beating {
    /// Sends beats and later writes, until the client and all its tasks are gone.
    async fn run(self) {
        let every = (self.store.lease_time() / 3).max(SHORTEST);
        let mut next = later(Instant::now(), every);
        loop {
            let beats = !self.held.living().is_empty();
            tokio::select! {
                () = self.notes.wake.notified() => {}
                () = sleep_until(next), if beats => {}
            }
            if let Err(error) = self.notes.flush(&self.store).await {
                tracing::warn!(%error, "a change could not be written to the task store, and is written again later");
            }
            if self.writer.strong_count() == 0 {
                return;
            }
            if !beats {
                next = later(Instant::now(), every);
            } else if Instant::now() >= next {
                let beaten = self.beat().await;
                next = later(Instant::now(), if beaten.is_ok() { every } else { every.min(AGAIN) });
                if let Err(error) = beaten {
                    tracing::warn!(%error, "the lease of the stored tasks could not be renewed");
                }
            }
        }
    }

    async fn beat(&self) -> Result<(), StoreError> {
        let held = self.held.living();
        let leases = held.iter().map(|held| held.lease().clone()).collect();
        let lost: HashSet<_> = in_time(self.store.beat(self.owner.clone(), leases)).await?.into_iter().collect();
        for held in held.iter().filter(|held| lost.contains(held.lease()) && !held.is_over()) {
            tracing::warn!(name = %held.name(), "another process has taken a task over");
            held.lose();
        }
        Ok(())
    }
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper").field("owner", &self.owner).field("writer", &self.writer).finish_non_exhaustive()
    }
}

/// A shorter time between beats is noise.
const SHORTEST: Duration = Duration::from_millis(10);
/// A beat that failed is sent again soon, as long as the lease may still be saved.
const AGAIN: Duration = Duration::from_secs(1);
