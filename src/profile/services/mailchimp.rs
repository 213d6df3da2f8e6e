//! Mailchimp: batches of operations.

use crate::limit::Limit;
use crate::pointer::Source;
use crate::profile::{CredentialStyle, Profile};
use crate::protocol::{Protocol, ResultKind, State};

/// Returns the profile of Mailchimp's batch operations.
///
/// Variable: `dc`, the data center that stands at the end of an API key. Secret: `token`, an API key or an OAuth token.
///
/// Submit `{"operations": [..]}` to `batches`.
///
/// A batch always finishes; it is partially succeeded if some of its operations failed. The progress is the share of
/// finished operations. The result is a signed link to a tar.gz file. A cancel deletes the batch and stops it.
///
/// Limits: 10 requests at once for an API key. The service ends a request after 120 seconds.
///
/// Source: Mailchimp Marketing API: batch operations, API limits.
#[must_use]
pub fn mailchimp() -> Profile {
    let batches = Protocol::new("mailchimp")
        .id(Source::pointer("/id"))
        .status_template("{submit}/{id}")
        .state(Source::pointer("/status"))
        .progress_of(Source::pointer("/finished_operations"), Source::pointer("/total_operations"))
        .failed_parts(Source::pointer("/errored_operations"))
        .word("preprocessing", State::Accepted)
        .word("finalizing", State::Running)
        .result(Source::pointer("/response_body_url"), ResultKind::Link);
    Profile::auto()
        .named("mailchimp")
        .base("https://{dc}.api.mailchimp.com/3.0")
        .variable("dc", "")
        .credential_style(CredentialStyle::bearer())
        .protocol(batches)
        .limit(Limit::concurrent(10))
}
