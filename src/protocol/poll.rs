//! Reading the answer to a poll.

use std::num::NonZeroU64;
use std::time::SystemTime;

use http::StatusCode;
use serde_json::Value;

use super::location::join;
use super::rule::Rule;
use super::verdict::{Verdict, is_monitor_shaped, judge, word};
use super::words::{State, plain};
use super::{Cursor, Phase, ProgressUnit, Protocol, Report, StatusKind, Step, fault, result};
use crate::clock::unix_millis;
use crate::error::{ErrorKind, Fault};
use crate::hint::{self, Hint};
use crate::message::Reply;
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
        _ => return failed(protocol, cursor, reply, body, code, report, now),
    }
    cursor.seen_alive = true;
    cursor.hops = 0;
    let (verdict, rule) = judge(protocol, cursor.kind, reply, code, body, &report);
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
        Verdict::IsResult => {
            cursor.settle();
            let percent = report.percent.or(Some(100.0));
            result::whole_body(cursor, reply, Report { state: State::Succeeded, percent, ..report })
        }
        Verdict::Unreadable(why) => {
            cursor.unreadable = cursor.unreadable.saturating_add(1);
            if cursor.unreadable < MAX_UNREADABLE {
                return trouble(protocol, cursor, report, why, now);
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
            let is_status =
                known.map_or(code == 202, |state| !state.is_terminal() || body.is_some_and(is_monitor_shaped));
            if is_status {
                cursor.status_url = Some(reply.url().as_str().into());
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
            return trouble(protocol, cursor, report, &format!("the redirect's target answered with {code}"), now);
        }
        _ => {
            cursor.phase = Phase::Poll;
            let report = report(protocol, cursor, reply, body, now);
            return failed(protocol, cursor, reply, body, code, report, now);
        }
    }
    result::read(protocol, cursor, reply, now)
}

/// Reads the answer to the request that a state fired.
pub(super) fn read_start(protocol: &Protocol, cursor: &mut Cursor, reply: &Reply, now: SystemTime) -> Step {
    let json = reply.json();
    let body = json.as_ref();
    cursor.phase = Phase::Poll;
    let code = reply.status().as_u16();
    if reply.status().is_success() {
        cursor.fired();
        let report = report(protocol, cursor, reply, body, now);
        cursor.state = State::Running;
        return Step::Wait(Report { state: State::Running, word: None, ..report });
    }
    if matches!(code, 429 | 503) {
        // Refused for load, and so not done: the next poll that shows the word fires it again.
        cursor.not_fired();
        let report = report(protocol, cursor, reply, body, now);
        return trouble(protocol, cursor, report, &format!("the start was answered with {code}"), now);
    }
    cursor.because(Rule::StartRefused);
    Step::Stop {
        kind: ErrorKind::Rejected,
        why: format!("the request that starts the task was answered with {code}"),
        fault: fault::read(protocol, reply, body),
    }
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
    let mut hints = std::iter::once(hint::from_headers(reply.headers(), now)).chain(
        protocol
            .intervals
            .iter()
            .filter_map(|interval| Some(hint::from_value(&*interval.at.value(reply, body)?, interval.unit))),
    );
    let mut ignored = Vec::new();
    let found = hints.find_map(|Hint { delay, ignored: why }| {
        ignored.extend(why);
        delay
    });
    ignored.into_iter().for_each(|why| report.warn(why));
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
    if let Some(extra) = &mut cursor.extra {
        // A final status is asked for again only to be read anew.
        extra.etag = None;
    }
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

/// An answer that says nothing of the task: the wait goes on while there is patience.
pub(super) fn trouble(
    protocol: &Protocol,
    cursor: &mut Cursor,
    mut report: Report,
    why: &str,
    now: SystemTime,
) -> Step {
    let now = unix_millis(now);
    let since = *cursor.troubled_since.get_or_insert(NonZeroU64::MIN.saturating_add(now));
    if u128::from(now.saturating_add(1).saturating_sub(since.get())) > protocol.patience.as_millis() {
        return Step::Stop {
            kind: ErrorKind::StatusUnreadable,
            why: format!("{why}; and so for more than {:?}", protocol.patience),
            fault: Fault::default(),
        };
    }
    report.warn(why);
    report.word = None;
    Step::Wait(report)
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
                cursor.status_url = Some(url.as_str().into());
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
    start(protocol, cursor, report)
}

/// Fires the request that this word is waited for with, once.
pub(super) fn start(protocol: &Protocol, cursor: &mut Cursor, report: Report) -> Step {
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
        301 | 308 => cursor.status_url = Some(url.as_str().into()),
        _ => {}
    }
    Step::Follow { url, after: report.hint.unwrap_or_default(), report: None }
}

/// A 4xx or 5xx.
fn failed(
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
        return trouble(protocol, cursor, report, &format!("the status answered with {code}"), now);
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
            return Step::Done(Report { state: State::Succeeded, ..report }, super::Finding::default());
        }
        404 if young => {
            cursor.because(Rule::NotVisible);
            return trouble(protocol, cursor, report, "the status is not visible yet (404)", now);
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

/// A status that may pass by itself (as `retry::decide` has it, which stands beside and not below).
const fn is_transient(code: u16) -> bool {
    matches!(code, 408 | 425 | 429) || (code >= 500 && !matches!(code, 501 | 505))
}

/// The number that stands for the HTTP status, where the protocol names a place for one.
fn out_of_band(protocol: &Protocol, reply: &Reply, body: Option<&Value>) -> Option<u16> {
    let text = protocol.status_header.as_ref()?.text(reply, body)?;
    text.parse().ok().filter(|code| StatusCode::from_u16(*code).is_ok())
}

impl Cursor {
    /// The status could be read.
    fn settle(&mut self) {
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
