//! Reading an answer to a poll that is none: what says nothing of the task, and what ends the wait.

use std::num::NonZeroU64;
use std::time::SystemTime;

use serde_json::Value;

use super::poll::terminal;
use super::rule::Rule;
use super::verdict::{is_monitor_shaped, word};
use super::words::{State, plain};
use super::{Cursor, Finding, Protocol, Report, StatusKind, Step, fault};
use crate::clock::unix_millis;
use crate::error::{ErrorKind, Fault};
use crate::message::{Reply, is_transient};
use crate::redact::is_signed;

/// A 4xx or 5xx.
pub(super) fn refused(
    protocol: &Protocol,
    cursor: &mut Cursor,
    reply: &Reply,
    body: Option<&Value>,
    code: u16,
    report: Report,
    now: SystemTime,
) -> Step {
    if let Some(state) = protocol.statuses.get(&code.to_string()).copied() {
        cursor.because(Rule::Status(code));
        cursor.settle();
        cursor.state = state;
        let report = Report { state, ..report };
        return if state.is_terminal() { terminal(protocol, cursor, reply, body, report) } else { Step::Wait(report) };
    }
    if is_transient(code) {
        // Durable Functions send a whole status with a 500: what it says of the task counts. `"status": "error"` does not:
        // it speaks of the request.
        let whole = code == 500 && cursor.kind != StatusKind::Bare && body.is_some_and(is_monitor_shaped);
        let (known, _) = if whole { word(protocol, reply, body) } else { (None, Rule::NotReadYet) };
        let of_the_task = report.word().is_some_and(|word| plain(word) != "error");
        if let Some(state) = known.filter(|state| state.is_terminal() && of_the_task) {
            cursor.because(Rule::TerminalInError(code));
            cursor.settle();
            return terminal(protocol, cursor, reply, body, Report { state, ..report });
        }
        cursor.because(Rule::Transient(code));
        let fault = fault::read(protocol, reply, body);
        return wait(protocol, cursor, report, &format!("the status answered with {code}"), fault, now);
    }
    let gone_after_delete = cursor.method == http::Method::DELETE && cursor.seen_alive;
    let young = !cursor.seen_alive && cursor.age(now) < protocol.visibility;
    let (rule, kind) = match code {
        404 if cursor.cancel_asked => {
            cursor.because(Rule::GoneAfterCancel);
            return Step::Ended(Report { state: State::Canceled, ..report }, fault::read(protocol, reply, body));
        }
        404 if gone_after_delete => {
            cursor.because(Rule::GoneAfterDelete);
            return Step::Done(Report { state: State::Succeeded, ..report }, Finding::default());
        }
        404 if young => {
            cursor.because(Rule::NotVisible);
            let fault = fault::read(protocol, reply, body);
            return wait(protocol, cursor, report, "the status is not visible yet (404)", fault, now);
        }
        404 | 410 => (Rule::Gone(code), ErrorKind::Gone),
        401 => (Rule::Forbidden(code), ErrorKind::Unauthorized),
        403 => (Rule::Forbidden(code), ErrorKind::StatusUnreadable),
        400..=499 if cursor.kind == StatusKind::Bare => {
            cursor.because(Rule::BareRefusal(code));
            return Step::Ended(Report { state: State::Failed, ..report }, fault::read(protocol, reply, body));
        }
        _ => (Rule::StatusRefused(code), ErrorKind::StatusUnreadable),
    };
    cursor.because(rule);
    let why = if code == 403 && is_signed(reply.url()) {
        "the signed status URL has expired (403)".to_owned()
    } else {
        format!("the status answered with {code}")
    };
    Step::Stop { kind, why, fault: fault::read(protocol, reply, body) }
}

/// An answer that says nothing of the task: the wait goes on while there is patience. `fault` has the service's words.
pub(super) fn wait(
    protocol: &Protocol,
    cursor: &mut Cursor,
    mut report: Report,
    why: &str,
    fault: Fault,
    now: SystemTime,
) -> Step {
    let now = unix_millis(now);
    let since = *cursor.troubled_since.get_or_insert(NonZeroU64::MIN.saturating_add(now));
    let patience = u64::try_from(protocol.patience.as_millis()).unwrap_or(u64::MAX);
    if now.saturating_add(1).saturating_sub(since.get()) > patience {
        return Step::Stop {
            kind: ErrorKind::StatusUnreadable,
            why: format!("{why}; and so for more than {:?}", protocol.patience),
            fault,
        };
    }
    // Of a wait that the service asks for, no more than a tenth of the patience counts: two of a quarter of an hour are no
    // outage, and ten answers that say nothing are one.
    let asked = report.hint.map_or(0, |hint| u64::try_from(hint.as_millis()).unwrap_or(u64::MAX));
    // A pace may lengthen it by a tenth.
    let asked = asked.saturating_add(asked / 10);
    cursor.troubled_since = Some(since.saturating_add(asked.saturating_sub(patience / 10)));
    let said: String = fault.beside(why).chars().take(MOST_WORDS).collect();
    report.warn(if said.is_empty() { why.to_owned() } else { format!("{why}: {said}") });
    report.word = None;
    Step::Wait(report)
}

/// So many characters of a service's words stand in a warning.
const MOST_WORDS: usize = 300;
