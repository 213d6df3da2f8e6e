//! Created: checks the Location of a 201 before the answer is interpreted.
//!
//! 201 names the created resource (RFC 9110, 15.3.2), which may be a job. The document there decides: a state makes it
//! a monitor, 202 makes its HTTP status count, a plain resource is the value. If the document may not be read, the
//! submit's own answer is the value.

use bytes::Bytes;

use super::reading::Reading;
use super::reason::Reason;
use super::result_body::itself;
use super::rules::StatusKind;
use super::shape::{is_hollow, is_resting, is_unsaid};
use super::step::{Finding, Report, Step};
use super::verdict::word;
use super::words::State;
use crate::error::ErrorKind;
use crate::message::is_transient;

/// Marks the Location of a 201 to be read; this answer is the value if that is not allowed.
pub(super) fn begin(reading: &mut Reading<'_>) {
    reading.cursor.created = true;
    let reply = reading.reply;
    if reply.is_whole() && !reply.body().trim_ascii().is_empty() && !reading.body.is_some_and(is_hollow) {
        let text = reply.json_text().map_or_else(|| reply.body().clone(), |text| Bytes::from(text.into_owned()));
        let extra = reading.cursor.extra();
        (extra.created_held, extra.created) = (true, Some(text));
    }
}

/// Reads the answer from the Location; `None` if it is to be read like any status.
pub(super) fn read(reading: &mut Reading<'_>, report: &Report) -> Option<Step> {
    let code = reading.code;
    match code {
        202 => reading.cursor.created = false,
        200..=299 if reading.result_flaw().is_none() => {
            let is_word = report.word().is_some_and(|word| !is_resting(word));
            if word(reading).0.is_some() || is_word || reading.body.is_some_and(is_unsaid) {
                (reading.cursor.created, reading.cursor.kind) = (false, StatusKind::Monitor);
                return None;
            }
            reading.cursor.settle();
            reading.because(Reason::CreatedResource);
            let is_nothing = reading.is_empty() || (reading.reply.is_whole() && reading.body.is_some_and(is_hollow));
            let report = Report { state: State::Succeeded, percent: report.percent.or(Some(100.0)), ..report.clone() };
            return Some(if is_nothing { own_answer(reading, report) } else { itself(reading, report) });
        }
        // Not visible yet, as with any task.
        404 if !reading.cursor.seen_alive && reading.cursor.age(reading.now) < reading.rules.visibility => {}
        400..=599 if !is_transient(code) => {
            reading.because(Reason::CreatedRefused(code));
            let mut report = Report { state: State::Succeeded, percent: Some(100.0), ..report.clone() };
            report.warn(format!(
                "the Location of the created resource answered with {code}, so the answer of the submit is taken as \
                 the result"
            ));
            return Some(own_answer(reading, report));
        }
        _ => {}
    }
    None
}

/// Returns the submit's own answer as the value; an error if a resumed task no longer has it.
fn own_answer(reading: &mut Reading<'_>, report: Report) -> Step {
    let extra = reading.cursor.extra.as_mut();
    let (was_held, answer) = extra.map_or((false, None), |extra| (extra.created_held, extra.created.take()));
    if was_held && answer.is_none() {
        let why = format!(
            "the Location of the created resource answered with {} and has no result; the answer of the submit would \
             be the result, and a token does not contain that answer",
            reading.reply.status().as_u16()
        );
        return reading.stop(ErrorKind::ResultUnavailable, why);
    }
    Step::Done(report, Finding { body: answer, ..Finding::default() })
}
