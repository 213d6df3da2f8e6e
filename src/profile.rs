//! Profile: a description of one API, as data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::hint::HintRule;
use crate::limit::Limit;
use crate::protocol::Protocol;
use crate::retry::{EnvelopeRule, RetryPolicy};
use crate::throttle::Feedback;

/// A description of one API for longhaul: how the API reports tasks, kind by kind, its limits, and its retries.
///
/// A profile is data, as JSON or TOML; every part can also be set on the client alone.
///
/// ```
/// use longhaul::{Limit, Profile, Protocol};
/// use longhaul::protocols::Source;
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
    #[serde(skip_serializing_if = "Option::is_none")]
    feedback: Option<Feedback>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hints: Vec<HintRule>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    envelopes: Vec<EnvelopeRule>,
}

impl Profile {
    /// Returns a profile that reads the common handshakes ([`Protocol::auto`]), without limits.
    #[must_use]
    pub fn auto() -> Self {
        Self::of("auto", Protocol::auto())
    }

    /// Returns the profile of SMAG's tasks ([`Protocol::smag_task`]). SMAG publishes no fixed limits: set those of your
    /// contract.
    #[must_use]
    pub fn smag_task() -> Self {
        Self::of("smag_task", Protocol::smag_task())
    }

    /// Returns the profile of the pattern "Asynchronous Request-Reply" ([`Protocol::async_request_reply`]).
    #[must_use]
    pub fn async_request_reply() -> Self {
        Self::of("async_request_reply", Protocol::async_request_reply())
    }

    /// Returns the profile of Azure: the REST API guidelines, and the kinds `arm` (Resource Manager) and `data_plane`.
    #[must_use]
    pub fn azure() -> Self {
        Self::of("azure", Protocol::azure_guidelines())
            .kind("guidelines", Protocol::azure_guidelines())
            .kind("arm", Protocol::azure_resource_manager())
            .kind("data_plane", Protocol::azure_data_plane())
    }

    /// Returns the profile of Google's long-running operations ([`Protocol::google_operations`]).
    #[must_use]
    pub fn google_operations() -> Self {
        Self::of("google_operations", Protocol::google_operations())
    }

    /// The names of the built-in profiles.
    pub const NAMES: [&str; 5] = ["auto", "smag_task", "async_request_reply", "azure", "google_operations"];

    /// Returns the built-in profile of this name, such as `auto` or `smag_task`; `None` for an unknown name.
    ///
    /// ```
    /// # use longhaul::Profile;
    /// assert_eq!(Profile::by_name("azure"), Some(Profile::azure()));
    /// ```
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        [Self::auto, Self::smag_task, Self::async_request_reply, Self::azure, Self::google_operations]
            .map(|profile| profile())
            .into_iter()
            .find(|profile| profile.name == name)
    }

    fn of(name: &str, protocol: Protocol) -> Self {
        Self {
            name: name.to_owned(),
            protocol,
            kinds: BTreeMap::new(),
            limits: Vec::new(),
            retry: RetryPolicy::standard(),
            feedback: None,
            hints: Vec::new(),
            envelopes: Vec::new(),
        }
    }

    /// Returns the profile's name.
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

    /// Removes the profile's limits, so that you can set your own in their place.
    #[must_use]
    pub fn without_limits(mut self) -> Self {
        self.limits.clear();
        self
    }

    /// Sets how the throttle uses the service's answers.
    #[must_use]
    pub const fn feedback(mut self, feedback: Feedback) -> Self {
        self.feedback = Some(feedback);
        self
    }

    /// Adds a place where the service's answers state how long to wait, or how much of a budget is left, beside the
    /// [known headers](crate::limits::Hints). A place in the body is read only in answers that refuse for load (429 and
    /// 503).
    #[must_use]
    pub fn hint(mut self, rule: HintRule) -> Self {
        self.hints.push(rule);
        self
    }

    /// Adds a rule for answers whose meaning differs from their status. The first rule that matches counts.
    #[must_use]
    pub fn envelope(mut self, rule: EnvelopeRule) -> Self {
        self.envelopes.push(rule);
        self
    }

    /// Sets the retry policy.
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

    pub(crate) fn hints(&self) -> &[HintRule] {
        &self.hints
    }

    pub(crate) fn envelopes(&self) -> &[EnvelopeRule] {
        &self.envelopes
    }

    pub(crate) const fn heeds(&self) -> Option<Feedback> {
        self.feedback
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
