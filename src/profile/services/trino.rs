//! Trino: queries.

use std::time::Duration;

use crate::pointer::Source;
use crate::profile::Profile;
use crate::protocol::{Next, PageRule, ProgressUnit, Protocol, State, StatusKind};
use crate::retry::EnvelopeRule;

/// Returns the profile of Trino's queries.
///
/// Base: that of the coordinator. Submit the text of the statement to `v1/statement`, with `X-Trino-User` and the other
/// headers of the session: they are sent with all requests of the query.
///
/// Every answer names the URL of the next one, and rows come as soon as there are any. The task has succeeded once the
/// service tells the columns, and the pages of its outcome (`outcome.pages::<Vec<Value>>()`) follow the query to its
/// end. Before that the service holds each poll back while it waits, so that the polls may be close.
///
/// A query that fails before it has columns is a failed task; one that fails later is an error of its pages, so that no
/// row is missing in silence. A cancel deletes the query.
///
/// Limits: those of the coordinator: 429 and 503 pause.
///
/// Source: Trino documentation: client REST API.
#[must_use]
pub fn trino() -> Profile {
    let queries = Protocol::new("trino")
        .id(Source::pointer("/id"))
        .status_url(Source::pointer("/nextUri"), StatusKind::Monitor)
        .done(Source::pointer("/updateType"))
        .done(Source::pointer("/columns"))
        .without_state(State::Running)
        .status(READS_AS, State::Failed)
        .progress(Source::pointer("/stats/progressPercentage"), ProgressUnit::Percent)
        .default_interval(Duration::from_millis(250))
        .error_code(Source::pointer("/error/errorName"))
        .pages(
            PageRule::rows(Source::pointer("/data/*"))
                .next(Next::url(Source::pointer("/nextUri")))
                .rows_may_be_missing(),
        );
    Profile::auto()
        .named("trino")
        .protocol(queries)
        .envelope(EnvelopeRule::reads_as(READS_AS, Source::pointer("/error/errorName"), [""; 0]).status(200))
}

/// An error inside a 200.
const READS_AS: u16 = 422;
