//! TokenTransport: sends requests for tokens and emits their events.

use std::sync::Arc;
use std::time::SystemTime;

use super::source::{SendToken, TokenEndpoint};
use crate::clock::Clock;
use crate::event::Observer;

/// Sends requests for tokens and emits their events. Each client has its own; a credential that several clients share
/// is refreshed over that of the client whose request needs the token.
#[derive(Clone)]
pub(crate) struct TokenTransport {
    pub(crate) endpoint: TokenEndpoint,
    pub(crate) marks: Observer,
}

impl TokenTransport {
    pub(crate) fn new(exchange: Arc<dyn SendToken>, clock: Clock, marks: Observer) -> Self {
        Self { endpoint: TokenEndpoint { exchange, clock }, marks }
    }

    /// Returns the client's wall clock, by which tokens expire.
    pub(super) fn wall(&self) -> SystemTime {
        self.endpoint.now()
    }
}
