//! FHIR: bulk data exports.

use http::Method;

use crate::pointer::Source;
use crate::profile::Profile;
use crate::protocol::{Exchange, ProgressUnit, Protocol, ResultKind, State, StatusKind};
use crate::retry::EnvelopeRule;

/// Returns the profile of exports by FHIR's bulk data access (`$export`).
///
/// Base: that of the FHIR server. Kick the export off by GET (or POST) of `$export`, `Patient/$export` or
/// `Group/{id}/$export`, with `Accept: application/fhir+json`; `Prefer: respond-async` is sent by itself.
///
/// The status is 202 while the export runs, with a progress in words (`X-Progress`), and 200 with the manifest at the
/// end. The result is a link for each file; files of the API's own origin are fetched with the credential. For those of
/// another origin with `requiresAccessToken`, allow that origin
/// ([`ClientBuilder::allow_origin`](crate::ClientBuilder::allow_origin)). The manifest is the outcome's value. If it
/// lists errors, the result is partial. A cancel, and a cleanup, is a DELETE of the status.
///
/// A 4xx or 500 of the status is the failure of the export, unless its issue has the code `transient`.
///
/// Limits: those of the server, which states the wait in `Retry-After`.
///
/// Source: HL7, FHIR Bulk Data Access Implementation Guide, the bulk data export operation.
#[must_use]
pub fn fhir() -> Profile {
    let export = Protocol::new("fhir")
        .prefer("respond-async")
        .status_url(Source::header("content-location"), StatusKind::Bare)
        .progress(Source::header("x-progress"), ProgressUnit::Percent)
        .status(500, State::Failed)
        .failed_parts(Source::pointer("/error"))
        .error_message(Source::pointer("/issue/0/details/text"))
        .error_message(Source::pointer("/issue/0/diagnostics"))
        .result(Source::pointer("/output/*/url"), ResultKind::Link)
        .cleanup(Exchange::new(Method::DELETE, "{status}"));
    Profile::auto()
        .named("fhir")
        .protocol(export)
        .envelope(EnvelopeRule::reads_as(503, Source::pointer("/issue/*/code"), ["transient"]).status(500))
}
