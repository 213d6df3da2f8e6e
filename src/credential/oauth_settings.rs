//! OAuthSettings: the settings of an `OAuth`, and their validation.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, Method, header};
use url::Url;

use super::answer::TokenAnswer;
use super::secret_header::{flaw, secret_value};
use super::store::CredentialStore;
use super::token::Token;
use crate::error::{Error, ErrorKind};
use crate::message::{Origin, RESERVED_WHY, is_reserved};
use crate::redact::{Secret, lacks_scheme, shown};

/// The settings of an [`OAuth`](super::OAuth).
#[derive(Clone)]
pub(super) struct OAuthSettings {
    pub(super) grant: Grant,
    pub(super) endpoint: String,
    pub(super) refresh_at: Option<String>,
    pub(super) client_id: String,
    pub(super) client_secret: Option<Secret>,
    pub(super) in_form: bool,
    pub(super) scope: Option<String>,
    pub(super) params: Vec<(String, Secret)>,
    /// Headers of token requests.
    pub(super) headers: Vec<(String, Secret)>,
    pub(super) answer: TokenAnswer,
    pub(super) revoke: Option<Revoke>,
    /// The header that carries the token on the API's requests, and the scheme before the token, with its space.
    pub(super) token_header: (String, String),
    pub(super) token: Option<Token>,
    pub(super) ahead: Option<Duration>,
    pub(super) store: Option<Arc<dyn CredentialStore>>,
}

#[derive(Clone)]
pub(super) enum Grant {
    ClientCredentials,
    /// A login that somebody made: only its refresh tokens return further tokens.
    Login {
        authorize: Option<String>,
        #[cfg_attr(not(feature = "pkce"), expect(dead_code, reason = "only a login wants it"))]
        redirect: String,
    },
    /// A body of the service's own.
    Json(Result<Secret, String>),
}

#[derive(Clone)]
pub(super) enum Revoke {
    /// RFC 7009.
    Endpoint(String),
    /// A request with the token on it.
    Request(Method, String),
}

impl OAuthSettings {
    pub(super) fn new(grant: Grant, endpoint: &str, client_id: &str) -> Self {
        Self {
            grant,
            // Environment variables often contain line breaks.
            endpoint: endpoint.trim().to_owned(),
            refresh_at: None,
            client_id: client_id.trim().to_owned(),
            client_secret: None,
            in_form: false,
            scope: None,
            params: Vec::new(),
            headers: Vec::new(),
            answer: TokenAnswer::new(),
            revoke: None,
            token_header: (header::AUTHORIZATION.as_str().to_owned(), "Bearer ".to_owned()),
            token: None,
            ahead: None,
            store: None,
        }
    }

    /// Checks that all settings can be used.
    pub(super) fn check(&self) -> Result<(), Error> {
        self.check_urls().and_then(|()| self.check_client()).and_then(|()| self.check_headers())
    }

    fn check_urls(&self) -> Result<(), Error> {
        let mut urls = vec![("the token endpoint", &self.endpoint)];
        urls.extend(self.refresh_at.iter().map(|url| ("the endpoint for refreshes", url)));
        if let Grant::Login { authorize, .. } = &self.grant {
            urls.extend(authorize.iter().map(|url| ("the URL to log in at", url)));
        }
        if let Some(Revoke::Endpoint(url) | Revoke::Request(_, url)) = &self.revoke {
            urls.push(("the URL to revoke at", url));
        }
        if let Grant::Json(Err(why)) = &self.grant {
            return Err(wrong("the body for the token does not serialize:", why));
        }
        urls.into_iter().try_for_each(|(what, url)| check_url(url).map_err(|why| wrong(what, &why)))
    }

    fn check_client(&self) -> Result<(), Error> {
        let secret = self.client_secret.as_ref().map(Secret::expose);
        // A JSON body may identify the client by itself.
        if !matches!(self.grant, Grant::Json(_)) {
            if self.client_id.is_empty() {
                return Err(wrong("the client's id", "is empty"));
            }
            if secret == Some("") {
                return Err(wrong("the client's secret", "is empty"));
            }
        }
        if let Some(why) = secret.and_then(flaw) {
            return Err(wrong("the client's secret", why));
        }
        flaw(&self.client_id).map_or(Ok(()), |why| Err(wrong("the client's id", why)))
    }

    /// Checks the headers of token requests, and the header that carries the token.
    fn check_headers(&self) -> Result<(), Error> {
        let (name, scheme) = &self.token_header;
        let headers = self.headers.iter().map(|(name, value)| (name, value.expose()));
        for (name, value) in headers.chain([(name, scheme.as_str())]) {
            let Ok(header) = HeaderName::try_from(name) else {
                return Err(wrong("the name of a header of the token, or for it,", "is no header"));
            };
            let why = if is_reserved(&header) { Some(RESERVED_WHY) } else { secret_value(value).err() };
            if let Some(why) = why {
                return Err(wrong(&format!("the header `{name}`, of the token or for it,"), why));
            }
        }
        Ok(())
    }

    /// Returns whether a token can be obtained without anybody logging in.
    pub(super) const fn begins_alone(&self) -> bool {
        !matches!(self.grant, Grant::Login { .. })
    }

    /// Returns whether tokens are revoked by a request that carries the access token.
    pub(super) const fn revokes_with_access(&self) -> bool {
        matches!(self.revoke, Some(Revoke::Request(..)))
    }

    /// Returns the settings of a login: the URL for the browser, the redirect URL, the client's id, and the scope.
    #[cfg(feature = "pkce")]
    pub(super) fn login_at(&self) -> Option<(&str, &str, &str, Option<&str>)> {
        match &self.grant {
            Grant::Login { authorize: Some(authorize), redirect } => {
                Some((authorize, redirect, &self.client_id, self.scope.as_deref()))
            }
            _ => None,
        }
    }
}

/// Shows no secret.
impl fmt::Debug for OAuthSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let grant = match self.grant {
            Grant::ClientCredentials => "client_credentials",
            Grant::Login { .. } => "authorization_code",
            Grant::Json(_) => "json",
        };
        let endpoint = Url::parse(&self.endpoint).map_or_else(|_| "no URL".to_owned(), |url| shown(&url));
        f.debug_struct("OAuth")
            .field("grant", &grant)
            .field("endpoint", &endpoint)
            .field("client_id", &self.client_id)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

fn wrong(what: &str, why: &str) -> Error {
    Error::new(ErrorKind::Config, format!("{what} {why}"))
}

/// Checks that secrets are sent over https, or stay on this machine.
fn check_url(text: &str) -> Result<(), Cow<'static, str>> {
    if let Some(why) = lacks_scheme(text) {
        return Err(why.into());
    }
    let Ok(url) = Url::parse(text) else {
        return Err("is no absolute URL, such as https://login.example.com/token".into());
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err("names a user; give the client's id and secret instead".into());
    }
    match url.scheme() {
        "https" => Ok(()),
        "http" if Origin::from_url(&url).is_loopback() => Ok(()),
        "http" => Err("is plain http: secrets go over https".into()),
        _ => Err("is neither http nor https".into()),
    }
}
