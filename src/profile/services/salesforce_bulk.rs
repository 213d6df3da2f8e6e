//! Salesforce: queries by Bulk API 2.0.

use http::Method;
use serde_json::json;

use crate::pointer::Source;
use crate::profile::{CredentialStyle, OAuthStyle, Profile};
use crate::protocol::{Exchange, Next, PageRule, Protocol};
use crate::retry::EnvelopeRule;

/// Returns the profile of Salesforce's queries by Bulk API 2.0.
///
/// Variables: `domain`, that of your organization; `version` (`v62.0`). Secrets: `client_id`, `client_secret`, of a
/// connected app with client credentials.
///
/// Submit `{"operation": "query", "query": ..}` to
/// `jobs/query`. The version of the API is that of the base for all requests of a job, as the service demands.
///
/// The result is pages of CSV (`outcome.page_bytes()`), each behind the locator of the one before. A cancel aborts the
/// job, and a cleanup deletes it. There is no progress in percent: the service tells the records so far, not the total.
///
/// Limits: the requests of an organization in 24 hours, which its contract sets: the header `Sforce-Limit-Info` states
/// them and is read. Beyond them the service answers 403 with `REQUEST_LIMIT_EXCEEDED`, which is read as a 429
/// (guess: as its users report it).
///
/// Source: Salesforce, Bulk API 2.0 and Bulk API Developer Guide; REST API Developer Guide, headers.
#[must_use]
pub fn salesforce_bulk() -> Profile {
    let query = Protocol::new("salesforce_bulk")
        .id(Source::pointer("/id"))
        .status_template("{submit}/{id}")
        .state(Source::pointer("/state"))
        .pages(
            PageRule::bytes()
                .url("{submit}/{id}/results")
                .next(Next::cursor(Source::header("sforce-locator"), "locator"))
                .skip_repeated_header(),
        )
        .cancel(Exchange::new(Method::PATCH, "{status}").json(&json!({"state": "Aborted"})))
        .cleanup(Exchange::new(Method::DELETE, "{status}"));
    Profile::auto()
        .named("salesforce_bulk")
        .base("https://{domain}.my.salesforce.com/services/data/{version}")
        .variable("domain", "")
        .variable("version", "v62.0")
        .credential_style(CredentialStyle::oauth(
            OAuthStyle::client_credentials("https://{domain}.my.salesforce.com/services/oauth2/token").in_form(),
        ))
        .protocol(query)
        .envelope(EnvelopeRule::reads_as(429, Source::pointer("/*/errorCode"), ["REQUEST_LIMIT_EXCEEDED"]).status(403))
}
