//! Reads the answer at the target of a poll's 302: a status means that the monitor has moved; anything else is the
//! result.

use super::named_result::leads_elsewhere;
use super::patience::wait;
use super::phase::Phase;
use super::reading::Reading;
use super::reason::Reason;
use super::rules::StatusKind;
use super::shape::{gap, has_signs, is_monitor_shaped, is_resting};
use super::step::{Report, Step};
use super::verdict::word;
use super::{fetch, poll, poll_error, redirect, report};
use crate::message::is_transient;
use crate::redact::shown;

pub(super) fn read(reading: &mut Reading<'_>) -> Step {
    match reading.code {
        301 | 302 | 307 | 308 => {
            let report = report::parse(reading);
            redirect::follow(reading, 302, report)
        }
        200..=299 => {
            let report = report::parse(reading);
            if is_status(reading, &report) {
                reading.cursor.move_to(reading.reply.url());
                reading.cursor.phase = Phase::POLLING;
                return poll::read(reading);
            }
            let Some(why) = no_result(reading) else { return fetch::read(reading) };
            // Such as a login page. The status is requested again at the previous URL.
            reading.cursor.turn_back();
            reading.because(Reason::Unreadable);
            let why = format!("the status leads to {}, which {why}", shown(reading.reply.url()));
            wait(reading, report, why)
        }
        303 | 404 | 410 => fetch::read(reading),
        code if is_transient(code) => {
            // The answer may still be either: the URL is requested again.
            let report = report::parse(reading);
            reading.because(Reason::Transient(code));
            wait(reading, report, format!("the redirect's target answered with {code}"))
        }
        _ => {
            reading.cursor.phase = Phase::POLLING;
            let report = report::parse(reading);
            poll_error::read(reading, report)
        }
    }
}

fn is_status(reading: &Reading<'_>, report: &Report) -> bool {
    let is_shaped = |shape: fn(&serde_json::Value) -> bool| reading.body.is_some_and(shape);
    match word(reading).0 {
        _ if reading.code == 202 => true,
        Some(state) => {
            !state.is_terminal()
                || reading.cursor.shown_state
                || is_shaped(is_monitor_shaped)
                || leads_elsewhere(reading)
        }
        None => {
            let has_signs = has_shown(reading) || is_shaped(has_signs) || reading.asks_to_retry();
            has_signs && report.word().is_some_and(|word| !is_resting(word))
        }
    }
}

/// Returns why the answer there is no result either.
fn no_result(reading: &Reading<'_>) -> Option<String> {
    let flaw = reading.result_flaw().map(|flaw| format!("answers with {flaw}"));
    let may_be_gap = has_shown(reading) && reading.code != 204 && !reading.was_head();
    flaw.or_else(|| gap(reading.reply, reading.body).filter(|_| may_be_gap).map(str::to_owned))
}

/// Returns whether the status URL has shown, or must show, a state.
fn has_shown(reading: &Reading<'_>) -> bool {
    reading.cursor.shown_state || reading.cursor.kind != StatusKind::Bare
}
