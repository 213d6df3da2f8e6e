//! Reading the answer to a submit.

use std::time::SystemTime;

use http::{Method, StatusCode};
use serde_json::Value;

use super::flaw::{Flaw, is_hollow};
use super::location::join;
use super::rule::Rule;
use super::template::{Filling, is_bent};
use super::words::State;
use super::{
    Cursor, Phase, Protocol, Report, StatusKind, StatusUrl, Step, created, fault, poll, result, start, verdict,
};
use crate::error::{ErrorKind, Fault};
use crate::message::Reply;
use crate::pointer::{Source, link};

pub(super) fn read(protocol: &Protocol, cursor: &mut Cursor, reply: &Reply, now: SystemTime) -> Step {
    let json = reply.json();
    let body = json.as_ref();
    // 303 leads to the result, unless the protocol says that it leads to the status (IVOA UWS).
    let names_status = || protocol.status_url.iter().any(|at| !at.guess && at.at.text(reply, body).is_some());
    let leads_to_status = reply.status() == StatusCode::SEE_OTHER && names_status();
    if !reply.status().is_success() && !leads_to_status {
        return refused(protocol, cursor, reply, body);
    }
    cursor.id = protocol.id.iter().find_map(|at| at.exact_text(reply, body)).map(Into::into);
    if let Ok(submit) = url::Url::parse(&cursor.request_url) {
        protocol.remember(cursor, &submit);
    }

    let mut report = poll::report(protocol, cursor, reply, body, now);
    let said = Said::of(protocol, reply, body, &report);
    let place = match find(protocol, cursor, reply, body, said) {
        Ok(Place::Nowhere) => broken_acceptance(protocol, cursor, reply, body, said),
        Ok(place) => place,
        Err(step) => return step,
    };
    if let Some(state) = said.known.filter(|state| state.is_terminal() && ends_now(reply, &place)) {
        cursor.accepted_because(Rule::FinishedAtOnce);
        report.state = state;
        keep_location(cursor, reply);
        // Where it could be asked again, for a fresh link.
        if let Place::At { url, kind, .. } = place {
            cursor.kind = kind;
            cursor.status_url =
                Some(url.as_str().into()).filter(|_| state.has_result() && reply.status() != StatusCode::CREATED);
        }
        return poll::terminal(protocol, cursor, reply, body, report);
    }
    match place {
        Place::At { url, kind, is_location, is_created, rule } => {
            cursor.accepted_because(rule);
            if let Some(id) = cursor.id().filter(|id| rule == Rule::Template && is_bent(id)) {
                let id = id.chars().take(80).collect::<String>();
                report.warn(format!("the id `{}` would lead out of its template, and was encoded", id.escape_debug()));
            }
            if is_created {
                created::begin(cursor, reply, body);
            }
            if !is_location {
                keep_location(cursor, reply);
            }
            cursor.status_url = Some(url.as_str().into());
            cursor.kind = kind;
            cursor.phase = Phase::Poll;
            report.state = said.known.filter(|state| !state.is_terminal()).unwrap_or(State::Accepted);
            cursor.state = report.state;
            start::fire(protocol, cursor, report)
        }
        Place::Nowhere => nowhere(protocol, cursor, reply, body, said, report),
    }
}

/// Where an acceptance that is no whole JSON says that the status is to be asked for, in what it holds before it breaks.
fn broken_acceptance(
    protocol: &Protocol,
    cursor: &mut Cursor,
    reply: &Reply,
    body: Option<&Value>,
    said: Said,
) -> Place {
    let is_broken = reply.status() == StatusCode::ACCEPTED && body.is_none();
    let Some(front) = is_broken.then(|| reply.beginning()).flatten() else { return Place::Nowhere };
    let id = protocol.id.iter().find_map(|at| at.text(reply, Some(&front)));
    cursor.id = cursor.id.take().or_else(|| id.map(Into::into));
    find(protocol, cursor, reply, Some(&front), said).unwrap_or(Place::Nowhere)
}

/// What the words of a submit's answer say.
#[derive(Clone, Copy)]
struct Said {
    known: Option<State>,
    /// There is a word that nobody knows. What it says of the task shows the next answer.
    is_unknown: bool,
    /// It is one that a resource rests in, such as `active`.
    is_resting: bool,
}

impl Said {
    fn of(protocol: &Protocol, reply: &Reply, body: Option<&Value>, report: &Report) -> Self {
        let (known, _) = verdict::word(protocol, reply, body);
        let is_resting = known.is_none() && report.word().is_some_and(verdict::is_resting);
        // All but three words of Azure's `provisioningState` mean that the resource is not finished.
        let provisioning = body.and_then(verdict::provisioning_state).is_some();
        let is_unknown = known.is_none() && (provisioning || report.word().is_some());
        Self { known, is_unknown, is_resting: is_resting && !provisioning }
    }

    fn is_pending(self) -> bool {
        self.known.is_some_and(|state| !state.is_terminal())
    }

    /// Beside a place to ask: pending, or a word that may be.
    fn may_be_pending(self) -> bool {
        self.is_pending() || (self.is_unknown && !self.is_resting)
    }
}

enum Place {
    At {
        url: url::Url,
        kind: StatusKind,
        is_location: bool,
        /// What stands there may be what was created, and no status.
        is_created: bool,
        rule: Rule,
    },
    Nowhere,
}

impl Place {
    const fn at(url: url::Url, kind: StatusKind, rule: Rule) -> Self {
        Self::At { url, kind, is_location: false, is_created: false, rule }
    }
}

/// Where the status is to be asked for: the first pointer that this answer may give, and that can be used.
fn find(
    protocol: &Protocol,
    cursor: &mut Cursor,
    reply: &Reply,
    body: Option<&Value>,
    said: Said,
) -> Result<Place, Step> {
    let status = reply.status();
    let accepted = status == StatusCode::ACCEPTED;
    // Why the first place that cannot be used cannot.
    let mut unusable = None;
    for (pointer, place) in super::rule::numbered(&protocol.status_url) {
        let is_location = pointer.at == Source::header("location");
        // The first of its values that can be used.
        let url = pointer.at.texts(reply, body).iter().find_map(|text| {
            let url = join(reply.url(), text).map_err(|why| {
                no_status_url(protocol, reply, body, &format!("{} is no URL that can be asked: {why}", pointer.at))
            });
            let url = url.and_then(|url| cursor.admit(&url).map(|()| url));
            match url {
                Ok(url) => Some(url),
                Err(step) => {
                    unusable.get_or_insert(step);
                    None
                }
            }
        });
        let Some(url) = url else { continue };
        let Some((kind, is_created)) = counts(pointer, reply, body, said, &url) else { continue };
        let rule = if is_created { Rule::Created(place) } else { Rule::PointerAt(place) };
        return Ok(Place::At { url, kind, is_location, is_created, rule });
    }
    if (said.may_be_pending() || accepted)
        && protocol.rotates
        && let Some(url) = ["monitor", "status", "self"]
            .iter()
            .filter_map(|rel| rel_link(rel, reply, body))
            .find(|url| cursor.admit(url).is_ok())
    {
        return Ok(Place::at(url, StatusKind::Monitor, Rule::LinkRel));
    }
    let filling = Filling::new(cursor.id(), reply, body);
    if let (Some(template), Some(trust)) = (&protocol.status_template, cursor.trust())
        && let Some(made) = template.url(trust.base(), filling)
    {
        return match made {
            Ok(url) => cursor.admit(&url).map(|()| Place::at(url, protocol.template_kind, Rule::Template)),
            Err(why) => {
                Err(no_status_url(protocol, reply, body, &format!("the template `{template}` makes no URL: {why}")))
            }
        };
    }
    let own = || reply.url().clone();
    let is_read = cursor.method == Method::GET || cursor.method == Method::HEAD;
    let provisions = said.is_unknown && body.and_then(verdict::provisioning_state).is_some();
    let changes = cursor.method == Method::PUT || cursor.method == Method::PATCH;
    if (changes && (said.is_pending() || provisions)) || (is_read && said.is_pending() && !accepted) {
        return Ok(Place::at(own(), StatusKind::Resource, Rule::OwnUrl));
    }
    if is_read && accepted {
        return Ok(Place::at(own(), StatusKind::Bare, Rule::OwnUrlAgain));
    }
    match unusable {
        // A finished answer whose link leads nowhere is finished all the same.
        Some(step) if accepted || said.may_be_pending() => {
            cursor.accepted_because(Rule::NowhereToAsk);
            Err(step)
        }
        _ => Ok(Place::Nowhere),
    }
}

/// Whether what stands at a pointer is where the status is asked for, as what, and whether it is to be looked at first.
fn counts(
    pointer: &StatusUrl,
    reply: &Reply,
    body: Option<&Value>,
    said: Said,
    url: &url::Url,
) -> Option<(StatusKind, bool)> {
    let status = reply.status();
    let accepted = status == StatusCode::ACCEPTED;
    if !pointer.guess && !pointer.only_pending {
        return Some((pointer.kind, false));
    }
    // `active` of what was created is its rest, and no state of a task; beside a link to the status it may be one.
    let rests = said.is_resting && (status == StatusCode::CREATED || pointer.at.ends_with("/self/href"));
    let pending = said.is_pending() || (said.is_unknown && !rests);
    if pointer.only_pending && !pending && !accepted {
        // A link to itself in a finished answer is no promise of a task.
        return None;
    }
    if pointer.kind != StatusKind::Bare || accepted {
        return Some((pointer.kind, false));
    }
    // A created resource whose body has a state, or that asks to come back: the resource tells.
    if said.may_be_pending() {
        return Some((StatusKind::Resource, false));
    }
    if reply.headers().contains_key(http::header::RETRY_AFTER) {
        return Some((StatusKind::Bare, false));
    }
    // No state at all: a 201 may be of a job, and so may an answer that holds nothing else.
    let holds_nothing = (reply.is_whole() && reply.body().trim_ascii().is_empty()) || body.is_some_and(is_hollow);
    let is_its_own_url = url == reply.url() && !holds_nothing;
    let may_be_a_job = said.known.is_none()
        && !said.is_unknown
        && !is_its_own_url
        && pointer.at == Source::header("location")
        && (status == StatusCode::CREATED || holds_nothing);
    may_be_a_job.then_some((StatusKind::Bare, true))
}

/// Nothing says where to ask: it is finished, or nobody can ask.
fn nowhere(
    protocol: &Protocol,
    cursor: &mut Cursor,
    reply: &Reply,
    body: Option<&Value>,
    said: Said,
    mut report: Report,
) -> Step {
    let flaw = Flaw::of(protocol, reply, body);
    if reply.status() == StatusCode::ACCEPTED || said.is_pending() {
        cursor.accepted_because(if said.is_pending() { Rule::PendingNowhere } else { Rule::NowhereToAsk });
        let what = match (&flaw, report.word()) {
            (Some(flaw), _) => flaw.to_string(),
            (None, Some(word)) if said.is_pending() => format!("{}, and the word `{word}`", members(reply, body)),
            (None, _) => members(reply, body),
        };
        return no_status_url(
            protocol,
            reply,
            body,
            &format!("neither its headers nor its body name one; it holds {what}"),
        );
    }
    if let Some(flaw) = flaw.filter(|flaw| *flaw != Flaw::TooLarge) {
        cursor.accepted_because(Rule::Flawed);
        let kind = if flaw == Flaw::Cut { ErrorKind::Network } else { ErrorKind::Decode };
        return Step::Stop {
            kind,
            why: format!("the submit was answered with {flaw}; whether the service has the task is unknown"),
            fault: fault::read(protocol, reply, body),
        };
    }
    cursor.accepted_because(Rule::WholeAtOnce);
    report.state = State::Succeeded;
    report.percent = report.percent.or(Some(100.0));
    if let Some(word) = report.word().filter(|_| said.is_unknown).map(str::to_owned) {
        report.warn(format!(
            "taken as finished, because nothing says where to ask: what the word `{word}` means is not known; say it with \
             Protocol::word, and where the status URL stands with Protocol::status_url"
        ));
    } else if reply.headers().contains_key(http::header::LOCATION) {
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

/// What an answer holds, by the names of its members: for who has to say where the status URL stands.
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

/// The link of a relation: in the header `Link` (RFC 8288), or in the body. `self` in the header is of the answer.
pub(super) fn rel_link(rel: &str, reply: &Reply, body: Option<&Value>) -> Option<url::Url> {
    let first = |targets: Vec<String>| targets.iter().find_map(|target| join(reply.url(), target).ok());
    let in_header = first(link::in_headers(reply.headers(), rel)).filter(|_| rel != "self");
    in_header.or_else(|| first(link::in_body(body?, rel)))
}

/// Whether a terminal word in the submit's answer ends the task. Beside a status URL, 202 says that it is not completed:
/// `"status": "success"` speaks of the submit, and `provisioningState` of the resource as it was.
fn ends_now(reply: &Reply, place: &Place) -> bool {
    matches!(place, Place::Nowhere) || reply.status() != StatusCode::ACCEPTED
}

fn keep_location(cursor: &mut Cursor, reply: &Reply) {
    if let Some(url) = reply.header("location").and_then(|location| join(reply.url(), &location).ok()) {
        cursor.last_location = Some(url.as_str().into());
    }
}

fn no_status_url(protocol: &Protocol, reply: &Reply, body: Option<&Value>, why: &str) -> Step {
    let why = format!(
        "{why}. Say where it stands with Protocol::status_url, or where the task's id stands with Protocol::id and what URL \
         is made of it with Protocol::status_template"
    );
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
    let target = reply.header("location").and_then(|location| join(reply.url(), &location).ok());
    match target {
        Some(url) => {
            let url = crate::redact::shown(&url);
            format!("the submit was redirected to {url}, and a submit is not replayed there: use that address")
        }
        None => "the submit was redirected to nowhere".into(),
    }
}

/// So many members are named in an error.
const MOST_NAMED: usize = 10;
