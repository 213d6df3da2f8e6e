//! ClientBuilder: how a client is set up.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use url::Url;

use super::{Client, Inner};
use crate::clock::Clock;
use crate::credential::{Credential, Road};
use crate::download::Carrier;
use crate::error::{Error, ErrorKind};
use crate::event::Marks;
use crate::limit::{Limit, Scope};
use crate::message::{Http, Origin, Trust};
use crate::profile::Profile;
use crate::protocol::Protocol;
use crate::retry::{Budget, RetryPolicy};
use crate::stats::{Alerts, Telemetry};
use crate::task::{Core, Pace};
use crate::throttle::{Feedback, Throttle};
use crate::transport::{Connector, Proxying, Purpose, TokenRoad, Transport};

/// Sets up a [`Client`]. Nothing is checked before [`build`](ClientBuilder::build).
#[derive(Clone)]
#[must_use = "a builder does nothing until it is built"]
pub struct ClientBuilder {
    base: String,
    profile: Profile,
    limits: Vec<Limit>,
    throttle: Option<Throttle>,
    account: String,
    feedback: Option<Feedback>,
    credential: Credential,
    retry: Option<RetryPolicy>,
    pace: Pace,
    clock: Clock,
    allowed: Vec<String>,
    connector: Connector,
    attempt_timeout: Duration,
    idle_timeout: Duration,
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
            credential: Credential::none(),
            retry: None,
            pace: Pace::standard(),
            clock: Clock::system(),
            allowed: Vec::new(),
            connector: Connector {
                connect_timeout: Duration::from_secs(10),
                proxy: Proxying::FromEnvironment,
                roots: Vec::new(),
            },
            attempt_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(30),
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
    pub fn pace(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// Sets the wall clock, also of the client's own throttle. A shared one has
    /// [its own](crate::Throttle::clock).
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Lets the credential and the caller's headers go to another origin of the same service too, such as
    /// `https://eu.api.example.com`.
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

    /// Sets how long a body may give no byte: 30 seconds by default. No body has a total timeout.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
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

    /// Builds the client.
    ///
    /// # Errors
    /// [`ErrorKind::Config`], naming the setting that is wrong.
    pub fn build(self) -> Result<Client, Error> {
        let base = base(&self.base)?;
        let allowed = self.allowed.iter().map(|origin| allowed(origin)).collect::<Result<Vec<_>, _>>()?;
        self.credential.check()?;
        let user_agent = HeaderValue::try_from(&self.user_agent)
            .map_err(|error| wrong("the user agent is no header value").with_source(error))?;
        let throttle = self.throttle.unwrap_or_else(|| {
            let throttle = Throttle::new();
            throttle.clock(self.clock);
            throttle
        });
        if let Some(feedback) = self.feedback.or(self.profile.heeds()) {
            throttle.feedback(feedback);
        }
        let throttle = throttle.account(&base, &self.account);
        let limits: Vec<Limit> = self.profile.limits().iter().chain(&self.limits).cloned().collect();
        for limit in &limits {
            if let Scope::Kind(kind) = limit.scoped()
                && !self.profile.kinds().contains_key(kind)
            {
                let kinds: Vec<_> = self.profile.kinds().keys().map(String::as_str).collect();
                return Err(wrong(&format!("the limit `{limit}`: the profile has the kinds [{}]", kinds.join(", "))));
            }
        }
        let http = match self.http {
            Some(http) => http,
            None => Arc::new(self.connector.connect(Purpose::Api)?),
        };
        let storage = match self.storage_http {
            Some(http) => http,
            None => Arc::new(self.connector.connect(Purpose::Storage)?),
        };
        // The last that can fail: a client that is not built leaves no limit behind.
        throttle.install(&with_token_limit(limits, &self.credential, &throttle))?;
        let telemetry = Arc::new(Telemetry::new(throttle.clone(), self.alerts, self.slow_after));
        let sink = telemetry.clone();
        let retry = self.retry.unwrap_or_else(|| self.profile.retries().clone());
        let marks = Marks::to(move |mark| sink.fold(mark));
        // So that no sum of times runs over.
        let attempt_timeout = self.attempt_timeout.min(Duration::from_secs(24 * 60 * 60));
        let token_road = TokenRoad {
            http: http.clone(),
            throttle: throttle.clone(),
            marks: marks.clone(),
            clock: self.clock,
            attempt_timeout: attempt_timeout.min(LONGEST_FOR_A_TOKEN),
            idle_timeout: self.idle_timeout,
            user_agent: user_agent.clone(),
        };
        let transport = Arc::new(Transport {
            http,
            trust: Arc::new(Trust::new(&base, allowed)),
            is_live: self.credential.is_live(),
            road: Road::new(Arc::new(token_road), self.clock, marks.clone()),
            credential_label: self.credential.label().map(Into::into),
            credential_id: self.credential.id(),
            credential: self.credential,
            throttle,
            hint_rules: self.profile.hints().to_vec(),
            envelopes: self.profile.envelopes().to_vec(),
            marks,
            clock: self.clock,
            attempt_timeout,
            idle_timeout: self.idle_timeout,
            body_limit: self.body_limit,
            user_agent,
            budget: Budget::new(retry.tokens()),
            retry,
        });
        let schedule = transport.retry.pauses().clone();
        let carrier = Arc::new(Carrier { transport: transport.clone(), storage, schedule });
        let core = |kind: Option<&str>, protocol: &Protocol| {
            Arc::new(Core {
                transport: transport.clone(),
                carrier: carrier.clone(),
                protocol: protocol.clone(),
                kind: kind.map(Arc::from),
                given: false,
                pace: self.pace.clone(),
                base: base.clone(),
            })
        };
        let kinds = self.profile.kinds().iter();
        Ok(Client(Arc::new(Inner {
            default: core(None, self.profile.default_protocol()),
            kinds: kinds.map(|(name, protocol)| (name.clone(), core(Some(name), protocol))).collect(),
            pace: self.pace,
            transport,
            carrier,
            telemetry,
            base,
        })))
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

/// With the limit that token endpoints have where nobody declares another: one a second, as Constant Contact's.
fn with_token_limit(mut limits: Vec<Limit>, credential: &Credential, throttle: &Throttle) -> Vec<Limit> {
    let kept = throttle.limits();
    let declared = limits.iter().chain(&kept).any(|limit| *limit.scoped() == Scope::TokenEndpoint);
    if credential.is_live() && !declared {
        limits.push(Limit::per_second(1).scope(Scope::TokenEndpoint));
    }
    limits
}

/// A token comes at once, or not.
const LONGEST_FOR_A_TOKEN: Duration = Duration::from_secs(30);

fn base(text: &str) -> Result<Url, Error> {
    let mut url = Url::parse(text.trim()).map_err(|error| {
        wrong("the base URL is no absolute URL, such as https://api.example.com/v1").with_source(error)
    })?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("the base URL is neither http nor https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("the base URL names a user; give a credential instead"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("the base URL has a query or a fragment; give those with each request"));
    }
    // Paths are joined below it, so it must end as a folder.
    if !url.path().ends_with('/') {
        let folder = format!("{}/", url.path());
        url.set_path(&folder);
    }
    Ok(url)
}

fn allowed(text: &str) -> Result<Origin, Error> {
    let url = Url::parse(text)
        .map_err(|error| wrong("an allowed origin is no URL, such as https://api.example.com").with_source(error))?;
    if matches!(url.scheme(), "http" | "https") {
        Ok(Origin::of(&url))
    } else {
        Err(wrong("an allowed origin is neither http nor https"))
    }
}

fn wrong(what: &str) -> Error {
    Error::new(ErrorKind::Config, what)
}
