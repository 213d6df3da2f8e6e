//! OAuthStyle: a token endpoint, as data without secrets.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::secrets::Secrets;
use super::variables::Fill;
use crate::clock::seconds;
use crate::credential::{OAuth, Token, TokenAnswer};
use crate::error::{Error, ErrorKind};

/// A token endpoint as data: its URL, the grant, how the client identifies itself there, how answers are read.
///
/// URLs may contain the profile's variables: `https://login.{region}/oauth/token`.
///
/// | grant | secrets | optional secrets |
/// | --- | --- | --- |
/// | `client_credentials` | `client_id`, `client_secret` | |
/// | `login` (authorization code with PKCE, and refreshes) | `client_id` | `client_secret`, `redirect`, `access_token`, `refresh_token` |
/// | `json` (a body of the service's own) | each `{name}` in the body | `client_secret`, `access_token`, `refresh_token` |
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OAuthStyle {
    token_url: String,
    #[serde(default)]
    grant: GrantStyle,
    #[serde(default)]
    client_auth: ClientAuth,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    authorize_url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refresh_url: Option<String>,
    /// The JSON body of the grant `json`, with `{name}` for a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    params: BTreeMap<String, String>,
    /// Headers of token requests, each with the name of its secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "is_standard")]
    answer: TokenAnswer,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token_header: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token_scheme: Option<String>,
    #[serde(default, with = "seconds::option", skip_serializing_if = "Option::is_none")]
    refresh_ahead: Option<Duration>,
    /// An endpoint of RFC 7009, or a request such as `DELETE https://api.example.com/tokens/me`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revoke: Option<String>,
}

/// How a token is obtained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum GrantStyle {
    /// A program in its own name (RFC 6749, 4.4).
    #[default]
    ClientCredentials,
    /// A user's login in a browser, with PKCE, and refreshes after it (RFC 6749, 4.1 and 6).
    Login,
    /// A JSON body of the service's own.
    Json,
}

/// How the client identifies itself at the token endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ClientAuth {
    /// Id and secret as HTTP Basic, as RFC 6749, 2.3.1 prefers.
    #[default]
    Basic,
    /// Id and secret in the form.
    Form,
}

impl OAuthStyle {
    /// The grant `client_credentials` at this endpoint.
    #[must_use]
    pub fn client_credentials(token_url: impl Into<String>) -> Self {
        Self::new(token_url.into(), GrantStyle::ClientCredentials)
    }

    /// A user's login at `authorize_url`, with refreshes at the token endpoint. Without a secret `redirect`, the style
    /// only refreshes a token that was obtained elsewhere.
    #[must_use]
    pub fn login(authorize_url: impl Into<String>, token_url: impl Into<String>) -> Self {
        Self { authorize_url: Some(authorize_url.into()), ..Self::new(token_url.into(), GrantStyle::Login) }
    }

    /// A JSON body of the service's own, with `{name}` in its texts for a secret.
    #[must_use]
    pub fn json(token_url: impl Into<String>, body: Value) -> Self {
        Self { body: Some(body), ..Self::new(token_url.into(), GrantStyle::Json) }
    }

    fn new(token_url: String, grant: GrantStyle) -> Self {
        Self {
            token_url,
            grant,
            client_auth: ClientAuth::Basic,
            authorize_url: None,
            refresh_url: None,
            body: None,
            scope: None,
            params: BTreeMap::new(),
            headers: BTreeMap::new(),
            answer: TokenAnswer::new(),
            token_header: None,
            token_scheme: None,
            refresh_ahead: None,
            revoke: None,
        }
    }

    /// Replaces the endpoint, such as by that of a test.
    #[must_use]
    pub fn token_url(mut self, url: impl Into<String>) -> Self {
        self.token_url = url.into();
        self
    }

    /// Sends id and secret in the form.
    #[must_use]
    pub const fn in_form(mut self) -> Self {
        self.client_auth = ClientAuth::Form;
        self
    }

    /// Sets the requested scope.
    #[must_use]
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = Some(scope.into());
        self
    }

    /// Adds a parameter of token requests that is no secret, such as `audience`.
    #[must_use]
    pub fn param(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.params.insert(name.into(), value.into());
        self
    }

    /// Adds a header of token requests, such as a gateway's key, and the name of its secret.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, secret: impl Into<String>) -> Self {
        self.headers.insert(name.into(), secret.into());
        self
    }

    /// Sets another endpoint for refreshes.
    #[must_use]
    pub fn refresh_at(mut self, url: impl Into<String>) -> Self {
        self.refresh_url = Some(url.into());
        self
    }

    /// Sets how answers are read.
    #[must_use]
    pub fn answer(mut self, answer: TokenAnswer) -> Self {
        self.answer = answer;
        self
    }

    /// Sets the header that carries the token on the API's requests, and the word before it.
    #[must_use]
    pub fn token_header(mut self, name: impl Into<String>, scheme: impl Into<String>) -> Self {
        (self.token_header, self.token_scheme) = (Some(name.into()), Some(scheme.into()));
        self
    }

    /// Sets how long before its end a token is refreshed ([`OAuth::refresh_ahead`]).
    #[must_use]
    pub const fn refresh_ahead(mut self, ahead: Duration) -> Self {
        self.refresh_ahead = Some(ahead);
        self
    }

    /// Sets how a token is revoked: an endpoint of RFC 7009, or a request with the token on it, such as
    /// `DELETE https://api.example.com/tokens/me`.
    #[must_use]
    pub fn revoke(mut self, how: impl Into<String>) -> Self {
        self.revoke = Some(how.into());
        self
    }

    pub(super) fn secret_names(&self) -> Vec<String> {
        let mut names = match self.grant {
            GrantStyle::ClientCredentials => vec!["client_id".to_owned(), "client_secret".to_owned()],
            GrantStyle::Login => vec!["client_id".to_owned()],
            GrantStyle::Json => {
                let mut names = Vec::new();
                if let Some(body) = &self.body {
                    placeholders(body, &mut |name| names.push(name.to_owned()));
                }
                names
            }
        };
        names.extend(self.headers.values().cloned());
        names
    }

    pub(super) fn build(&self, fill: &Fill<'_>, secrets: &Secrets) -> Result<OAuth, Error> {
        let config = |why: String| Error::new(ErrorKind::Config, why);
        if let Some(flaw) = self.flaw(fill) {
            return Err(config(format!("the profile's credential: {flaw}")));
        }
        let url = |text: &str| fill(text).map_err(config);
        let find = |name: &str| secrets.wanted(name).map(|secret| secret.expose().to_owned());
        let maybe = |name: &str| secrets.find(name).map(|secret| secret.expose().to_owned());
        let token_url = url(&self.token_url)?;
        let mut oauth = match (self.grant, &self.authorize_url, &self.body) {
            (GrantStyle::ClientCredentials, ..) => {
                OAuth::client_credentials(token_url, find("client_id")?, find("client_secret")?)
            }
            (GrantStyle::Login, Some(authorize), _) if maybe("redirect").is_some() => OAuth::authorization_code(
                url(authorize)?,
                token_url,
                find("client_id")?,
                maybe("redirect").unwrap_or_default(),
            ),
            (GrantStyle::Login, ..) => OAuth::refresh_only(token_url, find("client_id")?),
            (GrantStyle::Json, _, body) => OAuth::json(token_url, &filled(body.clone().unwrap_or_default(), secrets)?),
        };
        if self.grant != GrantStyle::ClientCredentials {
            if let Some(secret) = maybe("client_secret") {
                oauth = oauth.client_secret(secret);
            }
            if let Some(token) = given(maybe("access_token"), maybe("refresh_token")) {
                oauth = oauth.token(token);
            }
        }
        if self.client_auth == ClientAuth::Form {
            oauth = oauth.in_form();
        }
        if let Some(refresh) = &self.refresh_url {
            oauth = oauth.refresh_at(url(refresh)?);
        }
        if let Some(scope) = &self.scope {
            oauth = oauth.scope(url(scope)?);
        }
        for (name, value) in &self.params {
            oauth = oauth.param(name, url(value)?);
        }
        for (name, secret) in &self.headers {
            oauth = oauth.header(url(name)?, find(secret)?);
        }
        if self.token_header.is_some() || self.token_scheme.is_some() {
            let name = self.token_header.as_deref().unwrap_or("authorization");
            oauth = oauth.token_header(name, self.token_scheme.as_deref().unwrap_or_default());
        }
        if let Some(ahead) = self.refresh_ahead {
            oauth = oauth.refresh_ahead(ahead);
        }
        if let Some(revoke) = &self.revoke {
            let revoke = url(revoke)?;
            oauth = match request(&revoke) {
                Some((method, url)) => oauth.revoke_by(method, url),
                None => oauth.revoke_at(revoke),
            };
        }
        Ok(oauth.answer(self.answer.clone()))
    }

    pub(super) fn mentions(&self, written: &str) -> bool {
        let urls =
            [Some(&self.token_url), self.authorize_url.as_ref(), self.refresh_url.as_ref(), self.revoke.as_ref()];
        let others = self.scope.iter().chain(self.params.values()).chain(self.headers.keys());
        urls.into_iter().flatten().chain(others).any(|text| text.contains(written))
    }

    pub(super) fn flaw(&self, fill: &Fill<'_>) -> Option<String> {
        let urls = [("token_url", Some(&self.token_url)), ("authorize_url", self.authorize_url.as_ref())];
        let urls = urls.into_iter().chain([("refresh_url", self.refresh_url.as_ref())]);
        for (name, url) in urls.filter_map(|(name, url)| Some((name, url?))) {
            if let Some(flaw) = url_flaw(url, fill) {
                return Some(format!("{name}: {flaw}"));
            }
        }
        if let Some(revoke) = &self.revoke
            && let Some(flaw) = url_flaw(request(revoke).map_or(revoke, |(_, url)| url), fill)
        {
            return Some(format!("revoke: {flaw}"));
        }
        if let Some(text) = self.body.as_ref().and_then(half_placeholder) {
            return Some(format!(
                "the `body` has `{}`: write a secret as `{{name}}`, alone in its text",
                text.escape_debug()
            ));
        }
        let texts = self.scope.iter().map(|scope| ("scope".to_owned(), scope));
        let params = self.params.iter().map(|(name, value)| (format!("params.{name}"), value));
        for (place, text) in texts.chain(params) {
            if let Err(why) = fill(text) {
                return Some(format!("{place}: {why}"));
            }
        }
        let names = self.headers.keys().map(|name| fill(name)).chain(self.token_header.iter().cloned().map(Ok));
        for name in names {
            match name {
                Ok(name) if http::HeaderName::try_from(&name).is_ok() => {}
                Ok(name) => return Some(format!("`{}` is no name of a header", name.escape_debug())),
                Err(why) => return Some(why),
            }
        }
        match (self.grant, &self.body, &self.authorize_url) {
            (GrantStyle::Json, None, _) => Some("the grant `json` needs a `body`".into()),
            (GrantStyle::ClientCredentials | GrantStyle::Login, Some(_), _) => {
                Some("a `body` belongs to the grant `json`: leave it out, or set `grant = \"json\"`".into())
            }
            (GrantStyle::ClientCredentials | GrantStyle::Json, _, Some(_)) => {
                Some("an `authorize_url` belongs to the grant `login`: leave it out, or set `grant = \"login\"`".into())
            }
            _ => None,
        }
    }
}

/// Returns what is wrong with a URL once its variables are filled.
fn url_flaw(text: &str, fill: &Fill<'_>) -> Option<String> {
    match fill(text) {
        Ok(url) => url::Url::parse(url.trim()).err().map(|why| format!("`{}` is no URL: {why}", text.escape_debug())),
        Err(why) => Some(why),
    }
}

/// Splits `DELETE https://..` into method and URL; `None` for a URL alone.
fn request(text: &str) -> Option<(Method, &str)> {
    let (method, url) = text.trim().split_once(' ')?;
    if method.chars().any(|c| !c.is_ascii_uppercase()) {
        return None;
    }
    Some((method.parse().ok()?, url.trim()))
}

/// Returns the token that the secrets contain. A refresh token alone makes a token that has expired.
fn given(access: Option<String>, refresh: Option<String>) -> Option<Token> {
    let token = match (access, &refresh) {
        (Some(access), _) => Token::new(access),
        (None, Some(_)) => Token::new("none").expires_at(SystemTime::UNIX_EPOCH),
        (None, None) => return None,
    };
    Some(match refresh {
        Some(refresh) => token.refreshed_by(refresh),
        None => token,
    })
}

/// Calls `see` with each `{name}` in the texts of a body.
fn placeholders(body: &Value, see: &mut impl FnMut(&str)) {
    match body {
        Value::String(text) => {
            if let Some(name) = placeholder(text) {
                see(name);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| placeholders(item, see)),
        Value::Object(members) => members.values().for_each(|item| placeholders(item, see)),
        _ => {}
    }
}

/// Returns a text with a brace that does not stand for a secret.
fn half_placeholder(body: &Value) -> Option<&str> {
    match body {
        Value::String(text) => (text.contains(['{', '}']) && placeholder(text).is_none()).then_some(text),
        Value::Array(items) => items.iter().find_map(half_placeholder),
        Value::Object(members) => members.values().find_map(half_placeholder),
        _ => None,
    }
}

/// A text that is one `{name}` as a whole stands for a secret.
fn placeholder(text: &str) -> Option<&str> {
    text.strip_prefix('{')?.strip_suffix('}').filter(|name| !name.is_empty() && !name.contains(['{', '}', ' ']))
}

fn filled(body: Value, secrets: &Secrets) -> Result<Value, Error> {
    Ok(match body {
        Value::String(text) => match placeholder(&text) {
            Some(name) => Value::String(secrets.wanted(name)?.expose().to_owned()),
            None => Value::String(text),
        },
        Value::Array(items) => {
            Value::Array(items.into_iter().map(|item| filled(item, secrets)).collect::<Result<_, _>>()?)
        }
        Value::Object(members) => Value::Object(
            members.into_iter().map(|(name, item)| Ok((name, filled(item, secrets)?))).collect::<Result<_, Error>>()?,
        ),
        other => other,
    })
}

fn is_standard(answer: &TokenAnswer) -> bool {
    *answer == TokenAnswer::new()
}
