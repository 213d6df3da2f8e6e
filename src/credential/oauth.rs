//! OAuth: tokens by OAuth 2, and by what services made of it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, header};
use serde::Serialize;
use url::Url;

use super::part::why_not;
use super::{CredentialStore, Token, TokenAnswer};
use crate::error::{Error, ErrorKind};
use crate::message::{RESERVED_WHY, is_reserved};
use crate::redact::{Secret, shown};

/// Tokens by OAuth 2 (RFC 6749): fetched, refreshed ahead of time, kept.
///
/// ```
/// use longhaul::{Client, Credential, OAuth};
///
/// let oauth = OAuth::client_credentials("https://login.example.com/oauth/token", "my-id", "my-secret").scope("api");
/// let client = Client::builder("https://api.example.com/v2").credential(Credential::oauth(oauth)).build()?;
/// # Ok::<(), longhaul::Error>(())
/// ```
///
/// It is sent to the token endpoint alone, which need not be of the API's origin; https, or http on this machine. What
/// the endpoint gives goes to the API's origin alone, and to the URLs that you name for refreshes and revocation. `Debug`
/// shows no secret.
#[derive(Clone)]
pub struct OAuth {
    pub(super) grant: Grant,
    pub(super) endpoint: String,
    pub(super) refresh_at: Option<String>,
    pub(super) client_id: String,
    pub(super) client_secret: Option<Secret>,
    pub(super) in_form: bool,
    pub(super) scope: Option<String>,
    pub(super) params: Vec<(String, Secret)>,
    /// On requests for tokens.
    pub(super) headers: Vec<(String, Secret)>,
    pub(super) answer: TokenAnswer,
    pub(super) revoke: Option<Revoke>,
    pub(super) token_header: (String, String),
    pub(super) token: Option<Token>,
    pub(super) ahead: Option<Duration>,
    pub(super) store: Option<Arc<dyn CredentialStore>>,
}

#[derive(Clone)]
pub(super) enum Grant {
    ClientCredentials,
    /// A login that somebody made: only its refresh tokens give more.
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

impl OAuth {
    /// The grant `client_credentials`: a program in its own name. Id and secret go as HTTP Basic, as the RFC prefers;
    /// [`in_form`](OAuth::in_form) where the service wants them there.
    #[must_use]
    pub fn client_credentials(
        endpoint: impl Into<String>,
        client_id: impl Into<String>,
        client_secret: impl Into<String>,
    ) -> Self {
        Self::new(Grant::ClientCredentials, &endpoint.into(), &client_id.into()).client_secret(client_secret)
    }

    /// The grant `authorization_code`, with PKCE (RFC 7636): a user logs in at `authorize` in a browser, which your code
    /// opens; the service then sends the browser to `redirect` with a code.
    /// `OAuth::login` (feature `pkce`) begins it, `Client::log_in` ends it.
    #[must_use]
    pub fn authorization_code(
        authorize: impl Into<String>,
        endpoint: impl Into<String>,
        client_id: impl Into<String>,
        redirect: impl Into<String>,
    ) -> Self {
        let grant = Grant::Login { authorize: Some(authorize.into()), redirect: redirect.into() };
        Self::new(grant, &endpoint.into(), &client_id.into())
    }

    /// Only refreshes: a login was made elsewhere, and its token is given by [`token`](OAuth::token) or lies in the
    /// [`store`](OAuth::store).
    #[must_use]
    pub fn refresh_only(endpoint: impl Into<String>, client_id: impl Into<String>) -> Self {
        Self::new(Grant::Login { authorize: None, redirect: String::new() }, &endpoint.into(), &client_id.into())
    }

    /// A service that wants a JSON body of its own for a token, such as SMAG's `{"ApplicationId": .., "UserName": ..,
    /// "Password": ..}`. The body is a secret. Say by [`answer`](OAuth::answer) how the answer is read, and by
    /// [`refresh_at`](OAuth::refresh_at) where it is refreshed; without that, it is asked anew.
    ///
    /// ```
    /// use longhaul::{OAuth, TokenAnswer};
    ///
    /// let body = serde_json::json!({"ApplicationId": "a", "UserName": "u", "Password": "p"});
    /// let oauth = OAuth::json("https://api.example.com/authentication", &body)
    ///     .refresh_at("https://api.example.com/oauth2/refresh_token")
    ///     .answer(TokenAnswer::smag());
    /// assert!(!format!("{oauth:?}").contains("Password"));
    /// ```
    #[must_use]
    pub fn json(endpoint: impl Into<String>, body: &(impl Serialize + ?Sized)) -> Self {
        let body = serde_json::to_string(body).map(Secret::new).map_err(|error| error.to_string());
        Self::new(Grant::Json(body), &endpoint.into(), "")
    }

    fn new(grant: Grant, endpoint: &str, client_id: &str) -> Self {
        Self {
            grant,
            // Environment variables come with line breaks.
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

    /// Sets the client's secret. White space around it is left out, such as the line end of a file; a control character
    /// inside of it is a build error.
    #[must_use]
    pub fn client_secret(mut self, secret: impl Into<String>) -> Self {
        self.client_secret = Some(Secret::trimmed(secret));
        self
    }

    /// Sends id and secret in the form, and not as HTTP Basic.
    #[must_use]
    pub const fn in_form(mut self) -> Self {
        self.in_form = true;
        self
    }

    /// Sets what is asked for, several separated by spaces. Of
    /// [`authorization_code`](OAuth::authorization_code) it goes with the login alone: its refreshes are for what was
    /// granted then, which may be less. Of [`json`](OAuth::json) it goes with refreshes alone, as do the client's secret
    /// and the [parameters](OAuth::param).
    #[must_use]
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = Some(scope.into());
        self
    }

    /// Adds to the forms that ask for a token, such as `audience`. The value is taken for a secret.
    #[must_use]
    pub fn param(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.params.push((name.into(), Secret::new(value)));
        self
    }

    /// Sets another endpoint for refreshes.
    #[must_use]
    pub fn refresh_at(mut self, endpoint: impl Into<String>) -> Self {
        self.refresh_at = Some(endpoint.into().trim().to_owned());
        self
    }

    /// Sets how answers are read.
    #[must_use]
    pub fn answer(mut self, answer: TokenAnswer) -> Self {
        self.answer = answer;
        self
    }

    /// Sets the header that carries the token on the API's requests, and the word before it: `Authorization` and `Bearer`
    /// by default; an empty word for the token alone.
    #[must_use]
    pub fn token_header(mut self, name: impl AsRef<str>, scheme: impl AsRef<str>) -> Self {
        let scheme = scheme.as_ref().trim();
        let before = if scheme.is_empty() { String::new() } else { format!("{scheme} ") };
        self.token_header = (name.as_ref().to_ascii_lowercase(), before);
        self
    }

    /// Adds a header to the requests for tokens, such as the subscription key of a gateway before the token endpoint. The
    /// value is taken for a secret. White space around it is left out.
    #[must_use]
    pub fn header(mut self, name: impl AsRef<str>, value: impl Into<String>) -> Self {
        self.headers.push((name.as_ref().to_ascii_lowercase(), Secret::trimmed(value)));
        self
    }

    /// Sets how long before its end a token is refreshed: five minutes by default, and a fifth of its life where that is
    /// shorter. At most half of its life counts; with zero a token is refreshed once it has expired, and requests wait
    /// for the next.
    ///
    /// ```
    /// use std::time::Duration;
    /// use longhaul::OAuth;
    ///
    /// let oauth = OAuth::client_credentials("https://login.example.com/token", "my-id", "my-secret")
    ///     .refresh_ahead(Duration::from_secs(60));
    /// ```
    #[must_use]
    pub const fn refresh_ahead(mut self, ahead: Duration) -> Self {
        self.ahead = Some(ahead);
        self
    }

    /// Begins with this token.
    #[must_use]
    pub fn token(mut self, token: Token) -> Self {
        self.token = Some(token);
        self
    }

    /// Keeps tokens here: each new one is saved before it is used.
    #[must_use]
    pub fn store(mut self, store: impl CredentialStore) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// Says where [`Client::revoke`](crate::Client::revoke) revokes (RFC 7009): the refresh token, which ends the access
    /// tokens too; the access token where there is no other.
    #[must_use]
    pub fn revoke_at(mut self, endpoint: impl Into<String>) -> Self {
        self.revoke = Some(Revoke::Endpoint(endpoint.into().trim().to_owned()));
        self
    }

    /// As [`revoke_at`](OAuth::revoke_at), for a service that ends a session by a request with the token on it, such as
    /// Genesys' `DELETE /api/v2/tokens/me`.
    #[must_use]
    pub fn revoke_by(mut self, method: Method, url: impl Into<String>) -> Self {
        self.revoke = Some(Revoke::Request(method, url.into().trim().to_owned()));
        self
    }

    /// Whether all of it can be used.
    pub(super) fn check(&self) -> Result<(), Error> {
        let wrong = |what: &str, why: &str| Err(Error::new(ErrorKind::Config, format!("{what} {why}")));
        let mut urls = vec![("the token endpoint", &self.endpoint)];
        urls.extend(self.refresh_at.iter().map(|url| ("the endpoint for refreshes", url)));
        match &self.grant {
            Grant::Login { authorize, .. } => {
                urls.extend(authorize.iter().map(|url| ("the URL to log in at", url)));
            }
            Grant::Json(Err(why)) => return wrong("the body for the token does not serialize:", why),
            Grant::Json(Ok(_)) | Grant::ClientCredentials => {}
        }
        if let Some(Revoke::Endpoint(url) | Revoke::Request(_, url)) = &self.revoke {
            urls.push(("the URL to revoke at", url));
        }
        for (what, text) in urls {
            check_url(text).or_else(|why| wrong(what, why))?;
        }
        let secret_is_empty = self.client_secret.as_ref().is_some_and(|secret| secret.expose().is_empty());
        match &self.grant {
            Grant::Json(_) => {}
            _ if self.client_id.is_empty() => return wrong("the client's id", "is empty"),
            _ if secret_is_empty => return wrong("the client's secret", "is empty"),
            _ => {}
        }
        if let Some(why) = self.client_secret.as_ref().and_then(|secret| why_not(secret.expose())) {
            return wrong("the client's secret", why);
        }
        if let Some(why) = why_not(&self.client_id) {
            return wrong("the client's id", why);
        }
        let (name, before) = &self.token_header;
        let headers = self.headers.iter().map(|(name, value)| (name, value.expose()));
        for (name, value) in headers.chain([(name, before.as_str())]) {
            if http::HeaderName::try_from(name).is_err() {
                return wrong("the name of a header of the token, or for it,", "is no header");
            }
            if http::HeaderName::try_from(name).is_ok_and(|name| is_reserved(&name)) {
                return wrong(&format!("the header `{name}`, of the token or for it,"), RESERVED_WHY);
            }
            if http::HeaderValue::try_from(value).is_err() {
                let why = why_not(value).unwrap_or("holds what no header may hold");
                return wrong(&format!("the header `{name}`, of the token or for it,"), why);
            }
        }
        Ok(())
    }

    /// Whether it can begin without anybody logging in.
    pub(super) const fn begins_alone(&self) -> bool {
        !matches!(self.grant, Grant::Login { .. })
    }

    /// Whether it revokes by a request with the access token on it.
    pub(super) const fn revokes_with_access(&self) -> bool {
        matches!(self.revoke, Some(Revoke::Request(..)))
    }

    /// The body of a service's own, if that is the grant.
    pub(super) const fn json_body(&self) -> Option<&Result<Secret, String>> {
        match &self.grant {
            Grant::Json(body) => Some(body),
            Grant::ClientCredentials | Grant::Login { .. } => None,
        }
    }

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

impl fmt::Debug for OAuth {
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

/// Secrets go over https, or stay on this machine.
fn check_url(text: &str) -> Result<(), &'static str> {
    let Ok(url) = Url::parse(text) else { return Err("is no absolute URL, such as https://login.example.com/token") };
    if !url.username().is_empty() || url.password().is_some() {
        return Err("names a user; give the client's id and secret instead");
    }
    match url.scheme() {
        "https" => Ok(()),
        "http" if crate::message::Origin::of(&url).is_loopback() => Ok(()),
        "http" => Err("is plain http: secrets go over https"),
        _ => Err("is neither http nor https"),
    }
}
