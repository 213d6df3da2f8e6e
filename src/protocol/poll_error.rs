//! Reads a 4xx or 5xx in place of a status: it states nothing about the task, or ends the wait.

use http::Method;

use super::patience::wait;
use super::reading::Reading;
use super::reason::Reason;
use super::result::terminal;
use super::rules::StatusKind;
use super::shape::is_monitor_shaped;
use super::step::{Finding, Report, Step};
use super::verdict::word;
use super::words::{State, plain};
use crate::error::ErrorKind;
use crate::message::is_transient;
use crate::redact::is_signed;

pub(super) fn read(reading: &mut Reading<'_>, report: Report) -> Step {
    let code = reading.code;
    if let Some(state) = reading.rules.statuses.get(&code.to_string()).copied() {
        reading.because(Reason::Status(code));
        reading.cursor.settle();
        reading.cursor.state = state;
        let report = Report { state, ..report };
        return if state.is_terminal() { terminal(reading, report) } else { Step::Wait(report) };
    }
    if is_transient(code) {
        return transient(reading, report);
    }
    let is_young = !reading.cursor.seen_alive && reading.cursor.age(reading.now) < reading.rules.visibility;
    let (reason, kind) = match code {
        404 if reading.cursor.cancel_asked => {
            reading.because(Reason::GoneAfterCancel);
            return Step::Ended(Report { state: State::Canceled, ..report }, reading.fault());
        }
        404 if reading.cursor.method == Method::DELETE && reading.cursor.seen_alive => {
            reading.because(Reason::GoneAfterDelete);
            return Step::Done(Report { state: State::Succeeded, ..report }, Finding::default());
        }
        404 if is_young => {
            reading.because(Reason::NotVisible);
            return wait(reading, report, "the status is not visible yet (404)");
        }
        404 | 410 => (Reason::Gone(code), ErrorKind::Gone),
        401 => (Reason::Forbidden(code), ErrorKind::Unauthorized),
        403 => (Reason::Forbidden(code), ErrorKind::StatusUnreadable),
        400..=499 if reading.cursor.kind == StatusKind::Bare => {
            reading.because(Reason::BareRefusal(code));
            return Step::Ended(Report { state: State::Failed, ..report }, reading.fault());
        }
        _ => (Reason::StatusRefused(code), ErrorKind::StatusUnreadable),
    };
    reading.because(reason);
    let why = if code == 403 && is_signed(reading.reply.url()) {
        "the signed status URL has expired (403)".to_owned()
    } else {
        format!("the status answered with {code}")
    };
    reading.stop(kind, why)
}

/// Handles a temporary failure that states nothing about the task. Durable Functions send a complete status with a 500:
/// its statement about the task counts. `"status": "error"` does not: it refers to the request.
fn transient(reading: &mut Reading<'_>, report: Report) -> Step {
    let code = reading.code;
    let is_whole = code == 500
        && reading.cursor.kind != StatusKind::Bare
        && reading.body.is_some_and(is_monitor_shaped)
        && report.word().is_some_and(|word| plain(word) != "error");
    let known = if is_whole { word(reading).0 } else { None };
    if let Some(state) = known.filter(|state| state.is_terminal()) {
        reading.because(Reason::TerminalInError(code));
        reading.cursor.settle();
        return terminal(reading, Report { state, ..report });
    }
    reading.because(Reason::Transient(code));
    wait(reading, report, format!("the status answered with {code}"))
}
