//! The simulated service: an API of long-running exports, the storage of their results, and the token endpoint, on
//! three ports of this machine.

mod access;
mod answer;
mod api;
mod builder;
mod bytes;
mod content;
mod feed;
mod knobs;
mod oauth;
mod range;
mod sas;
mod service;
mod storage;
mod tasks;

use std::fmt::{self, Debug, Formatter};
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use url::Url;

use self::access::Access;
pub use self::builder::SimulatorBuilder;
pub use self::content::Content;
use self::knobs::Knobs;
pub use self::knobs::{Finish, RefusalHint};
use self::service::Service;
pub(in crate::testing) use self::tasks::uid;
use crate::testing::counts::Counts;
use crate::testing::seen::Seen;
use crate::testing::server::Server;
use crate::testing::tokens::Tokens;
use crate::testing::trouble::TokenTrouble;

/// A service of long-running exports, in this process: real HTTP/1.1 over loopback, with real limits, a real clock and,
/// if configured, real failures.
///
/// ```
/// use std::time::Duration;
///
/// use longhaul::testing::Simulator;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let service = Simulator::builder()
///     .limit(1, Duration::from_secs(60))
///     .start()
///     .await?;
///
/// let http = reqwest::Client::builder().no_proxy().build()?;
/// let farms = http
///     .get(service.url().join("farms")?)
///     .bearer_auth(service.bearer())
///     .header("Ocp-Apim-Subscription-Key", service.subscription_key());
/// let again = farms.try_clone().ok_or("a body that streams")?;
///
/// assert_eq!(farms.send().await?.status(), 200);
/// assert_eq!(again.send().await?.status(), 429);
/// assert_eq!(service.counts().throttled(), 1);
/// # Ok(())
/// # }
/// ```
///
/// # The API
/// Every path lies below [`url`](Self::url), answers JSON and requires both `Authorization: Bearer <token>` and
/// `Ocp-Apim-Subscription-Key: <key>`.
///
/// | request | answer |
/// | --- | --- |
/// | `POST exports` | 201 with `TaskUid` and `Location`, the status URL. The members `size` (bytes of the result), `duration_ms`, `format` (of the file's name) and `fail` (the message to fail with) of a JSON object are read; a missing body is accepted, too |
/// | `GET tasks/{uid}` | 200 with `Status`. First `accepted`, then `started`, with `PercentComplete`, `RetryAfter` in milliseconds and a `Retry-After` in seconds; at last `finished` in the form of [`Finish`], or `failed` with `Error` and `CorrelationId`, or `canceled` |
/// | `DELETE tasks/{uid}` | 202. The task is canceled at once, unless it has ended before |
/// | `GET results/{uid}` | 200 with `Result`, a signed link, and `Rows`, once the task is finished |
/// | `GET farms` | 200 with an array: an ordinary call, under the same limits |
///
/// Limits are checked before credentials: a request without credentials counts towards the limits like any other.
///
/// # The storage
/// A signed link opens one result for `GET` and `HEAD`, until it expires; every poll and every `GET results/{uid}` of a
/// finished task creates a new one. The storage supports single ranges, `If-Match` and `If-Unmodified-Since`, and
/// ignores `If-Range`. [`expected`](Self::expected) returns the bytes that the storage must send, even for a result of
/// many gigabytes: no result is ever held in memory.
///
/// # The tokens
/// With [`tokens`](SimulatorBuilder::tokens) the API requires an unexpired access token of the service's own as the
/// bearer. The service issues tokens on a third origin, [`token_url`](Self::token_url).
///
/// | request | answer |
/// | --- | --- |
/// | `POST /oauth/token`, a form with `grant_type` | 200 with `access_token`, `token_type`, `expires_in` and `refresh_token`, or the `error` of RFC 6749 with 400 or 401. Clients authenticate by Basic or in the form |
/// | … `client_credentials` | a refresh token only if [`refreshable`](SimulatorBuilder::refreshable) |
/// | … `refresh_token` | valid once: a request with a spent one ends the whole login. The secret may be left out, as public clients must |
/// | … `authorization_code` | with `code` as of [`authorize`](Self::authorize), `redirect_uri` and `code_verifier` (S256) |
/// | `POST /oauth/revoke`, a form with `token` | 200. An access token ends alone, a refresh token with its whole login |
/// | `POST /authentication`, JSON with `ApplicationId`, `UserName`, `Password` | 200 with `Token`, a JWT whose `exp` is the expiry, `Refresh_Token`, `UserId` and `Identity`, as SMAG answers. The refresh token is valid at `/oauth/token`, too |
/// | `POST /authentication-operational/v1/api/oauth2/refresh_token`, a form with `refresh_token` | as a login; the refresh token is valid once, and is all that identifies the caller |
///
/// # The end
/// Dropping the simulator stops all servers and closes their connections, as soon as the runtime in which it was
/// started gets to it.
///
/// # Limits
/// The simulator records every request, so its memory grows with their number. It runs on the real clock: a paused
/// clock would skip its waits, and let a client time out on a real socket.
pub struct Simulator {
    service: Arc<Service>,
    url: Url,
    storage_url: Url,
    token_origin: Url,
    _servers: [Server; 3],
}

impl Simulator {
    /// Starts a service with [the defaults](SimulatorBuilder): no limits and no failures.
    ///
    /// # Errors
    /// The error of the system when it was asked for a port.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// Returns a builder, which configures a service before it starts.
    pub fn builder() -> SimulatorBuilder {
        SimulatorBuilder::default()
    }

    /// Returns a builder of a service that behaves as SMAG documents: tokens as JWTs of 24 hours behind the same
    /// gateway, five minutes between polls, and refusals whose header is in seconds and whose body in milliseconds.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use longhaul::testing::Simulator;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// // The same, with pauses that suit a test.
    /// let service = Simulator::smag().retry_after(Duration::from_millis(200)).start().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn smag() -> SimulatorBuilder {
        Self::builder()
            .tokens(Duration::from_secs(24 * 60 * 60))
            .keyed_tokens()
            .retry_after(Duration::from_secs(5 * 60))
            .refusal_hint(RefusalHint::HeaderAndBody)
    }

    /// Returns the base of the API: `http://127.0.0.1:PORT/farmsandfields/v1/`.
    pub fn url(&self) -> Url {
        self.url.clone()
    }

    /// Returns the base of the storage: `http://127.0.0.1:PORT/`, on another port than the API and so of another
    /// origin.
    pub fn storage_url(&self) -> Url {
        self.storage_url.clone()
    }

    /// Returns the bearer token that the API requires, unless the service [issues its own](SimulatorBuilder::tokens).
    pub fn bearer(&self) -> &str {
        &self.service.access.bearer
    }

    /// Returns the subscription key that the API requires.
    pub fn subscription_key(&self) -> &str {
        &self.service.access.key
    }

    /// Returns the uids of all tasks, in the order of their submits.
    pub fn tasks(&self) -> Vec<String> {
        self.service.state().tasks.uids().to_vec()
    }

    /// Returns the content that a download of this task's result must have now; `None` if there is no such task.
    pub fn expected(&self, uid: &str) -> Option<Content> {
        self.service.state().content(uid)
    }

    /// Returns the request counts so far.
    pub fn counts(&self) -> Counts {
        self.service.state().counts
    }

    /// Returns every request so far, in the order of arrival.
    pub fn log(&self) -> Vec<Seen> {
        self.service.state().log.clone()
    }

    /// Replaces the bytes of every result, of future tasks too, by others of the same length, with another `ETag` and a
    /// later `Last-Modified`. A body in transit is unchanged.
    pub fn replace_results(&self) {
        self.service.state().version += 1;
    }

    /// Expires every signed link issued so far. Links issued from now on are valid.
    pub fn expire_links(&self) {
        self.service.state().generation += 1;
    }

    /// Returns the token endpoint: `http://127.0.0.1:PORT/oauth/token`, of another origin than the API and the storage.
    pub fn token_url(&self) -> Url {
        self.at_tokens(oauth::TOKEN)
    }

    /// Returns the revocation endpoint: `/oauth/revoke`, beside [`token_url`](Self::token_url).
    pub fn revoke_url(&self) -> Url {
        self.at_tokens(oauth::REVOKE)
    }

    /// Returns the URL at which a user logs in, as with SMAG: `/authentication`, beside [`token_url`](Self::token_url).
    pub fn login_url(&self) -> Url {
        self.at_tokens(oauth::LOGIN)
    }

    /// Returns the endpoint at which SMAG's tokens are refreshed, beside [`token_url`](Self::token_url).
    pub fn refresh_url(&self) -> Url {
        self.at_tokens(oauth::REFRESH)
    }

    /// Returns the id of the client that tokens are issued to.
    pub fn client_id(&self) -> &str {
        &self.service.access.client_id
    }

    /// Returns the secret of the client that tokens are issued to.
    pub fn client_secret(&self) -> &str {
        &self.service.access.client_secret
    }

    /// Returns the name of the user that may log in.
    pub fn user(&self) -> &str {
        &self.service.access.user
    }

    /// Returns the password of the user that may log in.
    pub fn password(&self) -> &str {
        &self.service.access.password
    }

    /// Returns an authorization code, as if the user had agreed to this client. The code is valid once, within a
    /// minute, with the verifier of the challenge (RFC 7636, S256). If no tokens are issued, the code is worthless.
    pub fn authorize(&self, redirect_uri: &str, code_challenge: &str) -> String {
        let state = &mut *self.service.state();
        let code =
            |tokens: &mut Tokens| tokens.authorize(redirect_uri.to_owned(), code_challenge.to_owned(), Instant::now());
        state.tokens.as_mut().map(code).unwrap_or_default()
    }

    /// Replaces all limits of calls by this one, from now on: no more than `n` requests in any span of time as long as
    /// `per`. Requests that the old limits admitted still count.
    pub fn set_limit(&self, n: u32, per: Duration) {
        self.service.state().windows.replace(n, per);
    }

    /// Sets the [limit of bytes](SimulatorBuilder::byte_limit), from now on. Bytes that the old limit counted still
    /// count.
    pub fn set_byte_limit(&self, bytes: u64, per: Duration) {
        self.service.state().bytes.set(Some((bytes, per)));
    }

    /// Removes the limit of bytes.
    pub fn lift_byte_limit(&self) {
        self.service.state().bytes.set(None);
    }

    /// Revokes all access tokens issued so far: the API refuses them with 401. Refresh tokens stay valid.
    pub fn void_tokens(&self) {
        if let Some(tokens) = &mut self.service.state().tokens {
            tokens.void_access();
        }
    }

    /// Ends all logins: revokes every access token, refresh token and code issued so far.
    pub fn void_logins(&self) {
        if let Some(tokens) = &mut self.service.state().tokens {
            tokens.void_all();
        }
    }

    /// Applies a failure to the next `n` requests for tokens, after those of earlier calls. Requests that the limit
    /// refuses, and revocations, do not count.
    pub fn token_trouble(&self, n: usize, trouble: TokenTrouble) {
        if let Some(tokens) = &mut self.service.state().tokens {
            tokens.trouble.extend(std::iter::repeat_n(trouble, n));
        }
    }

    fn at_tokens(&self, path: &str) -> Url {
        let mut url = self.token_origin.clone();
        url.set_path(path);
        url
    }

    async fn launch(access: Access, knobs: Knobs) -> io::Result<Self> {
        let api = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let storage = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let tokens = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (api_origin, storage_origin) = (origin(&api)?, origin(&storage)?);
        let url = parse(&format!("{api_origin}{}", api::BASE))?;
        let storage_url = parse(&storage_origin)?;
        let token_origin = parse(&origin(&tokens)?)?;

        let service = Arc::new(Service::new(access, knobs, api_origin, storage_origin));
        let for_api = service.clone();
        let for_storage = service.clone();
        let for_tokens = service.clone();
        let servers = [
            Server::start(api, move |request, _| {
                let service = for_api.clone();
                async move { Ok(api::answer(service, request).await) }
            }),
            Server::start(storage, move |request, connection| {
                std::future::ready(Ok(storage::answer(&for_storage, request, connection)))
            }),
            Server::start(tokens, move |request, _| oauth::answer(for_tokens.clone(), request)),
        ];
        Ok(Self { service, url, storage_url, token_origin, _servers: servers })
    }
}

impl Debug for Simulator {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulator")
            .field("url", &self.url.as_str())
            .field("storage_url", &self.storage_url.as_str())
            .field("token_url", &self.token_url().as_str())
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}

fn origin(listener: &TcpListener) -> io::Result<String> {
    Ok(format!("http://{}", listener.local_addr()?))
}

fn parse(url: &str) -> io::Result<Url> {
    Url::parse(url).map_err(io::Error::other)
}
