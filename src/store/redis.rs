//! RedisTaskStore: tasks in a Redis server.

mod link;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;

use self::link::{Answer, Call, Link};
use super::counts::StoredCounts;
use super::lease::{Claimed, TaskLease};
use super::state::StoredState;
use super::table::{Bounds, Full};
use super::task_store::TaskStore;
use super::write::{Intent, TaskWrite, Written};
use crate::credential::StoreError;
use crate::error::Error;

/// A store that keeps tasks in a Redis server, for processes on any machine.
///
/// ```no_run
/// use longhaul::tasks::RedisTaskStore;
///
/// # fn main() -> longhaul::Result<()> {
/// let store = RedisTaskStore::new("redis://user:password@redis.example.com:6379/0", "exports-prod")?;
/// let client = longhaul::Client::builder("https://api.example.com").task_store(store).build()?;
/// # drop(client);
/// # Ok(())
/// # }
/// ```
///
/// # The server
/// - Redis 6 or later, a single one with any number of replicas; not a cluster. The store needs `INFO`, `EVALSHA` and
///   `SCRIPT LOAD`, and the keys that begin with `lh:1:{NAMESPACE}/`.
/// - **Set `appendonly yes`.** A change is as durable as the server makes it: with `appendfsync everysec`, a machine that
///   fails may lose the last second; with `always`, nothing. Without the append-only file a restart loses all tasks since
///   the last snapshot, and the log of this process warns of that.
/// - **Set `maxmemory-policy noeviction`.** A server that removes any key when it is full is refused. A full server
///   refuses new tasks, before they are sent; it goes on to store tokens, ends and leases.
///
/// # Lost data
/// A server that starts without its data, or a replica that takes its place without the last writes, does not know the
/// tasks that it lost. They are not recovered by anybody, and their names are free. A process that holds such a task is
/// told that it lost it ([`ErrorKind::TakenOver`](crate::ErrorKind::TakenOver)), and a warning in the log tells that no
/// other process has it. A replica may also have missed a takeover: the fence is then as old as the replica, and two
/// processes may work on one task until the next beat of either.
///
/// # Limits
/// - A task costs four calls, and a process one more each third of a lease.
/// - The server needs some 900 bytes a task beside its name and its data, which alone count for
///   [`most_bytes`](RedisTaskStore::most_bytes).
/// - The data is plain text, unless the client has a key ([`ClientBuilder::task_store_key`], feature `token-file`).
///
/// [`ClientBuilder::task_store_key`]: crate::ClientBuilder::task_store_key
///
/// # Errors
/// Each error names the server and its fault. No error contains a secret. A call that gets no answer in 5 seconds is made
/// once more, and is carried out once all the same. The next call takes back an intent or a claim that failed so.
#[derive(Clone)]
pub struct RedisTaskStore {
    link: Arc<Link>,
    bounds: Bounds,
}

impl RedisTaskStore {
    /// Creates a store in a namespace of a server. Nothing is sent yet.
    ///
    /// A URL is `redis://user:password@host:6379/0`; `rediss://` needs one of the TLS features of the crate `redis` (such
    /// as `tokio-rustls-comp`). A namespace has up to 64 letters, digits and `-_.:`: one for each application and stage.
    /// The namespace of [`Throttle::redis`](crate::Throttle::redis) can be the same.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if the URL or the namespace cannot be used.
    pub fn new(url: &str, namespace: &str) -> Result<Self, Error> {
        Ok(Self { link: Arc::new(Link::new(url, namespace)?), bounds: Bounds::STANDARD })
    }

    /// Sets how long a lease lasts, as [`FileTaskStore::lease_time`](super::FileTaskStore::lease_time) does: 30 seconds
    /// by default, by the clock of the server.
    #[must_use]
    pub const fn lease_time(mut self, time: Duration) -> Self {
        self.bounds.lease = time;
        self
    }

    /// Sets how long finished tasks are kept, as [`FileTaskStore::keep_finished`](super::FileTaskStore::keep_finished)
    /// does: 7 days by default.
    #[must_use]
    pub const fn keep_finished(mut self, time: Duration) -> Self {
        self.bounds.keep_finished = time;
        self
    }

    /// Sets the bytes that names and data may take, as [`FileTaskStore::most_bytes`](super::FileTaskStore::most_bytes)
    /// does: 64 MiB by default.
    #[must_use]
    pub const fn most_bytes(mut self, bytes: u64) -> Self {
        self.bounds.most_bytes = bytes;
        self
    }

    async fn call_at(&self, call: &Call<'_>, time: u64) -> Result<(String, Vec<Vec<u8>>), StoreError> {
        let (kind, forgotten, values): Answer = self.link.call(call, &self.bounds, time).await?;
        for name in forgotten {
            tracing::warn!(%name, "a finished task is forgotten, which nobody acknowledged");
        }
        Ok((kind, values))
    }

    async fn intend_at(&self, name: Arc<str>, owner: Arc<str>, data: Vec<u8>, time: u64) -> Result<Intent, StoreError> {
        let (kind, values) = self.call_at(&Call::intend(&name, &owner, &data), time).await?;
        match (&*kind, &*values) {
            ("stored", []) => Ok(Intent::Stored(TaskLease::new(name, owner, 1))),
            ("known", [state]) => Ok(Intent::Known(read_state(state).ok_or_else(|| self.odd())?)),
            ("full", [open, bytes, needed]) => {
                let number = |value: &[u8]| read_number(value).ok_or_else(|| self.odd());
                let full = Full::new(number(open)?, number(bytes)?, self.bounds.most_bytes, number(needed)?);
                Err(self.link.failed(&format!("has a task store that {full}")).into())
            }
            _ => Err(self.odd()),
        }
    }

    async fn write_at(&self, lease: TaskLease, change: TaskWrite, time: u64) -> Result<Written, StoreError> {
        let fence = lease.fence().to_string();
        let (operation, data) = match &change {
            TaskWrite::Submitted(data) => ("submitted", &**data),
            TaskWrite::Finished => ("finished", &[][..]),
            TaskWrite::Uncertain => ("uncertain", &[][..]),
            TaskWrite::Acknowledged => ("acknowledged", &[][..]),
            TaskWrite::Withdrawn => ("withdrawn", &[][..]),
            TaskWrite::Released => ("released", &[][..]),
        };
        let arguments =
            vec![lease.name().as_bytes(), lease.owner().as_bytes(), fence.as_bytes(), operation.as_bytes(), data];
        let (kind, _) = self.call_at(&Call::new("write", arguments), time).await?;
        match &*kind {
            "done" => Ok(Written::Done),
            "lost" => Ok(Written::Lost),
            "unknown" => {
                if change != TaskWrite::Withdrawn {
                    self.warn(lease.name());
                }
                Ok(Written::Lost)
            }
            _ => Err(self.odd()),
        }
    }

    async fn beat_at(&self, owner: Arc<str>, leases: Vec<TaskLease>, time: u64) -> Result<Vec<TaskLease>, StoreError> {
        let mut lost = Vec::new();
        let rounds = leases.chunk_by(|one, next| one.owner() == next.owner()).flat_map(|held| held.chunks(BEAT));
        let rounds: Vec<&[TaskLease]> = if leases.is_empty() { vec![&[]] } else { rounds.collect() };
        for round in rounds {
            let fences: Vec<_> = round.iter().map(|lease| lease.fence().to_string()).collect();
            let holder = round.first().map_or(&owner, TaskLease::owner);
            let mut arguments = vec![owner.as_bytes(), holder.as_bytes()];
            for (lease, fence) in round.iter().zip(&fences) {
                arguments.extend([lease.name().as_bytes(), fence.as_bytes()]);
            }
            let (_, values) = self.call_at(&Call::new("beat", arguments), time).await?;
            let (values, _) = values.as_chunks::<2>();
            for [at, how] in values {
                let at = read_number(at).and_then(|at| usize::try_from(at).ok());
                let lease = at.and_then(|at| round.get(at)).ok_or_else(|| self.odd())?;
                if how == b"unknown" {
                    self.warn(lease.name());
                }
                lost.push(lease.clone());
            }
        }
        Ok(lost)
    }

    async fn claim_at(&self, owner: Arc<str>, most: usize, time: u64) -> Result<Vec<Claimed>, StoreError> {
        let mut claimed = Vec::new();
        loop {
            let count = most.saturating_sub(claimed.len()).min(CLAIM);
            let answer = self.call_at(&Call::claim(&owner, &count.to_string()), time).await;
            let values = match answer {
                Ok((_, values)) => values,
                // The tasks that were taken over before are returned; the next call returns the error.
                Err(_) if !claimed.is_empty() => return Ok(claimed),
                Err(error) => return Err(error),
            };
            let (values, _) = values.as_chunks::<4>();
            for [name, fence, state, data] in values {
                let name = str::from_utf8(name).map_err(|_| self.odd())?;
                let fence = read_number(fence).ok_or_else(|| self.odd())?;
                let state = read_state(state).ok_or_else(|| self.odd())?;
                let lease = TaskLease::new(name.into(), owner.clone(), fence);
                claimed.push(Claimed::new(lease, state, data.clone()));
            }
            if values.len() < CLAIM || claimed.len() >= most {
                return Ok(claimed);
            }
        }
    }

    async fn counts_at(&self, time: u64) -> Result<StoredCounts, StoreError> {
        let (_, values) = self.call_at(&Call::new("counts", Vec::new()), time).await?;
        let values: Option<Vec<u64>> = values.iter().map(|value| read_number(value)).collect();
        let Some(&[intended, submitted, finished, uncertain, acknowledged, free, bytes]) = values.as_deref() else {
            return Err(self.odd());
        };
        Ok(StoredCounts { intended, submitted, finished, uncertain, acknowledged, free, bytes })
    }

    fn warn(&self, name: &str) {
        let server = self.link.server();
        tracing::warn!(name, server, "the server does not know a task of this process: it lost its data, or forgot it");
    }

    fn odd(&self) -> StoreError {
        self.link.failed("answers what its script does not say").into()
    }
}

impl TaskStore for RedisTaskStore {
    fn lease_time(&self) -> Duration {
        self.bounds.lease
    }

    fn intend(&self, name: Arc<str>, owner: Arc<str>, data: Vec<u8>) -> BoxFuture<'_, Result<Intent, StoreError>> {
        Box::pin(self.intend_at(name, owner, data, 0))
    }

    fn write(&self, lease: TaskLease, change: TaskWrite) -> BoxFuture<'_, Result<Written, StoreError>> {
        Box::pin(self.write_at(lease, change, 0))
    }

    fn beat(&self, owner: Arc<str>, leases: Vec<TaskLease>) -> BoxFuture<'_, Result<Vec<TaskLease>, StoreError>> {
        Box::pin(self.beat_at(owner, leases, 0))
    }

    fn claim(&self, owner: Arc<str>, most: usize) -> BoxFuture<'_, Result<Vec<Claimed>, StoreError>> {
        Box::pin(self.claim_at(owner, most, 0))
    }

    fn counts(&self) -> BoxFuture<'_, Result<StoredCounts, StoreError>> {
        Box::pin(self.counts_at(0))
    }
}

impl fmt::Debug for RedisTaskStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisTaskStore")
            .field("server", &self.link.server())
            .field("bounds", &self.bounds)
            .finish_non_exhaustive()
    }
}

fn read_number(value: &[u8]) -> Option<u64> {
    str::from_utf8(value).ok()?.parse().ok()
}

fn read_state(value: &[u8]) -> Option<StoredState> {
    StoredState::from_byte(u8::try_from(read_number(value)?).ok()?)
}

/// A script holds the server up for all others: it takes over so many tasks at most, in some milliseconds.
const CLAIM: usize = 500;
/// So many leases are compared by one script.
const BEAT: usize = 2_000;
