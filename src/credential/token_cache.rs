//! TokenCache: a token that is fetched, refreshed ahead of its end, and fetched once for all waiting requests.

use std::sync::Arc;

use http::HeaderName;
use tokio::time::Instant;

use super::active_token::ActiveToken;
#[cfg(feature = "pkce")]
use super::login::Login;
use super::refresh::Refresh;
use super::refresh_guard::{RefreshGuard, Work};
use super::refused_routes::RefusedRoute;
#[cfg(feature = "pkce")]
use super::shared_store::SharedStore;
use super::source::TokenError;
use super::store::CredentialStore;
use super::token::Token;
use super::token_requests::TokenRequests;
use super::token_slot::{TokenOrigin, TokenSlot};
use super::token_state::{Access, Effect, TokenEvent};
use super::token_transport::TokenTransport;
use crate::error::{Error, ErrorKind};
use crate::event::Observation;
use crate::redact::{Mask, Secret};

/// A token that is fetched when it is first needed, refreshed ahead of its end in the background, and after a 401. At
/// most one fetch is in progress, in a task of its own: the request that began it may be dropped. Clones share the
/// token.
#[derive(Clone)]
pub(crate) struct TokenCache(Arc<TokenSlot>);

/// The answer of the cache to a request.
enum Got {
    Token(Arc<ActiveToken>),
    Pending(Refresh),
    Failed(Error),
}

impl TokenCache {
    pub(super) fn new(
        source: TokenOrigin,
        store: Option<Arc<dyn CredentialStore>>,
        header: String,
        scheme: String,
    ) -> Self {
        Self(Arc::new(TokenSlot::new(source, store, header, scheme)))
    }

    pub(super) fn label(&self) -> &str {
        self.0.label()
    }

    pub(super) fn id(&self) -> u64 {
        self.0.id()
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        self.0.check()
    }

    pub(super) fn header_name(&self) -> Result<&HeaderName, Error> {
        self.0.header_name()
    }

    pub(super) fn secrets(&self) -> Vec<Secret> {
        self.0.secrets()
    }

    /// Starts to fetch a token that will be needed, and waits for nothing.
    pub(super) fn prefetch(&self, transport: &TokenTransport) {
        drop(self.look(transport));
    }

    /// Returns the current token, if there is one; if not, a fetch begins.
    pub(super) fn peek(&self, transport: &TokenTransport) -> Option<Arc<ActiveToken>> {
        match self.look(transport) {
            Got::Token(token) => Some(token),
            Got::Pending(_) | Got::Failed(_) => None,
        }
    }

    /// Returns the current token; if there is none, fetches one or waits for it.
    pub(super) async fn get(&self, transport: &TokenTransport) -> Result<Arc<ActiveToken>, Error> {
        loop {
            match self.look(transport) {
                Got::Token(token) => return Ok(token),
                Got::Failed(error) => return Err(error),
                Got::Pending(refresh) => refresh.await,
            }
        }
    }

    fn look(&self, transport: &TokenTransport) -> Got {
        let (wall, now) = (transport.wall(), Instant::now());
        let mut memory = self.0.lock();
        let current = match memory.state.access(wall, now) {
            Access::Use(token) => return Got::Token(token),
            Access::Wait(refresh) => return Got::Pending(refresh),
            Access::Fail(error) => return Got::Failed(error),
            Access::Refresh(current) => current,
        };
        // Begun under the lock that found no fetch in progress: the next request waits for this one.
        let (guard, refresh) = RefreshGuard::begin(&self.0, &mut memory, Work::Refresh);
        // Spawned without the lock: a runtime that has ended drops the task, and the guard in it, at once.
        drop(memory);
        guard.spawn(transport);
        current.map_or(Got::Pending(refresh), Got::Token)
    }

    /// Returns whether requests may still carry a token.
    pub(super) fn is_good(&self, token: &ActiveToken, transport: &TokenTransport) -> bool {
        self.0.lock().state.is_good(token.serial, transport.wall())
    }

    /// Returns whether there is no token that requests may carry.
    pub(super) fn lacks_token(&self, transport: &TokenTransport) -> bool {
        !self.0.lock().state.is_usable(transport.wall())
    }

    /// Records that the service answered with 401 to a request to this route with this token. Returns whether the
    /// request is worth sending again with another.
    pub(super) fn refuse(&self, token: &ActiveToken, route: RefusedRoute) -> bool {
        let (mut memory, now) = (self.0.lock(), Instant::now());
        !memory.refused_routes.contains(route, now)
            && matches!(memory.next(TokenEvent::Refused { serial: token.serial }, now), Effect::Retry)
    }

    /// Records that the service answered with 401 to a fresh token too: the route does not accept this login.
    pub(super) fn refuse_again(&self, route: RefusedRoute) {
        self.0.lock().refused_routes.insert(route, Instant::now());
    }

    /// Waits for a fetch in progress, if there is one.
    pub(crate) async fn settle(&self) {
        let refresh = self.0.lock().state.refresh().cloned();
        if let Some(refresh) = refresh {
            refresh.await;
        }
    }

    /// Returns whether this login was begun for this cache: its code is for no other service.
    #[cfg(feature = "pkce")]
    pub(crate) fn is_of(&self, login: &Login) -> bool {
        matches!(&self.0.source, TokenOrigin::OAuth(oauth) if login.is_of(&oauth.0))
    }

    /// Fetches the token of a login, and saves it before it is used.
    #[cfg(feature = "pkce")]
    pub(crate) async fn log_in(self, code: Secret, verifier: Secret, transport: TokenTransport) -> Result<(), Error> {
        let TokenOrigin::OAuth(oauth) = &self.0.source else {
            return Err(Error::new(ErrorKind::Config, "the client's credential has no login"));
        };
        let (guard, _) = RefreshGuard::begin_when_free(&self.0, Work::Login).await;
        // A later answer may repeat them.
        self.0.lock().echoed.login = vec![code.clone(), verifier.clone()];
        let begun = Instant::now();
        let requests = TokenRequests::new(oauth, &transport.endpoint);
        let exchanged = requests.exchange(code.expose(), verifier.expose()).await;
        let token = exchanged.map_err(|error| self.0.error(&error))?;
        let saved = match SharedStore::of(&self.0) {
            Some(store) => store.save_over(token).await?,
            None => self.0.save(token).await?,
        };
        guard.finish(Ok(saved), begun, &transport);
        Ok(())
    }

    /// Revokes the token at the service, and forgets it here whatever the service answers.
    pub(crate) async fn revoke(self, transport: TokenTransport) -> Result<(), Error> {
        let slot = &self.0;
        let (_guard, latest) = RefreshGuard::begin_when_free(slot, Work::Logout).await;
        let needs_login = matches!(&slot.source, TokenOrigin::OAuth(oauth) if !oauth.0.begins_alone());
        transport.marks.record(Observation::LoggedOut { credential: slot.label(), needs_login });
        let stored = slot.load().await.ok().flatten();
        slot.lock().echoed.loaded = None;
        // The latest token: another process may have refreshed.
        let token = latest.into_iter().chain(stored).max_by_key(Token::obtained_at);
        let revoked = match &token {
            Some(token) => self.revoke_at_service(token, &transport).await,
            None => Ok(()),
        };
        let cleared = slot.clear().await;
        revoked.map_err(|error| {
            // The token is forgotten here, so the slot's own secrets lack those of the token.
            let secrets = token.iter().flat_map(Token::secrets);
            let error = error.to_error(&Mask::from_secrets(slot.secrets()).and(secrets));
            let why = format!("removed here, and perhaps still valid at the service: {}", error.message());
            let shown = Error::new(ErrorKind::TokenUnavailable, why).at_the_place_of(&error);
            error.status().into_iter().fold(shown, Error::with_status)
        })?;
        cleared
    }

    async fn revoke_at_service(&self, token: &Token, transport: &TokenTransport) -> Result<(), TokenError> {
        let TokenOrigin::OAuth(oauth) = &self.0.source else { return Ok(()) };
        let requests = TokenRequests::new(oauth, &transport.endpoint);
        // A request that carries the token needs a valid one.
        if oauth.0.revokes_with_access() && self.0.is_expired(token, transport.wall()) {
            let fresh = requests.next(Some(token)).await?;
            return requests.revoke(&fresh).await;
        }
        requests.revoke(token).await
    }
}
