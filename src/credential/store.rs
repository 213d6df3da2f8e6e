//! CredentialStore: a place in which a token outlives the process.

use std::sync::Arc;

use futures::future::BoxFuture;

use super::exclusive::ExclusiveStore;
use super::store_error::StoreError;
use super::token::Token;

/// A store that keeps tokens, so that a restarted process need not log in again.
///
/// A new token is saved *before* it is used: with rotating refresh tokens, the old one is void by then, and a process
/// that dies between receipt and use would be logged out. The token is loaded at the first use, and again before a
/// refresh and after a refused one, because another process may have refreshed meanwhile.
///
/// [`MemoryStore`](super::MemoryStore) keeps tokens for tests, `FileStore` (feature `token-file`) in an encrypted file,
/// `RedisCredentialStore` (feature `redis`) in a Redis server; implement this trait for a vault or a database.
///
/// # Errors
/// An error of `save` leaves the token in use unchanged; the new token is kept in memory, and saved again with the next
/// attempt.
///
/// # Cancel safety
/// All methods are called by a task of their own, which no caller cancels.
pub trait CredentialStore: Send + Sync + 'static {
    /// Returns the token that was saved last; `None` if there is none.
    fn load(&self) -> BoxFuture<'_, Result<Option<Token>, StoreError>>;

    /// Stores this token in place of the previous one; `None` after a logout, which leaves no token in the store. The
    /// change must be durable when this method returns.
    fn save(&self, token: Option<Token>) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Returns the store as one that lets one process at a time refresh the token; `None`, the default, if it cannot.
    ///
    /// Without exclusivity, two processes may refresh at the same moment: harmless for a program in its own name, the
    /// end of the login if refresh tokens rotate. With it, `save` has to begin a new generation.
    fn exclusive(&self) -> Option<&dyn ExclusiveStore> {
        None
    }
}

impl<S: CredentialStore + ?Sized> CredentialStore for Arc<S> {
    fn load(&self) -> BoxFuture<'_, Result<Option<Token>, StoreError>> {
        (**self).load()
    }

    fn save(&self, token: Option<Token>) -> BoxFuture<'_, Result<(), StoreError>> {
        (**self).save(token)
    }

    fn exclusive(&self) -> Option<&dyn ExclusiveStore> {
        (**self).exclusive()
    }
}
