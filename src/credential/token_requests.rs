//! TokenRequests: the requests to a token endpoint, and to the endpoint that revokes tokens.

use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderName, header};
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::basic::{basic_value, client_pair};
use super::oauth::OAuth;
use super::oauth_settings::{Grant, OAuthSettings, Revoke};
use super::secret_header::secret_value;
use super::source::{TokenEndpoint, TokenError, TokenSource};
use super::token::Token;
use crate::redact::Secret;

/// The requests of one OAuth client, over one transport.
pub(super) struct TokenRequests<'a> {
    oauth: &'a OAuthSettings,
    endpoint: &'a TokenEndpoint,
}

impl<'a> TokenRequests<'a> {
    pub(super) const fn new(oauth: &'a OAuth, endpoint: &'a TokenEndpoint) -> Self {
        Self { oauth: &oauth.0, endpoint }
    }

    /// Returns the next token: refreshed if there is a refresh token, otherwise a new one.
    pub(super) async fn next(&self, before: Option<&Token>) -> Result<Token, TokenError> {
        // A JSON grant without an endpoint for refreshes is requested anew.
        let refreshes = self.oauth.refresh_at.is_some() || !matches!(self.oauth.grant, Grant::Json(_));
        let refresh = before.and_then(Token::expose_refresh).filter(|_| refreshes);
        let Some(refresh) = refresh else { return self.begin().await };
        match self.refresh(refresh).await {
            // A program in its own name needs nobody to log in again.
            Err(error) if error.refused && self.oauth.begins_alone() => self.begin().await,
            answer => Ok(answer?.or_refreshed_as(before)),
        }
    }

    /// Sends a request for a token, and reads its answer.
    async fn token(&self, request: http::Request<Bytes>, is_grant: bool) -> Result<Token, TokenError> {
        let reply = self.endpoint.send(request).await?;
        self.oauth.answer.parse(&reply, self.endpoint.now(), is_grant)
    }

    /// Requests a token without a previous one.
    async fn begin(&self) -> Result<Token, TokenError> {
        let request = match &self.oauth.grant {
            Grant::Login { .. } => return Err(TokenError::needs_login("there is no token yet: log in first")),
            Grant::ClientCredentials => {
                let mut form = vec![("grant_type", "client_credentials")];
                form.extend(self.oauth.scope.as_deref().map(|scope| ("scope", scope)));
                self.form(&self.oauth.endpoint, &form)?
            }
            Grant::Json(body) => {
                let body = body.as_ref().map_err(|why| TokenError::refused(why.clone()))?;
                self.post(&self.oauth.endpoint, "application/json", Bytes::copy_from_slice(body.expose().as_bytes()))?
            }
        };
        self.token(request, false).await
    }

    async fn refresh(&self, refresh: &str) -> Result<Token, TokenError> {
        let mut form = vec![("grant_type", "refresh_token"), ("refresh_token", refresh)];
        // A login may have been granted less than it asked for, and a refresh that asks for more is refused. A refresh
        // without a scope asks for the granted one (RFC 6749, 6).
        let is_granted = matches!(self.oauth.grant, Grant::Login { authorize: Some(_), .. });
        form.extend(self.oauth.scope.as_deref().filter(|_| !is_granted).map(|scope| ("scope", scope)));
        let request = self.form(self.oauth.refresh_at.as_ref().unwrap_or(&self.oauth.endpoint), &form)?;
        self.token(request, true).await
    }

    /// Exchanges the code of a login.
    #[cfg(feature = "pkce")]
    pub(super) async fn exchange(&self, code: &str, verifier: &str) -> Result<Token, TokenError> {
        let Grant::Login { redirect, .. } = &self.oauth.grant else {
            return Err(TokenError::refused("this credential has no login"));
        };
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect),
            ("code_verifier", verifier),
        ];
        self.token(self.form(&self.oauth.endpoint, &form)?, true).await
    }

    /// Revokes a token at the service.
    pub(super) async fn revoke(&self, token: &Token) -> Result<(), TokenError> {
        let request = match &self.oauth.revoke {
            None => return Ok(()),
            Some(Revoke::Endpoint(url)) => {
                let (token, hint) = match token.expose_refresh() {
                    Some(refresh) => (refresh, "refresh_token"),
                    None => (token.expose(), "access_token"),
                };
                self.form_with(url, &[("token", token), ("token_type_hint", hint)], &[])?
            }
            Some(Revoke::Request(method, url)) => {
                let (name, before) = &self.oauth.token_header;
                let value = Zeroizing::new(format!("{before}{}", token.expose()));
                let request = http::Request::builder().method(method).uri(url).body(Bytes::new());
                let mut request = request.map_err(|error| TokenError::refused(error.to_string()))?;
                set(&mut request, name, &value)?;
                request
            }
        };
        let reply = self.endpoint.send(request).await?;
        // A session that is already gone is the goal. RFC 7009 answers 200 for an unknown token, and 401 to an unknown
        // client.
        let is_gone =
            matches!(self.oauth.revoke, Some(Revoke::Request(..))) && matches!(reply.status().as_u16(), 401 | 404);
        if reply.status().is_success() || is_gone {
            return Ok(());
        }
        let why = format!("the revocation was answered with {}", reply.status().as_u16());
        Err(TokenError::new(why).with_answer(&reply, self.endpoint.now()))
    }

    /// Returns a form with the parameters that the user added to requests for tokens.
    fn form(&self, url: &str, pairs: &[(&str, &str)]) -> Result<http::Request<Bytes>, TokenError> {
        self.form_with(url, pairs, &self.oauth.params)
    }

    /// Returns a form that authenticates the client: in a header, or in the form itself.
    fn form_with(
        &self,
        url: &str,
        pairs: &[(&str, &str)],
        params: &[(String, Secret)],
    ) -> Result<http::Request<Bytes>, TokenError> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        for (name, value) in pairs {
            form.append_pair(name, value);
        }
        for (name, value) in params {
            form.append_pair(name, value.expose());
        }
        let secret = self.oauth.client_secret.as_ref().map(Secret::expose);
        let basic = match secret {
            Some(secret) if !self.oauth.in_form => Some(basic_value(&client_pair(&self.oauth.client_id, secret))),
            _ => {
                if !self.oauth.client_id.is_empty() {
                    form.append_pair("client_id", &self.oauth.client_id);
                }
                if let Some(secret) = secret {
                    form.append_pair("client_secret", secret);
                }
                None
            }
        };
        let body = Bytes::from(form.finish());
        let mut request = self.post(url, "application/x-www-form-urlencoded", body)?;
        if let Some(basic) = basic {
            set(&mut request, header::AUTHORIZATION.as_str(), &basic)?;
        }
        Ok(request)
    }

    fn post(&self, url: &str, content_type: &str, body: Bytes) -> Result<http::Request<Bytes>, TokenError> {
        let request = http::Request::post(url).header(header::CONTENT_TYPE, content_type);
        let request = request.header(header::ACCEPT, "application/json").body(body);
        let mut request =
            request.map_err(|error| TokenError::refused(format!("the token endpoint cannot be asked: {error}")))?;
        for (name, value) in &self.oauth.headers {
            set(&mut request, name, value.expose())?;
        }
        Ok(request)
    }
}

impl TokenSource for OAuth {
    fn fetch<'a>(
        &'a self,
        before: Option<&'a Token>,
        endpoint: &'a TokenEndpoint,
    ) -> BoxFuture<'a, Result<Token, TokenError>> {
        Box::pin(async move { TokenRequests::new(self, endpoint).next(before).await })
    }

    fn refresh_ahead(&self) -> Option<Duration> {
        self.0.ahead
    }

    fn label(&self) -> &str {
        "oauth"
    }
}

/// Sets a header whose value is a secret.
fn set(request: &mut http::Request<Bytes>, name: &str, value: &str) -> Result<(), TokenError> {
    let wrong = || TokenError::refused(format!("the value for the header `{name}` is not allowed there"));
    let value = secret_value(value).map_err(|_| wrong())?;
    request.headers_mut().insert(HeaderName::try_from(name).map_err(|_| wrong())?, value);
    Ok(())
}
