//! Snowflake: statements of the SQL API.

use http::Method;

use crate::pointer::Source;
use crate::profile::{CredentialStyle, Profile};
use crate::protocol::{Exchange, Next, PageRule, Protocol, State, StatusKind};

/// Returns the profile of Snowflake's SQL API.
///
/// Variable: `account`. Secrets: `token`, and its `token_type` (`OAUTH`, `KEYPAIR_JWT` or `PROGRAMMATIC_ACCESS_TOKEN`).
/// For the JWT of a key pair implement [`Sign`](crate::credentials::Sign).
///
/// Submit to `api/v2/statements?async=true`; a statement that ends
/// within 45 seconds may also be answered at once without `async`.
///
/// The HTTP status is the state: 202 runs, 200 is the result, 422 failed, 408 timed out at the service. The result is
/// pages of rows (`outcome.pages::<Vec<String>>()`); the header `Link` names the next partition. Partitions after the
/// first are compressed with gzip: enable the feature `gzip`. A cancel is a POST.
///
/// A submit of unknown fate may be repeated under the same `requestId` with `retry=true` in the query: your own code
/// does that, because a protocol does not change the query of a repeated submit.
///
/// Limits: none documented as a number; a 429 pauses.
///
/// Source: Snowflake documentation: SQL API reference, handling responses.
#[must_use]
pub fn snowflake() -> Profile {
    let statements = Protocol::new("snowflake")
        .id(Source::pointer("/statementHandle"))
        .status_url(Source::pointer("/statementStatusUrl"), StatusKind::Bare)
        .status(408, State::Failed)
        .pages(PageRule::rows(Source::pointer("/data/*")).next(Next::link()))
        .cancel(Exchange::new(Method::POST, "{status}/cancel"));
    Profile::auto()
        .named("snowflake")
        .base("https://{account}.snowflakecomputing.com")
        .variable("account", "")
        .credential_style(CredentialStyle::header("X-Snowflake-Authorization-Token-Type", "token_type"))
        .credential_style(CredentialStyle::bearer())
        .protocol(statements)
}
