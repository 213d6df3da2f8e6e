//! Credential: the proof of the client's identity on each request.
//!
//! # Implementation
//!
//! A [`Credential`] is a list of [`CredentialPart`]s: a header, a query parameter, a signature, or a [`TokenCache`]. [`stamp`]
//! puts them on a request, right before it is sent. Constant parts are ready at once; the rest of this module is about
//! tokens:
//!
//! - [`token_state`] decides the answer to a request, and the change by an event. It is pure: the time is passed in.
//! - [`token_slot`] holds the state behind its lock, with the source and the store of its tokens.
//! - [`token_cache`] answers requests: `prefetch`, `peek`, `get`. It also handles logins and logouts.
//! - [`refresh_guard`] is the right to change the token, one at a time; [`refresh`] is the future that all other
//!   requests await.
//! - [`fetch`] gets the next token: from the store, or from a [`TokenSource`], such as [`OAuth`] ([`token_requests`]
//!   are its requests, [`TokenAnswer`] parses the answers).
//! - [`shared_fetch`] does so with an [`ExclusiveStore`], where one process of several refreshes: [`shared_store`] calls
//!   the store, [`refresh_hold`] renews and releases the lock, [`generations`] decides which token is the later one. The
//!   stores keep a [`token_record`].
//!
//! # The life of a token
//!
//! ```text
//!              a request            adopted
//!     Empty ──────────────▶ Refreshing ──────▶ Valid ◀──┐ requests carry it
//!       ▲                    │   ▲   ▲          │ │ └───┘
//!       │ logout,     failed,│   │   └──────────┘ │ 401
//!       │ from any     broke │   │ a request,     ▼
//!       │ state          off │   │ it ages      Refused ── a request ──▶ Refreshing
//!                            ▼   │
//!                          Resting   a request, when it has rested
//! ```
//!
//! The drawing is flat. The state has three fields, because they are independent: the token in use (`Active`), the work
//! on the next one (`Renewal`), and a token that was received and is not saved. A token ages five minutes before its
//! end, or a fifth of its life; while it ages it is used, whether its refresh runs, rests, or could not be saved.
//!
//! **Refreshing and waiting.** The first request that finds a refresh due begins it under the lock that found it, in a
//! task of its own, over that request's [`TokenTransport`]; the caller may be dropped, and the refresh continues. All
//! other requests wait for it, or use the aging token. A new token is saved before it is used; a token that cannot be
//! saved is kept in memory, and the next refresh saves it before any other step. After a failure the next refresh
//! rests: a second, then twice as long each time up to a minute, a minute after a refusal, and never less than the
//! service asked for.
//!
//! **A 401** counts against the token that its request carried, by serial: if a later token is already in use, the
//! request is just sent again with that token. Otherwise the token is refused, and the request waits for the next. A
//! fresh token that is refused too within half a minute is not replaced again, nor for a route that refused one before
//! ([`refused_routes`]).
//!
//! **A logout** waits for a refresh in progress, then forgets all tokens under the lock, before it asks the service and
//! the store to do the same: no refresh can bring one back. A login waits for its turn in the same way.
//!
//! **A runtime that ends** drops the task, and with it the guard: the state records that the refresh broke off, all
//! waiting requests check the state again, and the first of them begins a new refresh on its own runtime, the first
//! time without a rest.
//!
//! # Glossary
//!
//! *token*: access token, with its refresh token and times. *active*: in use. *adopt*: put in use. *refused*: answered
//! with 401. *rest*: the time after a failure in which no refresh begins. *serial*: number of an adopted token.
//! *given*: passed in by the user. *wall*: the client's clock, by which tokens expire; rests use tokio's. *echoed*:
//! repeated in a service's answers, so masked in errors.

mod active_token;
mod answer;
mod atomic_file;
mod attached_tokens;
mod basic;
#[cfg(feature = "token-file")]
mod broken_file;
mod echoed_secrets;
#[cfg(feature = "token-file")]
mod encryption;
mod exclusive;
mod fetch;
#[cfg(feature = "token-file")]
mod file;
#[cfg(feature = "token-file")]
mod file_lock;
mod generations;
mod inquiry;
mod jwt;
#[cfg(feature = "token-file")]
mod key;
#[cfg(feature = "pkce")]
mod login;
mod memory;
mod oauth;
mod oauth_settings;
mod part;
#[cfg(feature = "redis")]
mod redis;
mod refresh;
mod refresh_guard;
mod refresh_hold;
mod refused_routes;
mod secret_header;
mod shared_fetch;
mod shared_store;
mod sign;
mod source;
mod stamp;
mod store;
mod store_error;
mod token;
mod token_cache;
mod token_record;
mod token_requests;
mod token_slot;
mod token_state;
mod token_transport;

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, LazyLock};

use http::header;
use url::Url;
use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind};
use crate::message::Request;
use crate::redact::Secret;

pub use answer::TokenAnswer;
pub use exclusive::{ExclusiveStore, RefreshLease, RefreshTurn, Replaced, StoredToken};
#[cfg(feature = "token-file")]
pub use file::FileStore;
#[cfg(feature = "token-file")]
pub use key::FileKey;
#[cfg(feature = "pkce")]
pub use login::Login;
pub use memory::MemoryStore;
pub use oauth::OAuth;
#[cfg(feature = "redis")]
pub use redis::RedisCredentialStore;
pub use sign::Sign;
pub use source::{TokenEndpoint, TokenError, TokenSource};
pub use store::CredentialStore;
pub use store_error::StoreError;
pub use token::Token;

pub(crate) use atomic_file::{AtomicFile, folder, sweep};
pub(crate) use attached_tokens::AttachedTokens;
#[cfg(feature = "token-file")]
pub(crate) use encryption::{RESUME_TOKEN, STORED_TASK, Unreadable};
pub(crate) use source::SendToken;
pub(crate) use store_error::{failed_as, in_time};
pub(crate) use token_cache::TokenCache;
pub(crate) use token_transport::TokenTransport;

use part::CredentialPart;
use refused_routes::RefusedRoute;
use token_slot::TokenOrigin;

/// The proof of the client's identity: keys, tokens, signatures. The client sends a credential to its own origin only,
/// and never shows it.
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
/// Clones share their tokens: several clients with one credential log in once.
#[derive(Clone, Default)]
pub struct Credential(Vec<CredentialPart>);

impl Credential {
    /// Returns the empty credential.
    #[must_use]
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// Creates the credential `Authorization: Bearer` with this token (RFC 6750). The word `Bearer` may already precede
    /// the token.
    #[must_use]
    pub fn bearer(token: impl AsRef<str>) -> Self {
        Self(vec![CredentialPart::bearer(token.as_ref())])
    }

    /// Creates the credential `Authorization: Basic` with user and password (RFC 7617). A colon in the user's name is a
    /// build error, because it cannot be distinguished from the separator; so is a control character in either. A line
    /// break after the password is left out.
    #[must_use]
    pub fn basic(user: impl AsRef<str>, password: impl AsRef<str>) -> Self {
        Self(vec![CredentialPart::basic(user.as_ref(), password.as_ref())])
    }

    /// Creates an API key in a header of this name. White space around the key is left out.
    #[must_use]
    pub fn api_key_header(name: impl AsRef<str>, key: impl Into<String>) -> Self {
        let key = Zeroizing::new(key.into());
        Self(vec![CredentialPart::header(&name.as_ref().to_ascii_lowercase(), key.trim(), "")])
    }

    /// Creates an API key in the query, under this name. White space around the key is left out.
    #[must_use]
    pub fn api_key_query(name: impl Into<String>, key: impl Into<String>) -> Self {
        Self(vec![CredentialPart::Query { name: name.into(), value: Secret::trimmed(key) }])
    }

    /// Creates tokens by OAuth 2: fetched when they are first needed, refreshed ahead of their end and after a 401.
    #[must_use]
    pub fn oauth(oauth: OAuth) -> Self {
        let (name, scheme) = oauth.0.token_header.clone();
        let store = oauth.0.store.clone();
        Self(vec![CredentialPart::Token(TokenCache::new(TokenOrigin::OAuth(Box::new(oauth)), store, name, scheme))])
    }

    /// Creates a credential from your own token source, sent as `Authorization: Bearer` and refreshed like the tokens
    /// of [`oauth`](Credential::oauth).
    #[must_use]
    pub fn source(source: impl TokenSource) -> Self {
        Self::from_source(Arc::new(source), None)
    }

    /// Adds a store in which each token is saved before it is used; otherwise as [`source`](Credential::source).
    #[must_use]
    pub fn stored_source(source: impl TokenSource, store: impl CredentialStore) -> Self {
        Self::from_source(Arc::new(source), Some(Arc::new(store)))
    }

    /// Creates a credential that your own code computes for each request.
    #[must_use]
    pub fn signed(sign: impl Sign) -> Self {
        Self(vec![CredentialPart::Signed(Arc::new(sign))])
    }

    /// Combines this credential with another.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    fn from_source(source: Arc<dyn TokenSource>, store: Option<Arc<dyn CredentialStore>>) -> Self {
        let name = header::AUTHORIZATION.as_str().to_owned();
        Self(vec![CredentialPart::Token(TokenCache::new(TokenOrigin::Own(source), store, name, "Bearer ".to_owned()))])
    }

    /// Returns whether the credential is empty.
    pub(crate) const fn is_none(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks that every part can be put on a request, each under a name of its own.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.0.iter().try_for_each(CredentialPart::check)?;
        let fixed = self.0.iter().filter_map(CredentialPart::fixed_header).map(|header| header.map(|(name, _)| name));
        let mut names = fixed.chain(self.token_caches().map(TokenCache::header_name)).collect::<Result<Vec<_>, _>>()?;
        while let Some(name) = names.pop() {
            if names.contains(&name) {
                let why =
                    format!("two parts of the credential are for the header `{name}`, where there is room for one");
                return Err(Error::new(ErrorKind::Config, why));
            }
        }
        Ok(())
    }

    /// Puts the credential on a request, in place of existing values of the same names. Returns the secrets that were
    /// created for this request alone.
    pub(crate) fn stamp(&self, request: &mut Request, tokens: &AttachedTokens) -> Result<Vec<Secret>, Error> {
        stamp::stamp(&self.0, request, tokens)
    }

    /// Removes the credential's parts from a URL: a service may echo the key in its own links.
    pub(crate) fn strip(&self, url: &mut Url) {
        stamp::strip(&self.0, url);
    }

    /// Returns the names of the parts, without the secrets; `None` for an empty credential.
    pub(crate) fn label(&self) -> Option<String> {
        let labels: Vec<_> = self.0.iter().map(CredentialPart::label).collect();
        (!labels.is_empty()).then(|| labels.join(", "))
    }

    /// Returns an id that distinguishes credentials within this process and reveals nothing about them.
    pub(crate) fn id(&self) -> String {
        static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        let mut hasher = KEYS.build_hasher();
        self.0.iter().for_each(|part| part.hash_identity(&mut hasher));
        format!("{} #{:08x}", self.label().unwrap_or_default(), hasher.finish() >> 32)
    }

    /// Returns every secret that the credential sends. For errors: the call copies every secret.
    pub(crate) fn secrets(&self) -> Vec<Secret> {
        self.0.iter().flat_map(CredentialPart::secrets).collect()
    }

    /// Returns the caches of fetched tokens.
    pub(crate) fn token_caches(&self) -> impl Iterator<Item = &TokenCache> {
        self.0.iter().filter_map(CredentialPart::token)
    }

    /// Returns whether the credential has fetched tokens.
    pub(crate) fn is_live(&self) -> bool {
        self.token_caches().next().is_some()
    }

    /// Starts to fetch the tokens that will be needed, and waits for nothing.
    pub(crate) fn prefetch(&self, transport: &TokenTransport) {
        self.token_caches().for_each(|cache| cache.prefetch(transport));
    }

    /// Returns the current tokens; `None` if the request has to wait for one.
    pub(crate) fn peek(&self, transport: &TokenTransport) -> Option<AttachedTokens> {
        self.token_caches().map(|cache| cache.peek(transport)).collect::<Option<_>>().map(AttachedTokens)
    }

    /// Returns the current tokens, and fetches missing ones.
    pub(crate) async fn get(&self, transport: &TokenTransport) -> Result<AttachedTokens, Error> {
        let mut tokens = AttachedTokens::default();
        for cache in self.token_caches() {
            tokens.0.push(cache.get(transport).await?);
        }
        Ok(tokens)
    }

    /// Returns why there is no token yet, if the requests to the token endpoint are being repeated.
    pub(crate) fn trouble(&self, transport: &TokenTransport) -> Option<String> {
        transport.endpoint.trouble().filter(|_| self.token_caches().any(|cache| cache.lacks_token(transport)))
    }

    /// Returns whether requests may still carry these tokens.
    pub(crate) fn is_good(&self, tokens: &AttachedTokens, transport: &TokenTransport) -> bool {
        self.token_caches().zip(&tokens.0).all(|(cache, token)| cache.is_good(token, transport))
    }

    /// Records that the service answered with 401. Returns whether to send again with other tokens.
    pub(crate) fn refuse(&self, tokens: &AttachedTokens, request: &Request) -> bool {
        let route = RefusedRoute::from_request(request);
        // Every token records the refusal: the answer does not name the refused one.
        self.token_caches().zip(&tokens.0).fold(false, |again, (cache, token)| cache.refuse(token, route) || again)
    }

    /// Records that the service answered with 401 again, to fresh tokens.
    pub(crate) fn refuse_again(&self, request: &Request) {
        self.token_caches().for_each(|cache| cache.refuse_again(RefusedRoute::from_request(request)));
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credential[{}]", self.label().unwrap_or_default())
    }
}

/// The end of an error about a 401 to a request without a credential.
pub(crate) const NO_CREDENTIAL: &str = ", and the client has no credential of its own (ClientBuilder::credential)";
