//! TokenUse: the age of a credential's token, and the results of its refreshes.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::endpoint::OTHER;

/// The token of one credential. A credential that is never refreshed, such as an API key, is not listed. `Display` is
/// one line, such as "oauth: active, refreshed 90s ago, 3510s left; 1 refresh, 0 failed".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenUse {
    credential: Arc<str>,
    age: Option<Duration>,
    left: Option<Duration>,
    took: Option<Duration>,
    refreshes: u64,
    failed: u64,
    failed_in_a_row: u64,
    needs_login: bool,
}

impl TokenUse {
    /// Returns the label of the credential.
    #[must_use]
    pub fn credential(&self) -> &str {
        &self.credential
    }

    /// Returns the time since the token was last fetched or refreshed. `None` before the first fetch, and after a
    /// logout.
    #[must_use]
    pub const fn age(&self) -> Option<Duration> {
        self.age
    }

    /// Returns how long the token is still valid; zero if it has expired. `None` if the validity is unknown.
    #[must_use]
    pub const fn left(&self) -> Option<Duration> {
        self.left
    }

    /// Returns how long the last fetch or refresh took, including the wait for the limit of token endpoints (one a
    /// second), the retries, and the store. `None` before the first fetch.
    #[must_use]
    pub const fn took(&self) -> Option<Duration> {
        self.took
    }

    /// Returns whether there is a token that is not known to have expired.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.age.is_some() && self.left != Some(Duration::ZERO)
    }

    /// Returns how often the token was fetched or refreshed.
    #[must_use]
    pub const fn refreshes(&self) -> u64 {
        self.refreshes
    }

    /// Returns how often a fetch or a refresh failed.
    #[must_use]
    pub const fn failed_refreshes(&self) -> u64 {
        self.failed
    }

    /// Returns the number of failures since the last success.
    #[must_use]
    pub const fn failed_in_a_row(&self) -> u64 {
        self.failed_in_a_row
    }

    /// Returns whether a new login is needed: a refresh was refused for good, or a user was logged out.
    #[must_use]
    pub const fn needs_login(&self) -> bool {
        self.needs_login
    }
}

impl fmt::Display for TokenUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.credential, if self.is_active() { "active" } else { "none in use" })?;
        if self.needs_login {
            f.write_str(", needs a login")?;
        }
        if let Some(age) = self.age {
            write!(f, ", refreshed {}s ago", age.as_secs())?;
        }
        if let Some(left) = self.left {
            write!(f, ", {}s left", left.as_secs())?;
        }
        let refreshes = if self.refreshes == 1 { "refresh" } else { "refreshes" };
        write!(f, "; {} {refreshes}, {} failed", self.refreshes, self.failed)
    }
}

/// The tokens by their credentials' labels.
#[derive(Clone, Debug, Default)]
pub(super) struct Tokens(Vec<TokenStats>);

#[derive(Clone, Debug)]
pub(super) struct TokenStats {
    credential: Arc<str>,
    refreshed: Option<Instant>,
    took: Option<Duration>,
    valid_for: Option<Duration>,
    refreshes: u64,
    failed: u64,
    failed_in_a_row: u64,
    needs_login: bool,
}

impl Tokens {
    /// Returns the label under which the refresh is counted.
    pub(super) fn refreshed(
        &mut self,
        credential: &str,
        valid_for: Option<Duration>,
        took: Duration,
        now: Instant,
    ) -> Option<Arc<str>> {
        let token = self.token(credential)?;
        token.refreshes += 1;
        (token.refreshed, token.took, token.valid_for) = (Some(now), Some(took), valid_for);
        (token.failed_in_a_row, token.needs_login) = (0, false);
        Some(token.credential.clone())
    }

    /// Returns the label under which the failure is counted.
    pub(super) fn failed(&mut self, credential: &str, needs_login: bool) -> Option<Arc<str>> {
        let token = self.token(credential)?;
        token.failed += 1;
        token.failed_in_a_row += 1;
        token.needs_login = needs_login;
        Some(token.credential.clone())
    }

    pub(super) fn logged_out(&mut self, credential: &str, needs_login: bool) {
        if let Some(token) = self.token(credential) {
            (token.refreshed, token.valid_for, token.needs_login) = (None, None, needs_login);
        }
    }

    pub(super) fn report(&self, now: Instant) -> Vec<TokenUse> {
        self.0.iter().map(|token| token.report(now)).collect()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &TokenStats> {
        self.0.iter()
    }

    fn token(&mut self, credential: &str) -> Option<&mut TokenStats> {
        let find = |name: &str| self.0.iter().position(|token| &*token.credential == name);
        let name = if self.0.len() >= MOST { OTHER } else { credential };
        let known = find(credential).or_else(|| find(name));
        if known.is_none() {
            self.0.push(TokenStats::new(name));
        }
        match known {
            Some(at) => self.0.get_mut(at),
            None => self.0.last_mut(),
        }
    }
}

impl TokenStats {
    fn new(credential: &str) -> Self {
        Self {
            credential: credential.into(),
            refreshed: None,
            took: None,
            valid_for: None,
            refreshes: 0,
            failed: 0,
            failed_in_a_row: 0,
            needs_login: false,
        }
    }

    pub(super) const fn credential(&self) -> &Arc<str> {
        &self.credential
    }

    pub(super) const fn failed_in_a_row(&self) -> u64 {
        self.failed_in_a_row
    }

    pub(super) const fn valid_for(&self) -> Option<Duration> {
        self.valid_for
    }

    pub(super) fn left(&self, now: Instant) -> Option<Duration> {
        Some(self.valid_for?.saturating_sub(now.saturating_duration_since(self.refreshed?)))
    }

    fn report(&self, now: Instant) -> TokenUse {
        TokenUse {
            credential: self.credential.clone(),
            age: self.refreshed.map(|at| now.saturating_duration_since(at)),
            left: self.left(now),
            took: self.took,
            refreshes: self.refreshes,
            failed: self.failed,
            failed_in_a_row: self.failed_in_a_row,
            needs_login: self.needs_login,
        }
    }
}

/// A client has one credential, or a handful combined into one.
const MOST: usize = 64;
