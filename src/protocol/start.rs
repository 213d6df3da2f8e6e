//! The second request of a task, which a state fires.

use std::time::SystemTime;

use super::rule::Rule;
use super::words::{State, plain};
use super::{Cursor, Phase, Protocol, Report, Step, fault, poll, trouble};
use crate::error::ErrorKind;
use crate::message::Reply;

/// Fires the request that this word is waited for with, once.
pub(super) fn fire(protocol: &Protocol, cursor: &mut Cursor, report: Report) -> Step {
    let due = protocol.start.iter().take(8).zip(0_u8..).find(|(start, at)| {
        let same = report.word().is_some_and(|word| plain(word) == plain(&start.when));
        same && cursor.started & (1 << at) == 0
    });
    let Some((_, at)) = due else { return Step::Wait(report) };
    let before = cursor.phase;
    cursor.phase = Phase::Start;
    cursor.firing = Some(at);
    match protocol.next(cursor, http::HeaderMap::new()) {
        Some(next) => {
            if !next.request.method().is_idempotent() {
                // Of unknown fate it counts as sent: it is not repeated.
                cursor.started |= 1 << at;
            }
            cursor.because(Rule::StartFired(at));
            Step::Follow { url: next.request.url().clone(), after: std::time::Duration::ZERO, report: Some(report) }
        }
        None => {
            (cursor.phase, cursor.firing) = (before, None);
            Step::Wait(report)
        }
    }
}

/// Reads the answer to the request that a state fired.
pub(super) fn read(protocol: &Protocol, cursor: &mut Cursor, reply: &Reply, now: SystemTime) -> Step {
    let json = reply.json();
    let body = json.as_ref();
    cursor.phase = Phase::Poll;
    let code = reply.status().as_u16();
    if reply.status().is_success() {
        cursor.fired();
        let report = poll::report(protocol, cursor, reply, body, now);
        cursor.state = State::Running;
        return Step::Wait(Report { state: State::Running, word: None, ..report });
    }
    if matches!(code, 429 | 503) {
        // Refused for load, and so not done: the next poll that shows the word fires it again.
        cursor.not_fired();
        let report = poll::report(protocol, cursor, reply, body, now);
        let fault = fault::read(protocol, reply, body);
        return trouble::wait(protocol, cursor, report, &format!("the start was answered with {code}"), fault, now);
    }
    cursor.because(Rule::StartRefused);
    Step::Stop {
        kind: ErrorKind::Rejected,
        why: format!("the request that starts the task was answered with {code}"),
        fault: fault::read(protocol, reply, body),
    }
}
