//! ClientBuilder: how a client is set up.

mod build;

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::credential::Credential;
use crate::limit::Limit;
use crate::message::Http;
use crate::profile::Profile;
use crate::retry::RetryPolicy;
use crate::stats::Alerts;
use crate::task::PollPolicy;
use crate::throttle::{Feedback, Throttle};
use crate::transport::{Connector, Proxying};

/// Sets up a [`Client`](crate::Client). Nothing is checked before [`build`](ClientBuilder::build).
#[derive(Clone)]
#[must_use = "a builder does nothing until it is built"]
pub struct ClientBuilder {
    base: String,
    profile: Profile,
    limits: Vec<Limit>,
    throttle: Option<Throttle>,
    account: String,
    feedback: Option<Feedback>,
    slow_start: bool,
    credential: Credential,
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
}

impl ClientBuilder {
    pub(super) fn new(base: &str) -> Self {
        Self {
            base: base.to_owned(),
            profile: Profile::auto(),
            limits: Vec::new(),
            throttle: None,
            account: String::new(),
            feedback: None,
            slow_start: true,
            credential: Credential::none(),
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
        }
    }

    /// Sets what is known of the API. [`Profile::auto`] by default.
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Adds a limit to those of the profile. All are kept at once.
    ///
    /// A route of it that is relative stands below the client's base.
    pub fn limit(mut self, limit: Limit) -> Self {
        self.limits.push(limit);
        self
    }

    /// Shares a throttle with other clients. Those of the same service and [account](ClientBuilder::account) keep each
    /// limit once, together. Each client has its own by default.
    pub fn throttle(mut self, throttle: &Throttle) -> Self {
        self.throttle = Some(throttle.clone());
        self
    }

    /// Names the account whose limits it spends: an API key's number, a tenant. It is no secret, and matters where a
    /// [throttle](ClientBuilder::throttle) is shared by clients of several accounts at one service.
    pub fn account(mut self, name: impl Into<String>) -> Self {
        self.account = name.into();
        self
    }

    /// Sets what the throttle makes of answers, in place of the profile's: [`Feedback::Budgets`] by default. It counts
    /// for all who share the throttle.
    pub const fn feedback(mut self, feedback: Feedback) -> Self {
        self.feedback = Some(feedback);
        self
    }

    /// Sets whether the first requests go out as after a refusal (one, then two, four and so on) where a resume token says
    /// that there was a run before: on by default, because the service still counts what that run has sent, and this
    /// process knows nothing of it. It takes some round trips. [`Throttle::start_slowly`] does it by hand.
    pub const fn slow_start(mut self, on: bool) -> Self {
        self.slow_start = on;
        self
    }

    /// Sets the credential. It goes to the base's own origin and the allowed ones, and nowhere else.
    pub fn credential(mut self, credential: Credential) -> Self {
        self.credential = credential;
        self
    }

    /// Sets the retries of submits, results and calls, in place of the profile's.
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = Some(retry);
        self
    }

    /// Sets when tasks poll, within what the service asks.
    pub fn poll_policy(mut self, policy: PollPolicy) -> Self {
        self.pace = policy;
        self
    }

    /// Sets how long every task may take that says nothing of it: from its submit, which counts in, or from its
    /// [resume](crate::Client::resume). Past it the wait ends with
    /// [`DeadlineExceeded`](crate::ErrorKind::DeadlineExceeded) and a token; the task itself goes on at the service.
    /// [`TaskBuilder::timeout`](crate::TaskBuilder::timeout) and [`Task::timeout`](crate::Task::timeout) take its place. None by
    /// default, because only you know how long your tasks take: [`Alerts::running_for`](crate::telemetry::Alerts::running_for) reports
    /// those that take long, and ends none.
    pub const fn task_timeout(mut self, timeout: Duration) -> Self {
        self.task_timeout = Some(timeout);
        self
    }

    /// Sets the wall clock, also of the client's own throttle. A shared one has
    /// [its own](crate::Throttle::set_clock).
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Lets the credential and the caller's headers go to another origin of the same service too, such as
    /// `https://eu.api.example.com`: a scheme, a host and a port if it is not the default one. A `*`, a path, a user, and
    /// plain http beside a base of https are errors of [`build`](Self::build).
    ///
    /// What an allowed origin answers counts as the API's own: its status URLs, its redirects, its limits.
    pub fn allow_origin(mut self, origin: impl Into<String>) -> Self {
        self.allowed.push(origin.into());
        self
    }

    /// Sets how long a connection may take to be made: 10 seconds by default.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connector.connect_timeout = timeout;
        self
    }

    /// Sets how long one attempt may take to the headers of its answer: 60 seconds by default, which is longer than
    /// services that queue requests are known to hold them.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = timeout;
        self
    }

    /// Sets how long a body may give no byte: 30 seconds by default. No body has a total timeout but the deadline of its
    /// call; see [`least_rate`](ClientBuilder::least_rate).
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// Sets how many bytes per second a body must give on average over twice the
    /// [idle timeout](ClientBuilder::idle_timeout), so over a minute: 100 by default, less than any line that still
    /// works, so that a body which gives a byte now and then does not hold its connection and its place for ever. 0 sets
    /// no such bound.
    ///
    /// A status, a call's answer and an error end there as if they had broken off; a download opens the connection anew,
    /// and goes on at its offset. A body that the application reads [in chunks](crate::http::Response::chunk) may be as slow as
    /// it likes.
    pub fn least_rate(mut self, bytes_per_second: u32) -> Self {
        self.least_rate = bytes_per_second;
        self
    }

    /// Sets how many connections to one host are kept open while nothing uses them: 32 by default, for the API and for
    /// storage each. It is no bound on those in use, which [`Limit::concurrent`](crate::Limit::concurrent) sets.
    ///
    /// Each holds a file descriptor of the process. Set it lower where few are allowed (`ulimit -n`), and higher where
    /// hundreds of requests at a time go out again and again. 0 keeps none.
    pub fn idle_connections(mut self, per_host: usize) -> Self {
        self.connector.idle_connections = per_host;
        self
    }

    /// Sets after how long a connection is closed that nothing uses: 30 seconds by default.
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

    /// Sends everything through this proxy, downloads too. By default the environment says
    /// (`HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY`).
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.connector.proxy = Proxying::Through(url.into());
        self
    }

    /// Uses no proxy, whatever the environment says.
    pub fn no_proxy(mut self) -> Self {
        self.connector.proxy = Proxying::None;
        self
    }

    /// Trusts these certificates (PEM, one or several) beside the platform's, for the API and for storage.
    pub fn root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.connector.roots.push(pem.into());
        self
    }

    /// Sets the User-Agent: `longhaul/` and its version by default.
    pub fn user_agent(mut self, name: impl Into<String>) -> Self {
        self.user_agent = name.into();
        self
    }

    /// Sets from where on people should look: [`Alerts::standard`] by default.
    pub const fn alerts(mut self, alerts: Alerts) -> Self {
        self.alerts = alerts;
        self
    }

    /// Sets after how long a request is told of as [slow](crate::Event::Slow), from the send to the headers of its
    /// answer: 10 seconds by default. Services that queue requests are known to answer later than that under load.
    pub const fn slow_after(mut self, took: Duration) -> Self {
        self.slow_after = took;
        self
    }

    /// Puts another HTTP client in place of the built-in one for the API.
    pub fn http(mut self, http: impl Http) -> Self {
        self.http = Some(Arc::new(http));
        self
    }

    /// Puts another HTTP client in place of the built-in one for storage. It must send no credentials of its own.
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
