//! Profile: all that longhaul must know of one API, as data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::limit::Limit;
use crate::protocol::Protocol;
use crate::retry::RetryPolicy;

/// All that longhaul must know of one API: how it speaks of tasks, kind by kind, its limits, its retries.
///
/// It is data, as JSON or TOML; every part can also be set on the client alone.
///
/// ```
/// use longhaul::{Limit, Profile, Protocol, Source};
///
/// let profile = Profile::auto()
///     .named("video")
///     .kind("render", Protocol::auto().named("render").status_template("jobs/{id}"))
///     .limit(Limit::per_second(15));
/// let text = serde_json::to_string(&profile)?;
/// assert_eq!(serde_json::from_str::<Profile>(&text)?, profile);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Profile {
    name: String,
    protocol: Protocol,
    kinds: BTreeMap<String, Protocol>,
    limits: Vec<Limit>,
    retry: RetryPolicy,
}

impl Profile {
    /// Reads the common handshakes ([`Protocol::auto`]); no limits.
    #[must_use]
    pub fn auto() -> Self {
        Self::of("auto", Protocol::auto())
    }

    /// SMAG's tasks ([`Protocol::smag_task`]). SMAG publishes no fixed limits: set those of your contract.
    #[must_use]
    pub fn smag_task() -> Self {
        Self::of("smag_task", Protocol::smag_task())
    }

    fn of(name: &str, protocol: Protocol) -> Self {
        Self {
            name: name.to_owned(),
            protocol,
            kinds: BTreeMap::new(),
            limits: Vec::new(),
            retry: RetryPolicy::standard(),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sets the name.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets the protocol of tasks without a kind.
    #[must_use]
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// Adds a kind of task with its protocol.
    #[must_use]
    pub fn kind(mut self, name: impl Into<String>, protocol: Protocol) -> Self {
        self.kinds.insert(name.into(), protocol);
        self
    }

    /// Adds a limit.
    #[must_use]
    pub fn limit(mut self, limit: Limit) -> Self {
        self.limits.push(limit);
        self
    }

    /// Sets the retries.
    #[must_use]
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    pub(crate) const fn default_protocol(&self) -> &Protocol {
        &self.protocol
    }

    pub(crate) const fn kinds(&self) -> &BTreeMap<String, Protocol> {
        &self.kinds
    }

    pub(crate) fn limits(&self) -> &[Limit] {
        &self.limits
    }

    pub(crate) const fn retries(&self) -> &RetryPolicy {
        &self.retry
    }
}

impl Default for Profile {
    fn default() -> Self {
        Self::auto()
    }
}
