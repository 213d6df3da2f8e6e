//! Shopify: bulk operations.

use http::Method;
use serde_json::json;

use crate::hint::{HintFact, HintRule};
use crate::pointer::Source;
use crate::profile::{CredentialStyle, Profile};
use crate::protocol::{Exchange, Protocol, ResultKind, State};
use crate::retry::EnvelopeRule;

/// Returns the profile of Shopify's bulk operations, by GraphQL.
///
/// Variables: `shop`; `version` (`2025-07`). Secret: `token`, an access token of the Admin API.
///
/// Submit the mutation `bulkOperationRunQuery` to
/// `graphql.json`, and let it return `bulkOperation { id status }` and `userErrors { field message }`.
///
/// - Without a kind: `bulkOperationRunQuery`.
/// - Kind `mutation`: `bulkOperationRunMutation`.
///
/// A poll is a POST of a query by the operation's id. The result is the signed link of a JSONL file, for seven days; an
/// operation without objects has none, and then the outcome is the document. The file of a part that an operation left
/// when it failed is at `/data/node/partialDataUrl` of the error's body. A cancel is the mutation
/// `bulkOperationCancel`.
///
/// Limits: points, which depend on the plan. The points that a refusal states are read. Shopify reports errors with HTTP
/// 200: `THROTTLED` is read as 429, `ACCESS_DENIED` as 403, `INTERNAL_SERVER_ERROR` as 500, user errors as 422, every
/// other as 400. While a shop runs a bulk query, one more is a user error.
///
/// Source: Shopify, GraphQL Admin API: bulk operations, rate limits, status and error codes.
#[must_use]
pub fn shopify() -> Profile {
    let operations = |name: &str, mutation: &str| {
        Protocol::new(name)
            .id(Source::pointer(&format!("/data/{mutation}/bulkOperation/id")))
            .status_template("{submit}")
            .state(Source::pointer(&format!("/data/{mutation}/bulkOperation/status")))
            .state(Source::pointer("/data/node/status"))
            .word("CREATED", State::Accepted)
            .error_code(Source::pointer("/data/node/errorCode"))
            .error_code(Source::pointer("/errors/0/extensions/code"))
            .error_message(Source::pointer(&format!("/data/{mutation}/userErrors/0/message")))
            .result(Source::pointer("/data/node/url"), ResultKind::Link)
            .poll(query(POLL))
            .cancel(query(CANCEL))
    };
    let reads_as = |status, codes: &[&str]| {
        let at = Source::pointer("/errors/*/extensions/code");
        EnvelopeRule::reads_as(status, at, codes.iter().copied()).status(200)
    };
    let points = |member: &str, fact| {
        HintRule::new(Source::pointer(&format!("/extensions/cost/throttleStatus/{member}")), fact).budget("points")
    };
    Profile::auto()
        .named("shopify")
        .base("https://{shop}.myshopify.com/admin/api/{version}")
        .variable("shop", "")
        .variable("version", "2025-07")
        .credential_style(CredentialStyle::header("X-Shopify-Access-Token", "token"))
        .protocol(operations("shopify", "bulkOperationRunQuery"))
        .kind("mutation", operations("shopify_mutation", "bulkOperationRunMutation"))
        .hint(points("maximumAvailable", HintFact::Limit))
        .hint(points("currentlyAvailable", HintFact::Remaining))
        .envelope(reads_as(429, &["THROTTLED"]))
        .envelope(reads_as(403, &["ACCESS_DENIED", "SHOP_INACTIVE"]))
        .envelope(reads_as(500, &["INTERNAL_SERVER_ERROR"]))
        .envelope(EnvelopeRule::reads_as(400, Source::pointer("/errors/*/message"), [""; 0]).status(200))
        .envelope(EnvelopeRule::reads_as(422, Source::pointer("/data/*/userErrors/*/message"), [""; 0]).status(200))
}

/// A query with the id of the operation.
fn query(text: &str) -> Exchange {
    Exchange::new(Method::POST, "{status}").json(&json!({"query": text, "variables": {"id": "{id}"}}))
}

const POLL: &str = "query Poll($id: ID!) { node(id: $id) { ... on BulkOperation { id status errorCode objectCount \
                    fileSize url partialDataUrl } } }";

const CANCEL: &str = "mutation Cancel($id: ID!) { bulkOperationCancel(id: $id) { bulkOperation { id status } userErrors \
                      { field message } } }";
