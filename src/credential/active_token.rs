//! ActiveToken: a token in use.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use http::HeaderValue;
use tokio::time::Instant;

use super::token::Token;

/// A token in use, ready to be put on requests.
#[derive(Debug)]
pub(crate) struct ActiveToken {
    pub(super) token: Token,
    /// Later tokens have greater numbers: a 401 counts against the token that its request carried, and no later one.
    pub(super) serial: u64,
    /// The value of the header, with the scheme before the token.
    pub(super) value: HeaderValue,
    /// Fetched because the service refused the token before.
    pub(super) replaces_refused: bool,
    pub(super) adopted: Instant,
    accepted: AtomicBool,
}

impl ActiveToken {
    pub(super) const fn new(
        token: Token,
        serial: u64,
        value: HeaderValue,
        replaces_refused: bool,
        adopted: Instant,
    ) -> Self {
        Self { token, serial, value, replaces_refused, adopted, accepted: AtomicBool::new(false) }
    }

    /// Records that the service accepted the token: an answer other than 401.
    pub(super) fn accept(&self) {
        // An unconditional store by each request would move the cache line between cores.
        if !self.accepted.load(Relaxed) {
            self.accepted.store(true, Relaxed);
        }
    }

    /// Returns whether the service ever accepted the token.
    pub(super) fn is_accepted(&self) -> bool {
        self.accepted.load(Relaxed)
    }
}
