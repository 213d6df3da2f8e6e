//! StoreError: the failure of a store, and the time within which a store has to answer.

use std::error::Error as StdError;
use std::time::Duration;

use crate::error::{Error, ErrorKind, root_cause};

/// The failure of a store. Errors and logs show its text, which must contain no secret.
pub type StoreError = Box<dyn StdError + Send + Sync>;

/// Returns the answer of a store, or an error if the store hangs.
pub(crate) async fn in_time<T>(answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    within(PATIENCE, answer).await
}

/// Returns the answer of a store, or an error if the store hangs for longer than this.
pub(super) async fn within<T>(
    time: Duration,
    answer: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let late = |_| Err(format!("it gave no answer within {} seconds", time.as_secs()).into());
    tokio::time::timeout(time, answer).await.unwrap_or_else(late)
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
