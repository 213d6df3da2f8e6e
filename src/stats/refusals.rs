//! Refusals: how often a service refused for load, by limit and cause.

use std::sync::Arc;

use crate::event::RefusalCause;

/// Refusals for load by one limit, with one cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusals {
    pub(super) limit: Arc<str>,
    pub(super) cause: RefusalCause,
    pub(super) count: u64,
}

impl Refusals {
    /// Returns the limit, the route or the account that paused.
    #[must_use]
    pub fn limit(&self) -> &str {
        &self.limit
    }

    /// Returns the cause.
    #[must_use]
    pub const fn cause(&self) -> RefusalCause {
        self.cause
    }

    /// Returns the number of refusals.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }
}
