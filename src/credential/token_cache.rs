//! TokenCache: a token that is fetched, refreshed ahead of its end, and fetched once for all who wait.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::HeaderName;
use tokio::time::Instant;

use super::refresh::{Refresh, RefreshGuard};
use super::source::Exchange;
use super::token::Ahead;
use super::{ActiveToken, CredentialStore, Life, OAuth, Token, TokenEndpoint, TokenSource};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind};
use crate::event::Marks;
use crate::redact::Secret;

/// How requests for tokens go out, and who is told.
#[derive(Clone)]
pub(crate) struct TokenTransport {
    pub(crate) endpoint: TokenEndpoint,
    pub(crate) marks: Marks,
}

impl TokenTransport {
    pub(crate) fn new(exchange: Arc<dyn Exchange>, clock: Clock, marks: Marks) -> Self {
        Self { endpoint: TokenEndpoint { exchange, clock }, marks }
    }
}

/// A token that is fetched when it is first needed, refreshed ahead of its end in the background, and after a 401. One
/// fetch is under way at a time, in a task of its own: whoever asked for it may be dropped.
pub(crate) struct TokenCache {
    pub(super) source: Source,
    pub(super) store: Option<Arc<dyn CredentialStore>>,
    header: Option<HeaderName>,
    pub(super) before: String,
    label: Arc<str>,
    pub(super) ahead: Ahead,
    id: u64,
    state: Mutex<State>,
}

pub(super) enum Source {
    OAuth(Box<OAuth>),
    Own(Arc<dyn TokenSource>),
}

#[derive(Default)]
pub(super) struct State {
    pub(super) held: Option<Arc<ActiveToken>>,
    /// Those before it, the last first: answers to requests with them may be on their way.
    pub(super) former: Vec<Arc<ActiveToken>>,
    /// What the user gave to begin with; a store may have a later one.
    pub(super) given: Option<Token>,
    /// The one in use was refused, or is void: it must not be used again.
    pub(super) is_void: bool,
    /// What the store gave last: requests for tokens are made with it.
    pub(super) loaded: Option<Token>,
    /// The code and the verifier of the last login.
    pub(super) login: Vec<Secret>,
    /// A token that came and could not be saved. It is saved before anything else is done.
    pub(super) unsaved: Option<Token>,
    pub(super) flight: Option<Refresh>,
    pub(super) failure: Option<Failure>,
    /// How many failed in a row.
    pub(super) failures: u32,
    /// Routes that refused a fresh token too, by their hash, and until when that is not tried again.
    in_vain: Vec<(u64, Instant)>,
    pub(super) serials: u64,
}

impl State {
    /// Holds another one from now on.
    pub(super) fn hold(&mut self, held: Arc<ActiveToken>) {
        if let Some(before) = self.held.replace(held) {
            self.former.insert(0, before);
            self.former.truncate(MOST_FORMER);
        }
    }

    /// The latest there is, saved or not, void or not.
    pub(super) fn current(&self) -> Option<Token> {
        let held = || self.held.as_ref().map(|held| held.token.clone());
        self.unsaved.clone().or_else(held).or_else(|| self.given.clone())
    }
}

/// Why there is no token, and for how long that is not tried again.
pub(super) struct Failure {
    pub(super) error: Error,
    pub(super) until: Instant,
}

impl Failure {
    /// The error, with what is left of the wait that was asked for.
    fn told(&self) -> Error {
        let asked = self.error.retry_after();
        let left = self.until.saturating_duration_since(Instant::now());
        self.error.clone().with_retry_after(asked.map(|asked| asked.min(left)))
    }
}

/// What a request finds.
enum Look {
    Use(Arc<ActiveToken>),
    Wait(Refresh),
    Failed(Error),
}

impl TokenCache {
    pub(super) fn new(source: Source, store: Option<Arc<dyn CredentialStore>>, header: String, before: String) -> Self {
        static IDS: AtomicU64 = AtomicU64::new(1);
        let (label, first) = match &source {
            Source::OAuth(oauth) => (oauth.label(), oauth.token.clone()),
            Source::Own(source) => (source.label(), None),
        };
        let ahead = Ahead::new(match &source {
            Source::OAuth(oauth) => oauth.ahead,
            Source::Own(source) => source.refresh_ahead(),
        });
        let label = label.escape_debug().to_string().into();
        let header = HeaderName::try_from(header).ok();
        let live = Self {
            source,
            store,
            header,
            before,
            label,
            ahead,
            id: IDS.fetch_add(1, Relaxed),
            state: Mutex::default(),
        };
        live.state().given = first;
        live
    }

    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        match &self.source {
            Source::OAuth(oauth) => oauth.check(),
            Source::Own(_) => Ok(()),
        }
    }

    pub(super) fn header_name(&self) -> Result<&HeaderName, Error> {
        let wrong = || Error::new(ErrorKind::Config, "the header for the token is no header");
        self.header.as_ref().ok_or_else(wrong)
    }

    /// Whether this login was begun for it: its code is for no other service.
    #[cfg(feature = "pkce")]
    pub(crate) fn is_of(&self, login: &super::Login) -> bool {
        matches!(&self.source, Source::OAuth(oauth) if login.is_of(oauth))
    }

    /// Waits for a fetch that is under way, if there is one.
    pub(crate) async fn settle(&self) {
        let flight = self.state().flight.clone();
        if let Some(flight) = flight {
            flight.await;
        }
    }

    /// Tells it from others of this process.
    pub(super) const fn id(&self) -> u64 {
        self.id
    }

    /// Starts to fetch what will be needed, and waits for nothing.
    pub(crate) fn prepare(self: &Arc<Self>, road: &TokenTransport) {
        drop(self.look(road));
    }

    /// The token to use now, if there is one; if not, one is fetched from now on.
    pub(crate) fn now(self: &Arc<Self>, road: &TokenTransport) -> Option<Arc<ActiveToken>> {
        match self.look(road) {
            Look::Use(held) => Some(held),
            Look::Wait(_) | Look::Failed(_) => None,
        }
    }

    /// The token to use now, fetched or waited for where there is none.
    pub(crate) async fn ready(self: &Arc<Self>, road: &TokenTransport) -> Result<Arc<ActiveToken>, Error> {
        loop {
            match self.look(road) {
                Look::Use(held) => return Ok(held),
                Look::Failed(error) => return Err(error),
                Look::Wait(flight) => flight.await,
            }
        }
    }

    /// Whether a token may still be put on a request.
    pub(crate) fn is_good(&self, held: &Arc<ActiveToken>, road: &TokenTransport) -> bool {
        let state = self.state();
        let is_current = state.held.as_ref().is_some_and(|current| Arc::ptr_eq(current, held));
        is_current && !state.is_void && held.token.life(road.endpoint.now(), self.ahead) != Life::Expired
    }

    /// Whether there is none that may be put on a request.
    pub(super) fn lacks_token(&self, road: &TokenTransport) -> bool {
        let state = self.state();
        let life = state.held.as_ref().map(|held| held.token.life(road.endpoint.now(), self.ahead));
        state.is_void || life.is_none_or(|life| life == Life::Expired)
    }

    /// The service refused a request to this route with this token. Tells whether it is worth sending again with another.
    pub(crate) fn refuse(&self, held: &Arc<ActiveToken>, route: u64) -> bool {
        let mut state = self.state();
        let now = Instant::now();
        state.in_vain.retain(|(_, until)| *until > now);
        if state.in_vain.iter().any(|(known, _)| *known == route) {
            return false;
        }
        let Some(current) = state.held.clone().filter(|current| current.serial == held.serial) else {
            // Another is there already, or on its way.
            return true;
        };
        let in_vain = current.replaces_refused && !current.accepted.load(Relaxed);
        if in_vain && current.adopted.elapsed() < IN_VAIN {
            return false;
        }
        state.is_void = true;
        true
    }

    /// It refused the fresh one too: the route does not take this login, and no other token will change that soon.
    pub(crate) fn refuse_again(&self, route: u64) {
        let mut state = self.state();
        if state.in_vain.len() < MOST_IN_VAIN {
            state.in_vain.push((route, Instant::now() + IN_VAIN));
        }
    }

    fn look(self: &Arc<Self>, road: &TokenTransport) -> Look {
        let (look, landing) = self.see(road);
        // With the lock gone: a runtime that ends drops what is spawned on the spot.
        if let Some(landing) = landing {
            self.launch(landing, road);
        }
        look
    }

    /// What there is, and the fetch that it calls for.
    fn see(self: &Arc<Self>, road: &TokenTransport) -> (Look, Option<RefreshGuard>) {
        let mut state = self.state();
        let now = road.endpoint.now();
        let held = state.held.clone().filter(|_| !state.is_void).map(|held| (held.token.life(now, self.ahead), held));
        let rests = state.failure.as_ref().filter(|failure| failure.until > Instant::now());
        match (held, &state.flight, rests) {
            (Some((Life::Fresh, held)), ..) => (Look::Use(held), None),
            (Some((Life::Aging, held)), None, None) => (Look::Use(held), Some(self.take_off(&mut state).0)),
            (Some((Life::Aging, held)), ..) => (Look::Use(held), None),
            (_, Some(flight), _) => (Look::Wait(flight.clone()), None),
            (_, None, Some(failure)) => (Look::Failed(failure.told()), None),
            (_, None, None) => {
                let (landing, flight) = self.take_off(&mut state);
                (Look::Wait(flight), Some(landing))
            }
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A token that replaced a refused one, and was refused too, is not replaced again so soon: the next would fare no
/// better.
const IN_VAIN: Duration = Duration::from_secs(30);
/// So many tokens are replaced at most while an answer is on its way.
const MOST_FORMER: usize = 3;
/// More routes than this do not refuse what others take.
const MOST_IN_VAIN: usize = 64;
