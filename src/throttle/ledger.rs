//! Ledger: the seam to the store of shared windows and of boards.

mod boot;
pub(super) mod file;
#[cfg(test)]
pub(super) mod memory;
mod record;
#[cfg(feature = "redis")]
pub(super) mod redis;

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;

use super::board::{Post, Posted};
use super::slots::{Answer, Ask};

/// A store of shared windows: a file, or a server.
pub(super) trait Ledger: fmt::Debug + Send + Sync {
    /// Carries out asks, each for the window of its name, and returns the answers in the same order.
    ///
    /// If this fails, each ask may have been carried out or not; it is then repeated unchanged.
    fn exchange(&self, asks: Vec<(Arc<str>, Ask)>) -> BoxFuture<'_, Result<Vec<Reply>, LedgerError>>;

    /// Posts words to boards, each to the one of its name, and returns the answers in the same order.
    ///
    /// If this fails, each post may have been carried out or not; words may come twice.
    fn post(&self, posts: Vec<(Arc<str>, Post)>) -> BoxFuture<'_, Result<Vec<Posted>, LedgerError>>;

    /// Waits until the store wants to hear from this process, and returns the names of the windows and boards. A store that
    /// cannot call is asked from time to time.
    fn nudged(&self) -> BoxFuture<'_, Vec<Arc<str>>> {
        Box::pin(std::future::pending())
    }
}

/// The answer to one ask.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) answer: Answer,
    /// The store's wall clock, in milliseconds since 1970.
    pub(super) wall: i64,
}

/// The reason why a store did not answer, without secrets.
#[derive(Clone, Debug)]
pub(super) struct LedgerError(pub(super) Arc<str>);

impl fmt::Display for LedgerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
