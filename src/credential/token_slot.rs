//! TokenSlot: a token's state behind its lock, with the source and the store of its tokens.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use http::{HeaderName, HeaderValue};
use tokio::time::Instant;

use super::echoed_secrets::{EchoedSecrets, secrets_of_oauth};
use super::generations::Generations;
use super::oauth::OAuth;
use super::refused_routes::RefusedRoutes;
use super::secret_header::secret_value;
use super::source::{TokenError, TokenSource};
use super::store::CredentialStore;
use super::store_error::{in_time, store_failed};
use super::token::{Ahead, Life, Token};
use super::token_state::{Effect, TokenEvent, TokenState};
use crate::error::{Error, ErrorKind};
use crate::redact::{Mask, Secret};

/// A token's state, and everything constant about the token. Credentials that are clones of each other share it.
pub(super) struct TokenSlot {
    pub(super) source: TokenOrigin,
    store: Option<Arc<dyn CredentialStore>>,
    header: Option<HeaderName>,
    /// The scheme before the token in its header, with its space.
    scheme: String,
    label: Arc<str>,
    ahead: Ahead,
    id: u64,
    /// The name under which the slot takes a lock: no other slot of any process has it.
    owner: Arc<str>,
    memory: Mutex<Memory>,
}

/// The origin of tokens.
pub(super) enum TokenOrigin {
    OAuth(Box<OAuth>),
    Own(Arc<dyn TokenSource>),
}

/// The mutable data of a token.
pub(super) struct Memory {
    pub(super) state: TokenState,
    pub(super) echoed: EchoedSecrets,
    pub(super) refused_routes: RefusedRoutes,
    /// Those of a store that several processes share.
    pub(super) generations: Generations,
}

impl Memory {
    /// Records an event, and keeps the secrets that it puts out of use.
    pub(super) fn next(&mut self, event: TokenEvent, now: Instant) -> Effect {
        let effect = self.state.next(event, now);
        match &effect {
            Effect::Replaced(token) => self.echoed.push_replaced(token.clone()),
            // After a logout no token stays in memory.
            Effect::Forgotten => {
                (self.echoed, self.generations) = (EchoedSecrets::default(), Generations::default());
            }
            Effect::None | Effect::Retry | Effect::GiveUp => {}
        }
        effect
    }
}

impl TokenSlot {
    pub(super) fn new(
        source: TokenOrigin,
        store: Option<Arc<dyn CredentialStore>>,
        header: String,
        scheme: String,
    ) -> Self {
        static IDS: AtomicU64 = AtomicU64::new(1);
        let (label, ahead, given) = match &source {
            TokenOrigin::OAuth(oauth) => (oauth.label(), oauth.0.ahead, oauth.0.token.clone()),
            TokenOrigin::Own(source) => (source.label(), source.refresh_ahead(), None),
        };
        let ahead = Ahead::new(ahead);
        let (echoed, refused_routes) = (EchoedSecrets::default(), RefusedRoutes::default());
        let generations = Generations::default();
        let memory = Memory { state: TokenState::new(ahead, given), echoed, refused_routes, generations };
        Self {
            label: label.escape_debug().to_string().into(),
            source,
            store,
            header: HeaderName::try_from(header).ok(),
            scheme,
            ahead,
            id: IDS.fetch_add(1, Relaxed),
            owner: format!("{:016x}", fastrand::u64(..)).into(),
            memory: Mutex::new(memory),
        }
    }

    pub(super) fn label(&self) -> &str {
        &self.label
    }

    /// Returns an id that distinguishes the slot from others of this process.
    pub(super) const fn id(&self) -> u64 {
        self.id
    }

    pub(super) const fn owner(&self) -> &Arc<str> {
        &self.owner
    }

    pub(super) const fn store(&self) -> Option<&Arc<dyn CredentialStore>> {
        self.store.as_ref()
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        match &self.source {
            TokenOrigin::OAuth(oauth) => oauth.0.check(),
            TokenOrigin::Own(_) => Ok(()),
        }
    }

    pub(super) fn header_name(&self) -> Result<&HeaderName, Error> {
        let wrong = || Error::new(ErrorKind::Config, "the header for the token is no header");
        self.header.as_ref().ok_or_else(wrong)
    }

    /// Returns a token as the value of its header.
    pub(super) fn header_value(&self, token: &Token) -> Result<HeaderValue, Error> {
        let value = zeroize::Zeroizing::new(format!("{}{}", self.scheme, token.expose()));
        secret_value(&value).map_err(|_| {
            let why = "the new token contains control characters, which no header may";
            Error::new(ErrorKind::TokenUnavailable, why)
        })
    }

    pub(super) fn is_expired(&self, token: &Token, wall: SystemTime) -> bool {
        token.life(wall, self.ahead) == Life::Expired
    }

    /// Locks the state. The lock is never held across an `await`, nor while a
    /// [`RefreshGuard`](super::refresh_guard::RefreshGuard) is dropped, which locks too.
    pub(super) fn lock(&self) -> MutexGuard<'_, Memory> {
        // No code panics while it holds the lock.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Loads the token from the store.
    pub(super) async fn load(&self) -> Result<Option<Token>, Error> {
        let Some(store) = &self.store else { return Ok(None) };
        let loaded = in_time(store.load()).await.map_err(|error| {
            tracing::warn!(credential = self.label(), %error, "the credential store could not be read");
            store_failed("the token could not be read", error)
        })?;
        self.lock().echoed.loaded.clone_from(&loaded);
        Ok(loaded)
    }

    /// Saves a token. Only then may it be used: with rotating refresh tokens the previous one is void already, and a
    /// process that died with the new one in memory alone would be logged out.
    pub(super) async fn save(&self, token: Token) -> Result<Token, Error> {
        // A token that cannot be used must not be stored for the next process.
        self.header_value(&token)?;
        let Some(store) = &self.store else { return Ok(token) };
        // Recorded before the store is asked: the store may panic, or its runtime end.
        self.lock().next(TokenEvent::Received(token.clone()), Instant::now());
        in_time(store.save(Some(token.clone()))).await.map_err(|error| {
            let stays = if self.lock().state.token().is_some() { "; the old one stays" } else { "" };
            store_failed(&format!("the new token could not be saved, and is not used before it is{stays}"), error)
        })?;
        self.lock().next(TokenEvent::Saved, Instant::now());
        Ok(token)
    }

    /// Removes the token from the store.
    pub(super) async fn clear(&self) -> Result<(), Error> {
        let Some(store) = &self.store else { return Ok(()) };
        in_time(store.save(None)).await.map_err(|error| store_failed("the token could not be removed", error))
    }

    /// Converts a failed fetch to the error of a call, without the sent secrets, which some services repeat.
    pub(super) fn error(&self, error: &TokenError) -> Error {
        error.to_error(&Mask::from_secrets(self.secrets()))
    }

    /// Returns the tokens in use and the previous ones, and every secret sent to obtain them.
    pub(super) fn secrets(&self) -> Vec<Secret> {
        let mut secrets = match &self.source {
            TokenOrigin::OAuth(oauth) => secrets_of_oauth(&oauth.0),
            TokenOrigin::Own(_) => Vec::new(),
        };
        let Memory { state, echoed, .. } = &*self.lock();
        let active = state.token().map(|active| &active.token);
        secrets.extend(state.latest().into_iter().chain(active).flat_map(Token::secrets));
        secrets.extend(echoed.secrets());
        secrets
    }
}
