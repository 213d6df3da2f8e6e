//! Credential: what proves to the service who asks.

mod active_token;
mod answer;
#[cfg(feature = "token-file")]
mod atomic_file;
mod attached_tokens;
mod echoed_secrets;
#[cfg(feature = "token-file")]
mod encryption;
mod fetch;
#[cfg(feature = "token-file")]
mod file;
mod grant;
mod jwt;
#[cfg(feature = "token-file")]
mod key;
#[cfg(feature = "pkce")]
mod login;
mod oauth;
mod part;
mod refresh;
mod sign;
mod source;
mod store;
mod token;
mod token_cache;

use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::{Arc, LazyLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind};
use crate::message::{RESERVED_WHY, Request, is_reserved};
use crate::redact::{Secret, secrets_of};

pub use answer::TokenAnswer;
#[cfg(feature = "token-file")]
pub(crate) use encryption::{RESUME_TOKEN, Unreadable};
#[cfg(feature = "token-file")]
pub use file::FileStore;
#[cfg(feature = "token-file")]
pub use key::FileKey;
#[cfg(feature = "pkce")]
pub use login::Login;
pub use oauth::OAuth;
pub use sign::Sign;
pub use source::{TokenEndpoint, TokenError, TokenSource};
pub use store::{CredentialStore, MemoryStore, StoreError};
pub use token::Token;

pub(crate) use active_token::ActiveToken;
pub(crate) use attached_tokens::AttachedTokens;
pub(crate) use source::Exchange;
pub(crate) use token::Life;
pub(crate) use token_cache::{TokenCache, TokenTransport};

use part::{Part, why_not};
use token_cache::Source;

/// What proves to the service who asks. It goes to the client's own origin only, and is never shown.
///
/// ```
/// use longhaul::Credential;
///
/// // A gateway that wants a subscription key beside the user's token.
/// let credential = Credential::bearer("eyJhbGciOi")
///     .and(Credential::api_key_header("Ocp-Apim-Subscription-Key", "5f2b"));
/// assert_eq!(
///     format!("{credential:?}"),
///     "Credential[bearer, header ocp-apim-subscription-key]",
/// );
/// ```
///
/// Clones share their tokens: give one to several clients, and they log in once.
#[derive(Clone, Default)]
pub struct Credential(Vec<Part>);

impl Credential {
    /// None.
    #[must_use]
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// `Authorization: Bearer` and this token (RFC 6750), which may have that word before it already.
    #[must_use]
    pub fn bearer(token: impl AsRef<str>) -> Self {
        let token = token.as_ref().trim();
        let token = match token.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
            _ => token,
        };
        let mut part = Part::header(header::AUTHORIZATION.as_str(), format!("Bearer {token}"), "bearer");
        if let (true, Part::Header { header, .. }) = (token.contains(' '), &mut part) {
            *header = Err("holds a space, as no token does: give the token alone");
        }
        Self(vec![part])
    }

    /// `Authorization: Basic` with user and password (RFC 7617). A colon in the user's name is a build error: none can
    /// be told from the one between the two; so is a control character in either. A line end behind the password is left
    /// out.
    #[must_use]
    pub fn basic(user: impl AsRef<str>, password: impl AsRef<str>) -> Self {
        // The line end of a file is none of a password, whatever else is.
        let (user, password) = (user.as_ref(), password.as_ref().trim_end_matches(['\r', '\n']));
        let value = match user {
            "" => Zeroizing::default(),
            _ => basic(&Zeroizing::new(format!("{user}:{password}"))),
        };
        let mut part = Part::header(header::AUTHORIZATION.as_str(), value.as_str(), "basic");
        if let (true, Part::Header { header, .. }) = (user.contains(':'), &mut part) {
            *header = Err("has a user name with a colon, which cannot be told from the one before the password");
        }
        if let (Some(why), Part::Header { header, .. }) = (why_not(user).or(why_not(password)), &mut part) {
            *header = Err(why);
        }
        Self(vec![part])
    }

    /// An API key in a header of this name. White space around the key is left out.
    #[must_use]
    pub fn api_key_header(name: impl AsRef<str>, key: impl Into<String>) -> Self {
        let key = Zeroizing::new(key.into());
        Self(vec![Part::header(&name.as_ref().to_ascii_lowercase(), key.trim(), "")])
    }

    /// An API key in the query, under this name. White space around the key is left out.
    #[must_use]
    pub fn api_key_query(name: impl Into<String>, key: impl Into<String>) -> Self {
        Self(vec![Part::Query { name: name.into(), value: Secret::trimmed(key) }])
    }

    /// Tokens by OAuth 2: fetched when they are first needed, refreshed ahead of their end and after a 401.
    #[must_use]
    pub fn oauth(oauth: OAuth) -> Self {
        let (name, before) = oauth.token_header.clone();
        let store = oauth.store.clone();
        Self(vec![Part::TokenCache(Arc::new(TokenCache::new(Source::OAuth(Box::new(oauth)), store, name, before)))])
    }

    /// Tokens of your own source, as `Authorization: Bearer`; refreshed as those of [`oauth`](Credential::oauth) are.
    #[must_use]
    pub fn source(source: impl TokenSource) -> Self {
        Self::of_source(Arc::new(source), None)
    }

    /// As [`source`](Credential::source), with a store where each token is saved before it is used.
    #[must_use]
    pub fn stored_source(source: impl TokenSource, store: impl CredentialStore) -> Self {
        Self::of_source(Arc::new(source), Some(Arc::new(store)))
    }

    /// Made for each request by your own code.
    #[must_use]
    pub fn signed(sign: impl Sign) -> Self {
        Self(vec![Part::Signed(Arc::new(sign))])
    }

    /// This one and another.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    fn of_source(source: Arc<dyn TokenSource>, store: Option<Arc<dyn CredentialStore>>) -> Self {
        let name = header::AUTHORIZATION.as_str().to_owned();
        Self(vec![Part::TokenCache(Arc::new(TokenCache::new(Source::Own(source), store, name, "Bearer ".to_owned())))])
    }

    /// Whether every part can be put on a request.
    pub(crate) fn check(&self) -> Result<(), Error> {
        for part in &self.0 {
            match part {
                Part::Header { value, .. } | Part::Query { value, .. } => {
                    if matches!(value.expose().trim_matches(' '), "" | "Bearer") {
                        return Err(Error::new(ErrorKind::Config, "a part of the credential is empty"));
                    }
                    if let (Part::Query { name, .. }, Some(why)) = (part, why_not(value.expose())) {
                        let why = format!("the credential's part query `{}` {why}", shown(name));
                        return Err(Error::new(ErrorKind::Config, why));
                    }
                }
                Part::TokenCache(live) => live.check()?,
                Part::Signed(_) => {}
            }
        }
        let mut names = Vec::new();
        for header in self.headers() {
            names.push(header?.0);
        }
        for live in self.lives() {
            names.push(live.header_name()?);
        }
        while let Some(name) = names.pop() {
            if names.contains(&name) {
                let why =
                    format!("two parts of the credential are for the header `{name}`, where there is room for one");
                return Err(Error::new(ErrorKind::Config, why));
            }
        }
        Ok(())
    }

    /// Puts it on a request, in place of what stands there under the same names. Gives what was made for this request
    /// alone.
    pub(crate) fn stamp(&self, request: &mut Request, proof: &AttachedTokens) -> Result<Vec<Secret>, Error> {
        for header in self.headers() {
            let (name, value) = header?;
            request.headers_mut().insert(name, value.clone());
        }
        for (live, held) in self.lives().zip(&proof.0) {
            request.headers_mut().insert(live.header_name()?, held.value.clone());
        }
        if self.query_names().next().is_some() {
            let url = request.url_mut();
            self.strip(url);
            let mut pairs = url.query_pairs_mut();
            for part in &self.0 {
                if let Part::Query { name, value } = part {
                    pairs.append_pair(name, value.expose());
                }
            }
        }
        let mut made = Vec::new();
        for part in &self.0 {
            let Part::Signed(sign) = part else { continue };
            let mut headers = HeaderMap::new();
            sign.sign(request, &mut headers).map_err(|error| {
                let why = format!("it could not be signed: {}", crate::error::root_cause(error.as_ref()));
                Error::new(ErrorKind::Request, why).with_url(request.url())
            })?;
            for (name, mut value) in headers {
                value.set_sensitive(true);
                made.extend(value.to_str().ok().map(secrets_of).into_iter().flatten());
                if let Some(name) = name {
                    if is_reserved(&name) {
                        let why = format!("it could not be signed: the header `{name}` {RESERVED_WHY}");
                        return Err(Error::new(ErrorKind::Request, why).with_url(request.url()));
                    }
                    request.headers_mut().insert(name, value);
                }
            }
        }
        Ok(made)
    }

    /// Takes out of a URL what this credential puts in: a service may echo the key in its own links.
    pub(crate) fn strip(&self, url: &mut url::Url) {
        let is_ours = |name: &str| self.query_names().any(|ours| ours.eq_ignore_ascii_case(name));
        if !url.query_pairs().any(|(name, _)| is_ours(&name)) {
            return;
        }
        let kept: Vec<_> = url.query_pairs().filter(|(name, _)| !is_ours(name)).collect();
        let query =
            kept.iter().fold(url::form_urlencoded::Serializer::new(String::new()), |mut query, (name, value)| {
                query.append_pair(name, value);
                query
            });
        let query = Some({ query }.finish()).filter(|query| !query.is_empty());
        drop(kept);
        url.set_query(query.as_deref());
    }

    /// What it is made of, without the secrets; `None` for none.
    pub(crate) fn label(&self) -> Option<String> {
        let parts: Vec<_> = self
            .0
            .iter()
            .map(|part| match part {
                Part::Header { name, label: "", .. } => format!("header {}", shown(name)),
                Part::Header { label, .. } => (*label).to_owned(),
                Part::Query { name, .. } => format!("query {}", shown(name)),
                Part::TokenCache(live) => live.label().to_owned(),
                Part::Signed(sign) => shown(sign.label()),
            })
            .collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }

    /// Tells one from another within this process, without a way back.
    pub(crate) fn id(&self) -> String {
        static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        let mut hasher = KEYS.build_hasher();
        for part in &self.0 {
            match part {
                Part::Header { name, value, .. } | Part::Query { name, value } => {
                    (name, value.expose()).hash(&mut hasher);
                }
                Part::TokenCache(live) => live.id().hash(&mut hasher),
                Part::Signed(sign) => Arc::as_ptr(sign).cast::<()>().hash(&mut hasher),
            }
        }
        format!("{} #{:08x}", self.label().unwrap_or_default(), hasher.finish() >> 32)
    }

    fn query_names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Query { name, .. } => Some(name.as_str()),
            _ => None,
        })
    }

    fn headers(&self) -> impl Iterator<Item = Result<(&HeaderName, &HeaderValue), Error>> {
        self.0.iter().filter_map(|part| match part {
            Part::Header { header: Ok((name, value)), .. } => Some(Ok((name, value))),
            Part::Header { name, header: Err(why), label, .. } => {
                let what = if label.is_empty() { format!("header `{}`", shown(name)) } else { format!("`{label}`") };
                Some(Err(Error::new(ErrorKind::Config, format!("the credential's part {what} {why}"))))
            }
            _ => None,
        })
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credential[{}]", self.label().unwrap_or_default())
    }
}

/// HTTP Basic (RFC 7617) of name and password with a colon between.
fn basic(pair: &str) -> Zeroizing<String> {
    let mut value = Zeroizing::new(String::with_capacity(6 + 4 * pair.len().div_ceil(3)));
    value.push_str("Basic ");
    STANDARD.encode_string(pair.as_bytes(), &mut value);
    value
}

/// What is said beside a 401 that no credential was sent for.
pub(crate) const NO_CREDENTIAL: &str = ", and the client has no credential of its own (ClientBuilder::credential)";

fn shown(name: &str) -> String {
    name.escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use http::Method;
    use url::Url;

    use super::*;
    use crate::message::Class;

    #[test]
    fn stamps_every_part_and_shows_none() {
        let credential = Credential::bearer(" T0KEN ")
            .and(Credential::api_key_header("X-Key", "K3Y"))
            .and(Credential::api_key_query("apikey", "Q&Y"));
        let url = Url::parse("https://a.example/x?a=1&APIKEY=old").unwrap();
        let mut request = Request::new(Method::GET, url, Class::Call);
        credential.stamp(&mut request, &AttachedTokens::default()).unwrap();
        assert_eq!(request.headers()["authorization"], "Bearer T0KEN");
        assert_eq!(request.headers()["x-key"], "K3Y");
        assert_eq!(request.url().query(), Some("a=1&apikey=Q%26Y"));
        let shown = format!("{credential:?} {request:?} {:?}", request.headers());
        assert!(!["T0KEN", "K3Y", "Q&Y", "Q%26Y"].iter().any(|secret| shown.contains(secret)), "{shown}");
    }

    #[test]
    fn refuses_what_no_header_may_hold() {
        for (name, key) in [("X-Key", "a\r\nHost: evil"), ("X Key", "a"), ("X-Key", "a\0")] {
            let error = Credential::api_key_header(name, key).check().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(!format!("{error} {error:?}").contains("evil"), "{error}");
        }
    }

    #[test]
    fn an_echoed_key_is_taken_out_of_a_url() {
        let mut url = Url::parse("https://a.example/x?apikey=K&page=2").unwrap();
        Credential::api_key_query("apikey", "K").strip(&mut url);
        assert_eq!(url.as_str(), "https://a.example/x?page=2");
    }
}
