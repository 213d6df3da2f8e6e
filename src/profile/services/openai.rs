//! `OpenAI`: batches.

use http::Method;

use crate::pointer::Source;
use crate::profile::{CredentialStyle, Profile};
use crate::protocol::{Exchange, Protocol, ResultKind, State};

/// Returns the profile of `OpenAI`'s batches.
///
/// Secret: `token`, an API key.
///
/// Submit `{"input_file_id": .., "endpoint": .., "completion_window": "24h"}` to
/// `batches`.
///
/// The status names a file, and the result is the link of its content, which needs the same credential. If every
/// request of the batch failed, there is only a file of errors, and the link is that of this file. A batch with failed
/// requests is partially succeeded; its file of errors is named in the outcome's value, at `error_file_id`. An expired
/// or canceled batch may have a file too: its id is in the error's body.
///
/// Limits: those of your tier, which the headers `x-ratelimit-*` state; they are read.
///
/// Source: `OpenAI` API reference: batches, files; rate limits guide.
#[must_use]
pub fn openai() -> Profile {
    let batches = Protocol::new("openai")
        .id(Source::pointer("/id"))
        .status_template("{submit}/{id}")
        .state(Source::pointer("/status"))
        .word("validating", State::Accepted)
        .word("finalizing", State::Running)
        .progress_of(Source::pointer("/request_counts/completed"), Source::pointer("/request_counts/total"))
        .failed_parts(Source::pointer("/request_counts/failed"))
        .error_code(Source::pointer("/errors/data/0/code"))
        .error_message(Source::pointer("/errors/data/0/message"))
        .result_template("files/{/error_file_id}/content", ResultKind::Link)
        .result_template("files/{/output_file_id}/content", ResultKind::Link)
        .cancel(Exchange::new(Method::POST, "{status}/cancel"));
    Profile::auto()
        .named("openai")
        .base("https://api.openai.com/v1")
        .credential_style(CredentialStyle::bearer())
        .protocol(batches)
}
