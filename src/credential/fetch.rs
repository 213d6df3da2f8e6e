//! Fetch: the next token, from the store or from the source, saved before it is used.

use super::inquiry::ask;
use super::shared_fetch::SharedFetch;
use super::shared_store::SharedStore;
use super::token::Token;
use super::token_slot::TokenSlot;
use super::token_transport::TokenTransport;
use crate::error::Error;

/// Fetches the next token, and saves it.
pub(super) async fn next_token(slot: &TokenSlot, transport: &TokenTransport) -> Result<Token, Error> {
    if let Some(store) = SharedStore::of(slot) {
        return SharedFetch::new(slot, transport, store).next().await;
    }
    let fetch = Fetch { slot, transport };
    let before = match fetch.look_before().await? {
        FoundToken::Ready(token) => return Ok(token),
        FoundToken::Before(before) => before,
    };
    let fetched = match ask(slot, transport, before.as_ref()).await {
        Err(refused) if refused.refused => match fetch.look_after(before.as_ref()).await {
            Some(FoundToken::Ready(token)) => return Ok(token),
            Some(FoundToken::Before(stored)) => ask(slot, transport, stored.as_ref()).await,
            None => Err(refused),
        },
        fetched => fetched,
    };
    let token = fetched.map_err(|error| slot.error(&error))?;
    slot.save(token).await
}

/// A fetch of a token.
struct Fetch<'a> {
    slot: &'a TokenSlot,
    transport: &'a TokenTransport,
}

/// The result of a lookup, without asking the source.
enum FoundToken {
    /// A token that is saved, and good.
    Ready(Token),
    /// No good token was found: the source is asked for the token that replaces this one.
    Before(Option<Token>),
}

impl Fetch<'_> {
    /// Checks, before the source is asked: a token that waits to be saved, the store, and the token that the user gave.
    async fn look_before(&self) -> Result<FoundToken, Error> {
        let (latest, unsaved, is_first) = {
            let state = &self.slot.lock().state;
            (state.latest().cloned(), state.unsaved().cloned(), state.token().is_none())
        };
        if let Some(token) = unsaved {
            let saved = self.slot.save(token).await?;
            return Ok(if self.is_expired(&saved) {
                FoundToken::Before(Some(saved))
            } else {
                FoundToken::Ready(saved)
            });
        }
        match self.slot.load().await {
            // Another process has refreshed, or this one is starting.
            Ok(Some(stored)) if self.is_later(&stored) => Ok(self.found(stored)),
            Ok(_) => {
                let given = self.slot.lock().state.given().filter(|given| !self.is_expired(given)).cloned();
                match given {
                    Some(given) => self.slot.save(given).await.map(FoundToken::Ready),
                    None => Ok(FoundToken::Before(latest)),
                }
            }
            // The given token may be spent: the store would know.
            Err(error) if is_first => Err(error),
            Err(_) => Ok(FoundToken::Before(latest)),
        }
    }

    /// Checks once more after the source refused: another process may have refreshed in between.
    async fn look_after(&self, before: Option<&Token>) -> Option<FoundToken> {
        let stored = self.slot.load().await.ok().flatten()?;
        let is_other = before.is_none_or(|before| !before.has_secrets_of(&stored));
        (is_other && self.is_later(&stored)).then(|| self.found(stored))
    }

    fn found(&self, stored: Token) -> FoundToken {
        let is_good = !self.is_expired(&stored) && self.slot.header_value(&stored).is_ok();
        if is_good { FoundToken::Ready(stored) } else { FoundToken::Before(Some(stored)) }
    }

    /// Returns whether a stored token is later than the one in use.
    fn is_later(&self, stored: &Token) -> bool {
        self.slot.lock().state.is_before(stored)
    }

    fn is_expired(&self, token: &Token) -> bool {
        self.slot.is_expired(token, self.transport.wall())
    }
}
