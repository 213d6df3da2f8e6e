//! TokenState: the token that requests carry, and the work on the next one.
//!
//! Both functions are pure, and take the time as an argument: [`access`](TokenState::access) decides the answer to a
//! request, [`next`](TokenState::next) the change by an event. The files above this one lock, fetch, save and wait.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::HeaderValue;
use tokio::time::Instant;

use super::active_token::ActiveToken;
use super::refresh::Refresh;
use super::refused_routes::IN_VAIN;
use super::token::{Ahead, Life, Token};
use crate::error::{Error, ErrorKind};
use crate::hint::FURTHEST;

/// The state of one token: [`Active`], [`TokenRenewal`], and a token that is not saved yet.
///
/// The three are independent. An aging token stays in use while its refresh runs, or rests after a failure, or has
/// returned a token that no store accepted: one flat list of states would name each of these with and without a usable
/// token.
pub(super) struct TokenState {
    ahead: Ahead,
    active: Active,
    renewal: TokenRenewal,
    /// A token that was received and is not saved. The previous token may be void at the service, so this one is never
    /// dropped, but saved before any other step.
    unsaved: Option<Token>,
    /// The number of consecutive failed refreshes.
    failures: u32,
    /// The serial of the last token that was adopted.
    serial: u64,
}

/// The token that requests carry.
enum Active {
    Empty,
    /// The token that the user passed in, not yet in use: a store may have a later one.
    Given(Token),
    Valid(Arc<ActiveToken>),
    /// Answered with 401: no request carries the token, but its refresh token obtains the next one.
    Refused(Arc<ActiveToken>),
}

/// The work on the next token.
enum TokenRenewal {
    Idle,
    Refreshing(Refresh),
    /// A refresh failed. None begins before `until`.
    Resting {
        until: Instant,
        error: Error,
    },
}

/// A change in the life of a token.
pub(super) enum TokenEvent {
    /// A refresh or a login begins.
    Begun(Refresh),
    /// A logout begins: every token is forgotten.
    LogoutBegun(Refresh),
    /// A token was received, and the store is asked to save it.
    Received(Token),
    /// The store has saved the received token.
    Saved,
    /// Requests carry this token from now on, with this header value. `wall` is the client's clock.
    Adopted {
        token: Token,
        value: HeaderValue,
        wall: SystemTime,
    },
    /// The service answered with 401 to the token with this serial.
    Refused {
        serial: u64,
    },
    /// The refresh is over. A login or a logout ends this way whatever its result: its caller has the error.
    Ended,
    Failed(Error),
    /// The refresh is over without a result: its runtime ended, or code of its source or store panicked.
    BrokeOff,
}

/// The consequence of an event, for the caller to carry out.
#[derive(Debug)]
pub(super) enum Effect {
    None,
    /// Requests no longer carry this token. Answers to requests that did may be in transit.
    Replaced(Arc<ActiveToken>),
    /// All tokens are forgotten.
    Forgotten,
    /// The refused request is worth sending again, with another token.
    Retry,
    /// The answer stands: another token would be refused too.
    GiveUp,
}

/// The answer of the state to a request.
#[derive(Debug)]
pub(super) enum Access {
    Use(Arc<ActiveToken>),
    /// A refresh has to begin. The request carries the current token, or waits if there is none.
    Refresh(Option<Arc<ActiveToken>>),
    Wait(Refresh),
    Fail(Error),
}

impl TokenState {
    pub(super) fn new(ahead: Ahead, given: Option<Token>) -> Self {
        let active = given.map_or(Active::Empty, Active::Given);
        Self { ahead, active, renewal: TokenRenewal::Idle, unsaved: None, failures: 0, serial: 0 }
    }

    /// Returns the answer to a request at this moment.
    pub(super) fn access(&self, wall: SystemTime, now: Instant) -> Access {
        let usable = self.usable(wall);
        match (usable, &self.renewal) {
            (Some((token, Life::Fresh)), _) | (Some((token, _)), TokenRenewal::Refreshing(_)) => {
                Access::Use(token.clone())
            }
            (None, TokenRenewal::Refreshing(refresh)) => Access::Wait(refresh.clone()),
            (Some((token, _)), TokenRenewal::Resting { until, .. }) if *until > now => Access::Use(token.clone()),
            (None, TokenRenewal::Resting { until, error }) if *until > now => {
                // With the rest of the requested wait.
                let left = error.retry_after().map(|asked| asked.min(until.saturating_duration_since(now)));
                Access::Fail(error.clone().with_retry_after(left))
            }
            (usable, TokenRenewal::Idle | TokenRenewal::Resting { .. }) => {
                Access::Refresh(usable.map(|(token, _)| token.clone()))
            }
        }
    }

    /// Changes the state by an event.
    pub(super) fn next(&mut self, event: TokenEvent, now: Instant) -> Effect {
        match event {
            TokenEvent::Begun(refresh) => {
                debug_assert!(self.refresh().is_none(), "two refreshes at once");
                self.renewal = TokenRenewal::Refreshing(refresh);
            }
            TokenEvent::LogoutBegun(refresh) => {
                debug_assert!(self.refresh().is_none(), "a logout beside a refresh");
                (self.active, self.unsaved) = (Active::Empty, None);
                self.renewal = TokenRenewal::Refreshing(refresh);
                return Effect::Forgotten;
            }
            TokenEvent::Received(token) => self.unsaved = Some(token),
            TokenEvent::Saved => self.unsaved = None,
            TokenEvent::Adopted { token, value, wall } => return self.adopt(token, value, wall, now),
            TokenEvent::Refused { serial } => return self.refuse(serial, now),
            TokenEvent::Ended => {
                debug_assert!(self.refresh().is_some(), "an end without a beginning");
                self.renewal = TokenRenewal::Idle;
            }
            TokenEvent::Failed(error) => {
                let own = match error.kind() {
                    ErrorKind::TokenRefused => REFUSED_REST,
                    _ => rest_after(self.failures),
                };
                // Never earlier than the service asked for.
                let asked = error.retry_after().filter(|asked| *asked <= FURTHEST);
                self.rest(error, own.max(asked.unwrap_or_default()), now);
            }
            TokenEvent::BrokeOff => {
                // Without a rest the first time: another runtime may do better than one that ended.
                let rest = self.failures.checked_sub(1).map_or(Duration::ZERO, rest_after);
                self.rest(Error::new(ErrorKind::TokenUnavailable, BROKE_OFF), rest, now);
            }
        }
        Effect::None
    }

    fn adopt(&mut self, token: Token, value: HeaderValue, wall: SystemTime, now: Instant) -> Effect {
        let is_expired = token.life(wall, self.ahead) == Life::Expired;
        let (token, value) = match self.usable(wall) {
            // The new token arrived expired: its refresh token counts, and the access token in use stays.
            Some((old, _)) if is_expired => (old.token.clone().or_refreshed_by(&token), old.value.clone()),
            _ => (token, value),
        };
        if !is_expired {
            self.failures = 0;
        }
        self.serial += 1;
        self.unsaved = None;
        let replaces_refused = matches!(self.active, Active::Refused(_));
        let active = Arc::new(ActiveToken::new(token, self.serial, value, replaces_refused, now));
        match std::mem::replace(&mut self.active, Active::Valid(active)) {
            Active::Valid(old) | Active::Refused(old) => Effect::Replaced(old),
            Active::Empty | Active::Given(_) => Effect::None,
        }
    }

    fn refuse(&mut self, serial: u64, now: Instant) -> Effect {
        let Some(token) = self.token().filter(|token| token.serial == serial).cloned() else {
            // Another token is there already, or on its way.
            return Effect::Retry;
        };
        let is_young = now.saturating_duration_since(token.adopted) < IN_VAIN;
        if token.replaces_refused && !token.is_accepted() && is_young {
            // A token that replaced a refused one is refused too: the next would fare no better.
            return Effect::GiveUp;
        }
        self.active = Active::Refused(token);
        Effect::Retry
    }

    fn rest(&mut self, error: Error, rest: Duration, now: Instant) {
        debug_assert!(self.refresh().is_some(), "a failure without a beginning");
        self.failures = self.failures.saturating_add(1);
        self.renewal = TokenRenewal::Resting { until: now + rest, error };
    }

    /// Returns the token that requests may carry, and its stage: fresh or aging.
    fn usable(&self, wall: SystemTime) -> Option<(&Arc<ActiveToken>, Life)> {
        let Active::Valid(active) = &self.active else { return None };
        let life = active.token.life(wall, self.ahead);
        (life != Life::Expired).then_some((active, life))
    }

    /// Returns whether requests may carry any token.
    pub(super) fn is_usable(&self, wall: SystemTime) -> bool {
        self.usable(wall).is_some()
    }

    /// Returns whether requests may still carry the token with this serial.
    pub(super) fn is_good(&self, serial: u64, wall: SystemTime) -> bool {
        self.usable(wall).is_some_and(|(token, _)| token.serial == serial)
    }

    /// Returns the token that was adopted last, whether refused or expired or neither.
    pub(super) fn token(&self) -> Option<&Arc<ActiveToken>> {
        match &self.active {
            Active::Valid(token) | Active::Refused(token) => Some(token),
            Active::Empty | Active::Given(_) => None,
        }
    }

    /// Returns the latest token of all, which the next fetch begins with: saved or not, given or adopted.
    pub(super) fn latest(&self) -> Option<&Token> {
        self.unsaved.as_ref().or(match &self.active {
            Active::Empty => None,
            Active::Given(token) => Some(token),
            Active::Valid(active) | Active::Refused(active) => Some(&active.token),
        })
    }

    pub(super) const fn unsaved(&self) -> Option<&Token> {
        self.unsaved.as_ref()
    }

    /// Returns the token that the user passed in, until another one arrives.
    pub(super) const fn given(&self) -> Option<&Token> {
        match (&self.active, &self.unsaved) {
            (Active::Given(token), None) => Some(token),
            _ => None,
        }
    }

    /// Returns whether a stored token is later than the one in use. Replicas of a store may lag.
    pub(super) fn is_before(&self, stored: &Token) -> bool {
        self.token().is_none_or(|active| {
            !active.token.has_secrets_of(stored) && stored.obtained_at() >= active.token.obtained_at()
        })
    }

    /// Returns the refresh, login or logout in progress.
    pub(super) const fn refresh(&self) -> Option<&Refresh> {
        match &self.renewal {
            TokenRenewal::Refreshing(refresh) => Some(refresh),
            TokenRenewal::Idle | TokenRenewal::Resting { .. } => None,
        }
    }
}

fn rest_after(failures: u32) -> Duration {
    FIRST_REST.saturating_mul(1 << failures.min(6)).min(LONGEST_REST)
}

const BROKE_OFF: &str =
    "the fetch broke off: its runtime ended, or there is none, or the code of its source or store panicked";
/// After a permanent refusal. Somebody may have logged in elsewhere.
const REFUSED_REST: Duration = Duration::from_secs(60);
/// No shorter: the transport repeated the request already before the fetch failed.
const FIRST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests;
