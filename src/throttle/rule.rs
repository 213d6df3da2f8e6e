//! Rule: one window of a limit, and which requests it counts.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use super::gauge::Gauge;
use super::meter::{Meter, nanos};
use super::owners::Asker;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind};
use crate::limit::{Limit, Route, Scope, Window};
use crate::message::Class;

/// One window of a limit.
#[derive(Debug)]
pub(super) struct Rule {
    scope: Scope,
    route: Option<Route>,
    pub(super) limit: Limit,
    pub(super) window: Window,
    pub(super) gauges: Gauges,
    /// A request went by one of its gauges that is gone.
    pub(super) used: bool,
}

/// The gauges of a rule.
#[derive(Debug)]
pub(super) enum Gauges {
    One(u32),
    /// One for each host, credential or named segment.
    ByKey(HashMap<String, u32>),
}

/// What a limit counts, with its route below a base.
#[derive(Debug, PartialEq)]
pub(super) struct Counted {
    pub(super) scope: Scope,
    pub(super) route: Option<Route>,
}

impl Counted {
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
    /// Without gauges as yet.
    pub(super) fn new(counted: Counted, limit: &Limit, window: &Window) -> Self {
        let Counted { scope, route } = counted;
        let gauges = Gauges::ByKey(HashMap::new());
        Self { scope, route, limit: limit.clone(), window: window.clone(), gauges, used: false }
    }

    pub(super) fn is_keyed(&self) -> bool {
        matches!(self.scope, Scope::Host | Scope::Credential) || self.route.as_ref().is_some_and(Route::is_keyed)
    }

    /// Whether a limit of which no request was counted is worth a word. Tokens are fetched seldom, and their limit is there
    /// by default.
    pub(super) fn is_of_the_api(&self) -> bool {
        self.scope != Scope::TokenEndpoint
    }

    /// Whether it counts requests to foreign origins: a limit of each host, and that of the token endpoint.
    pub(super) const fn counts_foreign(&self) -> bool {
        matches!(self.scope, Scope::Host | Scope::TokenEndpoint)
    }

    /// Whether it counts the same as this window would.
    pub(super) fn is_of(&self, counted: &Counted, window: &Window) -> bool {
        let same = match (&self.route, &counted.route) {
            (None, None) => self.scope == counted.scope,
            (own, other) => own == other,
        };
        same && self.window.is_like(window)
    }

    pub(super) fn agrees(&self, limit: &Limit, window: &Window) -> bool {
        let (own, other) = (&self.limit, limit);
        let rest = |limit: &Limit| (limit.anchored(), limit.queue(), limit.is_soft(), limit.unasked_pause());
        self.window == *window && rest(own) == rest(other)
    }

    /// The key of the gauge that counts this request; `None` where none does.
    pub(super) fn matches<'a>(&self, asker: &Asker<'a>, class: Class) -> Option<Cow<'a, str>> {
        let is_token = class == Class::Token;
        match (&self.scope, &self.route) {
            (Scope::TokenEndpoint, _) => is_token.then(|| "".into()),
            (Scope::Host, _) => (!asker.host.is_empty()).then(|| asker.host.into()),
            _ if is_token => None,
            (Scope::Account, _) => Some("".into()),
            (Scope::Credential, _) => (!asker.credential.is_empty()).then(|| asker.credential.into()),
            (Scope::Kind(kind), _) => asker.kind.is_some_and(|asked| asked == kind).then(|| "".into()),
            (Scope::Route(_), Some(route)) => route.matches(asker.method?, asker.path).map(Into::into),
            (Scope::Route(_), None) => None,
        }
    }

    pub(super) fn gauge(&self, key: &str, account: Option<&str>, clock: Clock) -> Gauge {
        let meter = Meter::new(&self.window, &self.limit, clock);
        let mut gauge = Gauge::new(self.label(key, account), meter, self.limit.anchored());
        gauge.key = key.into();
        gauge.name = self.limit.name().map(Arc::from);
        gauge.soft = self.limit.is_soft();
        gauge.declared = true;
        gauge.unasked_pause = self.limit.unasked_pause().map(nanos);
        gauge.width = match self.scope {
            Scope::Account | Scope::TokenEndpoint => 0,
            Scope::Host => 1,
            Scope::Credential => 2,
            Scope::Kind(_) => 3,
            Scope::Route(_) => 4,
        };
        gauge
    }

    /// For people. `account` is none for those of all accounts.
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

impl Gauges {
    pub(super) fn all(&self) -> Vec<u32> {
        match self {
            Self::One(gauge) => vec![*gauge],
            Self::ByKey(gauges) => gauges.values().copied().collect(),
        }
    }
}
