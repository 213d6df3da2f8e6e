//! CredentialStyle: how an API identifies its callers, as data without secrets.

use serde::{Deserialize, Serialize};

use super::oauth_style::OAuthStyle;
use super::secrets::Secrets;
use super::variables::Fill;
use crate::credential::Credential;
use crate::error::{Error, ErrorKind};

/// How an API identifies its callers, as data: the places of keys and tokens, and the names of the [`Secrets`] that
/// belong there. A style contains no secret itself.
///
/// In TOML, a list of styles reads:
///
/// ```
/// use longhaul::Profile;
///
/// let profile: Profile = Profile::from_toml(r#"
///     name = "farms"
///     base = "https://api.example.com/v1"
///     credential = [
///         { header = { name = "X-Subscription-Key", secret = "subscription_key" } },
///         { oauth = { token_url = "https://login.example.com/token", grant = "client_credentials" } },
///     ]
/// "#)?;
/// assert_eq!(profile.secret_names(), ["client_id", "client_secret", "subscription_key"]);
/// # Ok::<(), longhaul::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CredentialStyle {
    /// A constant token in `Authorization: Bearer`; the name of its secret.
    Bearer(String),
    /// HTTP Basic (RFC 7617).
    Basic(BasicStyle),
    /// A key in a header.
    Header(KeyStyle),
    /// A key in the query. The key is left out of every URL that longhaul shows.
    Query(KeyStyle),
    /// Tokens of a token endpoint.
    Oauth(Box<OAuthStyle>),
}

/// The secrets of HTTP Basic: the names `user` and `password` unless others are set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BasicStyle {
    user: String,
    password: String,
}

/// A key in a header or in the query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyStyle {
    /// The name of the header, with the profile's variables, or of the member of the query.
    name: String,
    /// The name of the secret.
    secret: String,
    /// The word before the key, such as `Token` or `Bearer`; none by default.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    scheme: String,
}

impl Default for BasicStyle {
    fn default() -> Self {
        Self { user: "user".into(), password: "password".into() }
    }
}

impl CredentialStyle {
    /// A constant bearer token, the secret `token`.
    #[must_use]
    pub fn bearer() -> Self {
        Self::Bearer("token".into())
    }

    /// HTTP Basic with the secrets of these names.
    #[must_use]
    pub fn basic(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self::Basic(BasicStyle { user: user.into(), password: password.into() })
    }

    /// A key in the header of this name, and the name of its secret.
    #[must_use]
    pub fn header(name: impl Into<String>, secret: impl Into<String>) -> Self {
        Self::Header(KeyStyle { name: name.into(), secret: secret.into(), scheme: String::new() })
    }

    /// A key in the header of this name behind a word, such as `Authorization: Token 5f2b`.
    #[must_use]
    pub fn header_scheme(name: impl Into<String>, scheme: impl Into<String>, secret: impl Into<String>) -> Self {
        Self::Header(KeyStyle { name: name.into(), secret: secret.into(), scheme: scheme.into() })
    }

    /// A key in the member of the query of this name, and the name of its secret.
    #[must_use]
    pub fn query(name: impl Into<String>, secret: impl Into<String>) -> Self {
        Self::Query(KeyStyle { name: name.into(), secret: secret.into(), scheme: String::new() })
    }

    /// Tokens of a token endpoint.
    #[must_use]
    pub fn oauth(oauth: OAuthStyle) -> Self {
        Self::Oauth(Box::new(oauth))
    }

    /// Returns the names of the secrets that the style cannot do without.
    pub(super) fn secret_names(&self) -> Vec<String> {
        match self {
            Self::Bearer(name) => vec![name.clone()],
            Self::Basic(BasicStyle { user, password }) => vec![user.clone(), password.clone()],
            Self::Header(key) | Self::Query(key) => vec![key.secret.clone()],
            Self::Oauth(oauth) => oauth.secret_names(),
        }
    }

    /// Returns whether a text of the style contains this, such as a variable.
    pub(super) fn mentions(&self, written: &str) -> bool {
        match self {
            Self::Header(key) => key.name.contains(written),
            Self::Oauth(oauth) => oauth.mentions(written),
            Self::Bearer(_) | Self::Basic(_) | Self::Query(_) => false,
        }
    }

    /// Builds the credential. `fill` replaces the variables of a URL.
    pub(super) fn build(&self, fill: &Fill<'_>, secrets: &Secrets) -> Result<Credential, Error> {
        let find = |name: &str| secrets.wanted(name).map(|secret| secret.expose().to_owned());
        Ok(match self {
            Self::Bearer(name) => Credential::bearer(find(name)?),
            Self::Basic(BasicStyle { user, password }) => Credential::basic(find(user)?, find(password)?),
            Self::Header(KeyStyle { name, secret, scheme }) => {
                let name = fill(name).map_err(|why| Error::new(ErrorKind::Config, why))?;
                let before = if scheme.trim().is_empty() { String::new() } else { format!("{} ", scheme.trim()) };
                Credential::api_key_header(name, format!("{before}{}", find(secret)?))
            }
            Self::Query(key) => Credential::api_key_query(&*key.name, find(&key.secret)?),
            Self::Oauth(oauth) => Credential::oauth(oauth.build(fill, secrets)?),
        })
    }

    /// Returns what is wrong with the style itself, whatever the secrets are.
    pub(super) fn flaw(&self, fill: &Fill<'_>) -> Option<String> {
        let nameless = |names: &[&String]| {
            names.iter().any(|name| name.trim().is_empty()).then(|| "a name of a secret is empty".to_owned())
        };
        match self {
            Self::Bearer(name) => nameless(&[name]),
            Self::Basic(BasicStyle { user, password }) => nameless(&[user, password]),
            Self::Header(key) => nameless(&[&key.secret]).or_else(|| {
                let name = match fill(&key.name) {
                    Ok(name) => name,
                    Err(why) => return Some(why),
                };
                let is_name = http::HeaderName::try_from(&name).is_ok();
                (!is_name).then(|| format!("`{}` is no name of a header", name.escape_debug()))
            }),
            Self::Query(key) => nameless(&[&key.secret, &key.name]),
            Self::Oauth(oauth) => oauth.flaw(fill),
        }
    }
}
