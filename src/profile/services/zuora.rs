//! Zuora: data queries, and aggregate queries.

use crate::pointer::Source;
use crate::profile::{CredentialStyle, OAuthStyle, Profile};
use crate::protocol::{Protocol, ResultKind, State};

/// Returns the profile of Zuora's data queries.
///
/// Variable: `host` (`rest.zuora.com`, or that of your tenant's data center). Secrets: `client_id`, `client_secret`.
///
/// - Without a kind: data queries (`query/jobs`). The result is the signed link of the file. A cancel deletes the job.
/// - Kind `aqua`: aggregate queries (`v1/batch-query/`). The result is the link of each batch's file, which needs the
///   same credential. A cancel deletes the job.
///
/// Limits: those of your tenant; a 429 pauses.
///
/// Source: Zuora developer documentation: data query, aggregate query API (`AQuA`). The words `accepted`, `in_progress`
/// and those of a batch are documented; the message of a failed data query is not (guess: `errorMessage`): set another
/// place with [`Protocol::error_message`](crate::Protocol::error_message).
#[must_use]
pub fn zuora() -> Profile {
    let query = Protocol::new("zuora")
        .id(Source::pointer("/data/id"))
        .status_template("{submit}/{id}")
        .state(Source::pointer("/data/queryStatus"))
        .error_code(Source::pointer("/data/errorCode"))
        .error_message(Source::pointer("/data/errorMessage"))
        .result(Source::pointer("/data/dataFile"), ResultKind::Link);
    let aqua = Protocol::new("zuora_aqua")
        .id(Source::pointer("/id"))
        .status_template("{submit}/jobs/{id}")
        .state(Source::pointer("/status"))
        .word("aborted", State::Failed)
        .error_message(Source::pointer("/batches/*/message"))
        .result_template("v1/files/{/batches/*/fileId}", ResultKind::Link);
    Profile::auto()
        .named("zuora")
        .base("https://{host}")
        .variable("host", "rest.zuora.com")
        .credential_style(CredentialStyle::oauth(
            OAuthStyle::client_credentials("https://{host}/oauth/token").in_form(),
        ))
        .protocol(query)
        .kind("aqua", aqua)
}
