//! Verdict: the meaning of a 2xx answer for the task.

use http::Method;
use serde_json::Value;

use super::flaw::Flaw;
use super::named_result::leads_elsewhere;
use super::reading::Reading;
use super::reason::Reason;
use super::rules::{Reduce, StatusKind, numbered};
use super::shape::{gap, has_signs, is_monitor_shaped, is_resting, is_unsaid, provisioning_state};
use super::step::Report;
use super::words::State;
use crate::message::Reply;
use crate::pointer::text;

pub(super) enum Verdict {
    Pending(State),
    Terminal(State),
    IsResult,
    /// Finished, and the protocol names another place of the result.
    Named,
    Unreadable(String),
}

impl Verdict {
    const fn from_state(state: State) -> Self {
        if state.is_terminal() { Self::Terminal(state) } else { Self::Pending(state) }
    }
}

/// Returns the meaning of a 2xx answer for the task, and the reason.
pub(super) fn judge(reading: &mut Reading<'_>, report: &Report) -> (Verdict, Reason) {
    let (state, reason) = word(reading);
    let bare = reading.cursor.kind == StatusKind::Bare;
    // A HEAD has no body, and 202 needs none.
    if let Some(flaw) = reading.flaw().filter(|_| reading.code != 202 && !reading.was_head()) {
        // At a bare URL a body that is too large to hold is the result, unless its beginning has a state: a pending
        // one, or any if states were shown.
        if flaw != Flaw::TooLarge || !bare {
            return flawed(reading, state, reason, &flaw);
        }
        if let Some(beginning) = reading.reply.beginning()
            && let (Some(state), reason) = word(&reading.with_beginning(&beginning))
            && !state.has_result()
            && (reading.cursor.shown_state || !state.is_terminal())
        {
            return (Verdict::from_state(state), reason);
        }
    }
    let (verdict, reason) = match state {
        // A body with both a state and the shape of a result, at a bare URL, is the result.
        Some(state) if state.is_terminal() && bare && !is_status(reading) => {
            if !state.has_result() && reading.body.and_then(provisioning_state).is_some() {
                (Verdict::from_state(state), reason)
            } else if reading.code == 202 {
                (Verdict::Pending(State::Running), Reason::Pending202)
            } else {
                (Verdict::IsResult, Reason::BareResult)
            }
        }
        // The numbers are later than a word that still says that the task runs.
        Some(state) if !state.is_terminal() && !bare && is_full(reading) => {
            (Verdict::Terminal(State::Succeeded), Reason::FullProgress)
        }
        Some(state) => (Verdict::from_state(state), reason),
        None => nameless(reading, report, reason),
    };
    match verdict {
        // A place that the protocol names takes precedence over the answer itself.
        Verdict::IsResult if leads_elsewhere(reading) => (Verdict::Named, reason),
        verdict => (verdict, reason),
    }
}

/// Returns whether the progress is full, and the protocol takes that for the end.
fn is_full(reading: &Reading<'_>) -> bool {
    reading.rules.done_at_full_progress && reading.ratio().is_some_and(|percent| percent >= 100.0)
}

/// Handles a body that is not a document: the value in a header counts, or the protocol's meaning of the HTTP status;
/// but never as a success.
fn flawed(reading: &Reading<'_>, state: Option<State>, reason: Reason, flaw: &Flaw) -> (Verdict, Reason) {
    if let Some(state) = state {
        return (Verdict::from_state(state), reason);
    }
    match reading.rules.statuses.get(&reading.code.to_string()) {
        Some(state) if !state.has_result() => (Verdict::from_state(*state), Reason::Status(reading.code)),
        _ => (Verdict::Unreadable(format!("the status answered with {flaw}")), Reason::Unreadable),
    }
}

/// Returns the combined meaning of the words, and the reason; `None` if no word is known.
pub(super) fn word(reading: &Reading<'_>) -> (Option<State>, Reason) {
    let Reading { rules, reply, .. } = reading;
    let found = numbered(&rules.state).find_map(|(at, place)| {
        let values = at.values(reply, reading.body);
        let words: Vec<String> =
            values.iter().filter(|value| is_word(value, reply)).filter_map(|value| text(value)).collect();
        (!words.is_empty()).then_some((words, place))
    });
    let Some((words, place)) = found else { return operation(reading) };
    let states: Vec<Option<State>> = words.iter().map(|word| rules.classify(word)).collect();
    let (state, reason) = match (rules.reduce, states.as_slice()) {
        (Reduce::First, [first, ..]) | (_, [first]) => match first {
            Some(state) => (Some(*state), Reason::Word(place)),
            None => (None, Reason::UnknownWord(place)),
        },
        (reduce, all) => (Some(together(reduce, all)), Reason::Reduced),
    };
    // A success beside an error does not count as one.
    if state == Some(State::Succeeded) && reading.has_error() {
        return (Some(State::Failed), Reason::SuccessBesideError);
    }
    (state, reason)
}

/// Returns whether a value at a place of the state may be a word. A repeated HTTP status, as in some envelopes, is not.
pub(super) fn is_word(value: &Value, reply: &Reply) -> bool {
    value.as_u64() != Some(reply.status().as_u16().into())
}

/// Reads the `done` of a long-running operation (AIP-151), beside a member that only an operation has.
fn operation(reading: &Reading<'_>) -> (Option<State>, Reason) {
    let body = reading.body;
    let done = body.and_then(|body| body.get("done")).and_then(Value::as_bool);
    let is_one = |body: &Value| ["name", "metadata", "response", "error"].iter().any(|name| body.get(name).is_some());
    let Some(done) = done.filter(|_| body.is_some_and(is_one)) else { return (None, Reason::NotReadYet) };
    let state = match done {
        false => State::Running,
        true if reading.has_error() => State::Failed,
        true => State::Succeeded,
    };
    (Some(state), Reason::Operation)
}

/// Combines the states; an unknown word counts as running.
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

/// Handles an answer without a known word.
fn nameless(reading: &Reading<'_>, report: &Report, reason: Reason) -> (Verdict, Reason) {
    let Reading { rules, cursor, reply, code, .. } = reading;
    let (body, code, kind) = (reading.body, *code, cursor.kind);
    let done = numbered(&rules.done).find(|(at, _)| at.value(reply, body).is_some());
    if let (Some((_, place)), false) = (done, kind == StatusKind::Bare) {
        return (Verdict::Terminal(State::Succeeded), Reason::DoneAt(place));
    }
    if rules.done_at_full_progress && kind != StatusKind::Bare && reading.has_counts() {
        return match is_full(reading) {
            true => (Verdict::Terminal(State::Succeeded), Reason::FullProgress),
            false => (Verdict::Pending(State::Running), Reason::PartialProgress),
        };
    }
    if let Some(state) = rules.statuses.get(&code.to_string()) {
        let bare_success = kind == StatusKind::Bare && *state == State::Succeeded;
        let verdict = if bare_success { Verdict::IsResult } else { Verdict::from_state(*state) };
        return (verdict, Reason::Status(code));
    }
    if let (Some(state), None) = (rules.without_state, report.word()) {
        // Only of a document: an empty or broken body has no state because it is not a document.
        if body.is_some_and(Value::is_object) {
            let state = if reading.has_error() { State::Failed } else { state };
            return (Verdict::from_state(state), Reason::PendingByDefault);
        }
    }
    let has_word = report.word().is_some();
    if code == 202 {
        return (Verdict::Pending(State::Running), if has_word { reason } else { Reason::Pending202 });
    }
    if reading.was_head() && code != 204 {
        // There is no document to read: GET shows the contents.
        return (Verdict::IsResult, Reason::BareResult);
    }
    match kind {
        StatusKind::Bare => bare(reading, report, reason),
        _ if has_word => (Verdict::Pending(State::Running), reason),
        // 204 means that there is nothing more to report: to a DELETE, and for a task that was seen alive.
        StatusKind::Monitor if code == 204 && (cursor.seen_alive || cursor.method == Method::DELETE) => {
            (Verdict::Terminal(State::Succeeded), Reason::NoContent)
        }
        StatusKind::Resource if code == 204 => (Verdict::IsResult, Reason::WithoutState),
        StatusKind::Resource => match gap(reply, body) {
            Some(why) => unreadable(&format!("the resource had a state before, and {why}")),
            None => (Verdict::IsResult, Reason::WithoutState),
        },
        StatusKind::Monitor if reply.body().trim_ascii().is_empty() => unreadable("the status document is empty"),
        StatusKind::Monitor if body.is_none() => unreadable("the status document is no JSON"),
        StatusKind::Monitor => unreadable("the status document has no state"),
    }
}

/// Handles an answer without a known word at a bare URL; otherwise as [`nameless`].
fn bare(reading: &Reading<'_>, report: &Report, reason: Reason) -> (Verdict, Reason) {
    let (body, shown_state) = (reading.body, reading.cursor.shown_state);
    let word = report.word();
    let may_be_pending = word.is_some_and(|word| !is_resting(word));
    let pending = (Verdict::Pending(State::Running), reason);
    if is_word_alone(reading) {
        return pending;
    }
    if !shown_state {
        // An unknown word beside members that only a status has still makes a status.
        if may_be_pending && (body.is_some_and(has_signs) || reading.asks_to_retry()) {
            return pending;
        }
        if body.is_some_and(is_unsaid) {
            return unreadable("the answer has an empty state, and nothing but what a status has");
        }
    }
    if reading.code == 204 || !shown_state {
        return (Verdict::IsResult, if word.is_some() { reason } else { Reason::BareResult });
    }
    // If states were shown, an unknown word is a state too, unless it is a resting state of a resource.
    if may_be_pending {
        return pending;
    }
    match gap(reading.reply, body) {
        Some(why) => unreadable(&format!("the status URL has shown a state before, and {why}")),
        None => (Verdict::IsResult, Reason::BareResult),
    }
}

fn unreadable(why: &str) -> (Verdict, Reason) {
    (Verdict::Unreadable(why.to_owned()), Reason::Unreadable)
}

/// Returns whether a final state at a bare URL is that of a status document, and not of a result.
fn is_status(reading: &Reading<'_>) -> bool {
    let is_monitor = || {
        reading.asks_to_retry()
            || reading.body.is_some_and(is_monitor_shaped)
            || reading.rules.done.iter().any(|at| at.value(reading.reply, reading.body).is_some())
            || is_word_alone(reading)
    };
    // If states were shown, a state makes a status.
    reading.cursor.shown_state || is_monitor() || (reading.code != 202 && leads_elsewhere(reading))
}

/// Returns whether the body is only the state's word, as the protocol declares: a status, and no result.
fn is_word_alone(reading: &Reading<'_>) -> bool {
    reading.rules.state.iter().any(|at| at.is_whole_word(reading.reply, reading.body))
}
