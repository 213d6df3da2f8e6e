//! MemoryTaskStore: tasks in memory.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;

use super::counts::StoredCounts;
use super::lease::{Claimed, TaskLease};
use super::table::{Bounds, Change, Table};
use super::task_store::TaskStore;
use super::write::{Intent, TaskWrite, Written};
use crate::clock::{Clock, unix_millis};
use crate::credential::StoreError;

/// A store that keeps tasks in memory: for tests, and for clients that are created and dropped within one process.
/// Clones share the tasks.
///
/// ```
/// # use longhaul::testing::{reply, script};
/// # use serde_json::json;
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> longhaul::Result<()> {
/// # let service = script([reply(202).header("location", "tasks/7"), reply(200).json(json!(7))]);
/// use longhaul::tasks::{MemoryTaskStore, Recovered};
///
/// let store = MemoryTaskStore::new();
/// let client = service.client().task_store(store.clone()).build()?;
/// let task = client.task().post("exports").stored_as("order-17").submit::<u32>().await?;
/// drop((task, client));                           // as at the end of a process
///
/// let client = service.client().task_store(store).build()?;
/// # client.settle().await; tokio::time::sleep(std::time::Duration::from_secs(31)).await;
/// for recovered in client.recover::<u32>().await? {
///     let Recovered::Task(task) = recovered else { continue };
///     assert_eq!(task.stored_as().as_deref(), Some("order-17"));
///     let outcome = task.await?;
///     assert_eq!(outcome.value()?, 7);
///     outcome.ack().await?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct MemoryTaskStore {
    table: Arc<Mutex<Table<Vec<u8>>>>,
    bounds: Bounds,
    clock: Clock,
}

impl MemoryTaskStore {
    /// Creates an empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how long a lease lasts, as [`FileTaskStore::lease_time`](super::FileTaskStore::lease_time) does.
    #[must_use]
    pub const fn lease_time(mut self, time: Duration) -> Self {
        self.bounds.lease = time;
        self
    }

    /// Sets how long finished tasks are kept, as [`FileTaskStore::keep_finished`](super::FileTaskStore::keep_finished)
    /// does.
    #[must_use]
    pub const fn keep_finished(mut self, time: Duration) -> Self {
        self.bounds.keep_finished = time;
        self
    }

    /// Sets the bytes that names and data may take, as [`FileTaskStore::most_bytes`](super::FileTaskStore::most_bytes)
    /// does.
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

    fn table(&self) -> MutexGuard<'_, Table<Vec<u8>>> {
        // No code panics while it holds the lock.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wall(&self) -> u64 {
        unix_millis(self.clock.now())
    }
}

impl Default for MemoryTaskStore {
    fn default() -> Self {
        Self { table: Arc::new(Mutex::new(Table::new())), bounds: Bounds::STANDARD, clock: Clock::system() }
    }
}

impl TaskStore for MemoryTaskStore {
    fn lease_time(&self) -> Duration {
        self.bounds.lease
    }

    fn intend(&self, name: Arc<str>, owner: Arc<str>, data: Vec<u8>) -> BoxFuture<'_, Result<Intent, StoreError>> {
        let mut table = self.table();
        let now = table.time(self.wall(), &self.bounds);
        let answer = match table.intend(name, owner, data, now, &self.bounds) {
            Ok(change) => Ok(apply(&mut table, change)),
            Err(full) => Err(format!("the task store {full}").into()),
        };
        ready(answer)
    }

    fn write(&self, lease: TaskLease, change: TaskWrite) -> BoxFuture<'_, Result<Written, StoreError>> {
        let mut table = self.table();
        let now = table.time(self.wall(), &self.bounds);
        let change = table.write(&lease, change, now);
        ready(Ok(apply(&mut table, change)))
    }

    fn beat(&self, owner: Arc<str>, leases: Vec<TaskLease>) -> BoxFuture<'_, Result<Vec<TaskLease>, StoreError>> {
        let mut table = self.table();
        let now = table.time(self.wall(), &self.bounds);
        let change = table.beat(owner, leases, now, &self.bounds);
        ready(Ok(apply(&mut table, change)))
    }

    fn claim(&self, owner: Arc<str>, most: usize) -> BoxFuture<'_, Result<Vec<Claimed>, StoreError>> {
        let mut table = self.table();
        let now = table.time(self.wall(), &self.bounds);
        let change = table.claim(&owner, most, now, &self.bounds);
        let leases = apply(&mut table, change);
        let data = |lease: &TaskLease| table.data(lease.name()).cloned().unwrap_or_default();
        let claimed = leases.into_iter().map(|(lease, state)| {
            let data = data(&lease);
            Claimed::new(lease, state, data)
        });
        ready(Ok(claimed.collect()))
    }

    fn counts(&self) -> BoxFuture<'_, Result<StoredCounts, StoreError>> {
        let table = self.table();
        ready(Ok(table.counts(table.time(self.wall(), &self.bounds))))
    }
}

fn apply<A>(table: &mut Table<Vec<u8>>, change: Change<A>) -> A {
    let Change { now, entries, answer, .. } = change;
    entries.into_iter().for_each(|entry| table.apply(now, entry));
    answer
}

fn ready<T: Send + 'static>(answer: Result<T, StoreError>) -> BoxFuture<'static, Result<T, StoreError>> {
    Box::pin(std::future::ready(answer))
}
