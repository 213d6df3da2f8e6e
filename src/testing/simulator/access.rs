//! Access: the credentials of callers, and the places where credentials must not appear.

use std::fmt::{self, Debug, Formatter};

use http::header::{AUTHORIZATION, COOKIE, REFERER};
use http::{HeaderMap, Uri};
use url::form_urlencoded;

use crate::testing::seen::Side;
use crate::testing::tokens::Marks;

/// The bearer token and the subscription key, both of which the API requires, and the accounts that tokens are issued
/// to.
#[derive(Clone)]
pub(super) struct Access {
    pub(super) bearer: String,
    pub(super) key: String,
    pub(super) open: bool,
    /// Whether the token endpoint stands behind the API's gateway, and requires the key.
    pub(super) keyed_tokens: bool,
    pub(super) client_id: String,
    pub(super) client_secret: String,
    pub(super) user: String,
    pub(super) password: String,
    pub(super) marks: Marks,
}

/// The reason why the API denies a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Denied {
    pub(super) message: &'static str,
    pub(super) challenge: &'static str,
}

impl Access {
    pub(super) fn check(&self, headers: &HeaderMap, is_bearer: impl Fn(&str) -> bool) -> Result<(), Denied> {
        if self.open {
            return Ok(());
        }
        self.check_key(headers)?;
        let token = headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim());
        if token.is_some_and(is_bearer) { Ok(()) } else { Err(WRONG_TOKEN) }
    }

    /// Checks the key of a request for tokens, if they stand behind the API's gateway.
    pub(super) fn check_at_tokens(&self, headers: &HeaderMap) -> Result<(), Denied> {
        if self.keyed_tokens { self.check_key(headers) } else { Ok(()) }
    }

    fn check_key(&self, headers: &HeaderMap) -> Result<(), Denied> {
        match headers.get(SUBSCRIPTION_KEY) {
            None => Err(NO_KEY),
            Some(key) if key.as_bytes() != self.key.as_bytes() => Err(WRONG_KEY),
            Some(_) => Ok(()),
        }
    }

    /// Returns the secret of the client with this id, if tokens are issued to it.
    pub(super) fn secret_of(&self, client_id: &str) -> Option<&str> {
        (client_id == self.client_id).then_some(&self.client_secret)
    }

    /// Returns whether a request carries a credential that belongs to another origin alone.
    pub(super) fn is_misplaced(&self, side: Side, headers: &HeaderMap, target: &Uri) -> bool {
        let named = [REFERER.as_str(), COOKIE.as_str(), SUBSCRIPTION_KEY, AUTHORIZATION.as_str()];
        let named = match side {
            Side::Api if carries_signature(target) => return true,
            Side::Api => &[],
            Side::Token => named.split_at(3).0,
            Side::Storage => &named,
        };
        let secrets =
            [&self.client_secret, &self.password, &self.marks.refresh, &self.marks.access, &self.bearer, &self.key];
        let secrets = if side == Side::Api { secrets.split_at(3).0 } else { &secrets };
        let holds = |text: &[u8]| {
            secrets
                .iter()
                .filter(|secret| !secret.is_empty())
                .any(|secret| text.windows(secret.len()).any(|part| part == secret.as_bytes()))
        };
        let is_due = |name: &str| side == Side::Token && self.keyed_tokens && name == SUBSCRIPTION_KEY;
        let mut others = headers.iter().filter(|(name, _)| !is_due(name.as_str()));
        others.any(|(name, value)| named.contains(&name.as_str()) || holds(value.as_bytes()))
            || holds(target.to_string().as_bytes())
    }
}

impl Default for Access {
    fn default() -> Self {
        let random = |length| (0..length).map(|_| fastrand::alphanumeric()).collect();
        Self {
            bearer: random(48),
            key: random(32),
            open: false,
            keyed_tokens: false,
            client_id: random(16),
            client_secret: random(32),
            user: format!("{}@farm.example", random(8)),
            password: random(24),
            marks: Marks::default(),
        }
    }
}

impl Debug for Access {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("open", &self.open).finish_non_exhaustive()
    }
}

/// Returns whether a request to the API carries a signature, which belongs to storage alone.
fn carries_signature(target: &Uri) -> bool {
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
pub(super) const WRONG_TOKEN: Denied = Denied {
    message: "Unauthorized. Access token is missing or invalid.",
    challenge: "Bearer error=\"invalid_token\"",
};
const KEY_CHALLENGE: &str =
    "AzureApiManagementKey realm=\"/farmsandfields/v1\",name=\"Ocp-Apim-Subscription-Key\",type=\"header\"";
