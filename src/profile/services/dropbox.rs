//! Dropbox: asynchronous jobs.

use http::Method;
use serde_json::json;

use crate::hint::{HintFact, HintRule};
use crate::pointer::Source;
use crate::profile::{CredentialStyle, OAuthStyle, Profile};
use crate::protocol::{Exchange, FinalStateVia, Protocol, State};

/// Returns the profile of Dropbox's asynchronous jobs.
///
/// Secrets: `client_id`, `refresh_token`, and `client_secret` where the app has one.
///
/// Every request is a POST, the polls too, and the state is the tag of the answer.
///
/// - Without a kind: the jobs whose check is below the submit: `files/delete_batch`, `files/create_folder_batch`,
///   `files/upload_session/finish_batch`.
/// - Kind `move`: `files/move_batch_v2`; kind `copy`: `files/copy_batch_v2`.
/// - Kind `save_url`: `files/save_url`.
/// - Kind `sharing`: `sharing/relinquish_folder_membership`, `sharing/remove_folder_member`; kind `share`:
///   `sharing/share_folder`.
///
/// A job may be complete at once. The result is the whole document, and it is partial if one of its entries failed.
/// There is no cancel.
///
/// Limits: Dropbox states none; a 429 states its wait, in `Retry-After` and in the body, and both are kept.
///
/// Source: Dropbox API specification: `async`, `files`, `sharing`; error handling guide.
#[must_use]
pub fn dropbox() -> Profile {
    let jobs = |name: &str, check: &str| {
        Protocol::new(name)
            .id(Source::pointer("/async_job_id"))
            .status_template(check)
            .state(Source::pointer("/.tag"))
            .word("async_job_id", State::Accepted)
            .failed_parts(Source::pointer("/entries/*/failure"))
            .error_code(Source::pointer("/failed/.tag"))
            .error_message(Source::pointer("/error_summary"))
            .final_state_via(FinalStateVia::Operation)
            .poll(Exchange::new(Method::POST, "{status}").json(&json!({"async_job_id": "{id}"})))
            .without_cancel()
    };
    Profile::auto()
        .named("dropbox")
        .base("https://api.dropboxapi.com/2")
        .credential_style(CredentialStyle::oauth(OAuthStyle::login(
            "https://www.dropbox.com/oauth2/authorize",
            "https://api.dropboxapi.com/oauth2/token",
        )))
        .protocol(jobs("dropbox", "{submit}/check"))
        .kind("move", jobs("dropbox_move", "files/move_batch/check_v2"))
        .kind("copy", jobs("dropbox_copy", "files/copy_batch/check_v2"))
        .kind("save_url", jobs("dropbox_save_url", "{submit}/check_job_status"))
        .kind("sharing", jobs("dropbox_sharing", "sharing/check_job_status"))
        .kind("share", jobs("dropbox_share", "sharing/check_share_job_status"))
        .hint(HintRule::new(Source::pointer("/error/retry_after"), HintFact::Delay))
}
