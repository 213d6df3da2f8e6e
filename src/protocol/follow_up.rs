//! Follow-up: the second request of a task, which a state triggers.

use std::time::Duration;

use http::HeaderMap;

use super::patience::wait;
use super::phase::Phase;
use super::reading::Reading;
use super::reason::Reason;
use super::step::{Report, Step};
use super::words::{State, plain};
use super::{report, requests};
use crate::error::ErrorKind;

/// Sends the request that waits for this word, once.
pub(super) fn fire(reading: &mut Reading<'_>, report: Report) -> Step {
    let cursor = &mut *reading.cursor;
    let is_due =
        |when: &str, place| report.word().is_some_and(|word| plain(word) == plain(when)) && !cursor.was_fired(place);
    let mut starts = reading.rules.start.iter().zip(0..MOST_STARTS);
    let Some(firing) = starts.find_map(|(start, place)| is_due(&start.when, place).then_some(place)) else {
        return Step::Wait(report);
    };
    let before = std::mem::replace(&mut cursor.phase, Phase::Starting { firing });
    let Some(next) = requests::next(reading.rules, cursor, HeaderMap::new()) else {
        cursor.phase = before;
        return Step::Wait(report);
    };
    if !next.request.method().is_idempotent() {
        // A request of unknown fate counts as sent: it is not repeated.
        cursor.fired(firing);
    }
    cursor.because(Reason::StartFired(firing));
    Step::Follow { url: next.request.url().clone(), after: Duration::ZERO, report: Some(report) }
}

/// Reads the answer to the request that a state triggered.
pub(super) fn read(reading: &mut Reading<'_>, firing: u8) -> Step {
    let code = reading.code;
    // 303 names another resource as the answer: the request was carried out (RFC 9110, 15.4.4), as in IVOA UWS.
    let is_done = reading.reply.status().is_success() || code == 303;
    if is_done {
        reading.cursor.fired(firing);
    } else if matches!(code, 429 | 503) {
        // A refusal for load means that the request was not carried out: the next poll that shows the word sends it
        // again.
        reading.cursor.not_fired();
    } else {
        reading.cursor.phase = Phase::POLLING;
        reading.because(Reason::StartRefused);
        let why = format!("the request that starts the task was answered with {code}");
        return reading.stop(ErrorKind::Rejected, why);
    }
    reading.cursor.phase = Phase::POLLING;
    let report = report::parse(reading);
    if !is_done {
        return wait(reading, report, format!("the start was answered with {code}"));
    }
    reading.cursor.state = State::Running;
    Step::Wait(Report { state: State::Running, word: None, ..report })
}

/// A protocol has no more of them: the cursor keeps a bit for each.
const MOST_STARTS: u8 = 8;
