//! Reading the answer to a poll.

use std::time::SystemTime;

use http::StatusCode;
use serde_json::Value;

use super::location::join;
use super::rule::Rule;
use super::trouble;
use super::verdict::{Verdict, is_monitor_shaped, judge, word};
use super::words::{State, plain};
use super::{Cursor, Phase, ProgressUnit, Protocol, Report, StatusKind, Step, fault, result, start};
use crate::error::{ErrorKind, Fault};
use crate::hint::{self, Hint};
use crate::message::{Reply, is_transient};
use crate::redact::is_signed;

pub(super) fn read(protocol: &Protocol, cursor: &mut Cursor, reply: &Reply, now: SystemTime) -> Step {
    let json = reply.json();
    let body = json.as_ref();
    if cursor.following.take().is_none() {
        cursor.hops = 0;
    }
    let report = report(protocol, cursor, reply, body, now);
    let code = out_of_band(protocol, reply, body).unwrap_or(reply.status().as_u16());
    match code {
        301 | 302 | 303 | 307 | 308 => return redirected(cursor, reply, code, report),
        304 => {
            cursor.because(Rule::Unchanged);
            cursor.settle();
            return Step::Wait(Report { state: cursor.state, ..report });
        }
        200..=299 => {}
        _ => return trouble::refused(protocol, cursor, reply, body, code, report, now),
    }
    cursor.seen_alive = true;
    cursor.hops = 0;
    let (verdict, rule) = judge(protocol, cursor, reply, code, body, &report);
    cursor.because(rule);
    match verdict {
        Verdict::Pending(state) => {
            cursor.settle();
            cursor.state = state;
            let mut report = Report { state, ..report };
            let fires = |word: &str| protocol.start.iter().any(|start| plain(&start.when) == plain(word));
            if let (Rule::UnknownWord(_), Some(word)) = (rule, report.word().filter(|word| !fires(word))) {
                report.warn(format!("the word `{word}` is not known, and counts as running"));
            }
            pending(protocol, cursor, reply, body, report)
        }
        Verdict::Terminal(state) => {
            cursor.settle();
            terminal(protocol, cursor, reply, body, Report { state, ..report })
        }
        Verdict::Named => {
            cursor.settle();
            let mut report = Report { state: State::Succeeded, ..report };
            result::warn_of_error(protocol, reply, body, &mut report);
            terminal(protocol, cursor, reply, body, report)
        }
        Verdict::IsResult => {
            cursor.settle();
            let percent = report.percent.or(Some(100.0));
            result::itself(protocol, cursor, reply, body, Report { state: State::Succeeded, percent, ..report })
        }
        Verdict::Unreadable(why) => {
            cursor.unreadable = cursor.unreadable.saturating_add(1);
            if cursor.unreadable < MAX_UNREADABLE {
                return trouble::wait(protocol, cursor, report, why, now);
            }
            Step::Stop {
                kind: ErrorKind::StatusUnreadable,
                why: format!("{why}, {MAX_UNREADABLE} times in a row"),
                fault: fault::read(protocol, reply, body),
            }
        }
    }
}

/// Reads what stood where a poll was redirected to by 302: a status, and the monitor has moved; else the result.
pub(super) fn read_moved(protocol: &Protocol, cursor: &mut Cursor, reply: &Reply, now: SystemTime) -> Step {
    let json = reply.json();
    let body = json.as_ref();
    let code = reply.status().as_u16();
    match code {
        301 | 302 | 307 | 308 => {
            let report = report(protocol, cursor, reply, body, now);
            return redirected(cursor, reply, 302, report);
        }
        200..=299 => {
            let (known, _) = word(protocol, reply, body);
            let is_status = known.map_or(code == 202, |state| {
                !state.is_terminal()
                    || body.is_some_and(is_monitor_shaped)
                    || protocol.leads_elsewhere(cursor, reply, body)
            });
            if is_status {
                cursor.move_to(reply.url());
                cursor.phase = Phase::Poll;
                return read(protocol, cursor, reply, now);
            }
            if cursor.kind != StatusKind::Bare && body.is_none() && reply.body().trim_ascii_start().starts_with(b"<") {
                cursor.because(Rule::Unreadable);
                return Step::Stop {
                    kind: ErrorKind::StatusUnreadable,
                    why: "the status was redirected to a page, such as one to log in".into(),
                    fault: Fault::default(),
                };
            }
        }
        303 | 404 | 410 => {}
        _ if is_transient(code) => {
            // It may still be either: it is asked again.
            let report = report(protocol, cursor, reply, body, now);
            cursor.because(Rule::Transient(code));
            return trouble::wait(
                protocol,
                cursor,
                report,
                &format!("the redirect's target answered with {code}"),
                now,
            );
        }
        _ => {
            cursor.phase = Phase::Poll;
            let report = report(protocol, cursor, reply, body, now);
            return trouble::refused(protocol, cursor, reply, body, code, report, now);
        }
    }
    result::read(protocol, cursor, reply, now)
}

/// All that an answer tells of the task, its state apart.
pub(super) fn report(
    protocol: &Protocol,
    cursor: &mut Cursor,
    reply: &Reply,
    body: Option<&Value>,
    now: SystemTime,
) -> Report {
    let mut report = Report::new(cursor.state);
    report.word = protocol.state.iter().find_map(|at| at.text(reply, body)).map(|word| word.chars().take(80).collect());
    report.percent = ratio(protocol, reply, body)
        .or_else(|| protocol.progress.iter().find_map(|at| percent(&at.text(reply, body)?, protocol.progress_unit)));
    // A header that an interval names has the unit of that.
    let is_read = |name: &str| protocol.intervals.iter().any(|interval| interval.at.header_name() == Some(name));
    let own = protocol.intervals.iter().filter_map(|interval| Some((interval.at.value(reply, body)?, interval.unit)));
    let own = own.map(|(value, unit)| hint::from_value(&value, unit, reply.headers(), now));
    let hints = std::iter::once(hint::from_answer(reply.status(), reply.headers(), now, is_read)).chain(own);
    // The longest counts: nothing is asked before any of them.
    let mut found = None;
    for Hint { delay, ignored } in hints {
        ignored.into_iter().for_each(|why| report.warn(why));
        found = found.max(delay);
    }
    report.hint = found;
    if let Some(delay) = found.filter(|_| reply.status().as_u16() < 400) {
        // How long to stay away after a refusal says nothing of how often to poll.
        cursor.keep_hint(delay);
    }
    if protocol.conditional && reply.status().is_success() {
        cursor.extra().etag = reply.header("etag").map(str::to_owned);
    }
    if let Some(url) = protocol.cancel_url.iter().find_map(|at| join(reply.url(), &at.text(reply, body)?).ok())
        && cursor.admit(&url).is_ok()
    {
        cursor.extra().cancel_url = Some(url.into());
    }
    report
}

/// A terminal state: on to the result, or to the fault.
pub(super) fn terminal(
    protocol: &Protocol,
    cursor: &mut Cursor,
    reply: &Reply,
    body: Option<&Value>,
    mut report: Report,
) -> Step {
    // A final status is asked for again only to be read anew.
    cursor.forget_etag();
    if report.state.has_result() {
        report.percent = report.percent.or(Some(100.0));
        return result::finish(protocol, cursor, reply, body, report);
    }
    let fault = fault::read(protocol, reply, body);
    let canceled = fault.code().is_some_and(|code| protocol.canceled_codes.iter().any(|known| known == code));
    if canceled {
        report.state = State::Canceled;
    }
    Step::Ended(report, fault)
}

/// Still pending: a word may fire a request, and the answer may name a new place to ask.
fn pending(protocol: &Protocol, cursor: &mut Cursor, reply: &Reply, body: Option<&Value>, mut report: Report) -> Step {
    let moved = protocol
        .status_url
        .iter()
        .filter(|pointer| protocol.rotates && pointer.at.is_header())
        .filter(|pointer| (pointer.kind == StatusKind::Bare) != (cursor.kind == StatusKind::Monitor))
        .find_map(|pointer| pointer.at.text(reply, body));
    if let Some(text) = moved {
        match join(reply.url(), &text) {
            Ok(url) => {
                if let Err(step) = cursor.admit(&url) {
                    return step;
                }
                cursor.move_to(&url);
            }
            Err(why) => report.warn(format!("ignored a new status URL: {why}")),
        }
    }
    if cursor.kind == StatusKind::Monitor
        && protocol.rotates
        && let Some(url) = reply.header("location").and_then(|location| join(reply.url(), location).ok())
    {
        cursor.last_location = Some(url.as_str().into());
    }
    start::fire(protocol, cursor, report)
}

fn redirected(cursor: &mut Cursor, reply: &Reply, code: u16, report: Report) -> Step {
    cursor.because(Rule::Redirected(code));
    let percent = report.percent.or(Some(100.0));
    if code == 303 {
        return result::redirected(cursor, reply, Report { state: State::Succeeded, percent, ..report });
    }
    let target = reply.header("location").ok_or_else(|| "it names no Location".to_owned());
    let url = match target.and_then(|location| join(reply.url(), location)) {
        Ok(url) => url,
        Err(why) => {
            return Step::Stop {
                kind: ErrorKind::StatusUnreadable,
                why: format!("the status answered with {code}, and {why}"),
                fault: Fault::default(),
            };
        }
    };
    if code == 302 && is_signed(&url) {
        // A signed link is the result itself: it is downloaded, never polled.
        cursor.because(Rule::SignedRedirect);
        return result::redirected(cursor, reply, Report { state: State::Succeeded, percent, ..report });
    }
    if let Err(step) = cursor.hop(reply.url(), &url).and_then(|()| cursor.admit(&url)) {
        return step;
    }
    cursor.following = Some(url.as_str().into());
    match code {
        302 => cursor.phase = Phase::Moved,
        301 | 308 => cursor.move_to(&url),
        _ => {}
    }
    Step::Follow { url, after: report.hint.unwrap_or_default(), report: None }
}

/// The number that stands for the HTTP status, where the protocol names a place for one.
fn out_of_band(protocol: &Protocol, reply: &Reply, body: Option<&Value>) -> Option<u16> {
    let text = protocol.status_header.as_ref()?.text(reply, body)?;
    text.parse().ok().filter(|code| StatusCode::from_u16(*code).is_ok())
}

impl Cursor {
    /// The status could be read.
    pub(super) fn settle(&mut self) {
        self.troubled_since = None;
        self.unreadable = 0;
    }
}

fn ratio(protocol: &Protocol, reply: &Reply, body: Option<&Value>) -> Option<f64> {
    let of = protocol.progress_of.as_ref()?;
    let done: f64 = of.done.text(reply, body)?.parse().ok()?;
    let total: f64 = of.total.text(reply, body)?.parse().ok().filter(|total| *total > 0.0)?;
    Some((done / total * 100.0).clamp(0.0, 100.0)).filter(|percent| percent.is_finite())
}

fn percent(text: &str, unit: ProgressUnit) -> Option<f64> {
    let digits: String = text.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    let number: f64 = digits.parse().ok()?;
    let percent = match unit {
        ProgressUnit::Percent => number,
        ProgressUnit::Fraction => number * 100.0,
    };
    Some(percent.clamp(0.0, 100.0))
}

/// So many answers in a row that are no status end the wait.
const MAX_UNREADABLE: u8 = 3;
