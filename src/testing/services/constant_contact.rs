//! A simulated Constant Contact, version 3.

mod activity;
mod builder;
mod desk;

use std::fmt::{self, Debug, Formatter};
use std::io;
use std::time::{Duration, Instant};

use url::Url;

pub use self::activity::ActivityEnd;
pub use self::builder::ConstantContactBuilder;
use self::desk::Desk;
use super::host::{Host, Ports};
use crate::credential::Token;
use crate::testing::counts::Counts;
use crate::testing::seen::{Seen, Side};

/// Constant Contact in this process: its API, version 3, and its token endpoint, over real HTTP on loopback.
///
/// ```
/// use longhaul::testing::ConstantContact;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let service = ConstantContact::builder().per_second(1).start().await?;
/// service.add_client("key-1", "secret");
/// let token = service.log_in("key-1", "farm");
///
/// let http = reqwest::Client::builder().no_proxy().build()?;
/// let list = http.get(format!("{}/activities", service.url())).bearer_auth(token.expose());
/// let again = list.try_clone().ok_or("a body that streams")?;
/// assert_eq!(list.send().await?.status(), 200);
/// assert_eq!(again.send().await?.status(), 429);
/// # Ok(())
/// # }
/// ```
///
/// # The API
/// Every request needs the bearer token of an account, which [`log_in`](Self::log_in) or the token endpoint issues.
///
/// | request | answer |
/// | --- | --- |
/// | `POST activities/contact_exports`, JSON | 201 with the activity. Its links are paths that begin with `/v3` |
/// | `POST activities/contacts_json_import`, JSON with `import_data` and `list_ids` | 201 with the activity |
/// | `POST activities/contacts_file_import`, a form with the parts `file` and `list_ids` | 201 with the activity |
/// | `GET activities/{id}` | 200 with `state`: first `initialized`, then `processing`, at last as of [`ActivityEnd`]; with `percent_done`, and with the link `results` once an export is completed |
/// | `GET activities?state=&limit=` | 200 with the activities of the account, latest first |
/// | `GET contact_exports/{id}` | 200 with `text/csv`, as of [`csv`](Self::csv) |
/// | `GET account/summary` | 200: an ordinary call |
///
/// # Limits
/// The limits are those of an API key, whatever the account: 4 requests in any second and 10,000 in any day. Requests
/// are counted as they arrive; refused ones leave no trace. The token endpoint accepts one request in any second. An
/// account may have 1,000 unfinished activities. A refusal is 429, with `error_key` and `error_message` in an array and
/// no `Retry-After`.
///
/// Constant Contact documents neither the key in a 429 nor how it counts a day; the
/// [builder](ConstantContactBuilder) says what is assumed.
///
/// # Counts
/// Of [`Counts`], `follow_ups` are the requests for a CSV.
pub struct ConstantContact {
    host: Host<Desk>,
    url: Url,
    token_url: Url,
}

impl ConstantContact {
    /// Starts a service with the documented limits.
    ///
    /// # Errors
    /// The error of the system when it was asked for a port.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// Returns a builder, which configures a service before it starts.
    pub fn builder() -> ConstantContactBuilder {
        ConstantContactBuilder::default()
    }

    /// Returns the base of the API: `http://127.0.0.1:PORT/v3`.
    pub fn url(&self) -> Url {
        self.url.clone()
    }

    /// Returns the token endpoint, of another origin: `http://127.0.0.1:PORT/oauth2/default/v1/token`.
    pub fn token_url(&self) -> Url {
        self.token_url.clone()
    }

    /// Adds an API key with its secret. A known one gets this secret.
    pub fn add_client(&self, api_key: &str, secret: &str) {
        self.host.vendor(|desk| desk.authority.add_client(api_key, secret));
    }

    /// Returns the first tokens of an account under an API key, as if its user had agreed.
    pub fn log_in(&self, api_key: &str, account: &str) -> Token {
        let (access, refresh) = self.host.vendor(|desk| desk.authority.log_in(api_key, account, Instant::now()));
        Token::new(access).refreshed_by(refresh)
    }

    /// Revokes all access tokens issued so far. Refresh tokens stay valid.
    pub fn void_tokens(&self) {
        self.host.vendor(|desk| desk.authority.void_access());
    }

    /// Sets how the next `n` activities end, after those of earlier calls; completed otherwise.
    pub fn end_next(&self, n: usize, end: ActivityEnd) {
        self.host.vendor(|desk| desk.ends.extend(std::iter::repeat_n(end, n)));
    }

    /// Returns the ids of all activities, in the order of their submits.
    pub fn activities(&self) -> Vec<String> {
        self.host.vendor(|desk| desk.order.clone())
    }

    /// Returns the table that the export of this activity writes; `None` if it is no export.
    pub fn csv(&self, activity_id: &str) -> Option<String> {
        self.host.vendor(|desk| desk.csv(activity_id))
    }

    /// Returns the request counts so far.
    pub fn counts(&self) -> Counts {
        self.host.counts()
    }

    /// Returns every request so far, in the order of arrival.
    pub fn log(&self) -> Vec<Seen> {
        self.host.log()
    }

    async fn launch(desk: Desk, latency: Duration) -> io::Result<Self> {
        let ports = Ports::open(&[Side::Api, Side::Token]).await?;
        let (url, token_url) = (ports.url(Side::Api, "/v3")?, ports.url(Side::Token, desk::TOKEN)?);
        Ok(Self { host: Host::start(ports, latency, desk), url, token_url })
    }
}

impl Debug for ConstantContact {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConstantContact")
            .field("url", &self.url.as_str())
            .field("token_url", &self.token_url.as_str())
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}

const DAY: Duration = Duration::from_secs(24 * 3_600);
