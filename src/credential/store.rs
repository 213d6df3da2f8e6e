//! CredentialStore: a place in which a token outlives the process.

use std::error::Error as StdError;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;

use super::token::Token;
use crate::error::{Error, ErrorKind, root_cause};

/// A store that keeps tokens, so that a restarted process need not log in again.
///
/// A new token is saved *before* it is used: with rotating refresh tokens, the old one is void by then, and a process
/// that dies between receipt and use would be logged out. The token is loaded at the first use, and again before a
/// refresh and after a refused one, because another process may have refreshed meanwhile.
///
/// [`MemoryStore`] keeps tokens for tests, `FileStore` (feature `token-file`) in an encrypted file; implement this
/// trait for a vault or a database.
///
/// # Errors
/// An error of `save` leaves the token in use unchanged; the new token is kept in memory, and saved again with the next
/// attempt.
///
/// # Cancel safety
/// Both methods are called by a task of their own, which no caller cancels.
pub trait CredentialStore: Send + Sync + 'static {
    /// Returns the token that was saved last; `None` if there is none.
    fn load(&self) -> BoxFuture<'_, Result<Option<Token>, StoreError>>;

    /// Stores this token in place of the previous one; `None` after a logout, which leaves no token in the store. The
    /// change must be durable when this method returns.
    fn save(&self, token: Option<Token>) -> BoxFuture<'_, Result<(), StoreError>>;
}

impl<S: CredentialStore + ?Sized> CredentialStore for Arc<S> {
    fn load(&self) -> BoxFuture<'_, Result<Option<Token>, StoreError>> {
        (**self).load()
    }

    fn save(&self, token: Option<Token>) -> BoxFuture<'_, Result<(), StoreError>> {
        (**self).save(token)
    }
}

/// The failure of a store. Errors and logs show its text, which must contain no secret.
pub type StoreError = Box<dyn StdError + Send + Sync>;

/// A store that keeps a token in memory: for tests, and for clients that are created and dropped within one process.
/// Clones share the token.
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
pub struct MemoryStore(Arc<Mutex<Option<Token>>>);

impl MemoryStore {
    /// Creates an empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl CredentialStore for MemoryStore {
    fn load(&self) -> BoxFuture<'_, Result<Option<Token>, StoreError>> {
        let token = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Box::pin(std::future::ready(Ok(token)))
    }

    fn save(&self, token: Option<Token>) -> BoxFuture<'_, Result<(), StoreError>> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = token;
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Returns the answer of a store, or an error if the store hangs.
pub(crate) async fn in_time<T>(answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    tokio::time::timeout(PATIENCE, answer).await.unwrap_or_else(|_| Err("it gave no answer within 30 seconds".into()))
}

/// Returns the error of a call that failed because of a store.
pub(super) fn store_failed(what: &str, error: StoreError) -> Error {
    failed_as(ErrorKind::Store, what, error)
}

/// Returns the error of a call that failed because of a store of another kind.
pub(crate) fn failed_as(kind: ErrorKind, what: &str, error: StoreError) -> Error {
    Error::new(kind, format!("{what}: {}", root_cause(error.as_ref()))).with_source(Boxed(error))
}

/// A boxed error as an error type of its own.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Boxed(StoreError);

/// A vault on the other side of the world answers within seconds.
const PATIENCE: Duration = Duration::from_secs(30);
