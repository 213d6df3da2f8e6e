//! ClientBuilder: the settings of a client.

mod build;

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::credential::Credential;
#[cfg(feature = "token-file")]
use crate::credential::FileKey;
use crate::limit::Limit;
use crate::message::Http;
use crate::profile::{Profile, Secrets};
use crate::retry::RetryPolicy;
use crate::stats::Alerts;
use crate::store::TaskStore;
use crate::task::{PollPolicy, Transcripts};
use crate::throttle::{Feedback, Throttle};
use crate::transport::{Connector, Proxying};

/// Builds a [`Client`](crate::Client). Settings are checked in [`build`](ClientBuilder::build), not before.
#[derive(Clone)]
#[must_use = "a builder does nothing until it is built"]
pub struct ClientBuilder {
    /// `None` for the base of the profile.
    base: Option<String>,
    profile: Profile,
    limits: Vec<Limit>,
    throttle: Option<Throttle>,
    account: String,
    feedback: Option<Feedback>,
    slow_start: bool,
    credential: Option<Credential>,
    secrets: Option<Secrets>,
    retry: Option<RetryPolicy>,
    pace: PollPolicy,
    task_timeout: Option<Duration>,
    clock: Clock,
    allowed: Vec<String>,
    connector: Connector,
    attempt_timeout: Duration,
    idle_timeout: Duration,
    least_rate: u32,
    body_limit: usize,
    user_agent: String,
    alerts: Alerts,
    slow_after: Duration,
    http: Option<Arc<dyn Http>>,
    storage_http: Option<Arc<dyn Http>>,
    task_store: Option<Arc<dyn TaskStore>>,
    #[cfg(feature = "token-file")]
    task_store_key: Option<Arc<FileKey>>,
    download_connections: usize,
    download_bandwidth: Option<NonZeroU64>,
    transcripts: Option<Transcripts>,
    cache_gets: Option<Duration>,
    cache_entries: usize,
    cache_bytes: usize,
}

impl ClientBuilder {
    pub(super) fn new(base: Option<&str>, profile: Profile) -> Self {
        Self {
            base: base.map(str::to_owned),
            profile,
            limits: Vec::new(),
            throttle: None,
            account: String::new(),
            feedback: None,
            slow_start: true,
            credential: None,
            secrets: None,
            retry: None,
            pace: PollPolicy::standard(),
            task_timeout: None,
            clock: Clock::system(),
            allowed: Vec::new(),
            connector: Connector {
                connect_timeout: Duration::from_secs(10),
                proxy: Proxying::FromEnvironment,
                roots: Vec::new(),
                idle_connections: 32,
                idle_connection_timeout: Duration::from_secs(30),
            },
            attempt_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(30),
            least_rate: 100,
            body_limit: 1 << 20,
            user_agent: concat!("longhaul/", env!("CARGO_PKG_VERSION")).to_owned(),
            alerts: Alerts::standard(),
            slow_after: Duration::from_secs(10),
            http: None,
            storage_http: None,
            task_store: None,
            #[cfg(feature = "token-file")]
            task_store_key: None,
            download_connections: DOWNLOAD_CONNECTIONS,
            download_bandwidth: None,
            transcripts: None,
            cache_gets: None,
            cache_entries: CACHE_ENTRIES,
            cache_bytes: CACHE_BYTES,
        }
    }

    /// Sets the profile, which describes the API. [`Profile::auto`] by default.
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Adds a limit to those of the profile. Every limit applies at once.
    ///
    /// A relative route of the limit is resolved below the client's base.
    pub fn limit(mut self, limit: Limit) -> Self {
        self.limits.push(limit);
        self
    }

    /// Shares a throttle with other clients. Clients of the same service and [account](ClientBuilder::account) share
    /// each limit. By default, each client has a throttle of its own.
    pub fn throttle(mut self, throttle: &Throttle) -> Self {
        self.throttle = Some(throttle.clone());
        self
    }

    /// Names the account whose limits the client spends: an API key's number, a tenant. The name is not a secret. It
    /// matters if clients of several accounts at one service share a [throttle](ClientBuilder::throttle).
    pub fn account(mut self, name: impl Into<String>) -> Self {
        self.account = name.into();
        self
    }

    /// Sets how the throttle uses answers, in place of the profile's setting: [`Feedback::Budgets`] by default. The
    /// setting applies to every client that shares the throttle.
    pub const fn feedback(mut self, feedback: Feedback) -> Self {
        self.feedback = Some(feedback);
        self
    }

    /// Sets whether the first requests are sent as after a refusal (one, then two, four and so on) when a resume token
    /// implies an earlier run: on by default, because the service still counts that run's requests, and this process
    /// does not know them. A slow start costs some round trips. [`Throttle::start_slowly`] starts one by hand.
    pub const fn slow_start(mut self, on: bool) -> Self {
        self.slow_start = on;
        self
    }

    /// Sets the credential. The client sends it to the base's own origin and the allowed ones, and nowhere else.
    ///
    /// The credential replaces the one that the profile describes.
    pub fn credential(mut self, credential: Credential) -> Self {
        self.credential = Some(credential);
        self
    }

    /// Sets the secrets of the credential that the profile describes ([`Profile::secret_names`] lists them). Without
    /// secrets and without a [`credential`](Self::credential), requests are sent without one.
    ///
    /// ```
    /// use longhaul::{Client, Profile};
    /// use longhaul::credentials::Secrets;
    ///
    /// let client = Client::for_profile(Profile::sitecore_send())
    ///     .secrets(Secrets::new().set("api_key", "5f2b"))
    ///     .build()?;
    /// # Ok::<(), longhaul::Error>(())
    /// ```
    pub fn secrets(mut self, secrets: Secrets) -> Self {
        self.secrets = Some(secrets);
        self
    }

    /// Sets the retry policy of submits, results and calls, in place of the profile's.
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = Some(retry);
        self
    }

    /// Sets when tasks poll, within the limits that the service asks for.
    pub fn poll_policy(mut self, policy: PollPolicy) -> Self {
        self.pace = policy;
        self
    }

    /// Sets the timeout of every task that sets none of its own. The time counts from the submit, which is included, or
    /// from the [resume](crate::Client::resume). After the timeout, the wait ends with
    /// [`DeadlineExceeded`](crate::ErrorKind::DeadlineExceeded) and a token; the task itself continues at the service.
    ///
    /// [`TaskBuilder::timeout`](crate::TaskBuilder::timeout) and [`Task::timeout`](crate::Task::timeout) replace it.
    /// There is no timeout by default, because only you know how long your tasks take:
    /// [`Alerts::running_for`](crate::telemetry::Alerts::running_for) reports long tasks, and ends none.
    pub const fn task_timeout(mut self, timeout: Duration) -> Self {
        self.task_timeout = Some(timeout);
        self
    }

    /// Keeps tasks in this store, so that they outlive the process: each submit stores its request before it is sent, and
    /// its token before the first poll. [`Client::recover`](crate::Client::recover) takes over what earlier processes
    /// left, and [`Outcome::ack`](crate::Outcome::ack) ends a task.
    ///
    /// No store holds a credential, a [secret header](crate::TaskBuilder::secret_header) or a signed URL. A plain store
    /// holds what a plain [`ResumeToken`](crate::ResumeToken) holds, and until the service has accepted a task, its
    /// request: method, URL, body, and the headers that plain tokens contain. A request of which a part may not be
    /// stored is submitted as any other, and is [uncertain](crate::tasks::Recovered::Uncertain) if the process ends
    /// before its answer. With a [key](Self::task_store_key), a store holds the other headers too.
    pub fn task_store(mut self, store: impl TaskStore) -> Self {
        self.task_store = Some(Arc::new(store));
        self
    }

    /// Encrypts and authenticates what the [task store](Self::task_store) holds with your own key
    /// (XChaCha20-Poly1305). Names, states and times of tasks stay readable. All processes of one store need the same
    /// key; a task that was stored with another key is an [error](crate::tasks::Recovered::Failed) and stays in the
    /// store.
    #[cfg(feature = "token-file")]
    pub fn task_store_key(mut self, key: impl Into<FileKey>) -> Self {
        self.task_store_key = Some(Arc::new(key.into()));
        self
    }

    /// Sets the wall clock, also for the client's own throttle. A shared throttle has [its
    /// own](crate::Throttle::set_clock).
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Allows the credential and the caller's headers to go to another origin of the same service too, such as
    /// `https://eu.api.example.com`: a scheme, a host, and a port unless it is the default one. A `*`, a path, a user,
    /// and plain http beside a base of https are errors of [`build`](Self::build).
    ///
    /// Answers of an allowed origin count as the API's own: its status URLs, its redirects, its limits.
    pub fn allow_origin(mut self, origin: impl Into<String>) -> Self {
        self.allowed.push(origin.into());
        self
    }

    /// Sets the timeout for opening a connection: 10 seconds by default.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connector.connect_timeout = timeout;
        self
    }

    /// Sets the timeout of one attempt, up to the headers of its answer: 60 seconds by default, longer than services
    /// that queue requests are known to hold them.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = timeout;
        self
    }

    /// Sets how long a body may deliver no byte: 30 seconds by default. No body has a total timeout but the deadline of
    /// its call; see [`least_rate`](ClientBuilder::least_rate).
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// Sets the minimum rate of a body in bytes per second, averaged over twice the [idle
    /// timeout](ClientBuilder::idle_timeout), so over a minute: 100 by default, less than any line that still works.
    /// The minimum keeps a body that delivers a byte now and then from holding its connection and its place forever. 0
    /// sets no minimum.
    ///
    /// A status, a call's answer or an error below the minimum ends as if it had broken off; a download opens a new
    /// connection and continues at its offset. A body that the application reads [in
    /// chunks](crate::http::Response::chunk) may be as slow as the application likes.
    pub fn least_rate(mut self, bytes_per_second: u32) -> Self {
        self.least_rate = bytes_per_second;
        self
    }

    /// Sets how many idle connections to one host are kept open: 32 by default, for the API and for storage each.
    /// Connections in use are not bounded by it; [`Limit::concurrent`](crate::Limit::concurrent) bounds those.
    ///
    /// Each connection holds a file descriptor of the process. Set a lower number if few are allowed (`ulimit -n`), and
    /// a higher one if hundreds of requests at a time are sent again and again. 0 keeps none.
    pub fn idle_connections(mut self, per_host: usize) -> Self {
        self.connector.idle_connections = per_host;
        self
    }

    /// Sets after how long an idle connection is closed: 30 seconds by default.
    pub fn idle_connection_timeout(mut self, timeout: Duration) -> Self {
        self.connector.idle_connection_timeout = timeout;
        self
    }

    /// Sets how many bytes of a status, an error or a call's answer are held: 1 MiB by default. Downloads have no such
    /// limit.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// Sends every request through this proxy, downloads included. By default, the environment decides (`HTTP_PROXY`,
    /// `HTTPS_PROXY`, `NO_PROXY`).
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.connector.proxy = Proxying::Through(url.into());
        self
    }

    /// Disables proxies, whatever the environment says.
    pub fn no_proxy(mut self) -> Self {
        self.connector.proxy = Proxying::None;
        self
    }

    /// Trusts these certificates (PEM, one or several) in addition to the platform's, for the API and for storage.
    pub fn root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.connector.roots.push(pem.into());
        self
    }

    /// Sets the User-Agent: `longhaul/` and its version by default.
    pub fn user_agent(mut self, name: impl Into<String>) -> Self {
        self.user_agent = name.into();
        self
    }

    /// Sets the alert thresholds: [`Alerts::standard`] by default.
    pub const fn alerts(mut self, alerts: Alerts) -> Self {
        self.alerts = alerts;
        self
    }

    /// Sets after how long a request is reported as [slow](crate::Event::Slow), from the send to the headers of its
    /// answer: 10 seconds by default. Under load, services that queue requests are known to answer later than that.
    pub const fn slow_after(mut self, took: Duration) -> Self {
        self.slow_after = took;
        self
    }

    /// Sets how many connections the downloads of this client may use for files at a time, all together: 16 by default,
    /// 1 at least. Each file has one at least, and waits for it; further ones are taken where they are free. A
    /// connection needs some 2 MiB of memory.
    pub const fn download_connections(mut self, connections: usize) -> Self {
        self.download_connections = connections;
        self
    }

    /// Limits the bandwidth of all downloads of this client together, in bytes a second. There is no limit by default.
    /// 0 counts as 1.
    pub const fn download_bandwidth(mut self, bytes_per_second: u64) -> Self {
        self.download_bandwidth = Some(match NonZeroU64::new(bytes_per_second) {
            Some(rate) => rate,
            None => NonZeroU64::MIN,
        });
        self
    }

    /// Records the answers of all tasks without their secrets, for [`Profile::replay`] and for a look at what a service
    /// sent. Nothing is recorded by default.
    pub fn transcripts(mut self, transcripts: &Transcripts) -> Self {
        self.transcripts = Some(transcripts.clone());
        self
    }

    /// Keeps the answer of each [GET of the application](crate::Client::get) for this time, and at most this many answers
    /// at a time; of more, the one that was taken longest ago is forgotten. By default, nothing is kept, and 256 answers
    /// at most of the calls that [ask for it](crate::http::RequestBuilder::cached), whose page has the rules.
    ///
    /// Polls, results, pages and downloads are never kept.
    pub const fn cache_gets(mut self, ttl: Duration, max_entries: usize) -> Self {
        (self.cache_gets, self.cache_entries) = (Some(ttl), max_entries);
        self
    }

    /// Sets how many bytes of kept answers are held at a time, with their URLs and headers: 16 MiB by default.
    pub const fn cache_bytes(mut self, bytes: usize) -> Self {
        self.cache_bytes = bytes;
        self
    }

    /// Replaces the built-in HTTP client for the API.
    pub fn http(mut self, http: impl Http) -> Self {
        self.http = Some(Arc::new(http));
        self
    }

    /// Replaces the built-in HTTP client for storage. The replacement must send no credentials of its own.
    pub fn storage_http(mut self, http: impl Http) -> Self {
        self.storage_http = Some(Arc::new(http));
        self
    }
}

impl std::fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("profile", &self.profile.name())
            .field("credential", &self.credential)
            .finish_non_exhaustive()
    }
}

/// Listings that many parts of a program read: more are seldom read again within a ttl.
const CACHE_ENTRIES: usize = 256;
/// Sixteen answers of the default body limit.
const CACHE_BYTES: usize = 16 << 20;
/// Two files at their full speed, or sixteen at a time.
const DOWNLOAD_CONNECTIONS: usize = 16;
