//! Adobe Marketo Engage: bulk extracts.

use std::time::Duration;

use http::Method;

use crate::limit::Limit;
use crate::pointer::Source;
use crate::profile::{CredentialStyle, OAuthStyle, Profile};
use crate::protocol::{Exchange, Protocol, ResultKind};
use crate::retry::EnvelopeRule;

/// Returns the profile of Marketo's bulk extracts of leads, activities, program members and custom objects.
///
/// Variable: `munchkin`, the id of your subscription. Secrets: `client_id`, `client_secret`. The token is requested by a
/// POST, where the documentation shows a GET (guess: as the vendor's specification of the identity service allows both).
///
/// Submit to `bulk/v1/leads/export/create.json`, or the `create.json` of
/// another extract. A created job does nothing by itself: it is enqueued at once.
///
/// The status is polled every minute, because the service renews it no more often. The result is the link of the file,
/// which needs the same credential, for seven days. Its `fileSize` and `fileChecksum` are in the document of the
/// outcome ([`Outcome::value`](crate::Outcome::value)).
///
/// Limits: 100 requests in 20 seconds, 10 at once, and 50,000 a day (midnight in Chicago) of a subscription. Set your
/// own in their place if your contract grants more: `Profile::without_limits`. The limits of two running and ten queued
/// extracts and of 500 MB a day are the service's to refuse (1029).
///
/// Marketo reports errors with HTTP 200 and `success: false`: 606, 607, 615 and 1029 are read as 429, 601 and 602 as
/// 401, 608 as 503, 502, 604, 611 and 713 as 500, and every other as 400.
///
/// Source: Adobe, Marketo Engage developer documentation: bulk extract, error codes, limits.
#[must_use]
pub fn marketo() -> Profile {
    let post = |target: &str| Exchange::new(Method::POST, target);
    let extract = Protocol::new("marketo")
        .id(Source::pointer("/result/0/exportId"))
        .status_template("{submit}/../{id}/status.json")
        .state(Source::pointer("/result/0/status"))
        .start("Created", post("{submit}/../{id}/enqueue.json"))
        .default_interval(Duration::from_secs(60))
        .error_message(Source::pointer("/result/0/errorMsg"))
        .result_template("{submit}/../{id}/file.json", ResultKind::Link)
        .cancel(post("{submit}/../{id}/cancel.json"));
    let reads_as = |status, codes: &[&str]| {
        EnvelopeRule::reads_as(status, Source::pointer("/errors/*/code"), codes.iter().copied()).status(200)
    };
    Profile::auto()
        .named("marketo")
        .base("https://{munchkin}.mktorest.com")
        .variable("munchkin", "")
        .credential_style(CredentialStyle::oauth(
            OAuthStyle::client_credentials("https://{munchkin}.mktorest.com/identity/oauth/token").in_form(),
        ))
        .protocol(extract)
        .limit(Limit::per(100, Duration::from_secs(20)).and_concurrent(10).and_per_day(50_000, "America/Chicago"))
        .envelope(reads_as(429, &["606", "607", "615", "1029"]))
        .envelope(reads_as(401, &["601", "602"]))
        .envelope(reads_as(503, &["608"]))
        .envelope(reads_as(500, &["502", "604", "611", "713"]))
        .envelope(EnvelopeRule::reads_as(400, Source::pointer("/success"), ["false"]).status(200))
}
