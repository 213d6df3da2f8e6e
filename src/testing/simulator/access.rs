//! Who may call the API, and where the proof of it has no business to be.

use std::fmt::{self, Debug, Formatter};

use http::header::{AUTHORIZATION, COOKIE, REFERER};
use http::{HeaderMap, Uri};
use url::form_urlencoded;

/// The bearer token and the subscription key, of which the API wants both.
#[derive(Clone)]
pub(super) struct Access {
    pub(super) bearer: String,
    pub(super) key: String,
    pub(super) open: bool,
}

/// Why the API lets nobody in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Denied {
    pub(super) message: &'static str,
    pub(super) challenge: &'static str,
}

impl Access {
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), Denied> {
        if self.open {
            return Ok(());
        }
        match headers.get(SUBSCRIPTION_KEY) {
            None => return Err(NO_KEY),
            Some(key) if key.as_bytes() != self.key.as_bytes() => return Err(WRONG_KEY),
            Some(_) => {}
        }
        let token = headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim());
        if token == Some(self.bearer.as_str()) { Ok(()) } else { Err(WRONG_TOKEN) }
    }

    /// Whether a request to storage brought along what is the API's alone.
    pub(super) fn is_misplaced(&self, headers: &HeaderMap, target: &Uri) -> bool {
        let named = [AUTHORIZATION.as_str(), SUBSCRIPTION_KEY, COOKIE.as_str(), REFERER.as_str()];
        let holds = |text: &[u8]| {
            [&self.bearer, &self.key]
                .into_iter()
                .filter(|secret| !secret.is_empty())
                .any(|secret| text.windows(secret.len()).any(|part| part == secret.as_bytes()))
        };
        named.iter().any(|name| headers.contains_key(*name))
            || headers.values().any(|value| holds(value.as_bytes()))
            || holds(target.to_string().as_bytes())
    }
}

impl Default for Access {
    fn default() -> Self {
        let random = |length| (0..length).map(|_| fastrand::alphanumeric()).collect();
        Self { bearer: random(48), key: random(32), open: false }
    }
}

impl Debug for Access {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("open", &self.open).finish_non_exhaustive()
    }
}

/// Whether a request to the API brought along a signature, which is storage's alone.
pub(super) fn carries_signature(target: &Uri) -> bool {
    let query = target.query().unwrap_or_default();
    form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name.eq_ignore_ascii_case("sig"))
}

const SUBSCRIPTION_KEY: &str = "ocp-apim-subscription-key";

const NO_KEY: Denied = Denied {
    message: "Access denied due to missing subscription key. Make sure to include subscription \
              key when making requests to an API.",
    challenge: KEY_CHALLENGE,
};
const WRONG_KEY: Denied = Denied {
    message: "Access denied due to invalid subscription key. Make sure to provide a valid key \
              for an active subscription.",
    challenge: KEY_CHALLENGE,
};
const WRONG_TOKEN: Denied = Denied {
    message: "Unauthorized. Access token is missing or invalid.",
    challenge: "Bearer error=\"invalid_token\"",
};
const KEY_CHALLENGE: &str =
    "AzureApiManagementKey realm=\"/farmsandfields/v1\",name=\"Ocp-Apim-Subscription-Key\",type=\"header\"";
