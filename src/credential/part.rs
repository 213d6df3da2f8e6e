//! Part: a part of a credential.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use http::{HeaderName, HeaderValue, header};
use zeroize::Zeroizing;

use super::basic::basic_value;
use super::secret_header::{flaw, secret_value};
use super::sign::Sign;
use super::token_cache::TokenCache;
use crate::error::{Error, ErrorKind};
use crate::message::{RESERVED_WHY, is_reserved};
use crate::redact::{Secret, secrets_of};

/// A part of a credential.
#[derive(Clone)]
pub(super) enum CredentialPart {
    FixedHeader { name: String, value: Secret, header: FixedHeader, label: &'static str },
    Query { name: String, value: Secret },
    Token(TokenCache),
    Signed(Arc<dyn Sign>),
}

/// A header as a request carries it, or why it cannot.
pub(super) type FixedHeader = Result<(HeaderName, HeaderValue), &'static str>;

impl CredentialPart {
    pub(super) fn header(name: &str, value: impl Into<String>, label: &'static str) -> Self {
        let value = Secret::new(value);
        let header = HeaderName::try_from(name).map_err(|_| "has an invalid header name").and_then(|name| {
            if is_reserved(&name) {
                return Err(RESERVED_WHY);
            }
            Ok((name, secret_value(value.expose())?))
        });
        Self::FixedHeader { name: name.to_owned(), value, header, label }
    }

    /// Creates a part from a given token, with or without the word `Bearer` before it.
    pub(super) fn bearer(token: &str) -> Self {
        let token = token.trim();
        let token = match token.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
            _ => token,
        };
        let part = Self::header(header::AUTHORIZATION.as_str(), format!("Bearer {token}"), "bearer");
        let has_space = token.contains(' ');
        part.flawed(has_space.then_some("holds a space, as no token does: give the token alone"))
    }

    pub(super) fn basic(user: &str, password: &str) -> Self {
        // The line break at the end of a file is not part of a password; white space may be.
        let password = password.trim_end_matches(['\r', '\n']);
        let value = match user {
            "" => Zeroizing::default(),
            _ => basic_value(&Zeroizing::new(format!("{user}:{password}"))),
        };
        let part = Self::header(header::AUTHORIZATION.as_str(), value.as_str(), "basic");
        let colon = "has a user name with a colon, and basic authentication ends the name at its first colon";
        part.flawed(flaw(user).or(flaw(password)).or(user.contains(':').then_some(colon)))
    }

    /// Adds a flaw, if there is one: the part cannot be put on a request.
    fn flawed(mut self, why: Option<&'static str>) -> Self {
        if let (Some(why), Self::FixedHeader { header, .. }) = (why, &mut self) {
            *header = Err(why);
        }
        self
    }

    /// Checks that the part can be put on a request.
    pub(super) fn check(&self) -> Result<(), Error> {
        let (Self::FixedHeader { value, .. } | Self::Query { value, .. }) = self else {
            return if let Self::Token(cache) = self { cache.check() } else { Ok(()) };
        };
        if matches!(value.expose().trim_matches(' '), "" | "Bearer") {
            return Err(Error::new(ErrorKind::Config, "a part of the credential is empty"));
        }
        match (self, flaw(value.expose())) {
            (Self::Query { name, .. }, Some(why)) => {
                let why = format!("the credential's part query `{}` {why}", shown(name));
                Err(Error::new(ErrorKind::Config, why))
            }
            _ => Ok(()),
        }
    }

    /// Returns the header that the part sets, if the header never changes.
    pub(super) fn fixed_header(&self) -> Option<Result<(&HeaderName, &HeaderValue), Error>> {
        let Self::FixedHeader { name, header, label, .. } = self else { return None };
        Some(header.as_ref().map(|(name, value)| (name, value)).map_err(|why| {
            let part = if label.is_empty() { format!("header `{}`", shown(name)) } else { format!("`{label}`") };
            Error::new(ErrorKind::Config, format!("the credential's part {part} {why}"))
        }))
    }

    pub(super) const fn token(&self) -> Option<&TokenCache> {
        if let Self::Token(cache) = self { Some(cache) } else { None }
    }

    /// Returns the part's name in events and logs, without a secret.
    pub(super) fn label(&self) -> String {
        match self {
            Self::FixedHeader { name, label: "", .. } => format!("header {}", shown(name)),
            Self::FixedHeader { label, .. } => (*label).to_owned(),
            Self::Query { name, .. } => format!("query {}", shown(name)),
            Self::Token(cache) => cache.label().to_owned(),
            Self::Signed(sign) => shown(sign.label()),
        }
    }

    /// Hashes the properties that distinguish the part from others within this process.
    pub(super) fn hash_identity(&self, hasher: &mut impl Hasher) {
        match self {
            Self::FixedHeader { name, value, .. } | Self::Query { name, value } => (name, value.expose()).hash(hasher),
            Self::Token(cache) => cache.id().hash(hasher),
            Self::Signed(sign) => Arc::as_ptr(sign).cast::<()>().hash(hasher),
        }
    }

    /// Returns every secret that the part sends. A request that a [`Sign`] signed itself knows the secrets created for
    /// it.
    pub(super) fn secrets(&self) -> Vec<Secret> {
        match self {
            Self::FixedHeader { value, .. } => secrets_of(value.expose()),
            Self::Query { value, .. } => vec![value.clone()],
            Self::Token(cache) => cache.secrets(),
            Self::Signed(_) => Vec::new(),
        }
    }
}

fn shown(name: &str) -> String {
    name.escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::Credential;

    #[test]
    fn refuses_what_no_header_may_hold() {
        for (name, key) in [("X-Key", "a\r\nHost: evil"), ("X Key", "a"), ("X-Key", "a\0")] {
            let error = Credential::api_key_header(name, key).check().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(!format!("{error} {error:?}").contains("evil"), "{error}");
        }
    }
}
