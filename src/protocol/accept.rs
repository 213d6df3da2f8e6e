//! Reading the answer to a submit.

use std::time::SystemTime;

use http::{Method, StatusCode};
use serde_json::Value;

use super::location::join;
use super::words::State;
use super::{Cursor, Phase, Protocol, Report, StatusKind, Step, fault, poll, result};
use crate::error::{ErrorKind, Fault};
use crate::message::Reply;
use crate::pointer::expand;

pub(super) fn read(protocol: &Protocol, cursor: &mut Cursor, reply: &Reply, now: SystemTime) -> Step {
    let json = reply.json();
    let body = json.as_ref();
    if !reply.status().is_success() {
        return refused(protocol, cursor, reply, body);
    }
    cursor.id = protocol.id.iter().find_map(|at| at.text(reply, body)).map(Into::into);

    let mut report = poll::report(protocol, cursor, reply, body, now);
    let known = report.word().and_then(|word| protocol.classify(word));
    let place = match find(protocol, cursor, reply, body, known) {
        Ok(place) => place,
        Err(step) => return step,
    };
    if let Some(state) = known.filter(|state| state.is_terminal() && ends_now(reply, body, &place)) {
        report.state = state;
        keep_location(cursor, reply);
        return poll::terminal(protocol, cursor, reply, body, report);
    }
    match place {
        Place::At(url, kind, is_location) => {
            if let Err(step) = cursor.admit(&url) {
                return step;
            }
            if !is_location {
                keep_location(cursor, reply);
            }
            cursor.status_url = Some(url.as_str().into());
            cursor.kind = kind;
            cursor.phase = Phase::Poll;
            report.state = known.filter(|state| !state.is_terminal()).unwrap_or(State::Accepted);
            Step::Wait(report)
        }
        Place::Nowhere if reply.status() == StatusCode::ACCEPTED => Step::Stop {
            kind: ErrorKind::NoStatusUrl,
            why: "neither its headers nor its body name a status URL, and there is no template for an id".into(),
            fault: fault::read(reply, body),
        },
        Place::Nowhere => {
            report.state = State::Succeeded;
            report.percent = report.percent.or(Some(100.0));
            result::whole_body(cursor, reply, report)
        }
    }
}

enum Place {
    /// The status URL, what stands there, and whether `Location` said so.
    At(url::Url, StatusKind, bool),
    Nowhere,
}

/// Where the status is to be asked for: the first pointer that this answer may give.
fn find(
    protocol: &Protocol,
    cursor: &Cursor,
    reply: &Reply,
    body: Option<&Value>,
    known: Option<State>,
) -> Result<Place, Step> {
    let status = reply.status();
    let pending = known.is_some_and(|state| !state.is_terminal());
    let asks_to_wait = reply.headers().contains_key(http::header::RETRY_AFTER);
    for pointer in &protocol.status_url {
        let Some(text) = pointer.at.text(reply, body) else { continue };
        if pointer.only_pending && !pending && status != StatusCode::ACCEPTED {
            // A link to itself in a finished answer is no promise of a task.
            continue;
        }
        let kind = match pointer.kind {
            StatusKind::Bare if status == StatusCode::ACCEPTED => StatusKind::Bare,
            // A created resource whose body has a state, or that asks to come back: the resource tells.
            StatusKind::Bare if pending => StatusKind::Resource,
            StatusKind::Bare if asks_to_wait => StatusKind::Bare,
            StatusKind::Bare => continue,
            kind => kind,
        };
        return match join(reply.url(), &text) {
            Ok(url) => Ok(Place::At(url, kind, pointer.at == crate::pointer::Source::header("location"))),
            Err(why) => Err(Step::Stop {
                kind: ErrorKind::NoStatusUrl,
                why: format!("{} is no URL: {why}", pointer.at),
                fault: fault::read(reply, body),
            }),
        };
    }
    if let (Some(template), Some(id)) = (&protocol.status_template, cursor.id()) {
        let trust = cursor.trust().ok_or_else(|| "there is no base to join it to".to_owned());
        let at = trust.and_then(|trust| join(trust.base(), &expand(template, id)));
        return match at {
            Ok(url) => Ok(Place::At(url, protocol.template_kind, false)),
            Err(why) => Err(Step::Stop {
                kind: ErrorKind::NoStatusUrl,
                why: format!("the template `{template}` makes no URL: {why}"),
                fault: fault::read(reply, body),
            }),
        };
    }
    if pending && (cursor.method == Method::PUT || cursor.method == Method::PATCH) {
        return Ok(Place::At(reply.url().clone(), StatusKind::Resource, false));
    }
    Ok(Place::Nowhere)
}

/// Whether a terminal word in the submit's answer ends the task. Beside a plain `Location`, 202 says that it is not
/// completed, and `"status": "success"` speaks of the submit.
fn ends_now(reply: &Reply, body: Option<&Value>, place: &Place) -> bool {
    match place {
        Place::At(_, StatusKind::Bare, _) => {
            reply.status() != StatusCode::ACCEPTED || body.is_some_and(poll::is_monitor_shaped)
        }
        Place::At(..) | Place::Nowhere => true,
    }
}

fn keep_location(cursor: &mut Cursor, reply: &Reply) {
    if let Some(url) = reply.header("location").and_then(|location| join(reply.url(), location).ok()) {
        cursor.last_location = Some(url.as_str().into());
    }
}

fn refused(protocol: &Protocol, cursor: &mut Cursor, reply: &Reply, body: Option<&Value>) -> Step {
    let status = reply.status();
    if status == StatusCode::SEE_OTHER {
        let report = Report { percent: Some(100.0), ..Report::new(State::Succeeded) };
        return result::redirected(protocol, cursor, reply, report);
    }
    let (kind, why) = match status {
        StatusCode::UNAUTHORIZED => (ErrorKind::Unauthorized, String::new()),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => (ErrorKind::Throttled, String::new()),
        _ if status.is_redirection() => (ErrorKind::Rejected, moved(reply)),
        _ => (ErrorKind::Rejected, String::new()),
    };
    let why = if why.is_empty() { format!("the submit was answered with {}", status.as_u16()) } else { why };
    let fault = if status.is_redirection() { Fault::default() } else { fault::read(reply, body) };
    Step::Stop { kind, why, fault }
}

fn moved(reply: &Reply) -> String {
    let target = reply.header("location").and_then(|location| join(reply.url(), location).ok());
    match target {
        Some(url) => {
            let url = crate::redact::shown(&url);
            format!("the submit was redirected to {url}, and a submit is not replayed there: use that address")
        }
        None => "the submit was redirected to nowhere".into(),
    }
}
