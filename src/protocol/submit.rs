//! Reading the answer to a submit.

use http::StatusCode;
use serde_json::Value;
use url::Url;

use super::cursor::Cursor;
use super::flaw::Flaw;
use super::location::join;
use super::phase::Phase;
use super::reading::Reading;
use super::reason::Reason;
use super::result::terminal;
use super::result_body::{itself, warn_of_error};
use super::status_place::{Place, Said, find, find_in_beginning, no_status_url};
use super::step::{Report, Step};
use super::template::is_bent;
use super::words::State;
use super::{created, follow_up, named_result, report, result_link};
use crate::error::{ErrorKind, Fault};
use crate::message::Reply;
use crate::redact::shown;

pub(super) fn read(reading: &mut Reading<'_>) -> Step {
    let Reading { rules, reply, body, .. } = *reading;
    // 303 leads to the result, unless the protocol declares that it leads to the status (IVOA UWS).
    let names_status = || rules.status_url.iter().any(|at| !at.guess && at.at.text(reply, body).is_some());
    let leads_to_status = reply.status() == StatusCode::SEE_OTHER && names_status();
    if !reply.status().is_success() && !leads_to_status {
        return refused(reading);
    }
    reading.cursor.id = rules.id.iter().find_map(|at| at.exact_text(reply, body)).map(Into::into);
    remember_query(reading);
    let mut report = report::parse(reading);
    let said = Said::from_reading(reading, &report);
    let place = match find(reading, said) {
        Ok(place) => place.or_else(|| find_in_beginning(reading, said)),
        Err(step) => return step,
    };
    // Beside a status URL, 202 means not completed: `"status": "success"` refers to the submit, and `provisioningState`
    // to the previous state of the resource.
    let may_end = place.is_none() || reply.status() != StatusCode::ACCEPTED;
    if let Some(state) = said.known.filter(|state| state.is_terminal() && may_end) {
        reading.cursor.accepted_because(Reason::FinishedAtOnce);
        report.state = state;
        keep_location(reading);
        // The URL at which the status could be requested again, for a fresh link.
        if let Some(place) = place {
            let is_kept = state.has_result() && reply.status() != StatusCode::CREATED;
            reading.cursor.kind = place.kind;
            reading.cursor.status_url = Some(place.url.as_str().into()).filter(|_| is_kept);
        }
        return terminal(reading, report);
    }
    match place {
        Some(place) => accepted(reading, said, place, report),
        None => nowhere(reading, said, report),
    }
}

/// Returns the new location of a submit, to be sent there once more with its method and body (RFC 9110, 15.4.8 and
/// 15.4.9). `moves` is how often the submit has moved already.
pub(crate) fn moved(cursor: &Cursor, reply: &Reply, moves: u32) -> Option<Url> {
    let is_kept = matches!(reply.status().as_u16(), 307 | 308) && moves < MAX_MOVES;
    let location = std::str::from_utf8(reply.headers().get(http::header::LOCATION).filter(|_| is_kept)?.as_bytes());
    join(reply.url(), location.ok()?).ok().filter(|url| cursor.is_trusted(url))
}

/// Stores the members of the submit's query that polls must repeat.
fn remember_query(reading: &mut Reading<'_>) {
    let Ok(submit) = Url::parse(&reading.cursor.request_url) else { return };
    let kept: Vec<_> = submit
        .query_pairs()
        .filter(|(name, _)| reading.rules.repeat_query.iter().any(|wanted| wanted == name))
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    if !kept.is_empty() {
        reading.cursor.extra().query = kept;
    }
}

/// Handles an accepted submit that names its status URL.
fn accepted(reading: &mut Reading<'_>, said: Said, place: Place, mut report: Report) -> Step {
    let Place { url, kind, is_location, is_created, reason } = place;
    reading.cursor.accepted_because(reason);
    if let Some(id) = reading.cursor.id().filter(|id| reason == Reason::Template && is_bent(id)) {
        let id = id.chars().take(80).collect::<String>();
        report.warn(format!("the id `{}` would lead out of its template, and was encoded", id.escape_debug()));
    }
    if is_created {
        created::begin(reading);
    }
    if !is_location {
        keep_location(reading);
    }
    report.state = said.known.filter(|state| !state.is_terminal()).unwrap_or(State::Accepted);
    let cursor = &mut *reading.cursor;
    cursor.status_url = Some(url.as_str().into());
    (cursor.kind, cursor.phase, cursor.state) = (kind, Phase::POLLING, report.state);
    follow_up::fire(reading, report)
}

/// Handles an answer without a status URL: the task is finished, or its status cannot be requested.
fn nowhere(reading: &mut Reading<'_>, said: Said, mut report: Report) -> Step {
    let flaw = reading.flaw();
    if reading.reply.status() == StatusCode::ACCEPTED || said.is_pending() {
        let reason = if said.is_pending() { Reason::PendingNowhere } else { Reason::NowhereToAsk };
        reading.cursor.accepted_because(reason);
        let what = match (&flaw, report.word()) {
            (Some(flaw), _) => flaw.to_string(),
            (None, Some(word)) if said.is_pending() => {
                format!("{}, and the word `{word}`", members(reading.reply, reading.body))
            }
            (None, _) => members(reading.reply, reading.body),
        };
        return no_status_url(reading, &format!("neither its headers nor its body name one; it holds {what}"));
    }
    if let Some(flaw) = flaw.filter(|flaw| *flaw != Flaw::TooLarge) {
        reading.cursor.accepted_because(Reason::Flawed);
        let kind = if flaw == Flaw::Cut { ErrorKind::Network } else { ErrorKind::Decode };
        let why = format!("the submit was answered with {flaw}; whether the service has the task is unknown");
        return reading.stop(kind, why);
    }
    reading.cursor.accepted_because(Reason::WholeAtOnce);
    report.state = State::Succeeded;
    report.percent = report.percent.or(Some(100.0));
    if let Some(word) = report.word().filter(|_| said.is_unknown).map(str::to_owned) {
        report.warn(format!(
            "taken as finished, because the answer names no status URL and the word `{word}` is not known: set its \
             meaning with Protocol::word, and the place of the status URL with Protocol::status_url"
        ));
    } else if reading.reply.headers().contains_key(http::header::LOCATION) {
        report.warn(
            "taken as finished, because its answer has no state and no Retry-After; if its Location is a status URL, \
             set that with Protocol::status_url",
        );
    }
    if named_result::names_result(reading) {
        warn_of_error(reading, &mut report);
        return terminal(reading, report);
    }
    itself(reading, report)
}

/// Lists the members of an answer by name, to help the person who configures the place of the status URL.
fn members(reply: &Reply, body: Option<&Value>) -> String {
    match body {
        Some(Value::Object(members)) if !members.is_empty() => {
            let short =
                |name: &String| format!("`{}`", name.escape_debug().to_string().chars().take(40).collect::<String>());
            let more = if members.len() > MOST_NAMED { " and others" } else { "" };
            let names: Vec<_> = members.keys().take(MOST_NAMED).map(short).collect();
            format!("the members {}{more}", names.join(", "))
        }
        Some(Value::Object(_)) => "an object without members".into(),
        Some(_) => "JSON that is no object".into(),
        None if reply.body().trim_ascii().is_empty() => "no body".into(),
        None => "a body that is no JSON".into(),
    }
}

fn keep_location(reading: &mut Reading<'_>) {
    if let Some(url) = reading.location() {
        reading.cursor.last_location = Some(url.as_str().into());
    }
}

fn refused(reading: &mut Reading<'_>) -> Step {
    let status = reading.reply.status();
    if status == StatusCode::SEE_OTHER {
        reading.cursor.accepted_because(Reason::Redirected(303));
        return result_link::redirected(reading, Report::new(State::Succeeded));
    }
    reading.cursor.accepted_because(Reason::Refused);
    if status.is_redirection() {
        return Step::Stop { kind: ErrorKind::Rejected, why: not_replayed(reading), fault: Fault::default() };
    }
    let kind = match status {
        StatusCode::UNAUTHORIZED => ErrorKind::Unauthorized,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => ErrorKind::Throttled,
        _ => ErrorKind::Rejected,
    };
    reading.stop(kind, format!("the submit was answered with {}", status.as_u16()))
}

fn not_replayed(reading: &Reading<'_>) -> String {
    match reading.location() {
        Some(url) => {
            let url = shown(&url);
            format!("the submit was redirected to {url}, and a submit is not replayed there: use that address")
        }
        None => "the submit was redirected without a Location that can be used".into(),
    }
}

/// The number of members that an error names.
const MOST_NAMED: usize = 10;
/// More moves than a service has reason for.
const MAX_MOVES: u32 = 5;
