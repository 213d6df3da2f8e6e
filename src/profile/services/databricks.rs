//! Databricks: statements of the SQL execution API.

use std::time::Duration;

use http::Method;

use crate::pointer::Source;
use crate::profile::{CredentialStyle, Profile};
use crate::protocol::{Exchange, Next, PageRule, Protocol, State};

/// Returns the profile of Databricks' statement execution API.
///
/// Variable: `workspace`, its host, such as `dbc-a1b2.cloud.databricks.com`. Secret: `token`.
///
/// Submit to `api/2.0/sql/statements`.
///
/// - Without a kind: `"disposition": "EXTERNAL_LINKS"`. The rows of the pages are the links of the chunks, with
///   `external_link`, `expiration` and `http_headers`. Hand each to [`Client::download`](crate::Client::download), and
///   the headers that it names to [`Download::header`](crate::Download::header): a link of another origin is fetched
///   without the credential, as the service demands. A link lives for at most 15 minutes, so take each when its page
///   arrives.
/// - Kind `inline`: `"disposition": "INLINE"`. The rows are those of the table, as lists of texts.
///
/// The service drops a statement that nobody polls for 15 minutes: the pause between polls stays below.
///
/// Limits: none documented as a number; a 429 pauses.
///
/// Source: Databricks REST API: statement execution.
#[must_use]
pub fn databricks() -> Profile {
    let statements = |name: &str, rows: &str, next: &str| {
        Protocol::new(name)
            .id(Source::pointer("/statement_id"))
            .status_template("{submit}/{id}")
            .state(Source::pointer("/status/state"))
            .word("CLOSED", State::Expired)
            .error_code(Source::pointer("/status/error/error_code"))
            .error_message(Source::pointer("/status/error/message"))
            .keep_alive(Duration::from_secs(14 * 60))
            .pages(
                PageRule::new("{submit}/{id}/result/chunks/0", Source::pointer(rows))
                    .next(Next::url(Source::pointer(next))),
            )
            .cancel(Exchange::new(Method::POST, "{status}/cancel"))
    };
    let external = statements("databricks", "/external_links/*", "/external_links/0/next_chunk_internal_link");
    let inline = statements("databricks_inline", "/data_array/*", "/next_chunk_internal_link");
    Profile::auto()
        .named("databricks")
        .base("https://{workspace}")
        .variable("workspace", "")
        .credential_style(CredentialStyle::bearer())
        .protocol(external)
        .kind("inline", inline)
}
