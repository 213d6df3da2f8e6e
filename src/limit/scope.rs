//! Scope: the requests that a limit counts.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Route;

/// The requests that a limit counts, and so the requests that a refusal stops.
///
/// In profiles, a scope is written as text: `account`, `credential`, `host`, `route GET campaigns/*`, `kind export`,
/// `token endpoint`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum Scope {
    /// All requests of the account at the service: of the API key or tenant that
    /// [`account`](crate::ClientBuilder::account) names, whichever tokens are used.
    #[default]
    Account,
    /// The requests under each credential: every token has its own budget.
    Credential,
    /// The requests to each host.
    Host,
    /// The requests of one route, as in [`Scope::route`].
    Route(String),
    /// The requests for tasks of this kind of the profile.
    Kind(String),
    /// The requests that fetch tokens. No other scope counts these requests.
    TokenEndpoint,
}

impl Scope {
    /// Creates the scope of a route: a method (or none, for all methods) and a path, such as `GET campaigns/*/stats/*`.
    /// A first word that is no registered method, and a method without a path, are errors when the limit is installed,
    /// because neither would ever match a request.
    ///
    /// A path that begins with `/` is relative to the host; any other path is relative to the client's base URL. `*`
    /// matches any text within a segment. `**` at the end matches any rest, so that `/api/v2/analytics/**` is all of
    /// one microservice. `{name}` matches as `*`, and each value has its own budget: `lists/{list}/subscribers`.
    ///
    /// ```
    /// use longhaul::limits::Scope;
    ///
    /// assert_eq!(Scope::route("DELETE lists/{list}").to_string(), "the route DELETE lists/{list}");
    /// ```
    #[must_use]
    pub fn route(pattern: impl Into<String>) -> Self {
        Self::Route(pattern.into())
    }

    pub(super) const fn is_account(&self) -> bool {
        matches!(self, Self::Account)
    }

    pub(super) fn check(&self) -> Result<(), String> {
        match self {
            Self::Route(pattern) => Route::parse(pattern, "/").map(drop),
            Self::Kind(kind) if kind.trim().is_empty() => Err("the kind of task has no name".into()),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account => f.write_str("the account"),
            Self::Credential => f.write_str("the credential"),
            Self::Host => f.write_str("the host"),
            Self::Route(pattern) => write!(f, "the route {}", pattern.escape_debug()),
            Self::Kind(kind) => write!(f, "tasks of the kind {}", kind.escape_debug()),
            Self::TokenEndpoint => f.write_str("the token endpoint"),
        }
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(' ') {
            None if text == "account" => Ok(Self::Account),
            None if text == "credential" => Ok(Self::Credential),
            None if text == "host" => Ok(Self::Host),
            Some(("token", "endpoint")) => Ok(Self::TokenEndpoint),
            Some(("route", pattern)) => Ok(Self::Route(pattern.to_owned())),
            Some(("kind", kind)) => Ok(Self::Kind(kind.to_owned())),
            _ => Err(format!(
                "`{}` is no scope: account, credential, host, token endpoint, route METHOD PATH, kind NAME",
                text.escape_debug()
            )),
        }
    }
}

impl TryFrom<String> for Scope {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Account => "account".into(),
            Scope::Credential => "credential".into(),
            Scope::Host => "host".into(),
            Scope::TokenEndpoint => "token endpoint".into(),
            Scope::Route(pattern) => format!("route {pattern}"),
            Scope::Kind(kind) => format!("kind {kind}"),
        }
    }
}
