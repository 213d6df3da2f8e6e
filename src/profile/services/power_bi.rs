//! Power BI: exports of reports.

use crate::profile::{CredentialStyle, OAuthStyle, Profile};
use crate::protocol::{Protocol, ResultKind, State};

/// Returns the profile of Power BI's exports of reports to files (`ExportTo`).
///
/// Variable: `tenant`, of Microsoft Entra. Secrets: `client_id`, `client_secret`, of an application.
///
/// Submit to `reports/{report}/ExportTo` or
/// `groups/{group}/reports/{report}/ExportTo`; the status and the file are beside it, at `exports/{id}`.
///
/// The status answers 202 while the export runs and 200 at the end; the word counts. Its `Retry-After` is kept. The
/// result is the link of the file, which needs the same credential, for 24 hours. There is no cancel.
///
/// Limits: Microsoft states none as a rate. The number of exports at once depends on the capacity: set it by
/// `Limit::concurrent` or let the 429 pause.
///
/// Source: Microsoft, Power BI REST API, Export To File.
#[must_use]
pub fn power_bi() -> Profile {
    let exports = Protocol::auto()
        .named("power_bi")
        .status_template("{submit}/../exports/{id}")
        .word("Undefined", State::Running)
        .result_template("{submit}/../exports/{id}/file", ResultKind::Link)
        .without_cancel();
    Profile::auto()
        .named("power_bi")
        .base("https://api.powerbi.com/v1.0/myorg")
        .variable("tenant", "")
        .credential_style(CredentialStyle::oauth(
            OAuthStyle::client_credentials("https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token")
                .scope("https://analysis.windows.net/powerbi/api/.default")
                .in_form(),
        ))
        .protocol(exports)
}
