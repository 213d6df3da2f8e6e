//! SharedFetch: the next token, where one process of several refreshes it and the others wait for it.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::exclusive::{RefreshTurn, StoredToken};
use super::inquiry::{ask, longest};
use super::refresh_hold::{LEASE, RefreshHold};
use super::shared_store::{Insistence, SavedToken, SharedStore};
use super::token::Token;
use super::token_slot::TokenSlot;
use super::token_transport::TokenTransport;
use crate::error::{Error, ErrorKind};

/// A fetch of a token that several processes share.
pub(super) struct SharedFetch<'a> {
    slot: &'a TokenSlot,
    transport: &'a TokenTransport,
    store: SharedStore<'a>,
}

impl<'a> SharedFetch<'a> {
    pub(super) const fn new(slot: &'a TokenSlot, transport: &'a TokenTransport, store: SharedStore<'a>) -> Self {
        Self { slot, transport, store }
    }

    /// Returns a token that the store has: that of another process if there is one, otherwise one that is refreshed
    /// here while no other process refreshes.
    pub(super) async fn next(&self) -> Result<Token, Error> {
        let unsaved = {
            let memory = self.slot.lock();
            memory.state.unsaved().map(|token| (token.clone(), memory.generations.replaced()))
        };
        if let Some((token, replaced)) = unsaved {
            // No lock is needed: the store compares the generation.
            let saved = self.store.save(token, replaced, Insistence::Once).await?;
            if let Some(token) = self.usable(&saved) {
                return Ok(token);
            }
        }
        let (begun, patience) = (Instant::now(), longest(self.slot) + LEASE);
        let mut pause = FIRST_PAUSE;
        loop {
            let changed = self.store.changed();
            if let Some(token) = self.ready(&self.store.read().await?) {
                return Ok(token);
            }
            let asked = Instant::now();
            let wait = match self.store.lock().await? {
                RefreshTurn::Granted(lease) => {
                    let is_takeover = lease.is_takeover();
                    let hold = RefreshHold::new(self.store.store.clone(), lease, asked);
                    if hold.suffices() {
                        let refreshed = hold.during(self.refresh(is_takeover)).await;
                        hold.release().await;
                        return refreshed;
                    }
                    hold.release().await;
                    pause
                }
                RefreshTurn::Taken { left } => left.map_or(pause, |left| left.clamp(SHORTEST_PAUSE, pause)),
            };
            if begun.elapsed() >= patience {
                let why = format!("another process has been refreshing it for {patience:?}");
                return Err(Error::new(ErrorKind::TokenUnavailable, why));
            }
            // A nudge, or the time to look again.
            timeout(wait, changed).await.ok();
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Refreshes under the lock.
    async fn refresh(&self, is_takeover: bool) -> Result<Token, Error> {
        // Read again: the owner before may have saved after the last look.
        let stored = self.store.read().await?;
        if let Some(token) = self.ready(&stored) {
            return Ok(token);
        }
        let mut replaced = stored.generation();
        let (before, given) = {
            let state = &self.slot.lock().state;
            (state.latest().cloned(), state.given().cloned())
        };
        let later = self.later(&stored);
        if let Some(given) = given.filter(|given| later.is_none() && !self.is_expired(given)) {
            return self.keep(given, replaced).await;
        }
        let before = later.or(before);
        let fetched = match ask(self.slot, self.transport, before.as_ref()).await {
            Err(refused) if refused.refused => {
                // An owner whose lock has ended may be late, and own the token that the service gave for this one.
                let time = if is_takeover { LATE } else { Duration::ZERO };
                let stored = self.wait_for_other(replaced, time).await.unwrap_or(stored);
                if let Some(token) = self.ready(&stored) {
                    return Ok(token);
                }
                match self.later(&stored).filter(|later| Some(later) != before.as_ref()) {
                    Some(later) => {
                        replaced = stored.generation();
                        ask(self.slot, self.transport, Some(&later)).await
                    }
                    None => Err(refused),
                }
            }
            fetched => fetched,
        };
        let token = fetched.map_err(|error| self.slot.error(&error))?;
        self.keep(token, replaced).await
    }

    /// Saves a token under the lock.
    async fn keep(&self, token: Token, replaced: u64) -> Result<Token, Error> {
        let saved = self.store.save(token.clone(), replaced, Insistence::ForALease).await?;
        let is_ours = saved.token.has_secrets_of(&token);
        match self.usable(&saved) {
            Some(token) => Ok(token),
            None if is_ours => Ok(saved.token),
            None => {
                let why = "another process saved another token meanwhile, which has expired";
                Err(Error::new(ErrorKind::TokenUnavailable, why))
            }
        }
    }

    /// Reads the store until it has another generation, for this time at most.
    async fn wait_for_other(&self, generation: u64, time: Duration) -> Result<StoredToken, Error> {
        let until = Instant::now() + time;
        loop {
            let changed = self.store.changed();
            let stored = self.store.read().await?;
            if stored.generation() != generation || Instant::now() >= until {
                return Ok(stored);
            }
            timeout(LONGEST_PAUSE, changed).await.ok();
        }
    }

    /// Returns the token of the store if it is later than the one in use, and good. Records that it is used.
    fn ready(&self, stored: &StoredToken) -> Option<Token> {
        let token = self.later(stored)?;
        self.usable(&SavedToken { token, generation: stored.generation() })
    }

    fn later(&self, stored: &StoredToken) -> Option<Token> {
        let memory = self.slot.lock();
        memory.generations.later(memory.state.token().map(|active| &active.token), stored).cloned()
    }

    fn usable(&self, saved: &SavedToken) -> Option<Token> {
        if self.is_expired(&saved.token) || self.slot.header_value(&saved.token).is_err() {
            return None;
        }
        self.slot.lock().generations.use_now(saved.generation);
        Some(saved.token.clone())
    }

    fn is_expired(&self, token: &Token) -> bool {
        self.slot.is_expired(token, self.transport.wall())
    }
}

/// A store that cannot nudge is read so soon at first, and then less and less often.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
/// An owner that was stopped receives the answer that is waiting for it, and saves it: the time of one request.
const LATE: Duration = Duration::from_secs(30);
