//! Refresh: one fetch of a token, in a task of its own, and what is made of its end.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use http::HeaderValue;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::Instrument;
use zeroize::Zeroizing;

use super::token_cache::{Failure, State, TokenCache, TokenTransport};
use super::{ActiveToken, Life, Token};
use crate::error::{Error, ErrorKind};
use crate::event::Mark;
use crate::hint::FURTHEST;

/// A fetch that is under way; it ends when it lands, whatever came.
pub(super) type Refresh = Shared<BoxFuture<'static, ()>>;

/// However a fetch ends, also with its runtime, those who wait for it look again.
pub(super) struct RefreshGuard {
    live: Arc<TokenCache>,
    /// It ended in order, and what it came to is told.
    is_told: bool,
    _landed: oneshot::Sender<()>,
}

impl TokenCache {
    /// A fetch begins: others wait for it.
    pub(super) fn take_off(self: &Arc<Self>, state: &mut State) -> (RefreshGuard, Refresh) {
        let (landed, landing) = oneshot::channel::<()>();
        let flight = landing.map(drop).boxed().shared();
        state.flight = Some(flight.clone());
        (RefreshGuard { live: self.clone(), is_told: false, _landed: landed }, flight)
    }

    /// Fetches, in a task of its own. Where there is no runtime, the fetch has broken off.
    pub(super) fn launch(self: &Arc<Self>, landing: RefreshGuard, road: &TokenTransport) {
        let Ok(runtime) = Handle::try_current() else { return };
        let (live, road) = (self.clone(), road.clone());
        // A root of its own: it outlives who asked for it.
        let span = tracing::info_span!(parent: None, "refresh", credential = self.label());
        let fetching = async move {
            let begun = Instant::now();
            let fetched = live.fetch(&road).await;
            live.land(fetched, begun, &road);
            landing.end();
        };
        runtime.spawn(fetching.instrument(span));
    }

    /// Waits until no fetch is under way, and keeps others from starting: for a login, and for its end, which forgets what
    /// there is.
    pub(super) async fn alone(self: &Arc<Self>, forget: bool) -> (RefreshGuard, Option<Token>) {
        loop {
            let flight = {
                let mut state = self.state();
                match state.flight.clone() {
                    Some(flight) => flight,
                    None => {
                        let current = state.current();
                        state.failure = None;
                        if forget {
                            // Those before it too: after a logout no token stays in memory.
                            (state.held, state.former) = (None, Vec::new());
                            (state.given, state.unsaved, state.is_void) = (None, None, false);
                            (state.loaded, state.login) = (None, Vec::new());
                        }
                        let (mut landing, _) = self.take_off(&mut state);
                        landing.is_told = true;
                        return (landing, current);
                    }
                }
            };
            flight.await;
        }
    }

    pub(super) fn land(&self, fetched: Result<Token, Error>, begun: Instant, road: &TokenTransport) {
        let now = road.endpoint.now();
        let adopted = fetched.and_then(|token| {
            let left = token.left(now);
            if token.life(now, self.ahead) != Life::Expired {
                self.adopt(token)?;
                return Ok(left);
            }
            self.adopt_expired(token, now)?;
            let why = "the token that came has expired already: look at this machine's clock, and at the service's";
            Err(Error::new(ErrorKind::TokenUnavailable, why))
        });
        match adopted {
            Ok(valid_for) => {
                self.state().failures = 0;
                tracing::info!(credential = self.label(), ?valid_for, "token refreshed");
                let took = begun.elapsed();
                road.marks.tell(Mark::Refreshed { credential: self.label(), valid_for, took });
            }
            Err(error) => self.fail(error, road),
        }
    }

    fn fail(&self, error: Error, road: &TokenTransport) {
        let refused = error.kind() == ErrorKind::TokenRefused;
        let (why, needs_login) = (error.to_string(), error.needs_login());
        if refused {
            tracing::error!(credential = self.label(), error = %why, needs_login, "token refused");
        } else {
            tracing::warn!(credential = self.label(), error = %why, "token not refreshed");
        }
        let mut state = self.state();
        let rest = if refused { REFUSED_REST } else { rest_after(state.failures) };
        // Never earlier than it was asked for.
        let rest = rest.max(error.retry_after().filter(|asked| *asked <= FURTHEST).unwrap_or_default());
        state.failures = state.failures.saturating_add(1);
        state.failure = Some(Failure { error, until: Instant::now() + rest });
        drop(state);
        road.marks.tell(Mark::RefreshFailed { credential: self.label(), why: &why, needs_login });
    }

    /// Uses a token from now on. It is saved.
    fn adopt(&self, token: Token) -> Result<(), Error> {
        let value = self.value(&token)?;
        let mut state = self.state();
        state.serials += 1;
        let (serial, replaces_refused) = (state.serials, state.is_void);
        let (accepted, adopted) = (AtomicBool::new(false), Instant::now());
        state.hold(Arc::new(ActiveToken { token, serial, value, replaces_refused, accepted, adopted }));
        (state.is_void, state.failure, state.unsaved) = (false, None, None);
        Ok(())
    }

    /// Its refresh token counts; the access token in use stays, where that is still good.
    fn adopt_expired(&self, token: Token, now: std::time::SystemTime) -> Result<(), Error> {
        let held = {
            let state = self.state();
            state.held.clone().filter(|held| !state.is_void && held.token.life(now, self.ahead) != Life::Expired)
        };
        match held {
            Some(held) => self.adopt(held.token.clone().or_refreshed_by(&token)),
            None => self.adopt(token),
        }
    }

    /// A token as the header has it.
    pub(super) fn value(&self, token: &Token) -> Result<HeaderValue, Error> {
        let value = Zeroizing::new(format!("{}{}", self.before, token.expose()));
        let mut value = HeaderValue::try_from(value.as_str()).map_err(|_| {
            let why = "the token that came is not allowed in a header: it holds control characters";
            Error::new(ErrorKind::TokenUnavailable, why)
        })?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl RefreshGuard {
    fn end(mut self) {
        self.is_told = true;
    }
}

impl Drop for RefreshGuard {
    fn drop(&mut self) {
        let mut state = self.live.state();
        state.flight = None;
        if !self.is_told {
            // At once the first time: another runtime may do better than one that ended.
            let rest = if state.failures == 0 { Duration::ZERO } else { rest_after(state.failures - 1) };
            state.failures = state.failures.saturating_add(1);
            let why =
                "the fetch broke off: its runtime ended, or there is none, or the code of its source or store panicked";
            let error = Error::new(ErrorKind::TokenUnavailable, why);
            state.failure = Some(Failure { error, until: Instant::now() + rest });
        }
    }
}

fn rest_after(failures: u32) -> Duration {
    FIRST_REST.saturating_mul(1 << failures.min(6)).min(LONGEST_REST)
}

/// How soon a refused fetch is tried again: somebody may have logged in elsewhere.
const REFUSED_REST: Duration = Duration::from_secs(60);
/// A fetch was repeated already before it failed.
const FIRST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::OAuth;
    use crate::credential::token_cache::Source;

    #[tokio::test(start_paused = true)]
    async fn a_logout_leaves_no_token_in_memory() {
        let oauth = OAuth::refresh_only("https://login.example.com/token", "");
        let source = Source::OAuth(Box::new(oauth));
        let live = Arc::new(TokenCache::new(source, None, "authorization".to_owned(), "Bearer ".to_owned()));
        for access in ["A1", "A2"] {
            live.adopt(Token::new(access).refreshed_by("R")).unwrap();
        }
        let known =
            |live: &TokenCache| live.secrets().iter().map(|secret| secret.expose().to_owned()).collect::<Vec<_>>();
        assert!(known(&live).contains(&"A1".to_owned()), "an answer to a request with it may be on its way");
        let (_landing, current) = live.alone(true).await;
        assert_eq!(current.map(|token| token.expose().to_owned()).as_deref(), Some("A2"));
        assert_eq!(known(&live), [""; 0]);
    }
}
