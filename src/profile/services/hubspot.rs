//! HubSpot: exports of CRM objects.

use std::time::Duration;

use crate::limit::{Limit, Scope};
use crate::pointer::Source;
use crate::profile::{CredentialStyle, Profile};
use crate::protocol::{Protocol, ResultKind};

/// Returns the profile of HubSpot's exports of CRM objects.
///
/// Secret: `token`, of a private app.
///
/// Submit to `crm/v3/exports/export/async`. The result is a signed link, and partial if
/// the export counts errors (`numErrors`). There is no cancel, and no word for a failure: a refused export is an error
/// of the submit.
///
/// Limits: 30 exports in 24 hours, and 100 requests in 10 seconds (guess: the least of HubSpot's plans; the headers
/// `X-HubSpot-RateLimit-*` are read and may slow it down further). Set your plan's own with `Profile::without_limits`
/// and `Profile::limit`.
///
/// Source: HubSpot developer documentation: CRM exports, API usage guidelines; the public API specification.
#[must_use]
pub fn hubspot() -> Profile {
    let exports = Protocol::new("hubspot")
        .id(Source::pointer("/id"))
        .status_template("{submit}/tasks/{id}/status")
        .state(Source::pointer("/status"))
        .failed_parts(Source::pointer("/numErrors"))
        .result(Source::pointer("/result"), ResultKind::Link)
        .without_cancel();
    let day = Duration::from_secs(24 * 60 * 60);
    Profile::auto()
        .named("hubspot")
        .base("https://api.hubapi.com")
        .credential_style(CredentialStyle::bearer())
        .protocol(exports)
        .limit(Limit::per(100, Duration::from_secs(10)))
        .limit(Limit::per(30, day).scope(Scope::route("POST crm/v3/exports/export/async")))
}
