//! Microsoft Graph: export jobs, and operations of Teams.

use std::time::Duration;

use crate::pointer::Source;
use crate::profile::{CredentialStyle, OAuthStyle, Profile};
use crate::protocol::{Protocol, ResultKind, State};

/// Returns the profile of Microsoft Graph.
///
/// Variables: `tenant`, of Microsoft Entra; `version` (`v1.0`, or `beta`). Secrets: `client_id`, `client_secret`, of an
/// application.
///
/// - Without a kind: export jobs of device management (`deviceManagement/reports/exportJobs`) and of Cloud PCs, whose
///   members have other names. The result is a signed link to a ZIP file.
/// - Kind `teams`: the operations of Teams (`teamsAsyncOperation`), such as `teams` and `teams/{id}/archive`. The 202
///   names the operation in `Location`, as a path below the version of the API; it is taken below the base. A poll
///   every 30 seconds, as the documentation asks. The result is the resource that the operation made, if it names one.
///
/// Limits: Graph has many, per service and tenant, and states the wait in `Retry-After`, which is kept: asking again
/// before makes it longer.
///
/// Source: Microsoft, Graph REST API: `deviceManagementExportJob`, `teamsAsyncOperation`, throttling guidance.
#[must_use]
pub fn microsoft_graph() -> Profile {
    let exports = Protocol::new("microsoft_graph")
        .id(Source::pointer("/id"))
        .status_template("{submit}('{id}')")
        .state(Source::pointer("/exportJobStatus"))
        .state(Source::pointer("/status"))
        .word("unknown", State::Running)
        .result(Source::pointer("/exportUrl"), ResultKind::Link)
        .result(Source::pointer("/url"), ResultKind::Link);
    let teams = Protocol::new("teams")
        .id(Source::header("location"))
        .status_template("{+id}")
        .state(Source::pointer("/status"))
        .word("invalid", State::Failed)
        .default_interval(Duration::from_secs(30))
        .result_template("{+/targetResourceLocation}", ResultKind::Url)
        .without_cancel();
    Profile::auto()
        .named("microsoft_graph")
        .base("https://graph.microsoft.com/{version}")
        .variable("version", "v1.0")
        .variable("tenant", "")
        .credential_style(CredentialStyle::oauth(
            OAuthStyle::client_credentials("https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token")
                .scope("https://graph.microsoft.com/.default")
                .in_form(),
        ))
        .protocol(exports)
        .kind("teams", teams)
}
