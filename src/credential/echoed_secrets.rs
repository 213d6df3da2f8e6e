//! EchoedSecrets: what a service may repeat of a credential.

use zeroize::Zeroizing;

use super::token_cache::{Source, TokenCache};
use super::{Credential, OAuth, Part, grant};
use crate::redact::{Secret, secrets_of};

impl Credential {
    /// All that it sends and that nobody may see. For the way of errors: it copies every secret.
    ///
    /// What a [`Sign`](super::Sign) makes is known to the request that it was made for.
    pub(crate) fn secrets(&self) -> Vec<Secret> {
        let parts = self.0.iter().flat_map(|part| match part {
            Part::Header { value, .. } => secrets_of(value.expose()),
            Part::Query { value, .. } => vec![value.clone()],
            Part::TokenCache(live) => live.secrets(),
            Part::Signed(_) => Vec::new(),
        });
        parts.collect()
    }
}

impl TokenCache {
    /// The tokens in use and those before, and all that is sent for them.
    pub(super) fn secrets(&self) -> Vec<Secret> {
        let mut secrets = match &self.source {
            Source::OAuth(oauth) => oauth.secrets(),
            Source::Own(_) => Vec::new(),
        };
        let state = self.state();
        let current = state.current();
        let held = state.held.iter().chain(&state.former).map(|held| &held.token);
        let tokens = current.iter().chain(&state.loaded).chain(held);
        secrets
            .extend(tokens.flat_map(|token| [Some(token.expose()), token.expose_refresh()]).flatten().map(Secret::new));
        secrets.extend(state.login.iter().cloned());
        secrets
    }
}

impl OAuth {
    /// All that it sends and that nobody may see.
    fn secrets(&self) -> Vec<Secret> {
        let mut secrets = Vec::new();
        if let Some(secret) = &self.client_secret {
            // In base64 too, where it is hidden whole: as it is sent, and as some services read it.
            let encoded = grant::pair(&self.client_id, secret.expose());
            let plain = Zeroizing::new(format!("{}:{}", self.client_id, secret.expose()));
            secrets.extend([encoded.as_str(), plain.as_str()].map(Secret::new));
            secrets.push(secret.clone());
        }
        secrets.extend(self.params.iter().map(|(_, value)| value.clone()));
        secrets.extend(self.headers.iter().flat_map(|(_, value)| secrets_of(value.expose())));
        if let Some(Ok(body)) = self.json_body()
            && let Ok(body) = serde_json::from_str(body.expose())
        {
            texts_of(&body, &mut secrets);
        }
        secrets
    }
}

/// Every text and number in a body for a token, however deep.
fn texts_of(value: &serde_json::Value, texts: &mut Vec<Secret>) {
    match value {
        serde_json::Value::String(text) => texts.push(Secret::new(text)),
        serde_json::Value::Number(number) => {
            texts.extend(Some(number.to_string()).filter(|digits| digits.len() >= LEAST_DIGITS).map(Secret::new));
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| texts_of(item, texts)),
        serde_json::Value::Object(members) => members.values().for_each(|member| texts_of(member, texts)),
        serde_json::Value::Null | serde_json::Value::Bool(_) => {}
    }
}

/// Shorter numbers are years, versions and counts.
const LEAST_DIGITS: usize = 6;
