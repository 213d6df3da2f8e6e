//! The profile of SMAG's tasks. Data only.

use std::time::Duration;

use serde_json::json;

use super::{CredentialStyle, OAuthStyle, Profile};
use crate::credential::TokenAnswer;
use crate::hint::{HintFact, HintRule, Unit};
use crate::pointer::Source;
use crate::protocol::Protocol;
use crate::throttle::Feedback;

pub(super) fn profile() -> Profile {
    let body = json!({
        "ApplicationId": "{application_id}",
        "UserName": "{user_name}",
        "Password": "{password}",
    });
    // The path of the login and the name of the key's header are not published.
    let token_url = "https://api.smag.tech/{token_path}";
    let key = "subscription_key";
    Profile::of("smag_task", Protocol::smag_task())
        .base("https://api.smag.tech/{domain}/v1")
        .variable("domain", "farmsandfields")
        .variable("key_header", "Ocp-Apim-Subscription-Key")
        .variable("token_path", "authentication-operational/v1/api/authentication")
        .credential_style(CredentialStyle::header("{key_header}", key))
        .credential_style(CredentialStyle::oauth(
            OAuthStyle::json(token_url, body)
                .refresh_at("https://api.smag.tech/authentication-operational/v1/api/oauth2/refresh_token")
                .header("{key_header}", key)
                // A JWT states its end; all tokens live for a day.
                .answer(TokenAnswer::smag().life(Duration::from_secs(24 * 60 * 60))),
        ))
        .feedback(Feedback::Learn)
        // The property of a refusal is in milliseconds; the header is read in seconds, as everywhere.
        .hint(HintRule::new(Source::pointer("/RetryAfter"), HintFact::Delay).unit(Unit::Milliseconds))
        .hint(HintRule::new(Source::pointer("/Retry-After"), HintFact::Delay).unit(Unit::Milliseconds))
        // Words of a gateway: "Rate limit is exceeded. Try again in 60 seconds."
        .hint(HintRule::new(Source::pointer("/message"), HintFact::Delay).unit(Unit::Text))
}
