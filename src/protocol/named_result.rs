//! Named result: whether an answer names a place of the result other than its whole body.

use http::{Method, StatusCode};
use url::Url;

use super::location::link;
use super::phase::Phase;
use super::reading::Reading;
use super::result_rule::{ResultKind, ResultRule};
use super::rules::FinalStateVia;
use crate::pointer::text;

/// Returns whether the protocol's result rules, guesses apart, lead elsewhere than to the whole answer.
pub(super) fn leads_elsewhere(reading: &Reading<'_>) -> bool {
    let cursor = &reading.cursor;
    let via = match reading.rules.final_state_via {
        Some(FinalStateVia::Operation) => return false,
        Some(FinalStateVia::Location) => newest_location(reading).is_some(),
        Some(FinalStateVia::OriginalUri) => {
            cursor.method != Method::DELETE && cursor.status_url.as_deref() != Some(&*cursor.request_url)
        }
        None => false,
    };
    via || first_page(reading).is_some() || names_result(reading)
}

/// Returns whether a named place of the result, not a guessed one, holds a value.
pub(super) fn names_result(reading: &Reading<'_>) -> bool {
    reading.rules.result.iter().any(|rule| !rule.guess && stands(reading, rule))
}

/// Returns whether a named place of the result after this one holds a value.
pub(super) fn names_another(reading: &Reading<'_>, place: u8) -> bool {
    let behind = reading.rules.result.iter().skip(usize::from(place) + 1);
    behind.filter(|rule| !rule.guess).any(|rule| stands(reading, rule))
}

/// Returns the URL of the first page, or why the answer's values make none; `None` if the protocol names none, or the
/// answer lacks a value.
pub(super) fn first_page(reading: &Reading<'_>) -> Option<Result<Url, String>> {
    reading.rules.pages.as_ref()?.first(reading.cursor.trust()?.base(), reading.filling())
}

/// Returns the last `Location` that an answer named, if it leads elsewhere than to the status.
pub(super) fn newest_location(reading: &Reading<'_>) -> Option<Url> {
    let cursor = &reading.cursor;
    let is_submit = cursor.phase == Phase::Submitting;
    let kept = || cursor.last_location.as_deref().and_then(|url| Url::parse(url).ok());
    reading
        .location()
        .filter(|_| !is_submit || reading.reply.status() != StatusCode::CREATED)
        .or_else(|| kept().filter(|_| !is_submit))
        .filter(|url| Some(url.as_str()) != cursor.status_url.as_deref() && !cursor.location_refused)
}

/// Returns whether the place holds a value. An empty list counts as none, and so does the status URL.
fn stands(reading: &Reading<'_>, rule: &ResultRule) -> bool {
    // A value that makes no URL is there all the same, and ends in an error.
    let Ok(values) = reading.values(rule) else { return true };
    match rule.kind {
        ResultKind::Value => !values.is_empty(),
        ResultKind::Url if !rule.is_of_links(values.len()) => values.first().is_some_and(|value| {
            let url = link(reading.reply.url(), &text(value).unwrap_or_default());
            url.is_ok_and(|url| Some(url.expose()) != reading.cursor.status_url.as_deref())
        }),
        ResultKind::Link | ResultKind::Url => {
            values.iter().any(|value| value.as_array().is_none_or(|items| !items.is_empty()))
        }
    }
}
