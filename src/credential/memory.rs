//! MemoryStore: a token in memory.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::exclusive::{ExclusiveStore, RefreshLease, RefreshTurn, Replaced, StoredToken};
use super::store::CredentialStore;
use super::store_error::StoreError;
use super::token::Token;
use super::token_record::{TokenRecord, micros};

/// A store that keeps a token in memory: for tests, and for clients that are created and dropped within one process.
/// Clones share the token, and one client at a time refreshes it.
///
/// ```
/// use longhaul::credentials::{CredentialStore, MemoryStore, Token};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), longhaul::credentials::StoreError> {
/// let store = MemoryStore::new();
/// store.save(Some(Token::new("eyJhbGciOi"))).await?;
/// assert_eq!(store.load().await?.map(|token| token.expose().len()), Some(10));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemoryStore(Arc<Kept>);

#[derive(Debug, Default)]
struct Kept {
    memory: Mutex<Memory>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Memory {
    record: TokenRecord,
    /// The beginning of the store's time: its first change.
    since: Option<Instant>,
}

impl MemoryStore {
    /// Creates an empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        // No code panics while it holds the lock.
        self.0.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut TokenRecord, u64) -> T,
    ) -> BoxFuture<'_, Result<T, StoreError>> {
        let answer = {
            let Memory { record, since } = &mut *self.lock();
            let now = Instant::now();
            change(record, micros(now.saturating_duration_since(*since.get_or_insert(now))))
        };
        Box::pin(std::future::ready(Ok(answer)))
    }
}

impl CredentialStore for MemoryStore {
    fn load(&self) -> BoxFuture<'_, Result<Option<Token>, StoreError>> {
        let token = self.lock().record.stored().token().cloned();
        Box::pin(std::future::ready(Ok(token)))
    }

    fn save(&self, token: Option<Token>) -> BoxFuture<'_, Result<(), StoreError>> {
        let saved = self.change(|record, now| {
            record.save(token, now);
        });
        self.0.changed.notify_waiters();
        saved
    }

    fn exclusive(&self) -> Option<&dyn ExclusiveStore> {
        Some(self)
    }
}

impl ExclusiveStore for MemoryStore {
    fn read(&self) -> BoxFuture<'_, Result<StoredToken, StoreError>> {
        self.change(|record, _| record.stored())
    }

    fn replace(&self, generation: u64, token: Option<Token>) -> BoxFuture<'_, Result<Replaced, StoreError>> {
        let replaced = self.change(|record, now| record.replace(generation, token, now));
        self.0.changed.notify_waiters();
        replaced
    }

    fn lock(&self, owner: Arc<str>, time: Duration) -> BoxFuture<'_, Result<RefreshTurn, StoreError>> {
        self.change(|record, now| record.lock(owner, time, now))
    }

    fn renew(&self, lease: RefreshLease, time: Duration) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.change(|record, now| record.renew(&lease, time, now))
    }

    fn release(&self, lease: RefreshLease) -> BoxFuture<'_, Result<(), StoreError>> {
        let released = self.change(|record, _| record.release(&lease));
        self.0.changed.notify_waiters();
        released
    }

    fn changed(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.0.changed.notified())
    }
}
