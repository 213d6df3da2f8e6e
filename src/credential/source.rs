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

/// The origin of tokens: implement it for services that [`OAuth`](super::OAuth) does not speak to, such as a vault or a
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
    /// Fetches the next token. `before` is the one that it replaces, with its refresh token; `endpoint` sends requests
    /// over the client's own connections and limits.
    fn fetch<'a>(
        &'a self,
        before: Option<&'a Token>,
        endpoint: &'a TokenEndpoint,
    ) -> BoxFuture<'a, Result<Token, TokenError>>;

    /// The time before its end at which a token is refreshed, at most half of its life; read once, when the credential is
    /// made. By default five minutes, and a fifth of its life where that is shorter.
    fn refresh_ahead(&self) -> Option<Duration> {
        None
    }

    /// The longest time that a fetch may take. A longer one is dropped and has failed, as one that
    /// [may pass by itself](TokenError::failed). By default ten minutes: three requests that a token endpoint keeps
    /// waiting to the end of their retries. A source that waits for a person needs more.
    fn patience(&self) -> Duration {
        PATIENCE
    }

    /// The name in events and logs. No secret.
    fn label(&self) -> &str {
        "token"
    }
}

/// A request over a [`TokenEndpoint`] that hangs has failed after some three minutes.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// Sends requests for tokens over the client's own connections: through the limit of its token endpoint (one a second,
/// unless another is declared), before all other requests, with pauses and retries. No credential is put on them, and
/// redirects are not followed.
#[derive(Clone)]
pub struct TokenEndpoint {
    pub(super) exchange: Arc<dyn Exchange>,
    pub(super) clock: Clock,
}

impl TokenEndpoint {
    /// Sends, and gives the answer whatever its status. A request for a token is repeated also where it is a POST: it
    /// changes nothing that a repeat would make worse.
    ///
    /// # Errors
    /// [`TokenError`] where no answer came.
    pub async fn send(&self, request: http::Request<Bytes>) -> Result<Reply, TokenError> {
        self.exchange.exchange(request).await.map_err(TokenError::failed)
    }

    /// Why a request is repeated at this time, if one is.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.exchange.trouble()
    }

    /// A token that was obtained now, by the client's clock, which is the system's unless a test sets another.
    pub fn token(&self, access: impl Into<String>) -> Token {
        Token::obtained(access.into(), self.now())
    }

    /// The wall time, by the client's clock.
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

/// Sends requests for tokens. The transport, which stands above this room, implements it.
pub(crate) trait Exchange: Send + Sync {
    fn exchange(&self, request: http::Request<Bytes>) -> BoxFuture<'_, Result<Reply, Error>>;

    /// Why one is repeated at this time, if one is.
    fn trouble(&self) -> Option<String>;
}

/// The reason why a source gives no token.
///
/// Its text is shown in errors and logs: it must hold no secret.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct TokenError {
    what: String,
    pub(super) refused: bool,
    needs_login: bool,
    retry_after: Option<Duration>,
    fault: Option<Fault>,
    /// The URL and status of the answer that it was made from, if there was one.
    answered: Option<(SecretUrl, StatusCode)>,
    #[source]
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl TokenError {
    /// A failure that may pass by itself.
    pub fn failed(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        let source = source.into();
        Self { source: Some(source), ..Self::new("no answer from the token endpoint") }
    }

    /// A refusal for good: asking again will not help.
    #[must_use]
    pub fn refused(why: impl Into<String>) -> Self {
        Self { refused: true, ..Self::new(why) }
    }

    /// A refusal until somebody logs in again.
    #[must_use]
    pub fn needs_login(why: impl Into<String>) -> Self {
        Self { refused: true, needs_login: true, ..Self::new(why) }
    }

    /// With what the service asked to wait.
    #[must_use]
    pub const fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    pub(super) fn new(what: impl Into<String>) -> Self {
        let what = what.into();
        Self { what, refused: false, needs_login: false, retry_after: None, fault: None, answered: None, source: None }
    }

    /// Made from this answer, with the wait that it asks for.
    pub(super) fn with_answer(mut self, reply: &Reply, now: SystemTime) -> Self {
        self.answered = Some((reply.url().clone().into(), reply.status()));
        self.retry_after = Hints::of(reply.headers(), now).wait_after(reply.status());
        self
    }

    pub(super) fn with_fault(mut self, fault: Fault) -> Self {
        self.fault = Some(fault);
        self
    }

    /// As the error of a call, without the secrets of the mask: a service may repeat them.
    pub(super) fn to_error(&self, mask: &Mask) -> Error {
        let kind = if self.refused { ErrorKind::TokenRefused } else { ErrorKind::TokenUnavailable };
        let why = match &self.source {
            Some(source) => format!("{self}: {}", root_cause(source.as_ref())),
            None => self.to_string(),
        };
        // Without its source, which would show the secrets.
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
