//! TaskStore: the trait that stores implement.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;

use super::counts::StoredCounts;
use super::lease::{Claimed, TaskLease};
use super::write::{Intent, TaskWrite, Written};
use crate::credential::StoreError;

/// A store in which tasks outlive the process ([`ClientBuilder::task_store`](crate::ClientBuilder::task_store)).
///
/// A submit stores its request before it is sent, and its token before the first poll. After the end of a process,
/// [`Client::recover`](crate::Client::recover) takes its tasks over, each in one process.
///
/// [`MemoryTaskStore`](super::MemoryTaskStore) keeps tasks for tests, [`FileTaskStore`](super::FileTaskStore) for all
/// processes of one host, `RedisTaskStore` (feature `redis`) for processes on many machines. Implement this trait for a
/// database:
///
/// - Each task has one record under its name: a state, data, an owner and a fence. The store never reads the data.
/// - Each method is one transaction, and each write checks the owner and the fence of the lease.
/// - An owner's lease begins with its `intend`, `beat` or `claim`, and lasts for [`lease_time`](TaskStore::lease_time).
///   It covers all tasks of the owner. Measure it by the store's own clock, and not by the clients'.
/// - A task whose owner's lease is over keeps its owner until somebody claims it.
///
/// # Errors
/// An error must leave the record unchanged. Its text is shown, and must contain no secret.
///
/// # Cancel safety
/// A caller may drop each future. A change that was begun may then be stored or not; it must not be stored in part.
pub trait TaskStore: Send + Sync + 'static {
    /// Returns how long a lease lasts: 30 seconds by default. Clients renew it three times in that time.
    fn lease_time(&self) -> Duration {
        LEASE
    }

    /// Stores a task that is about to be submitted, for this owner, unless the store has a task of this name in any
    /// state. The record must be durable when this method returns.
    fn intend(&self, name: Arc<str>, owner: Arc<str>, data: Vec<u8>) -> BoxFuture<'_, Result<Intent, StoreError>>;

    /// Changes a task, if the lease is not lost. A change of the state must be durable when this method returns.
    fn write(&self, lease: TaskLease, change: TaskWrite) -> BoxFuture<'_, Result<Written, StoreError>>;

    /// Renews the lease of an owner. Returns those of these leases that are lost: the owner's own list of its tasks.
    fn beat(&self, owner: Arc<str>, leases: Vec<TaskLease>) -> BoxFuture<'_, Result<Vec<TaskLease>, StoreError>>;

    /// Takes up to `most` tasks over for an owner: those that are not acknowledged, and that nobody holds or whose
    /// owner's lease is over; the oldest first. Each gets a higher fence. Also renews the owner's lease.
    fn claim(&self, owner: Arc<str>, most: usize) -> BoxFuture<'_, Result<Vec<Claimed>, StoreError>>;

    /// Returns how many tasks the store has.
    fn counts(&self) -> BoxFuture<'_, Result<StoredCounts, StoreError>>;
}

impl<S: TaskStore + ?Sized> TaskStore for Arc<S> {
    fn lease_time(&self) -> Duration {
        (**self).lease_time()
    }

    fn intend(&self, name: Arc<str>, owner: Arc<str>, data: Vec<u8>) -> BoxFuture<'_, Result<Intent, StoreError>> {
        (**self).intend(name, owner, data)
    }

    fn write(&self, lease: TaskLease, change: TaskWrite) -> BoxFuture<'_, Result<Written, StoreError>> {
        (**self).write(lease, change)
    }

    fn beat(&self, owner: Arc<str>, leases: Vec<TaskLease>) -> BoxFuture<'_, Result<Vec<TaskLease>, StoreError>> {
        (**self).beat(owner, leases)
    }

    fn claim(&self, owner: Arc<str>, most: usize) -> BoxFuture<'_, Result<Vec<Claimed>, StoreError>> {
        (**self).claim(owner, most)
    }

    fn counts(&self) -> BoxFuture<'_, Result<StoredCounts, StoreError>> {
        (**self).counts()
    }
}

/// The default: a process that is killed holds its tasks for so long, and a beat costs nothing worth mentioning.
pub(super) const LEASE: Duration = Duration::from_secs(30);
