//! Token: an access token, its refresh token, and its life.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use super::jwt;
use crate::clock::unix_millis;
use crate::error::{Error, ErrorKind};
use crate::redact::Secret;

/// An access token, with its refresh token and its expiry.
///
/// A [`TokenSource`](super::TokenSource) returns it and a [`CredentialStore`](super::CredentialStore) keeps it. `Debug`
/// shows times, and no secret; the secrets are wiped from memory when the last clone is dropped.
///
/// ```
/// use std::time::Duration;
/// use longhaul::credentials::Token;
///
/// let token = Token::new("eyJhbGciOi").refreshed_by("8xLOxBtZp8").expires_in(Duration::from_secs(3600));
/// assert_eq!(token.expose(), "eyJhbGciOi");
/// assert!(!format!("{token:?}").contains("eyJhbGciOi"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    access: Secret,
    refresh: Option<Secret>,
    obtained_at: SystemTime,
    expires_at: Option<SystemTime>,
}

impl Token {
    /// Creates a token from an access token obtained now. Surrounding white space is left out. A JWT with an `exp`
    /// expires at that time; any other token is used until it is refused, unless you set its expiry.
    ///
    /// The JWT is parsed and not verified: verification is the service's task. The expiry decides only when to refresh.
    #[must_use]
    pub fn new(access: impl Into<String>) -> Self {
        Self::obtained(access.into(), SystemTime::now())
    }

    pub(super) fn obtained(access: String, now: SystemTime) -> Self {
        let expires_at = jwt::expiry(access.trim());
        Self { access: Secret::trimmed(access), refresh: None, obtained_at: now, expires_at }
    }

    /// Sets the refresh token that obtains the next token. Surrounding white space is left out.
    #[must_use]
    pub fn refreshed_by(mut self, refresh: impl Into<String>) -> Self {
        self.refresh = Some(Secret::trimmed(refresh));
        self
    }

    /// Sets the moment at which the token expires.
    #[must_use]
    pub fn expires_at(mut self, moment: SystemTime) -> Self {
        self.expires_at = Some(moment);
        self
    }

    /// Sets how long after it was obtained the token expires. A life longer than the clock can represent counts as
    /// none: the token is used until it is refused.
    #[must_use]
    pub fn expires_in(mut self, life: Duration) -> Self {
        self.expires_at = self.obtained_at.checked_add(life);
        self
    }

    /// Returns the access token itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.access.expose()
    }

    /// Returns the refresh token itself.
    #[must_use]
    pub fn expose_refresh(&self) -> Option<&str> {
        self.refresh.as_ref().map(Secret::expose)
    }

    /// Returns when the token was obtained: by the client's clock if an endpoint's answer was read, by the system's for
    /// [`new`](Token::new).
    #[must_use]
    pub const fn obtained_at(&self) -> SystemTime {
        self.obtained_at
    }

    /// Returns when the token expires, by the client's clock; `None` if the expiry is unknown.
    #[must_use]
    pub const fn expiry(&self) -> Option<SystemTime> {
        self.expires_at
    }

    /// Returns the whole token as JSON, secrets included: for a [`CredentialStore`](super::CredentialStore), which must
    /// keep it encrypted.
    ///
    /// ```
    /// # use longhaul::credentials::Token;
    /// let token = Token::new("eyJhbGciOi").refreshed_by("8xLOxBtZp8");
    /// assert_eq!(Token::from_json(&token.expose_json())?.expose_refresh(), Some("8xLOxBtZp8"));
    /// # Ok::<(), longhaul::Error>(())
    /// ```
    #[must_use]
    pub fn expose_json(&self) -> String {
        let written = WrittenToken {
            access: self.expose().to_owned(),
            refresh: self.expose_refresh().map(str::to_owned),
            obtained_at: unix_millis(self.obtained_at),
            expires_at: self.expires_at.map(unix_millis),
        };
        serde_json::to_string(&written).unwrap_or_default()
    }

    /// Parses a token that [`expose_json`](Token::expose_json) wrote.
    ///
    /// # Errors
    /// [`ErrorKind::Store`](crate::ErrorKind::Store) if the text is anything else; the text is not shown.
    pub fn from_json(text: &str) -> Result<Self, Error> {
        let mut written: WrittenToken = serde_json::from_str(text).map_err(|error| {
            // The parser's message may quote the text.
            let why = format!("what is stored is no token: JSON at line {}, column {}", error.line(), error.column());
            Error::new(ErrorKind::Store, why)
        })?;
        let moment = |millis| SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis));
        Ok(Self {
            access: Secret::new(std::mem::take(&mut written.access)),
            refresh: written.refresh.take().map(Secret::new),
            obtained_at: moment(written.obtained_at).unwrap_or(SystemTime::UNIX_EPOCH),
            expires_at: written.expires_at.and_then(moment),
        })
    }

    /// Returns the stage of the token's life at this moment.
    pub(super) fn life(&self, now: SystemTime, ahead: Ahead) -> Life {
        let Some(expires_at) = self.expires_at else { return Life::Fresh };
        let whole = expires_at.duration_since(self.obtained_at).unwrap_or(Duration::ZERO);
        let leeway = LEEWAY.min(whole / 50);
        match expires_at.duration_since(now) {
            Ok(left) if left > ahead.for_life(whole).max(leeway) => Life::Fresh,
            Ok(left) if left > leeway => Life::Aging,
            _ => Life::Expired,
        }
    }

    /// Returns the rest of the token's life; `None` if no end is known.
    pub(super) fn left(&self, now: SystemTime) -> Option<Duration> {
        self.expires_at.map(|expires_at| expires_at.duration_since(now).unwrap_or(Duration::ZERO))
    }

    /// Takes over the refresh token of the previous token if the answer contained none (RFC 6749, 6).
    pub(super) fn or_refreshed_as(mut self, before: Option<&Self>) -> Self {
        if self.refresh.is_none() {
            self.refresh = before.and_then(|before| before.refresh.clone());
        }
        self
    }

    /// Takes over the refresh token of a later token, if that has one.
    pub(super) fn or_refreshed_by(mut self, later: &Self) -> Self {
        self.refresh = later.refresh.clone().or(self.refresh);
        self
    }

    /// Returns whether both tokens have the same secrets: a store may round the times.
    pub(super) fn has_secrets_of(&self, other: &Self) -> bool {
        (&self.access, &self.refresh) == (&other.access, &other.refresh)
    }

    /// Returns the token's secrets: the access token, and the refresh token if there is one.
    pub(super) fn secrets(&self) -> impl Iterator<Item = Secret> {
        [Some(&self.access), self.refresh.as_ref()].into_iter().flatten().cloned()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("obtained_at", &self.obtained_at)
            .field("expires_at", &self.expires_at)
            .field("has_refresh", &self.refresh.is_some())
            .finish_non_exhaustive()
    }
}

/// The stage of a token's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Fresh,
    /// Good, and due to be refreshed.
    Aging,
    Expired,
}

/// The time before its end at which a token is refreshed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ahead(Option<Duration>);

impl Ahead {
    pub(super) const fn new(set: Option<Duration>) -> Self {
        Self(set)
    }

    /// Returns the time for a token of this life. At most half of it: a token that is refreshed at once is refreshed
    /// with each request.
    fn for_life(self, life: Duration) -> Duration {
        self.0.map_or(LONGEST_AHEAD.min(life / 5), |set| set.min(life / 2))
    }
}

/// Five minutes, as Genesys asks for; a fifth of the token's life if that is shorter.
const LONGEST_AHEAD: Duration = Duration::from_secs(5 * 60);
/// A token that expires in transit is refused; at most 2 % of its life.
const LEEWAY: Duration = Duration::from_secs(2);

#[derive(Serialize, Deserialize)]
struct WrittenToken {
    access: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refresh: Option<String>,
    obtained_at: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<u64>,
}

impl Drop for WrittenToken {
    fn drop(&mut self) {
        self.access.zeroize();
        self.refresh.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_a_fifth_of_its_life_before_its_end_and_five_minutes_at_most() {
        let begun = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        for (life, age, expected) in [
            (24 * 3600, 0, Life::Fresh),
            (24 * 3600, 24 * 3600 - 301, Life::Fresh),
            (24 * 3600, 24 * 3600 - 300, Life::Aging),
            (24 * 3600, 24 * 3600 - 3, Life::Aging),
            (24 * 3600, 24 * 3600 - 2, Life::Expired),
            (24 * 3600, 24 * 3600 + 1, Life::Expired),
            (600, 479, Life::Fresh),
            (600, 480, Life::Aging),
            (10, 7, Life::Fresh),
            (10, 8, Life::Aging),
            (10, 9, Life::Aging),
            (10, 10, Life::Expired),
            (0, 0, Life::Expired),
        ] {
            let token = Token::obtained("T".into(), begun).expires_in(Duration::from_secs(life));
            assert_eq!(token.life(begun + Duration::from_secs(age), Ahead::default()), expected, "{age} s of {life} s");
        }
        assert_eq!(
            Token::obtained("T".into(), begun).life(begun + Duration::from_secs(1 << 32), Ahead::default()),
            Life::Fresh
        );
    }

    #[test]
    fn ages_as_long_before_its_end_as_is_set_and_not_in_the_first_half_of_its_life() {
        let begun = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        for (ahead, life, age, expected) in [
            (600, 3600, 2999, Life::Fresh),
            (600, 3600, 3000, Life::Aging),
            (0, 3600, 3597, Life::Fresh),
            (0, 3600, 3598, Life::Expired),
            (1, 3600, 3598, Life::Expired),
            (7200, 3600, 1799, Life::Fresh),
            (7200, 3600, 1800, Life::Aging),
            (u64::MAX, 10, 4, Life::Fresh),
            (u64::MAX, 10, 5, Life::Aging),
        ] {
            let ahead = Ahead::new(Some(Duration::from_secs(ahead)));
            let token = Token::obtained("T".into(), begun).expires_in(Duration::from_secs(life));
            assert_eq!(token.life(begun + Duration::from_secs(age), ahead), expected, "{age} s of {life} s, {ahead:?}");
        }
    }

    #[test]
    fn is_read_again_as_it_was_written_and_shows_nothing_where_it_is_not() {
        let token = Token::new("T0KEN").refreshed_by("R3FRESH").expires_in(Duration::from_millis(1500));
        let again = Token::from_json(&token.expose_json()).unwrap();
        assert_eq!((again.expose(), again.expose_refresh()), ("T0KEN", Some("R3FRESH")));
        assert_eq!(again.expiry().map(unix_millis), token.expiry().map(unix_millis));
        assert!(!format!("{token:?} {again:#?}").contains("T0KEN"));
        let error = Token::from_json("{\"access\": 7, \"refresh\": \"R3FRESH\"}").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Store);
        assert!(!format!("{error} {error:?}").contains("R3FRESH"), "{error}");
    }
}
