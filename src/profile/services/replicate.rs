//! Replicate: predictions.

use crate::hint::{HintFact, HintRule, Unit};
use crate::limit::{Limit, Scope};
use crate::pointer::Source;
use crate::profile::{CredentialStyle, Profile};
use crate::protocol::{Protocol, ResultKind, State, StatusKind};

/// Returns the profile of Replicate's predictions and trainings.
///
/// Secret: `token`.
///
/// Submit to `predictions`, `models/{owner}/{name}/predictions` or
/// `deployments/{owner}/{name}/predictions`.
///
/// The answer names the URLs of the status and of the cancel. The result is `output`: links where the model makes files,
/// else the value. Files live for an hour.
///
/// Limits: 600 new predictions a minute (counted at `predictions` alone), and 3,000 other requests. The sentence of a
/// 429 states the wait, and is read (guess: as its users report it).
///
/// Source: Replicate documentation: HTTP API, rate limits.
#[must_use]
pub fn replicate() -> Profile {
    let predictions = Protocol::new("replicate")
        .id(Source::pointer("/id"))
        .status_url(Source::pointer("/urls/get"), StatusKind::Monitor)
        .state(Source::pointer("/status"))
        .word("starting", State::Accepted)
        .error_message(Source::pointer("/error"))
        .result(Source::pointer("/output"), ResultKind::Value)
        .cancel_url(Source::pointer("/urls/cancel"));
    Profile::auto()
        .named("replicate")
        .base("https://api.replicate.com/v1")
        .credential_style(CredentialStyle::bearer())
        .protocol(predictions)
        .limit(Limit::per_minute(3_000))
        .limit(Limit::per_minute(600).scope(Scope::route("POST predictions")))
        .hint(HintRule::new(Source::pointer("/detail"), HintFact::Delay).unit(Unit::Text))
}
