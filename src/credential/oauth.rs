//! OAuth: tokens by OAuth 2, and by the variants of it that services use.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use serde::Serialize;

use super::answer::TokenAnswer;
#[cfg(feature = "pkce")]
use super::login::Login;
use super::oauth_settings::{Grant, OAuthSettings, Revoke};
use super::store::CredentialStore;
use super::token::Token;
#[cfg(feature = "pkce")]
use crate::error::Error;
use crate::redact::Secret;

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
/// Ids and secrets are sent to the token endpoint alone, which need not be of the API's origin; https, or http on this
/// machine. Tokens from the endpoint are sent to the API's origin alone, and to the URLs that you name for refreshes
/// and revocation. `Debug` shows no secret.
#[derive(Clone)]
pub struct OAuth(pub(super) OAuthSettings);

impl OAuth {
    /// Creates the grant `client_credentials`: a program in its own name. Id and secret are sent as HTTP Basic, as the
    /// RFC prefers; use [`in_form`](OAuth::in_form) if the service expects them in the form.
    #[must_use]
    pub fn client_credentials(
        endpoint: impl Into<String>,
        client_id: impl Into<String>,
        client_secret: impl Into<String>,
    ) -> Self {
        Self::new(Grant::ClientCredentials, &endpoint.into(), &client_id.into()).client_secret(client_secret)
    }

    /// Creates the grant `authorization_code`, with PKCE (RFC 7636): a user logs in at `authorize` in a browser, which
    /// your code opens; the service then redirects the browser to `redirect` with a code. `OAuth::login` (feature
    /// `pkce`) begins the login, `Client::log_in` completes it.
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

    /// Creates a grant that only refreshes: a login was made elsewhere, and its token is given by
    /// [`token`](OAuth::token) or is in the [`store`](OAuth::store).
    #[must_use]
    pub fn refresh_only(endpoint: impl Into<String>, client_id: impl Into<String>) -> Self {
        Self::new(Grant::Login { authorize: None, redirect: String::new() }, &endpoint.into(), &client_id.into())
    }

    /// Creates a grant for a service that expects its own JSON body in a token request, such as SMAG's
    /// `{"ApplicationId": .., "UserName": .., "Password": ..}`. The body is a secret. Set by [`answer`](OAuth::answer)
    /// how the answer is read, and by [`refresh_at`](OAuth::refresh_at) the endpoint for refreshes; without that
    /// endpoint, each token is requested with the body again.
    ///
    /// ```
    /// use longhaul::OAuth;
    /// use longhaul::credentials::TokenAnswer;
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
        Self(OAuthSettings::new(grant, endpoint, client_id))
    }

    /// Sets the client's secret. Surrounding white space is left out, such as the line break at the end of a file; a
    /// control character inside the secret is a build error.
    #[must_use]
    pub fn client_secret(mut self, secret: impl Into<String>) -> Self {
        self.0.client_secret = Some(Secret::trimmed(secret));
        self
    }

    /// Sends id and secret in the form, and not as HTTP Basic.
    #[must_use]
    pub const fn in_form(mut self) -> Self {
        self.0.in_form = true;
        self
    }

    /// Sets the requested scope; several scopes are separated by spaces. With
    /// [`authorization_code`](OAuth::authorization_code), the scope is sent with the login alone: its refreshes are for
    /// the scope that was granted then, which may be less. With [`json`](OAuth::json), the scope is sent with refreshes
    /// alone, as are the client's secret and the [parameters](OAuth::param).
    #[must_use]
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.0.scope = Some(scope.into());
        self
    }

    /// Adds a parameter to the forms of token requests, such as `audience`. The value is treated as a secret.
    #[must_use]
    pub fn param(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.params.push((name.into(), Secret::new(value)));
        self
    }

    /// Sets another endpoint for refreshes.
    #[must_use]
    pub fn refresh_at(mut self, endpoint: impl Into<String>) -> Self {
        self.0.refresh_at = Some(endpoint.into().trim().to_owned());
        self
    }

    /// Sets how answers are read.
    #[must_use]
    pub fn answer(mut self, answer: TokenAnswer) -> Self {
        self.0.answer = answer;
        self
    }

    /// Sets the header that carries the token on the API's requests, and the word before it: `Authorization` and
    /// `Bearer` by default; an empty word for the token alone.
    #[must_use]
    pub fn token_header(mut self, name: impl AsRef<str>, scheme: impl AsRef<str>) -> Self {
        let scheme = scheme.as_ref().trim();
        let before = if scheme.is_empty() { String::new() } else { format!("{scheme} ") };
        self.0.token_header = (name.as_ref().to_ascii_lowercase(), before);
        self
    }

    /// Adds a header to the requests for tokens, such as the subscription key of a gateway in front of the token
    /// endpoint. The value is treated as a secret. Surrounding white space is left out.
    #[must_use]
    pub fn header(mut self, name: impl AsRef<str>, value: impl Into<String>) -> Self {
        self.0.headers.push((name.as_ref().to_ascii_lowercase(), Secret::trimmed(value)));
        self
    }

    /// Sets how long before its end a token is refreshed: five minutes by default, or a fifth of its life if that is
    /// shorter. At most half of its life counts; with zero, a token is refreshed once it has expired, and requests wait
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
        self.0.ahead = Some(ahead);
        self
    }

    /// Sets the first token.
    #[must_use]
    pub fn token(mut self, token: Token) -> Self {
        self.0.token = Some(token);
        self
    }

    /// Keeps tokens in this store: each new token is saved before it is used.
    #[must_use]
    pub fn store(mut self, store: impl CredentialStore) -> Self {
        self.0.store = Some(Arc::new(store));
        self
    }

    /// Sets the endpoint at which [`Client::revoke`](crate::Client::revoke) revokes (RFC 7009): the refresh token,
    /// whose revocation ends the access tokens too; the access token if there is no refresh token.
    #[must_use]
    pub fn revoke_at(mut self, endpoint: impl Into<String>) -> Self {
        self.0.revoke = Some(Revoke::Endpoint(endpoint.into().trim().to_owned()));
        self
    }

    /// Sets a request with the token on it that ends a session, such as Genesys' `DELETE /api/v2/tokens/me`; otherwise
    /// as [`revoke_at`](OAuth::revoke_at).
    #[must_use]
    pub fn revoke_by(mut self, method: Method, url: impl Into<String>) -> Self {
        self.0.revoke = Some(Revoke::Request(method, url.into().trim().to_owned()));
        self
    }

    /// Begins a login: returns a URL for the browser, with a fresh state and a fresh PKCE challenge (S256, RFC 7636).
    ///
    /// ```
    /// use longhaul::OAuth;
    ///
    /// let oauth = OAuth::authorization_code(
    ///     "https://login.example.com/authorize",
    ///     "https://login.example.com/token",
    ///     "my-id",
    ///     "http://127.0.0.1:9000/back",
    /// );
    /// let login = oauth.login()?;
    /// assert!(login.url().as_str().contains("code_challenge_method=S256"));
    /// # Ok::<(), longhaul::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if this is not the grant `authorization_code`, or if its URL is
    /// invalid.
    #[cfg(feature = "pkce")]
    pub fn login(&self) -> Result<Login, Error> {
        Login::begin(&self.0)
    }
}

impl fmt::Debug for OAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
