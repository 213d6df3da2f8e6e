//! CredentialStore: a place in which a token outlives the process.

use std::error::Error as StdError;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;

use super::token::Token;
use crate::error::{Error, ErrorKind, root_cause};

/// Keeps tokens, so that a process that starts anew need not log in again.
///
/// A new token is saved *before* it is used: with rotating refresh tokens, the old one is void by then, and a process
/// that dies between receipt and use would be logged out. The token is loaded at the first use, and again before a refresh
/// and after a refused one, because another process may have refreshed meanwhile.
///
/// [`MemoryStore`] keeps them for tests, `FileStore` (feature `token-file`) in an encrypted file; implement it for a
/// vault or a database.
///
/// # Errors
/// An error of `save` leaves the token that is in use as it is; the new one is kept in memory, and saved again with the
/// next attempt.
///
/// # Cancel safety
/// Both are called by a task of their own, which no caller cancels.
pub trait CredentialStore: Send + Sync + 'static {
    /// The token that was saved last; `None` where there is none.
    fn load(&self) -> BoxFuture<'_, Result<Option<Token>, StoreError>>;

    /// Keeps this token in place of the one before; `None` after a logout: keeps none. The change must be durable when
    /// this returns.
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

/// The failure of a store. Its text is shown in errors and logs: it must hold no secret.
pub type StoreError = Box<dyn StdError + Send + Sync>;

/// Keeps a token in memory: for tests, and for clients that come and go within one process. Clones share it.
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
    /// An empty one.
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

/// The answer of a store, or the error that it hangs.
pub(super) async fn in_time<T>(answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    tokio::time::timeout(PATIENCE, answer).await.unwrap_or_else(|_| Err("it gave no answer within 30 seconds".into()))
}

/// The error of a call that a store failed.
pub(super) fn store_failed(what: &str, error: StoreError) -> Error {
    Error::new(ErrorKind::Store, format!("{what}: {}", root_cause(error.as_ref()))).with_source(Boxed(error))
}

/// A boxed error as an error of its own.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Boxed(StoreError);

/// A vault on the other side of the world answers within seconds.
const PATIENCE: Duration = Duration::from_secs(30);
