//! A simulated Genesys Cloud: the API host, the login host, and the storage of recordings and exports.

mod answers;
mod builder;
mod cloud;
mod contacts;
mod error_body;
mod files;
mod job;
mod jobs;
mod quota;
mod route;

use std::fmt::{self, Debug, Formatter};
use std::io;
use std::time::{Duration, Instant};

use http::StatusCode;
use serde_json::Value;
use url::Url;

use super::host::{Host, Ports};
use crate::credential::Token;
use crate::testing::counts::Counts;
use crate::testing::seen::{Seen, Side};

use self::builder::Knobs;
pub use self::builder::{GenesysBuilder, LimitHeaders};
use self::cloud::{Cloud, Fault, TOKEN};
pub use self::job::JobEnd;

/// A Genesys Cloud, in this process: real HTTP/1.1 over loopback, with its limits per token and minute, its jobs in the
/// words of each kind, and its errors.
///
/// ```
/// use longhaul::testing::Genesys;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let service = Genesys::builder().rate(1).start().await?;
/// let token = service.log_in();
///
/// let http = reqwest::Client::builder().no_proxy().build()?;
/// let me = || http.get(service.url().join("api/v2/users/me").unwrap()).bearer_auth(token.expose());
/// let first = me().send().await?;
/// assert_eq!((first.status().as_u16(), &first.headers()["inin-ratelimit-count"]), (200, &"1".parse()?));
/// let second = me().send().await?;
/// assert_eq!((second.status().as_u16(), &second.headers()["inin-ratelimit-count"]), (429, &"2".parse()?));
/// # Ok(())
/// # }
/// ```
///
/// # The API
/// Every path lies below `/api/v2/` of [`url`](Self::url), answers JSON, and requires an access token of the login host.
///
/// | request | answer |
/// | --- | --- |
/// | `POST analytics/conversations/details/jobs`, a JSON object; `users` and `aggregates` likewise | 202 with `jobId` |
/// | `GET …/jobs/{id}` | 200 with `state`: `QUEUED`, `PENDING`, then `FULFILLED`, `FAILED` with `errorMessage`, `EXPIRED` or `CANCELLED` |
/// | `GET …/jobs/{id}/results?cursor=&pageSize=` | 200 with `conversations` (`userDetails`, or `results` of aggregates), and `cursor` unless the page is the last |
/// | `POST audits/query`, `GET audits/query/{id}`, `GET …/{id}/results` | as above, with `id`, `entities`, and `Queued`, `Running`, `Succeeded`, `Failed` or `Cancelled` |
/// | `POST recording/jobs`, `GET recording/jobs/{id}` | 202 and 200 with `id`, `state` and `percentProgress`: `PENDING`, `PROCESSING`, `READY` |
/// | `PUT recording/jobs/{id}`, `{"state": "PROCESSING"}` | 200 if the job is `READY`, which is then `PROCESSING`, and `FULFILLED` at last |
/// | `GET recording/jobs/{id}/failedrecordings` | 200 with an empty list |
/// | `DELETE` of a job of analytics or recordings | 204. The job is canceled, unless it has ended |
/// | `POST recording/batchrequests`, `GET recording/batchrequests/{id}` | 200 with `id`, then with `expectedResultCount`, `resultCount`, `errorCount`, `status` and `results`, of which each poll finds more |
/// | `POST analytics/reporting/exports`, `GET analytics/reporting/exports/{id}` | 200 with `status`, `percentageComplete` and at last `downloadUrl`; without an id, a list of all |
/// | `GET downloads/{id}` | 303 to a signed link of the storage |
/// | `POST outbound/contactlists/{id}/contacts`, a list | 200 with one result for each contact: `id`, or `errorCode` if it has no `data` |
/// | `GET users/me`, `GET users`, `GET routing/queues`, `GET scim/…`, `POST analytics/conversations/details/query` | 200: ordinary calls |
/// | `DELETE tokens/me`, and `DELETE /oauth/sessions/me` of either host | 200. The first ends the token alone, the second its whole login |
///
/// An error has the `ErrorBody` of the service: `message`, `code`, `status`, `contextId`, `details`, `errors`, and
/// `limit` in a refusal by a limit. A request without a valid token counts towards no limit.
///
/// The vendor's documents leave open the status of a third recording job, the words of a batch, the results of single
/// contacts, and the status of a cancel: the answers above are assumptions.
///
/// # The login host
/// `POST /oauth/token` of [`login_url`](Self::login_url) takes the grants `client_credentials`, `authorization_code` and
/// `refresh_token`, from clients that authenticate by Basic or in the form. Access tokens reveal nothing. A refresh token
/// is valid once: its second use ends the whole login.
///
/// # The storage
/// A signed link opens one file for its lifetime. [`file`](Self::file) returns the bytes that the storage sends.
pub struct Genesys {
    host: Host<Cloud>,
    url: Url,
    login_url: Url,
    token_url: Url,
    storage_url: Url,
}

impl Genesys {
    /// Starts a service with [the defaults](GenesysBuilder).
    ///
    /// # Errors
    /// The error of the system when it was asked for a port.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// Returns a builder, which configures a service before it starts.
    pub fn builder() -> GenesysBuilder {
        GenesysBuilder::default()
    }

    /// Returns the API host: `http://127.0.0.1:PORT/`.
    pub fn url(&self) -> Url {
        self.url.clone()
    }

    /// Returns the login host, on another port: `http://127.0.0.1:PORT/`.
    pub fn login_url(&self) -> Url {
        self.login_url.clone()
    }

    /// Returns the token endpoint: `/oauth/token` of the login host.
    pub fn token_url(&self) -> Url {
        self.token_url.clone()
    }

    /// Returns the storage, on a third port.
    pub fn storage_url(&self) -> Url {
        self.storage_url.clone()
    }

    /// Returns the id of the client.
    pub fn client_id(&self) -> String {
        self.host.vendor(|cloud| cloud.knobs.client.0.clone())
    }

    /// Returns the secret of the client.
    pub fn client_secret(&self) -> String {
        self.host.vendor(|cloud| cloud.knobs.client.1.clone())
    }

    /// Returns an access token with its refresh token, as if a user had logged in to the client.
    pub fn log_in(&self) -> Token {
        let (access, refresh) = self.host.vendor(|cloud| {
            let client = cloud.knobs.client.0.clone();
            cloud.authority.log_in(&client, "user", Instant::now())
        });
        Token::new(access).refreshed_by(refresh)
    }

    /// Returns an authorization code, as if a user had agreed. The code is valid once, within a minute, with the
    /// verifier of the challenge (RFC 7636, S256).
    pub fn authorize(&self, redirect_uri: &str, code_challenge: &str) -> String {
        self.host.vendor(|cloud| cloud.authority.authorize(redirect_uri, code_challenge, Instant::now()))
    }

    /// Revokes all access tokens: the API refuses them with 401. Refresh tokens stay valid.
    pub fn void_tokens(&self) {
        self.host.vendor(|cloud| cloud.authority.void_access());
    }

    /// Returns the request counts so far. Pages of results and redirects to files count as
    /// [`follow_ups`](Counts::follow_ups), failures of [`fail_next`](Self::fail_next) as
    /// [`other_calls`](Counts::other_calls).
    pub fn counts(&self) -> Counts {
        self.host.counts()
    }

    /// Returns every request so far, in the order of arrival.
    pub fn log(&self) -> Vec<Seen> {
        self.host.log()
    }

    /// Returns the ids of all jobs, in the order of their submits.
    pub fn jobs(&self) -> Vec<String> {
        self.host.vendor(|cloud| cloud.jobs.order.clone())
    }

    /// Sets how the next job ends, after those of earlier calls; a job for which nothing was set is complete.
    pub fn end_next_job(&self, end: JobEnd) {
        self.host.vendor(|cloud| cloud.jobs.ends.push_back(end));
    }

    /// Answers the next `n` requests to the API with this status, in place of anything else, after those of earlier
    /// calls; with a `Retry-After` if one is given. A number that is not a valid status becomes 500.
    pub fn fail_next(&self, n: usize, status: u16, retry_after: Option<Duration>) {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let fault = Fault { status, retry_after };
        self.host.vendor(|cloud| cloud.faults.extend(std::iter::repeat_n(fault, n)));
    }

    /// Sets how many requests a token may send in a window, from now on. Requests that were counted stay counted.
    pub fn set_rate(&self, calls: u32) {
        self.host.vendor(|cloud| cloud.quotas.set_general(calls));
    }

    /// Sets the limit of a prefix, from now on, as [`GenesysBuilder::prefix_rate`] does.
    pub fn set_prefix_rate(&self, prefix: &str, calls: u32) {
        self.host.vendor(|cloud| cloud.quotas.set_prefix(prefix, calls));
    }

    /// Makes batches report this reason for a recording, in place of a link.
    pub fn lose_recording(&self, id: impl Into<String>, reason: impl Into<String>) {
        self.host.vendor(|cloud| cloud.jobs.lost.insert(id.into(), reason.into()));
    }

    /// Expires every signed link issued so far.
    pub fn expire_links(&self) {
        self.host.vendor(|cloud| cloud.jobs.files.expire());
    }

    /// Returns the bytes of a recording, or of the file of an export, by its id.
    pub fn file(&self, id: &str) -> Vec<u8> {
        self.host.vendor(|cloud| cloud.jobs.files.content(id))
    }

    /// Returns the contacts that were added to a list, in the order of their arrival.
    pub fn contacts(&self, list: &str) -> Vec<Value> {
        self.host.vendor(|cloud| cloud.lists.of(list).to_vec())
    }

    async fn launch(knobs: Knobs) -> io::Result<Self> {
        let ports = Ports::open(&[Side::Api, Side::Token, Side::Storage]).await?;
        let (url, login_url) = (ports.url(Side::Api, "/")?, ports.url(Side::Token, "/")?);
        let (token_url, storage_url) = (ports.url(Side::Token, TOKEN)?, ports.url(Side::Storage, "/")?);
        let bare = |url: &Url| url.as_str().trim_end_matches('/').to_owned();
        let latency = knobs.latency;
        let cloud = Cloud::new(knobs, bare(&url), bare(&storage_url));
        let host = Host::start(ports, latency, cloud);
        Ok(Self { host, url, login_url, token_url, storage_url })
    }
}

impl Debug for Genesys {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Genesys")
            .field("url", &self.url.as_str())
            .field("token_url", &self.token_url.as_str())
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}
