//! Profile: a description of one API, as data.
//!
//! # Implementation
//! - [`catalog`] lists the profiles that are known by name; each service has a file of data of its own, and [`services`]
//!   holds those that [`profiles`](crate::profiles) has as functions.
//! - [`credential_style`] is the credential as data; [`oauth_style`] is a token endpoint's, and [`secrets`] fills both.
//! - [`check`] finds the mistakes of a profile.
//! - [`replay`] tries a profile on recorded answers.
//! - [`variables`] fills the parts of a URL that differ from tenant to tenant.
//! - [`written`] reads profiles from JSON and TOML, and states where in the file a mistake stands.

mod aprimo;
mod catalog;
mod check;
mod constant_contact;
mod credential_style;
mod genesys;
mod oauth_style;
mod replay;
mod secrets;
pub(crate) mod services;
mod sitecore_send;
mod smag_task;
mod variables;
mod written;

use std::collections::BTreeMap;

use http::HeaderMap;
use serde::{Deserialize, Serialize};

pub use credential_style::{BasicStyle, CredentialStyle, KeyStyle};
pub use oauth_style::{ClientAuth, GrantStyle, OAuthStyle};
pub use replay::Replay;
pub use secrets::Secrets;

use crate::credential::{Credential, OAuth};
use crate::error::{Error, ErrorKind};
use crate::hint::HintRule;
use crate::limit::Limit;
use crate::message::Transcript;
use crate::protocol::Protocol;
use crate::retry::{EnvelopeRule, RetryPolicy};
use crate::throttle::Feedback;

/// A description of one API for longhaul: its base URL, how it identifies callers, how it reports tasks, kind by kind,
/// its limits, and its retries.
///
/// A profile is data, as JSON or TOML; every part can also be set on the client alone. Take one of the known profiles,
/// and change the parts that differ for you:
///
/// ```
/// use longhaul::{Client, Limit, Profile};
/// use longhaul::credentials::Secrets;
///
/// let profile = Profile::genesys().variable("region", "mypurecloud.ie").limit(Limit::per_minute(180));
/// let client = Client::for_profile(profile)
///     .secrets(Secrets::new().set("client_id", "my-id").set("client_secret", "my-secret"))
///     .build()?;
/// assert_eq!(client.base().as_str(), "https://api.mypurecloud.ie/api/v2/");
/// # Ok::<(), longhaul::Error>(())
/// ```
///
/// Or describe your own API:
///
/// ```
/// use longhaul::{Limit, Profile, Protocol};
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
    #[serde(skip_serializing_if = "Option::is_none")]
    base: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    variables: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    credential: Vec<CredentialStyle>,
    protocol: Protocol,
    kinds: BTreeMap<String, Protocol>,
    limits: Vec<Limit>,
    retry: RetryPolicy,
    #[serde(skip_serializing_if = "Option::is_none")]
    feedback: Option<Feedback>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    slow_start: bool,
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

    /// Returns the profile of SMAG's tasks: [`Protocol::smag_task`], limits by calls and bytes that change during the day
    /// and are found by trial ([`Feedback::Learn`]), a subscription key and a token of 24 hours.
    ///
    /// Secrets: `subscription_key`, `application_id`, `user_name`, `password`. Variables: `domain` (`farmsandfields`),
    /// and, because SMAG publishes neither, `key_header` (`Ocp-Apim-Subscription-Key`) and `token_path`.
    #[must_use]
    pub fn smag_task() -> Self {
        smag_task::profile()
    }

    /// Returns the profile of Constant Contact's V3 API: the kinds `contact_export`, `contact_import` and `activity`,
    /// 4 requests a second and 10,000 a day per API key over all its tokens, one request a second at the token endpoint.
    ///
    /// Secrets: `client_id`, and `client_secret`, `redirect`, `refresh_token` as the login needs them. Limits count per
    /// [`account`](crate::ClientBuilder::account): give the API key's name there, and share a
    /// [`throttle`](crate::ClientBuilder::throttle) between the clients of several tokens.
    #[must_use]
    pub fn constant_contact() -> Self {
        constant_contact::profile()
    }

    /// Returns the profile of a partner of Constant Contact: [`constant_contact`](Self::constant_contact) with 10
    /// requests a second and 250,000 a day.
    #[must_use]
    pub fn constant_contact_partner() -> Self {
        constant_contact::partner()
    }

    /// Returns the profile of Aprimo DAM: the kind `order`, 15 requests a second per tenant over all integrations, with
    /// the service's queue of 100 behind them.
    ///
    /// Variable: `env`, the name of the tenant's environment. Secrets: `client_id`, `client_secret`.
    #[must_use]
    pub fn aprimo() -> Self {
        aprimo::profile()
    }

    /// Returns the profile of Genesys Cloud: the kinds `conversation_details`, `user_details`,
    /// `conversation_aggregates`, `audit`, `recording_job`, `recording_batch`, `reporting_export`, `knowledge_export` and
    /// `bulk_job`. The limits are those that the service states in its headers.
    ///
    /// Variable: `region` (`mypurecloud.com`). Secrets: `client_id`, `client_secret`.
    #[must_use]
    pub fn genesys() -> Self {
        genesys::profile()
    }

    /// Returns the profile of Sitecore Send, which has no tasks: the limits of its routes, refusals inside 200, the
    /// API key in the query.
    ///
    /// Secret: `api_key`.
    #[must_use]
    pub fn sitecore_send() -> Self {
        sitecore_send::profile()
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
    pub const NAMES: &'static [&'static str] = &catalog::NAMES;

    /// Returns the built-in profile of this name, such as `auto` or `power_bi`; `None` for an unknown name.
    ///
    /// ```
    /// # use longhaul::{Profile, profiles};
    /// assert_eq!(Profile::by_name("azure"), Some(Profile::azure()));
    /// assert_eq!(Profile::by_name("power_bi"), Some(profiles::power_bi()));
    /// ```
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        catalog::find(name)
    }

    /// Reads a profile from JSON.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config), with the path inside the text (`kinds.export.result[0].kind`),
    /// the line, and what may stand there.
    pub fn from_json(text: &str) -> Result<Self, Error> {
        written::from_json(text)
    }

    /// Reads a profile from TOML.
    ///
    /// ```
    /// use longhaul::Profile;
    ///
    /// let error = Profile::from_toml("name = \"farms\"\n[protocol]\nstate = [\"/a\", 7]").unwrap_err();
    /// assert!(error.to_string().contains("`protocol.state[1]`"), "{error}");
    /// ```
    ///
    /// # Errors
    /// As [`from_json`](Self::from_json).
    #[cfg(feature = "toml")]
    pub fn from_toml(text: &str) -> Result<Self, Error> {
        written::from_toml(text)
    }

    /// Writes the profile as TOML, with all its parts.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if a part is code: a custom schedule, a retry predicate.
    #[cfg(feature = "toml")]
    pub fn to_toml(&self) -> Result<String, Error> {
        written::to_toml(self)
    }

    fn of(name: &str, protocol: Protocol) -> Self {
        Self {
            name: name.to_owned(),
            base: None,
            variables: BTreeMap::new(),
            headers: BTreeMap::new(),
            credential: Vec::new(),
            protocol,
            kinds: BTreeMap::new(),
            limits: Vec::new(),
            retry: RetryPolicy::standard(),
            feedback: None,
            slow_start: false,
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

    /// Sets the base URL, for [`Client::for_profile`](crate::Client::for_profile). It may contain variables in braces:
    /// `https://api.{region}/v2`.
    #[must_use]
    pub fn base(mut self, url: impl Into<String>) -> Self {
        self.base = Some(url.into());
        self
    }

    /// Sets a variable of the base URL, of the credential's URLs and of the headers, such as a region or a tenant.
    /// An empty value means that the user of the profile must set it.
    #[must_use]
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// Adds a header that every request to the API's own origins carries, unless the request sets it itself, such as an
    /// API version. A header is no place for a secret: use [`credential_style`](Self::credential_style).
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.insert(name.into(), value.into());
        self
    }

    /// Adds a part of the credential: how the API identifies its callers, without the secrets.
    #[must_use]
    pub fn credential_style(mut self, style: CredentialStyle) -> Self {
        self.credential.push(style);
        self
    }

    /// Removes the parts of the credential, so that you can set your own in their place.
    #[must_use]
    pub fn without_credential(mut self) -> Self {
        self.credential.clear();
        self
    }

    /// Changes the token endpoint of the profile, if it has one: its URL, its scope, the client's identification.
    ///
    /// ```
    /// use longhaul::Profile;
    ///
    /// let profile = Profile::aprimo().map_oauth(|oauth| oauth.token_url("http://127.0.0.1:8080/token"));
    /// ```
    #[must_use]
    pub fn map_oauth(mut self, mut change: impl FnMut(OAuthStyle) -> OAuthStyle) -> Self {
        for style in &mut self.credential {
            if let CredentialStyle::Oauth(oauth) = style {
                **oauth = change((**oauth).clone());
            }
        }
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

    /// Sends the first requests as after a refusal: one, then two, four and so on, so that an answer states the limit
    /// before a burst exceeds it. For services whose limits only their answers tell.
    #[must_use]
    pub const fn slow_start(mut self) -> Self {
        self.slow_start = true;
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

    /// Returns the names of the secrets that the credential needs, sorted.
    ///
    /// ```
    /// # use longhaul::Profile;
    /// assert_eq!(Profile::sitecore_send().secret_names(), ["api_key"]);
    /// ```
    #[must_use]
    pub fn secret_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.credential.iter().flat_map(CredentialStyle::secret_names).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Builds the profile's credential from the secrets; the empty credential if the profile has none.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config), naming the secret or the variable that is missing.
    pub fn credential(&self, secrets: &Secrets) -> Result<Credential, Error> {
        let fill = |text: &str| self.fill(text);
        self.credential
            .iter()
            .try_fold(Credential::none(), |credential, style| Ok(credential.and(style.build(&fill, secrets)?)))
    }

    /// Builds the token endpoint's part of the credential, to add a store or a first token to it. Combine the rest of a
    /// credential by [`Credential::and`].
    ///
    /// ```
    /// use longhaul::{Client, Credential, Profile};
    /// use longhaul::credentials::{MemoryStore, Secrets};
    ///
    /// let profile = Profile::constant_contact();
    /// let oauth = profile.oauth(&Secrets::new().set("client_id", "my-key"))?.store(MemoryStore::new());
    /// let client = Client::for_profile(profile).credential(Credential::oauth(oauth)).build()?;
    /// # Ok::<(), longhaul::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if the profile has no token endpoint, or if a secret or a variable
    /// is missing.
    pub fn oauth(&self, secrets: &Secrets) -> Result<OAuth, Error> {
        let style = self.credential.iter().find_map(|style| match style {
            CredentialStyle::Oauth(oauth) => Some(oauth),
            _ => None,
        });
        let Some(style) = style else {
            let why = format!("the profile `{}` has no token endpoint: use Profile::credential", self.name);
            return Err(Error::new(ErrorKind::Config, why));
        };
        style.build(&|text| self.fill(text), secrets)
    }

    /// Replaces the variables of a text, or explains which is missing.
    fn fill(&self, text: &str) -> Result<String, String> {
        variables::fill(text, &self.variables).map_err(|why| format!("the profile `{}`: {why}", self.name))
    }

    /// Returns the base URL with its variables filled.
    pub(crate) fn filled_base(&self) -> Result<String, String> {
        match &self.base {
            Some(base) => self.fill(base),
            None => Err(format!(
                "the profile `{}` has no base URL: give one to Client::builder, or set it by Profile::base",
                self.name
            )),
        }
    }

    /// Checks the profile: templates, variables, the credential's URLs, limits that contradict each other, routes that no
    /// request can match, rules without an effect.
    ///
    /// ```
    /// use longhaul::{Limit, Profile};
    ///
    /// let profile = Profile::auto().limit(Limit::per_second(4)).limit(Limit::per_second(5));
    /// let error = profile.check().unwrap_err();
    /// assert!(error.to_string().contains("4 and 5 in the same window of 1s"), "{error}");
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) with all mistakes, each with its place in the data, such as
    /// `kinds.export` or `limits[1]`.
    pub fn check(&self) -> Result<(), Error> {
        check::check(self)
    }

    /// Tries the profile on the recorded answers of a task, without a request: how it would read each answer, by which
    /// rule, whether it would have sent the same requests, and where it would have ended. `kind` is the kind of task; by
    /// default the one of the transcript, or else none.
    ///
    /// `task --record FILE` of the examples, and a [`Transcripts`](crate::tasks::Transcripts), write transcripts.
    #[must_use]
    pub fn replay(&self, kind: Option<&str>, transcript: &Transcript) -> Replay {
        replay::replay(self, kind, transcript)
    }

    /// Returns the headers of every request.
    pub(crate) fn filled_headers(&self) -> Result<HeaderMap, String> {
        self.headers
            .iter()
            .map(|(name, value)| {
                self.fill(value)?;
                check::header(name, value, &self.variables)
                    .map_err(|why| format!("the profile's header `{name}`: {why}"))
            })
            .collect()
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

    pub(crate) const fn starts_slowly(&self) -> bool {
        self.slow_start
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
