//! Verdict: what a 2xx answer says of the task.

use http::Method;
use serde_json::Value;

use super::flaw::{Flaw, is_hollow, is_prose};
use super::rule::{Rule, numbered};
use super::words::{State, plain};
use super::{Cursor, Protocol, Reduce, Report, StatusKind, fault};
use crate::message::Reply;
use crate::pointer::text;

pub(super) enum Verdict {
    Pending(State),
    Terminal(State),
    IsResult,
    /// Finished, and the protocol says where else the result is.
    Named,
    Unreadable(String),
}

/// What a 2xx answer says of the task, and by which rule. `code` is its status, or what stands for it.
pub(super) fn judge(
    protocol: &Protocol,
    cursor: &Cursor,
    reply: &Reply,
    code: u16,
    body: Option<&Value>,
    report: &Report,
) -> (Verdict, Rule) {
    let (state, rule) = word(protocol, reply, body);
    let bare = cursor.kind == StatusKind::Bare;
    // A HEAD has no body, and 202 says all that there is to say.
    if let Some(flaw) = Flaw::of(protocol, reply, body).filter(|_| code != 202 && !protocol.was_head(reply)) {
        // At a bare URL a body that is too large to hold is the result, unless its beginning has a
        // state: a pending one, or any where states were shown.
        if flaw != Flaw::TooLarge || !bare {
            return flawed(protocol, code, state, rule, &flaw);
        }
        let beginning = reply.beginning();
        if let (Some(state), rule) = word(protocol, reply, beginning.as_ref())
            && !state.has_result()
            && (cursor.shown_state || !state.is_terminal())
        {
            return (of(state), rule);
        }
    }
    let is_status = || {
        // Where states were shown, a state is one.
        cursor.shown_state
            || is_monitor(protocol, reply, body)
            || code != 202 && protocol.leads_elsewhere(cursor, reply, body)
    };
    let (verdict, rule) = match state {
        // What has both a state and the shape of a result, at a URL whose HTTP status tells, is the result.
        Some(state) if state.is_terminal() && bare && !is_status() => {
            if !state.has_result() && body.and_then(provisioning_state).is_some() {
                (of(state), rule)
            } else if code == 202 {
                (Verdict::Pending(State::Running), Rule::Pending202)
            } else {
                (Verdict::IsResult, Rule::BareResult)
            }
        }
        Some(state) => (of(state), rule),
        None => nameless(protocol, cursor, reply, code, body, report, rule),
    };
    match verdict {
        // What the protocol names goes before the answer itself.
        Verdict::IsResult if protocol.leads_elsewhere(cursor, reply, body) => (Verdict::Named, rule),
        verdict => (verdict, rule),
    }
}

/// The body is no document: what stands in a header counts, or what the protocol says of the HTTP status; but no success.
fn flawed(protocol: &Protocol, code: u16, state: Option<State>, rule: Rule, flaw: &Flaw) -> (Verdict, Rule) {
    if let Some(state) = state {
        return (of(state), rule);
    }
    match protocol.statuses.get(&code.to_string()) {
        Some(state) if !state.has_result() => (of(*state), Rule::Status(code)),
        _ => (Verdict::Unreadable(format!("the status answered with {flaw}")), Rule::Unreadable),
    }
}

/// What the words say together, by which rule; `None` where none is known.
pub(super) fn word(protocol: &Protocol, reply: &Reply, body: Option<&Value>) -> (Option<State>, Rule) {
    let found = numbered(&protocol.state).find_map(|(at, place)| {
        let values = at.values(reply, body);
        let words: Vec<String> =
            values.iter().filter(|value| is_word(value, reply)).filter_map(|value| text(value)).collect();
        (!words.is_empty()).then_some((words, place))
    });
    let Some((words, place)) = found else { return operation(reply, body) };
    let states: Vec<Option<State>> = words.iter().map(|word| protocol.classify(word)).collect();
    let (state, rule) = match (protocol.reduce, states.as_slice()) {
        (Reduce::First, [first, ..]) | (_, [first]) => match first {
            Some(state) => (Some(*state), Rule::Word(place)),
            None => (None, Rule::UnknownWord(place)),
        },
        (reduce, all) => (Some(together(reduce, all)), Rule::Reduced),
    };
    // A success beside an error is none.
    if state == Some(State::Succeeded) && fault::has_error(reply, body) {
        return (Some(State::Failed), Rule::SuccessBesideError);
    }
    (state, rule)
}

/// Whether a value at a place of the state may be a word. The HTTP status once more, as some envelopes have it, is none.
pub(super) fn is_word(value: &Value, reply: &Reply) -> bool {
    value.as_u64() != Some(reply.status().as_u16().into())
}

/// What a long-running operation (AIP-151) says by its `done`, beside a member that only an operation has.
fn operation(reply: &Reply, body: Option<&Value>) -> (Option<State>, Rule) {
    let done = body.and_then(|body| body.get("done")).and_then(Value::as_bool);
    let is_one = |body: &Value| ["name", "metadata", "response", "error"].iter().any(|name| body.get(name).is_some());
    let Some(done) = done.filter(|_| body.is_some_and(is_one)) else { return (None, Rule::NotReadYet) };
    let state = match done {
        false => State::Running,
        true if fault::has_error(reply, body) => State::Failed,
        true => State::Succeeded,
    };
    (Some(state), Rule::Operation)
}

fn of(state: State) -> Verdict {
    if state.is_terminal() { Verdict::Terminal(state) } else { Verdict::Pending(state) }
}

/// A word that nobody knows counts as running.
fn together(reduce: Reduce, states: &[Option<State>]) -> State {
    let states = || states.iter().map(|state| state.unwrap_or(State::Running));
    let ended = states().filter(|state| state.is_terminal());
    if reduce == Reduce::Any {
        return ended.chain([State::Running]).next().unwrap_or(State::Running);
    }
    if states().any(|state| !state.is_terminal()) {
        return if states().all(|state| state == State::Accepted) { State::Accepted } else { State::Running };
    }
    let first = states().next().unwrap_or(State::Running);
    if states().all(|state| state == first) {
        first
    } else if states().any(State::has_result) {
        State::PartiallySucceeded
    } else {
        State::Failed
    }
}

/// No word is known.
fn nameless(
    protocol: &Protocol,
    cursor: &Cursor,
    reply: &Reply,
    code: u16,
    body: Option<&Value>,
    report: &Report,
    rule: Rule,
) -> (Verdict, Rule) {
    let kind = cursor.kind;
    let done = numbered(&protocol.done).find(|(at, _)| at.value(reply, body).is_some());
    if let (Some((_, place)), false) = (done, kind == StatusKind::Bare) {
        return (Verdict::Terminal(State::Succeeded), Rule::DoneAt(place));
    }
    if let Some(state) = protocol.statuses.get(&code.to_string()) {
        let bare_success = kind == StatusKind::Bare && *state == State::Succeeded;
        return (if bare_success { Verdict::IsResult } else { of(*state) }, Rule::Status(code));
    }
    if let (Some(state), None) = (protocol.without_state, report.word()) {
        // Only of a document: an empty or broken body has no state because it is none.
        if body.is_some_and(Value::is_object) {
            let state = if fault::has_error(reply, body) { State::Failed } else { state };
            return (of(state), Rule::PendingByDefault);
        }
    }
    if code == 202 {
        return (Verdict::Pending(State::Running), if report.word().is_some() { rule } else { Rule::Pending202 });
    }
    if protocol.was_head(reply) && code != 204 {
        // There is no document to read: GET shows what stands there.
        return (Verdict::IsResult, Rule::BareResult);
    }
    let unreadable = |why: &str| (Verdict::Unreadable(why.to_owned()), Rule::Unreadable);
    let gap = || gap(reply, body);
    match kind {
        StatusKind::Bare if is_word_alone(protocol, reply, body) => (Verdict::Pending(State::Running), rule),
        // A word that nobody knows, beside what only a status has, is one all the same.
        StatusKind::Bare
            if !cursor.shown_state
                && report.word().is_some_and(|word| !is_resting(word))
                && (body.is_some_and(has_signs) || reply.headers().contains_key(http::header::RETRY_AFTER)) =>
        {
            (Verdict::Pending(State::Running), rule)
        }
        StatusKind::Bare if !cursor.shown_state && body.is_some_and(is_unsaid) => {
            unreadable("the answer has an empty state, and nothing but what a status has")
        }
        StatusKind::Bare if code == 204 || !cursor.shown_state => {
            (Verdict::IsResult, if report.word().is_some() { rule } else { Rule::BareResult })
        }
        // A word where states were shown is one too, unless it is one that a resource rests in.
        StatusKind::Bare if report.word().is_some_and(|word| !is_resting(word)) => {
            (Verdict::Pending(State::Running), rule)
        }
        StatusKind::Bare => match gap() {
            Some(why) => unreadable(&format!("the status URL has shown a state before, and {why}")),
            None => (Verdict::IsResult, Rule::BareResult),
        },
        _ if report.word().is_some() => (Verdict::Pending(State::Running), rule),
        // 204 says that there is nothing to say any more: to a DELETE, and of a task that was seen alive.
        StatusKind::Monitor if code == 204 && (cursor.seen_alive || cursor.method == Method::DELETE) => {
            (Verdict::Terminal(State::Succeeded), Rule::NoContent)
        }
        StatusKind::Resource if code == 204 => (Verdict::IsResult, Rule::WithoutState),
        StatusKind::Resource => match gap() {
            Some(why) => unreadable(&format!("the resource had a state before, and {why}")),
            None => (Verdict::IsResult, Rule::WithoutState),
        },
        StatusKind::Monitor if reply.body().trim_ascii().is_empty() => unreadable("the status document is empty"),
        StatusKind::Monitor if body.is_none() => unreadable("the status document is no JSON"),
        StatusKind::Monitor => unreadable("the status document has no state"),
    }
}

/// Why an answer is a gap in a row of status documents, and not the result: `None` where it may be the result.
pub(super) fn gap(reply: &Reply, body: Option<&Value>) -> Option<&'static str> {
    match body {
        Some(body) if is_hollow(body) => Some("answers with an empty document"),
        Some(body) if has_empty_state(body) => Some("answers with an empty state"),
        Some(body) if has_only_an_error(body) => Some("answers with nothing but an error"),
        Some(_) => None,
        None if reply.is_whole() && reply.body().trim_ascii().is_empty() => Some("answers with nothing"),
        None if is_prose(reply) => Some("answers with a text that is no document"),
        None => None,
    }
}

/// Whether a member that has the name of a state is there, and holds none.
fn has_empty_state(body: &Value) -> bool {
    let Some(members) = body.as_object() else { return false };
    let is_state =
        |name: &str| matches!(plain(name).as_str(), "status" | "state" | "runtimestatus" | "provisioningstate");
    members.iter().any(|(name, value)| is_state(name) && (value.is_null() || value.as_str() == Some("")))
}

/// Whether a document has an empty state, and nothing but what a status has.
pub(super) fn is_unsaid(body: &Value) -> bool {
    has_empty_state(body) && is_monitor_shaped(body)
}

/// Whether a document has no members but those of an error.
pub(super) fn has_only_an_error(body: &Value) -> bool {
    const ERROR: [&str; 14] = [
        "error",
        "errors",
        "errorcode",
        "errormessage",
        "errordescription",
        "message",
        "code",
        "statuscode",
        "detail",
        "details",
        "title",
        "requestid",
        "traceid",
        "timestamp",
    ];
    let Some(members) = body.as_object() else { return false };
    let says_one = members.keys().any(|name| plain(name).contains("error") || plain(name) == "message");
    says_one && members.keys().all(|name| ERROR.contains(&plain(name).as_str()))
}

/// Whether a word is one that a resource rests in. As the state of what was created it says nothing of a task; services
/// disagree on what it says of one.
pub(super) fn is_resting(word: &str) -> bool {
    matches!(plain(word).as_str(), "active" | "ready" | "available" | "ok" | "enabled" | "terminated" | "deleted")
}

/// The state of a resource of Azure Resource Manager. A failed one is never a word of the result's own; and all but
/// three words mean that it is not finished.
pub(super) fn provisioning_state(body: &Value) -> Option<&str> {
    let of = |value: &'_ Value| value.get("provisioningState").is_some();
    let holder = if of(body) { body } else { body.get("properties").filter(|properties| of(properties))? };
    holder.get("provisioningState")?.as_str().filter(|state| !state.is_empty())
}

fn is_monitor(protocol: &Protocol, reply: &Reply, body: Option<&Value>) -> bool {
    reply.headers().contains_key(http::header::RETRY_AFTER)
        || body.is_some_and(is_monitor_shaped)
        || protocol.done.iter().any(|at| at.value(reply, body).is_some())
        || is_word_alone(protocol, reply, body)
}

/// Whether the body is the state's word and nothing else, where the protocol says so: a status, and no result.
fn is_word_alone(protocol: &Protocol, reply: &Reply, body: Option<&Value>) -> bool {
    protocol.state.iter().any(|at| at.is_whole_word(reply, body))
}

/// Whether a document has members that only a monitor has, or none that a monitor has not.
pub(super) fn is_monitor_shaped(body: &Value) -> bool {
    const PLAIN: [&str; 10] =
        ["id", "name", "jobid", "taskid", "operationid", "status", "state", "message", "result", "links"];
    let Some(members) = body.as_object() else { return false };
    has_signs(body) || members.keys().all(|name| PLAIN.contains(&plain(name.trim_start_matches('_')).as_str()))
}

/// Whether a document has members that only a monitor has.
pub(super) fn has_signs(body: &Value) -> bool {
    const SIGNS: [&str; 21] = [
        "error",
        "errors",
        "percentcomplete",
        "percentagecomplete",
        "percentprogress",
        "percentdone",
        "progress",
        "resourcelocation",
        "createddatetime",
        "lastactiondatetime",
        "lastupdateddatetime",
        "createdat",
        "updatedat",
        "starttime",
        "endtime",
        "runtimestatus",
        "errormessage",
        "errorcode",
        "errordetails",
        "failurereason",
        "activityerrors",
    ];
    let Some(members) = body.as_object() else { return false };
    members.keys().any(|name| SIGNS.contains(&plain(name.trim_start_matches('_')).as_str()))
}
