//! Fetching: what the store has, what the endpoint gives, and that it is saved before it is used.

use std::sync::Arc;
use std::time::Duration;

use super::token_cache::{Source, TokenCache, TokenTransport};
use super::{Life, OAuth, StoreError, Token, TokenError, TokenSource};
use crate::error::{Error, ErrorKind};
use crate::event::Mark;
use crate::redact::{Mask, Secret};

impl TokenCache {
    /// The next token, saved.
    pub(super) async fn fetch(&self, road: &TokenTransport) -> Result<Token, Error> {
        let is_over = |token: &Token| token.life(road.endpoint.now(), self.ahead) == Life::Expired;
        let is_good = |token: &Token| !is_over(token) && self.value(token).is_ok();
        let mut before = self.state().current();
        let unsaved = self.state().unsaved.clone();
        if let Some(token) = unsaved {
            // One that came before, and is good only once it is saved.
            let saved = self.save(token).await?;
            if !is_over(&saved) {
                return Ok(saved);
            }
            before = Some(saved);
        } else {
            match self.load().await {
                // Another process was here, or this one begins.
                Ok(Some(stored)) if self.is_later(&stored) => {
                    if is_good(&stored) {
                        return Ok(stored);
                    }
                    before = Some(stored);
                }
                Ok(_) => {
                    let given = self.given().filter(|given| !is_over(given));
                    if let Some(given) = given {
                        return self.save(given).await;
                    }
                }
                // What was given may be spent: the store would know.
                Err(error) if self.state().held.is_none() => return Err(error),
                Err(_) => {}
            }
        }
        let fetched = match self.ask(before.as_ref(), road).await {
            Err(refused) if refused.refused => match self.load().await {
                // It was refreshed elsewhere in between.
                Ok(Some(stored))
                    if before.as_ref().is_none_or(|before| !is_same(before, &stored)) && self.is_later(&stored) =>
                {
                    if is_good(&stored) {
                        return Ok(stored);
                    }
                    self.ask(Some(&stored), road).await
                }
                _ => Err(refused),
            },
            fetched => fetched,
        };
        let token = fetched.map_err(|error| self.error(&error))?;
        self.save(token).await
    }

    /// What the user gave to begin with, while nothing came after it.
    fn given(&self) -> Option<Token> {
        let state = self.state();
        state.given.clone().filter(|_| state.held.is_none() && state.unsaved.is_none())
    }

    /// Whether a stored token came after the one in use. Replicas of a store may lag.
    fn is_later(&self, stored: &Token) -> bool {
        self.state()
            .held
            .as_ref()
            .is_none_or(|held| !is_same(&held.token, stored) && stored.obtained_at() >= held.token.obtained_at())
    }

    /// Takes the token of a login, saved before it is used.
    #[cfg(feature = "pkce")]
    pub(crate) async fn log_in(
        self: Arc<Self>,
        code: Secret,
        verifier: Secret,
        road: TokenTransport,
    ) -> Result<(), Error> {
        let Source::OAuth(oauth) = &self.source else {
            return Err(Error::new(ErrorKind::Config, "the client's credential has no login"));
        };
        let _landing = self.alone(false).await.0;
        // A later answer may repeat them.
        self.state().login = vec![code.clone(), verifier.clone()];
        let begun = tokio::time::Instant::now();
        let exchanged = oauth.exchange(code.expose(), verifier.expose(), &road.endpoint).await;
        let token = exchanged.map_err(|error| self.error(&error))?;
        let saved = self.save(token).await?;
        self.land(Ok(saved), begun, &road);
        Ok(())
    }

    /// Ends the token at the service, and forgets it here whatever the service says.
    pub(crate) async fn revoke(self: Arc<Self>, road: TokenTransport) -> Result<(), Error> {
        let (_landing, current) = self.alone(true).await;
        let needs_login = matches!(&self.source, Source::OAuth(oauth) if !oauth.begins_alone());
        road.marks.tell(Mark::LoggedOut { credential: self.label(), needs_login });
        let stored = self.load().await.ok().flatten();
        self.state().loaded = None;
        // The one that came last; another process may have refreshed.
        let token = current.into_iter().chain(stored).max_by_key(Token::obtained_at);
        let revoked = match (&self.source, &token) {
            (Source::OAuth(oauth), Some(token)) => {
                let is_over = token.life(road.endpoint.now(), self.ahead) == Life::Expired;
                revoke(oauth, token, is_over, &road).await
            }
            _ => Ok(()),
        };
        let cleared = match &self.store {
            Some(store) => {
                in_time(store.save(None)).await.map_err(|error| failed("the token could not be removed", error))
            }
            None => Ok(()),
        };
        revoked.map_err(|error| {
            let secrets = token.iter().flat_map(|token| [Some(token.expose()), token.expose_refresh()]).flatten();
            let error = self.error_beside(&error, secrets.map(Secret::new));
            let why = format!("forgotten here, and perhaps still good at the service: {}", error.message());
            let told = Error::new(ErrorKind::TokenUnavailable, why).at_the_place_of(&error);
            error.status().into_iter().fold(told, Error::with_status)
        })?;
        cleared
    }

    async fn load(&self) -> Result<Option<Token>, Error> {
        let Some(store) = &self.store else { return Ok(None) };
        let loaded = in_time(store.load()).await.map_err(|error| {
            tracing::warn!(credential = self.label(), %error, "the credential store could not be read");
            failed("the token could not be read", error)
        })?;
        self.state().loaded.clone_from(&loaded);
        Ok(loaded)
    }

    async fn save(&self, token: Token) -> Result<Token, Error> {
        // One that cannot be used must not lie in the store for the next process.
        self.value(&token)?;
        let Some(store) = &self.store else { return Ok(token) };
        // Kept before the store is asked: it may panic, or its runtime end.
        self.state().unsaved = Some(token.clone());
        in_time(store.save(Some(token.clone()))).await.map_err(|error| {
            let stays = if self.state().held.is_some() { "; the old one stays" } else { "" };
            failed(&format!("the new token could not be saved, and is not used before it is{stays}"), error)
        })?;
        self.state().unsaved = None;
        Ok(token)
    }

    /// Asks the source, as long as its patience lasts.
    async fn ask(&self, before: Option<&Token>, road: &TokenTransport) -> Result<Token, TokenError> {
        let source = match &self.source {
            // Each of its requests ends by itself.
            Source::OAuth(oauth) => return oauth.fetch(before, &road.endpoint).await,
            Source::Own(source) => source,
        };
        let patience = source.patience();
        let fetched = tokio::time::timeout(patience, source.fetch(before, &road.endpoint)).await;
        fetched.unwrap_or_else(|_| {
            let why = "the token source gave no answer within";
            Err(TokenError::new(format!("{why} {patience:?} (TokenSource::patience)")))
        })
    }

    /// A service's words without the secrets that it was sent, which some repeat.
    fn error(&self, error: &TokenError) -> Error {
        self.error_beside(error, [])
    }

    /// As [`error`](Self::error), of a request with secrets that are forgotten here.
    fn error_beside(&self, error: &TokenError, secrets: impl IntoIterator<Item = Secret>) -> Error {
        let kind = if error.refused { ErrorKind::TokenRefused } else { ErrorKind::TokenUnavailable };
        let source = std::error::Error::source(error);
        let cause = source.map(crate::error::root_cause);
        let why = match cause {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        };
        let mask = Mask::of(self.secrets()).and(secrets);
        let mut shown = Error::new(kind, mask.hide(&why)).with_retry_after(error.retry_after);
        if let Some(fault) = &error.fault {
            shown = shown.with_fault(fault.clone().masked(&mask));
        }
        if let Some((url, status)) = &error.answered {
            shown = shown.with_url(url.url()).with_status(*status);
        } else if let Some(sent) = source.and_then(|source| source.downcast_ref::<Error>()) {
            shown = shown.at_the_place_of(sent);
        }
        if error.needs_login {
            shown = shown.attach(NeedsLogin);
        }
        // Not as its source: that would show what was hidden.
        shown
    }
}

async fn revoke(oauth: &OAuth, token: &Token, is_over: bool, road: &TokenTransport) -> Result<(), TokenError> {
    // A request with the token on it needs one that is good.
    if oauth.revokes_with_access() && is_over {
        let fresh = oauth.fetch(Some(token), &road.endpoint).await?;
        return oauth.revoke(&fresh, &road.endpoint).await;
    }
    oauth.revoke(token, &road.endpoint).await
}

struct NeedsLogin;

impl Error {
    /// Whether somebody has to log in again: the service refuses to give tokens for the login that there was.
    #[must_use]
    pub fn needs_login(&self) -> bool {
        self.attached::<NeedsLogin>().is_some()
    }
}

fn failed(what: &str, error: StoreError) -> Error {
    let why = format!("{what}: {}", crate::error::root_cause(error.as_ref()));
    Error::new(ErrorKind::Store, why).with_source(Boxed(error))
}

/// A store that hangs has failed.
async fn in_time<T>(asked: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| Err("it gave no answer within 30 seconds".into()))
}

/// A vault on the other side of the world answers within seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// A store may round times; the secrets tell tokens apart.
fn is_same(one: &Token, other: &Token) -> bool {
    one.expose() == other.expose() && one.expose_refresh() == other.expose_refresh()
}

/// A boxed error as an error of its own.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Boxed(StoreError);
