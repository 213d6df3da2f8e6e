//! Created: looking at the Location of a 201 before anything is said of the task.
//!
//! 201 names what was created (RFC 9110, 15.3.2), and that may be a job. Whether it is, the document there shows: a state
//! makes it a monitor, 202 makes its HTTP status count, a plain resource is the value. Where it may not be looked at, the
//! submit's own answer is the value.

use std::time::SystemTime;

use bytes::Bytes;
use serde_json::Value;

use super::flaw::{Flaw, is_hollow};
use super::rule::Rule;
use super::verdict::{is_resting, is_unsaid, word};
use super::{Cursor, Finding, Protocol, Report, State, StatusKind, Step, fault, result};
use crate::error::ErrorKind;
use crate::message::{Reply, is_transient};

/// The Location of a 201 is to be looked at, and this is the value if that may not be done.
pub(super) fn begin(cursor: &mut Cursor, reply: &Reply, body: Option<&Value>) {
    cursor.created = true;
    let held = reply.is_whole() && !reply.body().trim_ascii().is_empty() && !body.is_some_and(is_hollow);
    if held {
        let text = reply.json_text().map_or_else(|| reply.body().clone(), |text| Bytes::from(text.into_owned()));
        let extra = cursor.extra();
        (extra.created_held, extra.created) = (true, Some(text));
    }
}

/// Reads what stands at the Location; `None` where it is read on as any status.
pub(super) fn read(
    protocol: &Protocol,
    cursor: &mut Cursor,
    reply: &Reply,
    body: Option<&Value>,
    code: u16,
    report: &Report,
    now: SystemTime,
) -> Option<Step> {
    match code {
        202 => cursor.created = false,
        200..=299 if Flaw::of_result(protocol, reply, body).is_none() => {
            let known = word(protocol, reply, body).0;
            let is_word = report.word().is_some_and(|word| !is_resting(word));
            if known.is_some() || is_word || body.is_some_and(is_unsaid) {
                (cursor.created, cursor.kind) = (false, StatusKind::Monitor);
                return None;
            }
            cursor.settle();
            cursor.because(Rule::CreatedResource);
            let nothing = reply.is_whole() && (reply.body().trim_ascii().is_empty() || body.is_some_and(is_hollow));
            let report = Report { state: State::Succeeded, percent: report.percent.or(Some(100.0)), ..report.clone() };
            return Some(match nothing {
                true => own_answer(protocol, cursor, reply, body, report),
                false => result::itself(protocol, cursor, reply, body, report),
            });
        }
        // Not visible yet, as for any task.
        404 if !cursor.seen_alive && cursor.age(now) < protocol.visibility => {}
        400..=599 if !is_transient(code) => {
            cursor.because(Rule::CreatedRefused(code));
            let mut report = Report { state: State::Succeeded, percent: Some(100.0), ..report.clone() };
            report.warn(format!(
                "the Location of what was created answered with {code}, so the answer of the submit is taken as the result"
            ));
            return Some(own_answer(protocol, cursor, reply, body, report));
        }
        _ => {}
    }
    None
}

/// The submit's own answer is the value; an error where a resumed task does not have it any more.
fn own_answer(protocol: &Protocol, cursor: &mut Cursor, reply: &Reply, body: Option<&Value>, report: Report) -> Step {
    let (was_held, answer) =
        cursor.extra.as_mut().map_or((false, None), |extra| (extra.created_held, extra.created.take()));
    if was_held && answer.is_none() {
        return Step::Stop {
            kind: ErrorKind::ResultUnavailable,
            why: format!(
                "the Location of what was created answered with {} and has no result, and the answer of the submit, which \
                 is the result then, is not kept in a token",
                reply.status().as_u16()
            ),
            fault: fault::read(protocol, reply, body),
        };
    }
    Step::Done(report, Finding { body: answer, ..Finding::default() })
}
