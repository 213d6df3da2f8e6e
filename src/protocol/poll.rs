//! Reading the answer to a poll.

use std::num::NonZeroU64;
use std::time::SystemTime;

use http::StatusCode;
use serde_json::Value;

use super::location::join;
use super::words::State;
use super::{Cursor, Phase, ProgressUnit, Protocol, Report, StatusKind, Step, fault, result};
use crate::clock::unix_millis;
use crate::error::{ErrorKind, Fault};
use crate::hint::{self, Hint};
use crate::message::Reply;
use crate::redact::is_signed;

pub(super) fn read(protocol: &Protocol, cursor: &mut Cursor, reply: &Reply, now: SystemTime) -> Step {
    let json = reply.json();
    let body = json.as_ref();
    let status = reply.status();
    let report = report(protocol, cursor, reply, body, now);
    match status.as_u16() {
        301 | 302 | 303 | 307 | 308 => return redirected(protocol, cursor, reply, report),
        304 => {
            cursor.settle();
            return Step::Wait(report);
        }
        200..=299 => {}
        _ => return failed(protocol, cursor, reply, body, report, now),
    }
    cursor.seen_alive = true;
    cursor.hops = 0;
    match judge(protocol, cursor.kind, reply, body, &report) {
        Verdict::Pending(state) => {
            cursor.settle();
            pending(protocol, cursor, reply, body, Report { state, ..report })
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
                fault: fault::read(reply, body),
            }
        }
    }
}

/// Reads what stood where a poll was redirected to by 302: still pending, and the monitor has moved; else the result.
pub(super) fn read_moved(protocol: &Protocol, cursor: &mut Cursor, reply: &Reply, now: SystemTime) -> Step {
    let json = reply.json();
    let body = json.as_ref();
    if reply.status().is_success() {
        let report = report(protocol, cursor, reply, body, now);
        if let Verdict::Pending(_) = judge(protocol, StatusKind::Bare, reply, body, &report) {
            cursor.status_url = Some(reply.url().as_str().into());
            cursor.kind = StatusKind::Bare;
            cursor.phase = Phase::Poll;
            return read(protocol, cursor, reply, now);
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
    let mut report = Report::new(State::Running);
    report.word = protocol.state.iter().find_map(|at| at.text(reply, body)).map(|word| word.chars().take(80).collect());
    report.percent = protocol.progress.iter().find_map(|at| percent(&at.text(reply, body)?, protocol.progress_unit));
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
    if let Some(delay) = found {
        cursor.keep_hint(delay);
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
    if report.state.has_result() {
        report.percent = report.percent.or(Some(100.0));
        return result::finish(protocol, cursor, reply, body, report);
    }
    Step::Ended(report, fault::read(reply, body))
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
    Step::Wait(report)
}

/// Whether a document has members that only a monitor has, or none that a monitor has not.
pub(super) fn is_monitor_shaped(body: &Value) -> bool {
    const SIGNS: [&str; 16] = [
        "error",
        "errors",
        "percentcomplete",
        "percentagecomplete",
        "percentprogress",
        "percentdone",
        "progress",
        "resourcelocation",
        "createddatetime",
        "lastactiondatetime",
        "lastupdateddatetime",
        "createdat",
        "updatedat",
        "starttime",
        "endtime",
        "runtimestatus",
    ];
    const PLAIN: [&str; 10] =
        ["id", "name", "jobid", "taskid", "operationid", "status", "state", "message", "result", "links"];
    let Some(members) = body.as_object() else { return false };
    let plain = |name: &String| super::words::plain(name.trim_start_matches('_'));
    members.keys().any(|name| SIGNS.contains(&plain(name).as_str()))
        || members.keys().all(|name| PLAIN.contains(&plain(name).as_str()))
}

enum Verdict {
    Pending(State),
    Terminal(State),
    IsResult,
    Unreadable(&'static str),
}

/// What a 2xx answer says of the task.
fn judge(protocol: &Protocol, kind: StatusKind, reply: &Reply, body: Option<&Value>, report: &Report) -> Verdict {
    let accepted = reply.status() == StatusCode::ACCEPTED;
    let empty = reply.status() == StatusCode::NO_CONTENT || reply.body().trim_ascii().is_empty();
    let word = report.word().map(|word| {
        let state = protocol.classify(word);
        // A success beside an error is none.
        if state == Some(State::Succeeded) && fault::has_error(reply, body) { Some(State::Failed) } else { state }
    });
    let done = || protocol.done.iter().any(|at| at.value(reply, body).is_some());
    match (kind, word) {
        (StatusKind::Bare, Some(Some(state))) if !state.is_terminal() => Verdict::Pending(state),
        (StatusKind::Bare, Some(Some(state))) => {
            let asks_to_wait = reply.headers().contains_key(http::header::RETRY_AFTER);
            if asks_to_wait || body.is_some_and(is_monitor_shaped) {
                Verdict::Terminal(state)
            } else if accepted {
                Verdict::Pending(State::Running)
            } else {
                Verdict::IsResult
            }
        }
        (StatusKind::Bare, Some(None) | None) if accepted => Verdict::Pending(State::Running),
        (StatusKind::Bare, Some(None) | None) => Verdict::IsResult,

        (_, Some(Some(state))) => {
            if state.is_terminal() {
                Verdict::Terminal(state)
            } else {
                Verdict::Pending(state)
            }
        }
        (_, Some(None) | None) if done() => Verdict::Terminal(State::Succeeded),
        (_, Some(None)) => Verdict::Pending(State::Running),
        (StatusKind::Monitor | StatusKind::Resource, None) if accepted => Verdict::Pending(State::Running),
        (StatusKind::Resource, None) => Verdict::IsResult,
        (StatusKind::Monitor, None) if empty => Verdict::Unreadable("the status document is empty"),
        (StatusKind::Monitor, None) if !reply.is_whole() => {
            Verdict::Unreadable("the status document is larger than the client's body limit")
        }
        (StatusKind::Monitor, None) if body.is_none() => Verdict::Unreadable("the status document is no JSON"),
        (StatusKind::Monitor, None) => Verdict::Unreadable("the status document has no state"),
    }
}

/// Still pending: the answer may name a new place to ask.
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
    Step::Wait(report)
}

fn redirected(protocol: &Protocol, cursor: &mut Cursor, reply: &Reply, report: Report) -> Step {
    let code = reply.status().as_u16();
    if code == 303 {
        let percent = report.percent.or(Some(100.0));
        return result::redirected(protocol, cursor, reply, Report { state: State::Succeeded, percent, ..report });
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
        let percent = report.percent.or(Some(100.0));
        return result::redirected(protocol, cursor, reply, Report { state: State::Succeeded, percent, ..report });
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
    report: Report,
    now: SystemTime,
) -> Step {
    let code = reply.status().as_u16();
    let stop = |kind, why: &str| Step::Stop { kind, why: why.to_owned(), fault: fault::read(reply, body) };
    if matches!(code, 408 | 425 | 429) || (code >= 500 && !matches!(code, 501 | 505)) {
        // Some services send a whole status with a 500: what it says of the task counts.
        let known = report.word().and_then(|word| protocol.classify(word));
        if let Some(state) = known.filter(|state| state.is_terminal() && cursor.kind != StatusKind::Bare) {
            cursor.settle();
            return terminal(protocol, cursor, reply, body, Report { state, ..report });
        }
        return trouble(protocol, cursor, report, &format!("the status answered with {code}"), now);
    }
    match code {
        401 => stop(ErrorKind::Unauthorized, "the status answered with 401"),
        403 if is_signed(reply.url()) => stop(ErrorKind::StatusUnreadable, "the signed status URL has expired"),
        403 => stop(ErrorKind::StatusUnreadable, "the status answered with 403"),
        404 if cursor.cancel_asked => {
            Step::Ended(Report { state: State::Canceled, ..report }, fault::read(reply, body))
        }
        404 if cursor.method == http::Method::DELETE && cursor.seen_alive => {
            let report = Report { state: State::Succeeded, ..report };
            Step::Done(report, super::Finding::default())
        }
        404 if !cursor.seen_alive && cursor.age(now) < VISIBILITY => {
            trouble(protocol, cursor, report, "the status is not visible yet (404)", now)
        }
        404 => stop(ErrorKind::Gone, "the status answered with 404"),
        410 => stop(ErrorKind::Gone, "the status answered with 410"),
        400..=499 if cursor.kind == StatusKind::Bare => {
            Step::Ended(Report { state: State::Failed, ..report }, fault::read(reply, body))
        }
        _ => stop(ErrorKind::StatusUnreadable, &format!("the status answered with {code}")),
    }
}

impl Cursor {
    /// The status could be read.
    fn settle(&mut self) {
        self.troubled_since = None;
        self.unreadable = 0;
        self.following = None;
    }
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

/// A service may need so long until a new task is visible everywhere.
const VISIBILITY: std::time::Duration = std::time::Duration::from_secs(30);
/// So many answers in a row that are no status end the wait.
const MAX_UNREADABLE: u8 = 3;
