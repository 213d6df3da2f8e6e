//! A simulated Aprimo DAM.

mod builder;
mod desk;
mod order;

use std::collections::{HashMap, VecDeque};
use std::fmt::{self, Debug, Formatter};
use std::io;
use std::time::{Duration, Instant};

use url::Url;

pub use self::builder::AprimoBuilder;
use self::desk::{Desk, Rules};
pub use self::order::OrderEnd;
use super::authority::{Authority, RefreshTokens};
use super::host::{Host, Ports};
use super::queue::Queue;
use crate::credential::Token;
use crate::testing::counts::Counts;
use crate::testing::seen::{Seen, Side};

/// Aprimo DAM in this process: the API of one tenant, its token endpoint and its storage, over real HTTP on loopback.
///
/// ```
/// use longhaul::testing::Aprimo;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let service = Aprimo::start().await?;
/// let token = service.log_in("an integration");
///
/// let http = reqwest::Client::builder().no_proxy().build()?;
/// let records = http.get(service.url().join("api/core/records")?).bearer_auth(token.expose());
/// let without_version = records.try_clone().ok_or("a body that streams")?;
/// assert_eq!(records.header("API-VERSION", "1").send().await?.status(), 200);
/// assert_eq!(without_version.send().await?.status(), 400);
/// # Ok(())
/// # }
/// ```
///
/// # The API
/// Every request needs the header `API-VERSION` and the bearer token of an integration, which [`log_in`](Self::log_in)
/// or the token endpoint issues. Answers are `application/hal+json`.
///
/// | request | answer |
/// | --- | --- |
/// | `POST api/core/orders`, JSON with `type` and `targets` | 201 with `id` and `status`, and a `Location`. An order may be [finished at once](AprimoBuilder::at_once_every) |
/// | `GET api/core/order/{id}` | 200 with `status`: first `Pending`, then `Queued` and `Executing`, at last as of [`OrderEnd`], with `deliveredFiles`, `failedTargetsCount` and `message`. The spelling of the status changes from answer to answer |
/// | `GET api/core/records` | 200: an ordinary call |
///
/// `deliveredFiles` holds a signed link to the storage for each target; the storage answers with the bytes of
/// [`expected`](Self::expected), and counts a credential there as misplaced. Aprimo does not document how its files are
/// protected.
///
/// # Limits
/// The limit is that of the tenant, over all integrations, and counts every request as it arrives: 15 start in any
/// second. Of those that come too soon, 100 are held, and start one after another at the rate of the limit; more are
/// refused with 429. So of 130 requests at once 15 start at once and 100 within 6.7 seconds, and 15 are refused.
///
/// # Counts
/// Of [`Counts`], `held` are the requests that were answered late.
pub struct Aprimo {
    host: Host<Desk>,
    url: Url,
    token_url: Url,
}

impl Aprimo {
    /// Starts a service with the documented limits.
    ///
    /// # Errors
    /// The error of the system when it was asked for a port.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// Returns a builder, which configures a service before it starts.
    pub fn builder() -> AprimoBuilder {
        AprimoBuilder::default()
    }

    /// Returns the base of the API: `http://127.0.0.1:PORT/`.
    pub fn url(&self) -> Url {
        self.url.clone()
    }

    /// Returns the token endpoint, of another origin: `http://127.0.0.1:PORT/login/connect/token`. It accepts
    /// `client_credentials` with the scope `api`, the client by Basic or in the form.
    pub fn token_url(&self) -> Url {
        self.token_url.clone()
    }

    /// Adds an integration with its secret. A known one gets this secret.
    pub fn add_client(&self, id: &str, secret: &str) {
        self.host.vendor(|desk| desk.authority.add_client(id, secret));
    }

    /// Returns an access token for an integration.
    pub fn log_in(&self, client_id: &str) -> Token {
        Token::new(self.host.vendor(|desk| desk.authority.log_in(client_id, client_id, Instant::now())).0)
    }

    /// Revokes all access tokens issued so far.
    pub fn void_tokens(&self) {
        self.host.vendor(|desk| desk.authority.void_access());
    }

    /// Sets how the next `n` orders end, after those of earlier calls; with success otherwise.
    pub fn end_next(&self, n: usize, end: OrderEnd) {
        self.host.vendor(|desk| desk.ends.extend(std::iter::repeat_n(end, n)));
    }

    /// Returns the ids of all orders, in the order of their submits.
    pub fn orders(&self) -> Vec<String> {
        self.host.vendor(|desk| desk.order.clone())
    }

    /// Returns the bytes of a file that an order delivers, numbered from 0; `None` if it does not.
    pub fn expected(&self, order_id: &str, number: usize) -> Option<String> {
        self.host.vendor(|desk| desk.expected(order_id, number))
    }

    /// Returns the request counts so far.
    pub fn counts(&self) -> Counts {
        self.host.counts()
    }

    /// Returns every request so far, in the order of arrival.
    pub fn log(&self) -> Vec<Seen> {
        self.host.log()
    }

    async fn launch(settings: AprimoBuilder) -> io::Result<Self> {
        let ports = Ports::open(&[Side::Api, Side::Token, Side::Storage]).await?;
        let (url, token_url) = (ports.url(Side::Api, "/")?, ports.url(Side::Token, desk::TOKEN)?);
        let origin = |side| ports.url(side, "").map(|url| url.origin().ascii_serialization());
        let desk = Desk {
            rules: Rules {
                duration: settings.duration,
                at_once_every: settings.at_once_every,
                api: origin(Side::Api)?,
                storage: origin(Side::Storage)?,
            },
            authority: Authority::new(settings.token_life, RefreshTokens::Rotating, &[]),
            queue: Queue::new(settings.per_second, Duration::from_secs(1), settings.places),
            orders: HashMap::new(),
            order: Vec::new(),
            ends: VecDeque::new(),
        };
        Ok(Self { host: Host::start(ports, settings.latency, desk), url, token_url })
    }
}

impl Debug for Aprimo {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aprimo")
            .field("url", &self.url.as_str())
            .field("token_url", &self.token_url.as_str())
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}
