//! Building: turns settings into a client; all of them are checked before any is applied.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::HeaderValue;
use url::Url;

use super::ClientBuilder;
use crate::client::{Client, ClientInner};
use crate::credential::{Credential, TokenTransport};
use crate::download::Carrier;
use crate::error::{Error, ErrorKind};
use crate::event::Observer;
use crate::limit::{Limit, Scope};
use crate::message::{Origin, Trust};
use crate::protocol::Protocol;
use crate::redact::{Hidden, lacks_scheme};
use crate::retry::{EnvelopeRule, RetryBudget};
use crate::stats::Telemetry;
use crate::store::Keeper;
use crate::task::{Durations, Gathering, TaskCore};
use crate::throttle::Throttle;
use crate::transport::{AnswerCache, ConnectorPurpose, Outages, TokenWire, Transport, Wire};

impl ClientBuilder {
    /// Builds the client.
    ///
    /// # Errors
    /// [`ErrorKind::Config`], naming the invalid setting.
    pub fn build(self) -> Result<Client, Error> {
        let base = match &self.base {
            Some(given) => base(given)?,
            None => base(&self.profile.filled_base().map_err(|why| wrong(&why))?)?,
        };
        let allowed = self.allowed.iter().map(|origin| allowed(origin, &base)).collect::<Result<Vec<_>, _>>()?;
        let credential = match (self.credential.clone(), &self.secrets) {
            (Some(_), Some(_)) => {
                return Err(wrong(
                    "the client has a credential and secrets: the secrets are for the profile's credential, so set one of \
                     the two",
                ));
            }
            (Some(credential), None) => credential,
            (None, Some(secrets)) => self.profile.credential(secrets)?,
            // A profile that a client begins with stands for its service; any other client may do without.
            (None, None) if self.base.is_none() && !self.profile.secret_names().is_empty() => {
                return Err(wrong(&format!(
                    "the profile `{}` needs the secrets [{}]: give them by ClientBuilder::secrets, or another credential by \
                     ClientBuilder::credential (Credential::none() for none)",
                    self.profile.name(),
                    self.profile.secret_names().join(", ")
                )));
            }
            (None, None) => Credential::none(),
        };
        credential.check()?;
        let headers = self.profile.filled_headers().map_err(|why| wrong(&why))?;
        self.check()?;
        #[cfg(feature = "token-file")]
        if self.task_store.is_none() && self.task_store_key.is_some() {
            return Err(wrong("the client has a key for a task store, and no store: set one by task_store"));
        }
        let user_agent = HeaderValue::try_from(&self.user_agent)
            .map_err(|error| wrong("the user agent is no header value").with_source(error))?;
        let throttle = self.throttle.unwrap_or_else(|| {
            let throttle = Throttle::new();
            throttle.set_clock(self.clock);
            throttle
        });
        if let Some(feedback) = self.feedback.or(self.profile.heeds()) {
            throttle.set_feedback(feedback);
        }
        let throttle = throttle.account(&base, &self.account);
        let limits: Vec<Limit> = self.profile.limits().iter().chain(&self.limits).cloned().collect();
        for limit in &limits {
            if let Scope::Kind(kind) = limit.scoped()
                && !self.profile.kinds().contains_key(kind)
            {
                let kinds: Vec<_> = self.profile.kinds().keys().map(String::as_str).collect();
                return Err(wrong(&format!(
                    "the limit `{limit}` is for a kind of task that the profile does not have; \
                                           its kinds are [{}]",
                    kinds.join(", ")
                )));
            }
        }
        let http = match self.http {
            Some(http) => http,
            None => Arc::new(self.connector.connect(ConnectorPurpose::Api)?),
        };
        let storage = match self.storage_http {
            Some(http) => http,
            None => Arc::new(self.connector.connect(ConnectorPurpose::Storage)?),
        };
        // The last step that can fail: a client that is not built leaves no limit behind.
        throttle.install(&with_token_limit(limits, &credential, &throttle))?;
        if self.profile.starts_slowly() {
            throttle.start_slowly_once();
        }
        let telemetry = Arc::new(Telemetry::new(throttle.clone(), self.alerts, self.slow_after));
        let sink = telemetry.clone();
        let retry = self.retry.unwrap_or_else(|| self.profile.retries().clone());
        let marks = Observer::to(move |mark, now| sink.record(mark, now));
        // Prevents sums of times from overflowing.
        let attempt_timeout = self.attempt_timeout.min(Duration::from_secs(24 * 60 * 60));
        let connect_timeout = self.connector.connect_timeout;
        let trust = Arc::new(Trust::new(&base, allowed));
        let wire = Wire {
            trust: trust.clone(),
            http,
            throttle,
            credential_id: credential.id().into(),
            credential_label: credential.label().map(Into::into),
            envelopes: self.profile.envelopes().to_vec(),
            hint_rules: self.profile.hints().to_vec(),
            marks: marks.clone(),
            clock: self.clock,
            idle_timeout: self.idle_timeout,
            least_rate: self.least_rate,
            body_limit: self.body_limit,
            user_agent,
            hidden: Hidden::by({
                let credential = credential.clone();
                move || credential.secrets()
            }),
        };
        let transport = Arc::new(Transport {
            trust,
            token_transport: TokenTransport::new(Arc::new(TokenWire::over(&wire, attempt_timeout)), self.clock, marks),
            wire,
            credential,
            headers,
            attempt_timeout,
            cache: AnswerCache::new(self.cache_entries, self.cache_bytes),
            budget: RetryBudget::new(retry.tokens()),
            outages: Outages::new(connect_timeout),
            retry,
        });
        let schedule = transport.retry.pauses().clone();
        let carrier = Arc::new(Carrier::new(
            transport.clone(),
            storage,
            schedule,
            self.download_connections,
            self.download_bandwidth,
        ));
        let durations = Arc::new(Durations::default());
        let core = |kind: Option<&str>, protocol: &Protocol| {
            Arc::new(TaskCore {
                transport: transport.clone(),
                carrier: carrier.clone(),
                protocol: protocol.clone(),
                kind: kind.map(Arc::from),
                given: false,
                pace: self.pace.clone(),
                durations: durations.clone(),
                long_after: self.alerts.long_after(),
                base: base.clone(),
                transcripts: self.transcripts.clone(),
                gathering: Gathering::default(),
            })
        };
        let keeper = self.task_store.map(|store| {
            Keeper::new(
                store,
                #[cfg(feature = "token-file")]
                self.task_store_key,
            )
        });
        let kinds = self.profile.kinds().iter();
        Ok(Client(Arc::new(ClientInner {
            default: core(None, self.profile.default_protocol()),
            kinds: kinds.map(|(name, protocol)| (name.clone(), core(Some(name), protocol))).collect(),
            pace: self.pace,
            durations,
            task_timeout: self.task_timeout,
            slow_start: self.slow_start,
            cache_gets: self.cache_gets,
            transport,
            carrier,
            telemetry,
            keeper,
            base,
            given: Mutex::default(),
        })))
    }
}

impl ClientBuilder {
    /// Checks that the settings are consistent.
    fn check(&self) -> Result<(), Error> {
        self.alerts.check().map_err(|why| wrong(&format!("the alerts: {why}")))?;
        let retry = self.retry.as_ref().unwrap_or_else(|| self.profile.retries());
        retry.check().map_err(|why| wrong(&format!("the retries: {why}")))?;
        if self.task_timeout.is_some_and(|within| within.is_zero()) {
            return Err(wrong("task_timeout(0ns): no task can end in no time; set a longer timeout, or none"));
        }
        self.pace.check().map_err(|why| wrong(&format!("the poll policy: {why}")))?;
        let protocols = std::iter::once(self.profile.default_protocol()).chain(self.profile.kinds().values());
        for protocol in protocols {
            protocol.check().map_err(|why| wrong(&format!("the protocol `{}`: {why}", protocol.name())))?;
        }
        self.profile.envelopes().iter().try_for_each(EnvelopeRule::check).map_err(|why| wrong(&why))
    }
}

/// Adds the limit for token endpoints unless another is declared: one request a second, as Constant Contact documents.
fn with_token_limit(mut limits: Vec<Limit>, credential: &Credential, throttle: &Throttle) -> Vec<Limit> {
    let kept = throttle.limits();
    let declared = limits.iter().chain(&kept).any(|limit| *limit.scoped() == Scope::TokenEndpoint);
    if credential.is_live() && !declared {
        limits.push(Limit::per_second(1).scope(Scope::TokenEndpoint));
    }
    limits
}

fn base(text: &str) -> Result<Url, Error> {
    if let Some(why) = lacks_scheme(text) {
        return Err(wrong(&format!("the base URL {why}")));
    }
    let mut url = Url::parse(text.trim()).map_err(|error| {
        wrong("the base URL is no absolute URL, such as https://api.example.com/v1").with_source(error)
    })?;
    if !matches!(url.scheme(), "http" | "https") {
        let why = format!(
            "the base URL has the scheme `{}`, which is neither http nor https: write one of them before the host, such as \
             https://api.example.com/v1",
            url.scheme()
        );
        return Err(wrong(&why));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("the base URL names a user; give a credential instead"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("the base URL has a query or a fragment; give those with each request"));
    }
    // Paths are joined below the base, so it must end as a folder.
    if !url.path().ends_with('/') {
        let folder = format!("{}/", url.path());
        url.set_path(&folder);
    }
    Ok(url)
}

/// Parses an origin that consists of its name alone: any other part is an error, and none is silently ignored.
fn allowed(text: &str, base: &Url) -> Result<Origin, Error> {
    let text = text.trim();
    let refused = |why: &str| {
        let shown = Url::parse(text).map_or_else(|_| text.escape_debug().to_string(), |url| crate::redact::shown(&url));
        Err(wrong(&format!("the allowed origin `{shown}` {why}")))
    };
    if text.contains('*') {
        return refused("has a `*`: the credential goes only to origins that are named in full");
    }
    if let Some(why) = lacks_scheme(text) {
        return Err(wrong(&format!("the allowed origin {why}")));
    }
    let url = Url::parse(text)
        .map_err(|error| wrong("an allowed origin is no URL, such as https://api.example.com").with_source(error))?;
    let https = base.scheme() == "https";
    match &url {
        url if !matches!(url.scheme(), "http" | "https") => refused("is neither http nor https"),
        url if !url.username().is_empty() || url.password().is_some() => {
            refused("names a user; give a credential instead")
        }
        url if url.path() != "/" || url.query().is_some() || url.fragment().is_some() => {
            refused("has a path, a query or a fragment: an origin is a scheme, a host and a port")
        }
        url if url.scheme() == "http" && https => {
            refused("is plain http, and the base URL is https: the credential would travel in the open")
        }
        url => Ok(Origin::from_url(url)),
    }
}

fn wrong(what: &str) -> Error {
    Error::new(ErrorKind::Config, what)
}
