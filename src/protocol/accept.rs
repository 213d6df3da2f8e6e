//! Reading the answer to a submit.

use std::time::SystemTime;

use http::{Method, StatusCode};
use serde_json::Value;

use super::location::join;
use super::rule::Rule;
use super::template::Filling;
use super::words::State;
use super::{Cursor, Phase, Protocol, Report, StatusKind, Step, fault, poll, result, start, verdict};
use crate::error::{ErrorKind, Fault};
use crate::message::Reply;
use crate::pointer::link;

pub(super) fn read(protocol: &Protocol, cursor: &mut Cursor, reply: &Reply, now: SystemTime) -> Step {
    let json = reply.json();
    let body = json.as_ref();
    if !reply.status().is_success() {
        return refused(protocol, cursor, reply, body);
    }
    cursor.id = protocol.id.iter().find_map(|at| at.exact_text(reply, body)).map(Into::into);
    if let Ok(submit) = url::Url::parse(&cursor.request_url) {
        protocol.remember(cursor, &submit);
    }

    let mut report = poll::report(protocol, cursor, reply, body, now);
    let (known, _) = verdict::word(protocol, reply, body);
    let place = match find(protocol, cursor, reply, body, known) {
        Ok(place) => place,
        Err(step) => return step,
    };
    if let Some(state) = known.filter(|state| state.is_terminal() && ends_now(reply, &place)) {
        cursor.accepted_because(Rule::FinishedAtOnce);
        report.state = state;
        keep_location(cursor, reply);
        // Where it could be asked again, for a fresh link.
        if let Place::At { url, kind, .. } = place
            && cursor.admit(&url).is_ok()
        {
            cursor.kind = kind;
            cursor.status_url =
                Some(url.as_str().into()).filter(|_| state.has_result() && reply.status() != StatusCode::CREATED);
        }
        return poll::terminal(protocol, cursor, reply, body, report);
    }
    match place {
        Place::At { url, kind, is_location, rule } => {
            cursor.accepted_because(rule);
            if let Err(step) = cursor.admit(&url) {
                cursor.because(Rule::Untrusted);
                return step;
            }
            if !is_location {
                keep_location(cursor, reply);
            }
            cursor.status_url = Some(url.as_str().into());
            cursor.kind = kind;
            cursor.phase = Phase::Poll;
            report.state = known.filter(|state| !state.is_terminal()).unwrap_or(State::Accepted);
            cursor.state = report.state;
            start::fire(protocol, cursor, report)
        }
        Place::Nowhere if reply.status() == StatusCode::ACCEPTED => {
            cursor.accepted_because(Rule::NowhereToAsk);
            Step::Stop {
                kind: ErrorKind::NoStatusUrl,
                why: "neither its headers nor its body name a status URL, and there is no template for an id".into(),
                fault: fault::read(protocol, reply, body),
            }
        }
        Place::Nowhere => {
            cursor.accepted_because(Rule::WholeAtOnce);
            report.state = State::Succeeded;
            report.percent = report.percent.or(Some(100.0));
            if reply.headers().contains_key(http::header::LOCATION) {
                report.warn(
                    "taken as finished, because its answer has no state and no Retry-After; if its Location is a status URL, \
                     say so with Protocol::status_url",
                );
            }
            if protocol.names_result(cursor, reply, body) {
                result::warn_of_error(protocol, reply, body, &mut report);
                return poll::terminal(protocol, cursor, reply, body, report);
            }
            result::itself(protocol, cursor, reply, body, report)
        }
    }
}

enum Place {
    At { url: url::Url, kind: StatusKind, is_location: bool, rule: Rule },
    Nowhere,
}

/// Where the status is to be asked for: the first pointer that this answer may give.
fn find(
    protocol: &Protocol,
    cursor: &mut Cursor,
    reply: &Reply,
    body: Option<&Value>,
    known: Option<State>,
) -> Result<Place, Step> {
    let status = reply.status();
    let unknown = known.is_none() && body.and_then(verdict::provisioning_state).is_some();
    let pending = unknown || known.is_some_and(|state| !state.is_terminal());
    let asks_to_wait = reply.headers().contains_key(http::header::RETRY_AFTER);
    for (pointer, place) in super::rule::numbered(&protocol.status_url) {
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
        let is_location = pointer.at == crate::pointer::Source::header("location");
        return match join(reply.url(), &text) {
            Ok(url) => Ok(Place::At { url, kind, is_location, rule: Rule::PointerAt(place) }),
            Err(why) => {
                cursor.accepted_because(Rule::PointerUnusable(place));
                Err(no_status_url(protocol, reply, body, format!("{} is no URL: {why}", pointer.at)))
            }
        };
    }
    if (pending || status == StatusCode::ACCEPTED)
        && protocol.rotates
        && let Some(url) = rel_link(reply, body)
    {
        return Ok(Place::At { url, kind: StatusKind::Monitor, is_location: false, rule: Rule::LinkRel });
    }
    let filling = Filling::new(cursor.id(), reply, body);
    if let (Some(template), Some(trust)) = (&protocol.status_template, cursor.trust())
        && (template.has_members() || cursor.id().is_some())
        && let Some(made) = template.url(trust.base(), filling)
    {
        return match made {
            Ok(url) => Ok(Place::At { url, kind: protocol.template_kind, is_location: false, rule: Rule::Template }),
            Err(why) => {
                Err(no_status_url(protocol, reply, body, format!("the template `{template}` makes no URL: {why}")))
            }
        };
    }
    if pending && (cursor.method == Method::PUT || cursor.method == Method::PATCH) {
        let url = reply.url().clone();
        return Ok(Place::At { url, kind: StatusKind::Resource, is_location: false, rule: Rule::OwnUrl });
    }
    Ok(Place::Nowhere)
}

/// The link whose rel says that the status is there: in the header `Link` (RFC 8288), or in `links` of the body.
fn rel_link(reply: &Reply, body: Option<&Value>) -> Option<url::Url> {
    const RELS: [&str; 3] = ["monitor", "status", "self"];
    let first = |targets: Vec<String>| targets.iter().find_map(|target| join(reply.url(), target).ok());
    RELS.iter().find_map(|rel| {
        let in_header = first(link::in_headers(reply.headers(), rel)).filter(|_| *rel != "self");
        in_header.or_else(|| first(link::in_body(body?, rel)))
    })
}

/// Whether a terminal word in the submit's answer ends the task. Beside a status URL, 202 says that it is not completed:
/// `"status": "success"` speaks of the submit, and `provisioningState` of the resource as it was.
fn ends_now(reply: &Reply, place: &Place) -> bool {
    matches!(place, Place::Nowhere) || reply.status() != StatusCode::ACCEPTED
}

fn keep_location(cursor: &mut Cursor, reply: &Reply) {
    if let Some(url) = reply.header("location").and_then(|location| join(reply.url(), location).ok()) {
        cursor.last_location = Some(url.as_str().into());
    }
}

fn no_status_url(protocol: &Protocol, reply: &Reply, body: Option<&Value>, why: String) -> Step {
    Step::Stop { kind: ErrorKind::NoStatusUrl, why, fault: fault::read(protocol, reply, body) }
}

fn refused(protocol: &Protocol, cursor: &mut Cursor, reply: &Reply, body: Option<&Value>) -> Step {
    let status = reply.status();
    if status == StatusCode::SEE_OTHER {
        cursor.accepted_because(Rule::Redirected(303));
        let report = Report { percent: Some(100.0), ..Report::new(State::Succeeded) };
        return result::redirected(cursor, reply, report);
    }
    cursor.accepted_because(Rule::Refused);
    let (kind, why) = match status {
        StatusCode::UNAUTHORIZED => (ErrorKind::Unauthorized, String::new()),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => (ErrorKind::Throttled, String::new()),
        _ if status.is_redirection() => (ErrorKind::Rejected, moved(reply)),
        _ => (ErrorKind::Rejected, String::new()),
    };
    let why = if why.is_empty() { format!("the submit was answered with {}", status.as_u16()) } else { why };
    let fault = if status.is_redirection() { Fault::default() } else { fault::read(protocol, reply, body) };
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
