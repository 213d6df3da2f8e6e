//! EchoedSecrets: the parts of a credential that a service may repeat.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::active_token::ActiveToken;
use super::basic::client_pair;
use super::oauth_settings::{Grant, OAuthSettings};
use super::token::Token;
use crate::redact::{Secret, secrets_of};

/// Secrets that were sent and are no longer in use: an answer in transit may repeat them.
#[derive(Default)]
pub(super) struct EchoedSecrets {
    /// Replaced tokens, the latest first.
    replaced: Vec<Arc<ActiveToken>>,
    /// The token last loaded from the store: requests for tokens use it.
    pub(super) loaded: Option<Token>,
    /// The code and the verifier of the last login.
    pub(super) login: Vec<Secret>,
}

impl EchoedSecrets {
    pub(super) fn push_replaced(&mut self, token: Arc<ActiveToken>) {
        self.replaced.insert(0, token);
        self.replaced.truncate(MOST_REPLACED);
    }

    pub(super) fn secrets(&self) -> impl Iterator<Item = Secret> {
        let tokens = self.replaced.iter().map(|replaced| &replaced.token).chain(&self.loaded);
        tokens.flat_map(Token::secrets).chain(self.login.iter().cloned())
    }
}

/// Returns every secret that is sent to obtain a token.
pub(super) fn secrets_of_oauth(oauth: &OAuthSettings) -> Vec<Secret> {
    let mut secrets = Vec::new();
    if let Some(secret) = &oauth.client_secret {
        // In base64 too, in which the whole text is hidden: as it is sent, and as some services read it.
        let encoded = client_pair(&oauth.client_id, secret.expose());
        let plain = Zeroizing::new(format!("{}:{}", oauth.client_id, secret.expose()));
        secrets.extend([encoded.as_str(), plain.as_str()].map(Secret::new));
        secrets.push(secret.clone());
    }
    secrets.extend(oauth.params.iter().map(|(_, value)| value.clone()));
    secrets.extend(oauth.headers.iter().flat_map(|(_, value)| secrets_of(value.expose())));
    if let Grant::Json(Ok(body)) = &oauth.grant
        && let Ok(body) = serde_json::from_str(body.expose())
    {
        push_texts(&body, &mut secrets);
    }
    secrets
}

/// Pushes every text and number of a token request's body, at any depth.
fn push_texts(value: &serde_json::Value, texts: &mut Vec<Secret>) {
    match value {
        serde_json::Value::String(text) => texts.push(Secret::new(text)),
        serde_json::Value::Number(number) => {
            texts.extend(Some(number.to_string()).filter(|digits| digits.len() >= LEAST_DIGITS).map(Secret::new));
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| push_texts(item, texts)),
        serde_json::Value::Object(members) => members.values().for_each(|member| push_texts(member, texts)),
        serde_json::Value::Null | serde_json::Value::Bool(_) => {}
    }
}

/// At most this many tokens are replaced while an answer is in transit.
const MOST_REPLACED: usize = 3;
/// Shorter numbers are years, versions and counts.
const LEAST_DIGITS: usize = 6;
