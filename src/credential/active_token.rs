//! ActiveToken: a token in use.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use http::HeaderValue;
use tokio::time::Instant;

use super::Token;

/// A token in use, ready to be put on requests.
#[derive(Debug)]
pub(crate) struct ActiveToken {
    pub(super) token: Token,
    pub(super) serial: u64,
    pub(super) value: HeaderValue,
    /// It was fetched because the one before was refused.
    pub(super) replaces_refused: bool,
    /// The service took it.
    pub(super) accepted: AtomicBool,
    pub(super) adopted: Instant,
}

impl ActiveToken {
    /// The service answered a request with it, and not with 401.
    pub(crate) fn accept(&self) {
        // A plain store from each request would move the line between cores.
        if !self.accepted.load(Relaxed) {
            self.accepted.store(true, Relaxed);
        }
    }
}
