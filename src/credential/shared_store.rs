//! SharedStore: the calls of a credential to a store that several processes share.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::exclusive::{ExclusiveStore, RefreshTurn, Replaced, StoredToken};
use super::generations::{Conflict, conflict};
use super::refresh_hold::LEASE;
use super::store::CredentialStore;
use super::store_error::{StoreError, in_time, store_failed};
use super::token::Token;
use super::token_slot::TokenSlot;
use super::token_state::TokenEvent;
use crate::error::{Error, ErrorKind};

/// The store of a slot, if one process at a time refreshes its token.
pub(super) struct SharedStore<'a> {
    slot: &'a TokenSlot,
    pub(super) store: &'a Arc<dyn CredentialStore>,
    exclusive: &'a dyn ExclusiveStore,
}

/// A token that the store has.
pub(super) struct SavedToken {
    pub(super) token: Token,
    pub(super) generation: u64,
}

/// How often a save that failed is made again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Insistence {
    Once,
    /// For a lease: the caller holds the lock, so that no other process shows the refresh token that is spent.
    ForALease,
}

impl<'a> SharedStore<'a> {
    pub(super) fn of(slot: &'a TokenSlot) -> Option<Self> {
        let store = slot.store()?;
        Some(Self { slot, store, exclusive: store.exclusive()? })
    }

    pub(super) async fn read(&self) -> Result<StoredToken, Error> {
        let stored = in_time(self.exclusive.read()).await.map_err(|error| {
            self.warn(&error);
            store_failed("the token could not be read, and is not refreshed before it is", error)
        })?;
        self.slot.lock().echoed.loaded = stored.token().cloned();
        Ok(stored)
    }

    pub(super) async fn lock(&self) -> Result<RefreshTurn, Error> {
        in_time(self.exclusive.lock(self.slot.owner().clone(), LEASE)).await.map_err(|error| {
            self.warn(&error);
            store_failed("the token could not be locked, and is not refreshed before it is", error)
        })
    }

    /// Returns a future that ends when the store may have changed since now.
    pub(super) fn changed(&self) -> impl Future<Output = ()> {
        self.exclusive.changed()
    }

    /// Saves a received token in place of a generation. The result is the token of another process if that was quicker.
    pub(super) async fn save(
        &self,
        token: Token,
        mut replaced: u64,
        insistence: Insistence,
    ) -> Result<SavedToken, Error> {
        // A token that cannot be used must not be stored for the next process.
        self.slot.header_value(&token)?;
        self.receive(&token, replaced);
        let (begun, mut pause, mut losses) = (Instant::now(), FIRST_PAUSE, 0);
        loop {
            match in_time(self.exclusive.replace(replaced, Some(token.clone()))).await {
                Ok(Replaced::Done(generation)) => return Ok(self.saved(token, generation)),
                Ok(Replaced::Outdated(stored)) => match conflict(&token, replaced, &stored) {
                    Conflict::Saved => return Ok(self.saved(token, stored.generation())),
                    Conflict::Theirs(theirs) => {
                        let credential = self.slot.label();
                        tracing::warn!(
                            credential,
                            "another process saved another token first, which is used from now on"
                        );
                        return Ok(self.saved(theirs, stored.generation()));
                    }
                    Conflict::LoggedOut => {
                        self.slot.lock().next(TokenEvent::Saved, Instant::now());
                        let why = "another process logged out meanwhile, and the new token is not kept";
                        return Err(Error::new(ErrorKind::TokenUnavailable, why));
                    }
                    Conflict::Again if losses == MOST_TRIES => {
                        return Err(self.not_saved("it loses its data again and again".into()));
                    }
                    Conflict::Again => {
                        losses += 1;
                        replaced = stored.generation();
                        self.receive(&token, replaced);
                    }
                },
                Err(error) if insistence == Insistence::Once || begun.elapsed() + pause >= LEASE => {
                    return Err(self.not_saved(error));
                }
                Err(error) => {
                    tracing::warn!(credential = self.slot.label(), %error, "a new token could not be saved yet");
                    sleep(pause).await;
                    pause *= 2;
                }
            }
        }
    }

    /// Saves the token of a login in place of any other.
    #[cfg(feature = "pkce")]
    pub(super) async fn save_over(&self, token: Token) -> Result<Token, Error> {
        self.slot.header_value(&token)?;
        for _ in 0..MOST_TRIES {
            let replaced = self.read().await?.generation();
            self.receive(&token, replaced);
            let answer = in_time(self.exclusive.replace(replaced, Some(token.clone()))).await;
            match answer.map_err(|error| self.not_saved(error))? {
                Replaced::Done(generation) => {
                    self.slot.lock().generations.use_now(generation);
                    return Ok(self.saved(token, generation).token);
                }
                Replaced::Outdated(_) => {}
            }
        }
        Err(self.not_saved("other processes save one token after the other".into()))
    }

    fn receive(&self, token: &Token, replaced: u64) {
        // Recorded before the store is asked: the store may panic, or its runtime end.
        let mut memory = self.slot.lock();
        memory.generations.receive(replaced);
        memory.next(TokenEvent::Received(token.clone()), Instant::now());
    }

    fn saved(&self, token: Token, generation: u64) -> SavedToken {
        self.slot.lock().next(TokenEvent::Saved, Instant::now());
        SavedToken { token, generation }
    }

    fn not_saved(&self, error: StoreError) -> Error {
        let stays = if self.slot.lock().state.token().is_some() { "; the old one stays" } else { "" };
        store_failed(&format!("the new token could not be saved, and is not used before it is{stays}"), error)
    }

    fn warn(&self, error: &StoreError) {
        tracing::warn!(credential = self.slot.label(), %error, "the credential store could not be asked");
    }
}

const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// A login competes with one refresh at a time.
const MOST_TRIES: u32 = 8;
