//! Grants: what is sent to a token endpoint, and to where tokens end.

use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderName, HeaderValue, header};
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::oauth::{Grant, Revoke};
use super::{OAuth, Token, TokenEndpoint, TokenError, TokenSource, basic};
use crate::redact::Secret;

impl OAuth {
    async fn begin(&self, endpoint: &TokenEndpoint) -> Result<Token, TokenError> {
        let request = match &self.grant {
            Grant::Login { .. } => return Err(TokenError::needs_login("there is no token yet: log in first")),
            Grant::ClientCredentials => {
                let mut form = vec![("grant_type", "client_credentials")];
                form.extend(self.scope.as_deref().map(|scope| ("scope", scope)));
                self.form(&self.endpoint, &form)?
            }
            Grant::Json(body) => {
                let body = body.as_ref().map_err(|why| TokenError::refused(why.clone()))?;
                self.post(&self.endpoint, "application/json", Bytes::copy_from_slice(body.expose().as_bytes()))?
            }
        };
        let reply = endpoint.send(request).await?;
        self.answer.read(&reply, endpoint.now(), false)
    }

    async fn refresh(&self, refresh: &str, endpoint: &TokenEndpoint) -> Result<Token, TokenError> {
        let mut form = vec![("grant_type", "refresh_token"), ("refresh_token", refresh)];
        // A login may have been granted less than it asked for, and a refresh that asks for more is refused. Without a scope
        // it is for what was granted (RFC 6749, 6).
        let is_granted = matches!(self.grant, Grant::Login { authorize: Some(_), .. });
        form.extend(self.scope.as_deref().filter(|_| !is_granted).map(|scope| ("scope", scope)));
        let request = self.form(self.refresh_at.as_ref().unwrap_or(&self.endpoint), &form)?;
        let reply = endpoint.send(request).await?;
        self.answer.read(&reply, endpoint.now(), true)
    }

    /// Exchanges the code of a login.
    #[cfg(feature = "pkce")]
    pub(super) async fn exchange(
        &self,
        code: &str,
        verifier: &str,
        endpoint: &TokenEndpoint,
    ) -> Result<Token, TokenError> {
        let Grant::Login { redirect, .. } = &self.grant else {
            return Err(TokenError::refused("this credential has no login"));
        };
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect),
            ("code_verifier", verifier),
        ];
        let reply = endpoint.send(self.form(&self.endpoint, &form)?).await?;
        self.answer.read(&reply, endpoint.now(), true)
    }

    /// Tells the service that a token is no longer to be good.
    pub(super) async fn revoke(&self, token: &Token, endpoint: &TokenEndpoint) -> Result<(), TokenError> {
        let request = match &self.revoke {
            None => return Ok(()),
            Some(Revoke::Endpoint(url)) => {
                let (token, hint) = match token.expose_refresh() {
                    Some(refresh) => (refresh, "refresh_token"),
                    None => (token.expose(), "access_token"),
                };
                self.form_of(url, &[("token", token), ("token_type_hint", hint)], &[])?
            }
            Some(Revoke::Request(method, url)) => {
                let (name, before) = &self.token_header;
                let value = Zeroizing::new(format!("{before}{}", token.expose()));
                let request = http::Request::builder().method(method).uri(url).body(Bytes::new());
                let mut request = request.map_err(|error| TokenError::refused(error.to_string()))?;
                set(&mut request, name, &value)?;
                request
            }
        };
        let reply = endpoint.send(request).await?;
        // A session that is gone already is what was asked for. RFC 7009 answers 200 for a token that it does not know,
        // and 401 to a client that it does not know.
        let is_gone = matches!(self.revoke, Some(Revoke::Request(..))) && matches!(reply.status().as_u16(), 401 | 404);
        if reply.status().is_success() || is_gone {
            return Ok(());
        }
        let why = format!("the revocation was answered with {}", reply.status().as_u16());
        Err(TokenError::new(why).of(&reply, endpoint.now()))
    }

    fn form(&self, url: &str, pairs: &[(&str, &str)]) -> Result<http::Request<Bytes>, TokenError> {
        self.form_of(url, pairs, &self.params)
    }

    fn form_of(
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
        let secret = self.client_secret.as_ref().map(Secret::expose);
        let basic = match secret {
            Some(secret) if !self.in_form => Some(basic(&pair(&self.client_id, secret))),
            _ => {
                if !self.client_id.is_empty() {
                    form.append_pair("client_id", &self.client_id);
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
        for (name, value) in &self.headers {
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
        Box::pin(async move {
            let refreshes = self.refresh_at.is_some() || !matches!(self.grant, Grant::Json(_));
            let refresh = before.and_then(Token::expose_refresh).filter(|_| refreshes);
            let Some(refresh) = refresh else { return self.begin(endpoint).await };
            match self.refresh(refresh, endpoint).await {
                // A program in its own name begins anew.
                Err(error) if error.refused && self.begins_alone() => self.begin(endpoint).await,
                answer => Ok(answer?.or_refreshed_as(before)),
            }
        })
    }

    fn refresh_ahead(&self) -> Option<Duration> {
        self.ahead
    }

    fn label(&self) -> &str {
        "oauth"
    }
}

/// Sets a header whose value is a secret.
fn set(request: &mut http::Request<Bytes>, name: &str, value: &str) -> Result<(), TokenError> {
    let wrong = || TokenError::refused(format!("the value for the header `{name}` is not allowed there"));
    let name = HeaderName::try_from(name).map_err(|_| wrong())?;
    let mut value = HeaderValue::try_from(value).map_err(|_| wrong())?;
    value.set_sensitive(true);
    request.headers_mut().insert(name, value);
    Ok(())
}

/// Id and secret, form-encoded first (RFC 6749, 2.3.1).
pub(super) fn pair(id: &str, secret: &str) -> Zeroizing<String> {
    let mut pair = Zeroizing::new(String::with_capacity(3 * (id.len() + secret.len()) + 1));
    pair.extend(form_urlencoded::byte_serialize(id.as_bytes()));
    pair.push(':');
    pair.extend(form_urlencoded::byte_serialize(secret.as_bytes()));
    pair
}
