//! TokenSource: the origin of tokens.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::StatusCode;

use super::token::Token;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Fault, NeedsLogin, root_cause};
use crate::hint::Hints;
use crate::message::Reply;
use crate::redact::{Mask, SecretUrl};

/// The origin of tokens: implement it for services that [`OAuth`](super::OAuth) does not support, such as a vault or a
/// machine's identity.
///
/// A source is called before the first request, ahead of a token's end, and after a 401; never twice at once, and in a
/// task of its own, which no caller of the client cancels.
///
/// ```
/// use std::time::Duration;
///
/// use futures::future::BoxFuture;
/// use longhaul::{Client, Credential};
/// use longhaul::credentials::{Token, TokenEndpoint, TokenError, TokenSource};
///
/// #[derive(Debug)]
/// struct MachineIdentity;
///
/// impl TokenSource for MachineIdentity {
///     fn fetch<'a>(
///         &'a self,
///         _before: Option<&'a Token>,
///         endpoint: &'a TokenEndpoint,
///     ) -> BoxFuture<'a, Result<Token, TokenError>> {
///         Box::pin(async move {
///             let request = http::Request::get("http://127.0.0.1:40342/token").header("Metadata", "true");
///             let request = request.body(bytes::Bytes::new()).map_err(TokenError::failed)?;
///             let reply = endpoint.send(request).await?;
///             if !reply.status().is_success() {
///                 return Err(TokenError::failed(format!("answered with {}", reply.status())));
///             }
///             let text = String::from_utf8_lossy(reply.body());
///             Ok(endpoint.token(text.trim()).expires_in(Duration::from_secs(3600)))
///         })
///     }
/// }
///
/// let client = Client::builder("https://api.example.com").credential(Credential::source(MachineIdentity)).build()?;
/// # Ok::<(), longhaul::Error>(())
/// ```
pub trait TokenSource: Send + Sync + 'static {
    /// Fetches the next token. `before` is the token that it replaces, with its refresh token; `endpoint` sends
    /// requests over the client's own connections and limits.
    fn fetch<'a>(
        &'a self,
        before: Option<&'a Token>,
        endpoint: &'a TokenEndpoint,
    ) -> BoxFuture<'a, Result<Token, TokenError>>;

    /// Returns the time before its end at which a token is refreshed, at most half of its life. The value is read once,
    /// when the credential is created. The default is five minutes, or a fifth of the token's life if that is shorter.
    fn refresh_ahead(&self) -> Option<Duration> {
        None
    }

    /// Returns the longest time that a fetch may take. A longer fetch is dropped, and counts as a failure that [may
    /// pass by itself](TokenError::failed). The default is ten minutes: three requests that a token endpoint delays to
    /// the end of their retries. A source that waits for a person needs more.
    fn patience(&self) -> Duration {
        PATIENCE
    }

    /// Returns the name in events and logs. The name must contain no secret.
    fn label(&self) -> &str {
        "token"
    }
}

/// A request over a [`TokenEndpoint`] that hangs fails after some three minutes.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// Sends requests for tokens over the client's own connections: through the limit of its token endpoint (one a second,
/// unless another is declared), before all other requests, with pauses and retries. The requests carry no credential,
/// and redirects are not followed.
#[derive(Clone)]
pub struct TokenEndpoint {
    pub(super) exchange: Arc<dyn SendToken>,
    pub(super) clock: Clock,
}

impl TokenEndpoint {
    /// Sends a request, and returns the answer whatever its status. A request for a token is repeated even if it is a
    /// POST: a repeat does no further harm.
    ///
    /// # Errors
    /// [`TokenError`] if no answer arrived.
    pub async fn send(&self, request: http::Request<Bytes>) -> Result<Reply, TokenError> {
        self.exchange.exchange(request).await.map_err(TokenError::failed)
    }

    /// Returns why a request is being repeated at this time, if one is.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.exchange.trouble()
    }

    /// Returns a token obtained now, by the client's clock, which is the system's unless a test sets another.
    pub fn token(&self, access: impl Into<String>) -> Token {
        Token::obtained(access.into(), self.now())
    }

    /// Returns the wall time, by the client's clock.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        self.clock.now()
    }
}

impl std::fmt::Debug for TokenEndpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenEndpoint")
    }
}

/// Sends requests for tokens. The transport, which is above this module, implements it.
pub(crate) trait SendToken: Send + Sync {
    fn exchange(&self, request: http::Request<Bytes>) -> BoxFuture<'_, Result<Reply, Error>>;

    /// Returns why a request is being repeated at this time, if one is.
    fn trouble(&self) -> Option<String>;
}

/// The reason why a source returns no token.
///
/// Errors and logs show its text, which must contain no secret.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct TokenError {
    what: String,
    pub(super) refused: bool,
    needs_login: bool,
    retry_after: Option<Duration>,
    fault: Option<Fault>,
    /// The URL and status of the answer that caused the error, if there was one.
    answered: Option<(SecretUrl, StatusCode)>,
    #[source]
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl TokenError {
    /// Creates a failure that may pass by itself.
    pub fn failed(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        let source = source.into();
        Self { source: Some(source), ..Self::new("no answer from the token endpoint") }
    }

    /// Creates a permanent refusal: asking again will not help.
    #[must_use]
    pub fn refused(why: impl Into<String>) -> Self {
        Self { refused: true, ..Self::new(why) }
    }

    /// Creates a refusal that holds until somebody logs in again.
    #[must_use]
    pub fn needs_login(why: impl Into<String>) -> Self {
        Self { refused: true, needs_login: true, ..Self::new(why) }
    }

    /// Sets the wait that the service asked for.
    #[must_use]
    pub const fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    pub(super) fn new(what: impl Into<String>) -> Self {
        let what = what.into();
        Self { what, refused: false, needs_login: false, retry_after: None, fault: None, answered: None, source: None }
    }

    /// Adds an answer as the cause, with the wait that it asks for.
    pub(super) fn with_answer(mut self, reply: &Reply, now: SystemTime) -> Self {
        self.answered = Some((reply.url().clone().into(), reply.status()));
        self.retry_after = Hints::from_headers(reply.headers(), now).wait_after(reply.status());
        self
    }

    pub(super) fn with_fault(mut self, fault: Fault) -> Self {
        self.fault = Some(fault);
        self
    }

    /// Converts the error to that of a call, without the secrets of the mask: a service may repeat them.
    pub(super) fn to_error(&self, mask: &Mask) -> Error {
        let kind = if self.refused { ErrorKind::TokenRefused } else { ErrorKind::TokenUnavailable };
        let why = match &self.source {
            Some(source) => format!("{self}: {}", root_cause(source.as_ref())),
            None => self.to_string(),
        };
        // Without the source, which would show the secrets.
        let mut error = Error::new(kind, mask.hide(&why)).with_retry_after(self.retry_after);
        if let Some(fault) = &self.fault {
            error = error.with_fault(fault.clone().masked(mask));
        }
        if let Some((url, status)) = &self.answered {
            error = error.with_url(url.url()).with_status(*status);
        } else if let Some(sent) = self.source.as_ref().and_then(|source| source.downcast_ref::<Error>()) {
            error = error.at_the_place_of(sent);
        }
        if self.needs_login { error.attach(NeedsLogin) } else { error }
    }
}
