//! The profile of Aprimo DAM. Data only.

use std::time::Duration;

use super::{CredentialStyle, OAuthStyle, Profile};
use crate::credential::TokenAnswer;
use crate::limit::Limit;
use crate::pointer::Source;
use crate::protocol::{Protocol, ResultKind, State, StatusKind};

pub(super) fn profile() -> Profile {
    Profile::of("aprimo", order())
        .base("https://{env}.dam.aprimo.com")
        .variable("env", "")
        .header("API-VERSION", "1")
        .header("Accept", "application/hal+json")
        .kind("order", order())
        .limit(Limit::per_second(15).and_server_queue(100).named("tenant"))
        .credential_style(CredentialStyle::oauth(
            OAuthStyle::client_credentials("https://{env}.aprimo.com/login/connect/token")
                .in_form()
                .scope("api")
                // The life of a token is not published; the answer's `expires_in` takes precedence.
                .answer(TokenAnswer::new().life(Duration::from_secs(9 * 60))),
        ))
}

/// An order: submitted in the plural, and read in the singular.
fn order() -> Protocol {
    Protocol::auto()
        .named("order")
        .id(Source::pointer("/id"))
        .status_url(Source::header("location"), StatusKind::Monitor)
        .status_template("api/core/order/{id}")
        .state(Source::pointer("/status"))
        .word("AsyncPending", State::Accepted)
        .word("AsyncExecuting", State::Running)
        .result(Source::pointer("/deliveredFiles/*"), ResultKind::Link)
        .failed_parts(Source::pointer("/failedTargetsCount"))
        .error_message(Source::pointer("/message"))
        .without_cancel()
}
