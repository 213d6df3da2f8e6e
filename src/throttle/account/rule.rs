//! Rule: one window of a limit, and the requests that it counts.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use crate::clock::Clock;
use crate::error::{Error, ErrorKind};
use crate::limit::{Limit, Route, Scope, Window};
use crate::message::Priority;
use crate::throttle::ids::LimiterId;
use crate::throttle::limiter::Limiter;
use crate::throttle::limiter::window::Counter;
use crate::throttle::limiter::window::lent::{Lent, Terms};
use crate::throttle::limiters::Limiters;
use crate::throttle::request::RequestFacts;
use crate::throttle::time::nanos;

/// One window of a limit.
#[derive(Debug)]
pub(super) struct Rule {
    scope: Scope,
    route: Option<Route>,
    pub(super) limit: Limit,
    pub(super) window: Window,
    pub(super) limiters: RuleLimiters,
    /// Whether one of its discarded limiters has counted a request.
    pub(super) used: bool,
}

/// The account of a rule.
#[derive(Clone, Debug, Default)]
pub(in crate::throttle) struct AccountName {
    pub(in crate::throttle) origin: String,
    /// `None` for limits of all accounts.
    pub(in crate::throttle) name: Option<String>,
}

/// The limiters of a rule.
#[derive(Debug)]
pub(super) enum RuleLimiters {
    One(LimiterId),
    /// One for each host, credential or named segment.
    ByKey(HashMap<String, LimiterId>),
}

/// The requests that a limit counts, with its route below a base.
#[derive(Debug, PartialEq)]
pub(super) struct CountedRequests {
    pub(super) scope: Scope,
    pub(super) route: Option<Route>,
}

impl CountedRequests {
    pub(super) fn of(limit: &Limit, base: &str) -> Result<Self, Error> {
        let scope = limit.scoped().clone();
        let route = match &scope {
            Scope::Route(pattern) => Some(Route::parse(pattern, base)),
            _ => None,
        };
        let route = route.transpose().map_err(|why| Error::new(ErrorKind::Config, why))?;
        Ok(Self { scope, route })
    }
}

impl Rule {
    /// Creates a rule without limiters.
    pub(super) fn new(counted: CountedRequests, limit: &Limit, window: &Window) -> Self {
        let CountedRequests { scope, route } = counted;
        let limiters = RuleLimiters::ByKey(HashMap::new());
        Self { scope, route, limit: limit.clone(), window: window.clone(), limiters, used: false }
    }

    pub(super) fn is_keyed(&self) -> bool {
        matches!(self.scope, Scope::Host | Scope::Credential) || self.route.as_ref().is_some_and(Route::is_keyed)
    }

    /// Returns whether a limit that has counted no request is worth a report. Tokens are fetched seldom, and their
    /// limit exists by default.
    pub(super) fn is_of_the_api(&self) -> bool {
        self.scope != Scope::TokenEndpoint
    }

    /// Returns whether the rule depends on the method or the path of a request.
    pub(super) const fn looks_at_route(&self) -> bool {
        self.route.is_some()
    }

    /// Returns whether the rule counts requests to foreign origins: a limit of each host, and the limit of the token
    /// endpoint.
    pub(super) const fn counts_foreign(&self) -> bool {
        matches!(self.scope, Scope::Host | Scope::TokenEndpoint)
    }

    /// Returns whether the rule counts the same as this window would.
    pub(super) fn is_of(&self, counted: &CountedRequests, window: &Window) -> bool {
        let same = match (&self.route, &counted.route) {
            (None, None) => self.scope == counted.scope,
            (own, other) => own == other,
        };
        same && self.window.is_like(window)
    }

    pub(super) fn agrees(&self, limit: &Limit, window: &Window) -> bool {
        let (own, other) = (&self.limit, limit);
        let rest = |limit: &Limit| {
            (limit.anchored(), limit.queue(), limit.is_soft(), limit.unasked_pause(), limit.on_outage())
        };
        self.window == *window && rest(own) == rest(other)
    }

    /// Returns the key of the limiter that counts this request; `None` if no limiter does.
    pub(super) fn matches<'a>(&self, request: &RequestFacts<'a>, class: Priority) -> Option<Cow<'a, str>> {
        let is_token = class == Priority::Token;
        match (&self.scope, &self.route) {
            (Scope::TokenEndpoint, _) => is_token.then(|| "".into()),
            (Scope::Host, _) => (!request.host.is_empty()).then(|| request.host.into()),
            _ if is_token => None,
            (Scope::Account, _) => Some("".into()),
            (Scope::Credential, _) => (!request.credential.is_empty()).then(|| request.credential.into()),
            (Scope::Kind(kind), _) => request.kind.is_some_and(|own| own == kind).then(|| "".into()),
            (Scope::Route(_), Some(route)) => route.matches(request.method?, request.path).map(Into::into),
            (Scope::Route(_), None) => None,
        }
    }

    /// Creates the limiter of a key. With `terms`, its window is shared with other processes under the name of its
    /// account.
    pub(super) fn limiter(
        &self,
        key: &str,
        account: &AccountName,
        clock: Clock,
        terms: Option<&Arc<Terms>>,
    ) -> Limiter {
        let share = |terms: &Arc<Terms>| {
            let lent = Lent::new(&self.window, clock, self.domain(key, account), terms.clone());
            lent.map(|lent| lent.on_outage(self.limit.on_outage())).filter(|_| !self.limit.is_soft())
        };
        let counter = match terms.and_then(share) {
            Some(lent) => Counter::Lent(Box::new(lent)),
            None => Counter::new(&self.window, &self.limit, clock),
        };
        let account = account.name.as_deref();
        let mut limiter = Limiter::new(self.label(key, account), counter, self.limit.anchored());
        limiter.key = key.into();
        limiter.name = self.limit.name().map(Arc::from);
        limiter.set_soft(self.limit.is_soft());
        limiter.declared = true;
        limiter.pause_without_hint = self.limit.unasked_pause().map(nanos);
        limiter.width = match self.scope {
            Scope::Account | Scope::TokenEndpoint => 0,
            Scope::Host => 1,
            Scope::Credential => 2,
            Scope::Kind(_) => 3,
            Scope::Route(_) => 4,
        };
        limiter
    }

    /// Returns the name of the window of a key in a store that processes share: the same in all of them, whatever the
    /// count.
    fn domain(&self, key: &str, account: &AccountName) -> Arc<str> {
        let scope = match &self.route {
            Some(route) => route.to_string(),
            None => self.scope.to_string(),
        };
        let window = match &self.window {
            Window::Sliding { length, .. } => format!("{length:?}"),
            Window::Daily { zone, .. } => format!("day in {zone}"),
            Window::Bytes { .. } | Window::Concurrent { .. } => String::new(),
        };
        let name = account.name.as_deref().unwrap_or("*");
        [&account.origin, name, &scope, key, &window].map(|part| part.replace('|', "||")).join("|").into()
    }

    /// Returns a label for people. `account` is none for limits of all accounts.
    pub(super) fn label(&self, key: &str, account: Option<&str>) -> Arc<str> {
        let name = self.limit.name().map_or_else(String::new, |name| format!("{}: ", name.escape_debug()));
        let queued = match self.limit.queue() {
            Some(queue) if matches!(self.window, Window::Sliding { .. }) => format!(" with {queue} queued"),
            _ => String::new(),
        };
        let key = if key.is_empty() { String::new() } else { format!(" at {}", key.escape_debug()) };
        let of = match (&self.scope, account) {
            (Scope::Account, None) => "all accounts".to_owned(),
            (Scope::Account, Some(account)) if !account.is_empty() => format!("the account {}", account.escape_debug()),
            (scope, None | Some("")) => scope.to_string(),
            (scope, Some(account)) => format!("{scope} of the account {}", account.escape_debug()),
        };
        format!("{name}{}{queued} of {of}{key}", self.window).into()
    }
}

impl RuleLimiters {
    /// Returns all limiters, in the order of their keys.
    pub(super) fn ids(&self) -> Vec<LimiterId> {
        match self {
            Self::One(id) => vec![*id],
            Self::ByKey(by_key) => {
                let mut by_key: Vec<_> = by_key.iter().collect();
                by_key.sort_unstable();
                by_key.into_iter().map(|(_, id)| *id).collect()
            }
        }
    }

    /// Returns whether one of the limiters has counted a request.
    pub(super) fn is_used(&self, limiters: &Limiters) -> bool {
        match self {
            Self::One(id) => limiters.of(*id).used,
            Self::ByKey(by_key) => by_key.values().any(|id| limiters.of(*id).used),
        }
    }
}
