//! Twilio: bulk exports.

use crate::pointer::Source;
use crate::profile::{CredentialStyle, Profile};
use crate::protocol::{Protocol, Reduce, ResultKind, State};

/// Returns the profile of Twilio's bulk exports.
///
/// Secrets: `account_sid`, `auth_token`.
///
/// Submit a form to `v1/Exports/{type}/Jobs`, where the type is `Messages`,
/// `Calls`, `Conferences` or `Participants`.
///
/// A job has no state of its own, but one for each of its days; it ends when all days have ended, and partially if some
/// failed. `ErrorDuringRun` is not the end: the service tries again. The result is a link for each day, which redirects
/// to a signed one. A cancel deletes the job.
///
/// Limits: Twilio states none for exports; its 429 pauses.
///
/// Source: Twilio documentation: BulkExport (Job, ExportCustom Job, Day); Twilio's OpenAPI specification.
#[must_use]
pub fn twilio() -> Profile {
    let jobs = Protocol::new("twilio")
        .id(Source::pointer("/job_sid"))
        .status_template("{submit}/../../Jobs/{id}")
        .state(Source::pointer("/details/*/status"))
        .reduce(Reduce::All)
        .without_state(State::Accepted)
        .word("CompletedEmptyRecords", State::Succeeded)
        .word("ErrorDuringRun", State::Running)
        .word("RunningToBeDeleted", State::Running)
        .word("DeletedByUserRequest", State::Canceled)
        .result_template("{submit}/../Days/{/details/*/days/*}", ResultKind::Link);
    Profile::auto()
        .named("twilio")
        .base("https://bulkexports.twilio.com")
        .credential_style(CredentialStyle::basic("account_sid", "auth_token"))
        .protocol(jobs)
}
