//! Reading the answer to a poll.

use std::borrow::Cow;
use std::time::SystemTime;

use http::StatusCode;
use http::header::RETRY_AFTER;
use serde_json::Value;

use super::flaw::Flaw;
use super::location::join;
use super::rule::Rule;
use super::verdict::{Verdict, gap, has_signs, is_monitor_shaped, is_resting, is_word, judge, word};
use super::words::{State, plain};
use super::{
    Cursor, Phase, ProgressUnit, Protocol, Report, StatusKind, Step, accept, created, fault, result, start, trouble,
};
use crate::error::Fault;
use crate::hint::{self, Hint};
use crate::message::{Reply, is_transient};
use crate::pointer::text;
use crate::redact::{is_signed, shown};

pub(super) fn read(protocol: &Protocol, cursor: &mut Cursor, reply: &Reply, now: SystemTime) -> Step {
    let json = reply.json();
    let body = json.as_ref();
    if cursor.following.take().is_none() {
        (cursor.hops, cursor.moved) = (0, false);
    }
    let report = report(protocol, cursor, reply, body, now);
    let code = out_of_band(protocol, reply, body).unwrap_or(reply.status().as_u16());
    if cursor.created
        && let Some(step) = created::read(protocol, cursor, reply, body, code, &report, now)
    {
        return step;
    }
    match code {
        301 | 302 | 303 | 307 | 308 => return redirected(protocol, cursor, reply, code, report, now),
        304 => {
            cursor.because(Rule::Unchanged);
            cursor.settle();
            return Step::Wait(Report { state: cursor.state, ..report });
        }
        200..=299 => {}
        _ => return trouble::refused(protocol, cursor, reply, body, code, report, now),
    }
    cursor.hops = 0;
    let (verdict, rule) = judge(protocol, cursor, reply, code, body, &report);
    cursor.because(rule);
    if !matches!(verdict, Verdict::Unreadable(_)) {
        if std::mem::take(&mut cursor.moved) {
            // Where a redirect for good led, there is a status indeed.
            cursor.move_to(reply.url());
        }
        cursor.seen_alive = true;
        cursor.shown_state |= body.is_some() && report.word().is_some();
    }
    if protocol.was_head(reply) && is_end(&verdict) && !protocol.leads_elsewhere(cursor, reply, body) {
        return result::found_by_head(cursor, reply, &report);
    }
    match verdict {
        Verdict::Pending(state) => {
            cursor.settle();
            cursor.state = state;
            let mut report = Report { state, ..report };
            match rule {
                Rule::UnknownWord(_) => warn_of_word(protocol, cursor, &mut report, now),
                _ => cursor.forget_unknown(),
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
            let mut report = Report { state: State::Succeeded, percent, ..report };
            if let (Rule::UnknownWord(_), Some(word)) = (rule, report.word().map(str::to_owned)) {
                report.warn(format!(
                    "taken as the result, and it has the word `{word}`, which is not known: if that is the task's state, say \
                     what it means with Protocol::word"
                ));
            }
            result::itself(protocol, cursor, reply, body, report)
        }
        Verdict::Unreadable(why) => {
            let fault = fault::read(protocol, reply, body);
            trouble::wait(protocol, cursor, report, &why, fault, now)
        }
    }
}

/// Whether a verdict is a success whose result is still to be found.
const fn is_end(verdict: &Verdict) -> bool {
    match verdict {
        Verdict::IsResult | Verdict::Named => true,
        Verdict::Terminal(state) => state.has_result(),
        Verdict::Pending(_) | Verdict::Unreadable(_) => false,
    }
}

/// A word that nobody knows counts as running; where it stays for long, that is reported, once.
fn warn_of_word(protocol: &Protocol, cursor: &mut Cursor, report: &mut Report, now: SystemTime) {
    let fires = |word: &str| protocol.start.iter().any(|start| plain(&start.when) == plain(word));
    let Some(word) = report.word().filter(|word| !fires(word)).map(str::to_owned) else { return };
    match cursor.unknown_since(&word, now) {
        Some(since) if since > protocol.patience => {
            cursor.unknown_was_reported();
            report.is_stuck = true;
            report.warn(format!(
                "the word `{word}` is not known, counts as running, and has stayed for more than {:?}: say what it means \
                 with Protocol::word",
                protocol.patience
            ));
        }
        _ => report.warn(format!("the word `{word}` is not known, and counts as running")),
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
            return redirected(protocol, cursor, reply, 302, report, now);
        }
        200..=299 => {
            let report = report(protocol, cursor, reply, body, now);
            let (known, _) = word(protocol, reply, body);
            let showed = cursor.shown_state || cursor.kind != StatusKind::Bare;
            let is_unknown = || {
                let signs = showed || body.is_some_and(has_signs) || reply.headers().contains_key(RETRY_AFTER);
                signs && report.word().is_some_and(|word| !is_resting(word))
            };
            let is_status = code == 202
                || known.map_or_else(is_unknown, |state| {
                    !state.is_terminal()
                        || cursor.shown_state
                        || body.is_some_and(is_monitor_shaped)
                        || protocol.leads_elsewhere(cursor, reply, body)
                });
            let flaw = || Flaw::of_result(protocol, reply, body).map(|flaw| format!("answers with {flaw}"));
            let gap = || gap(reply, body).filter(|_| showed && code != 204 && !protocol.was_head(reply));
            if let Some(why) = flaw().or_else(|| gap().map(str::to_owned)).filter(|_| !is_status) {
                // Such as a page to log in. The status is asked for again where it was.
                (cursor.phase, cursor.following) = (Phase::Poll, None);
                cursor.because(Rule::Unreadable);
                let fault = fault::read(protocol, reply, body);
                let why = format!("the status leads to {}, which {why}", shown(reply.url()));
                return trouble::wait(protocol, cursor, report, &why, fault, now);
            }
            if is_status {
                cursor.move_to(reply.url());
                cursor.phase = Phase::Poll;
                return read(protocol, cursor, reply, now);
            }
        }
        303 | 404 | 410 => {}
        _ if is_transient(code) => {
            // It may still be either: it is asked again.
            let report = report(protocol, cursor, reply, body, now);
            cursor.because(Rule::Transient(code));
            let (why, fault) =
                (format!("the redirect's target answered with {code}"), fault::read(protocol, reply, body));
            return trouble::wait(protocol, cursor, report, &why, fault, now);
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
    let words = protocol.state.iter().filter_map(|at| at.value(reply, body)).filter(|value| is_word(value, reply));
    let first = words.filter_map(|value| text(&value)).next();
    report.word = first.map(|word| word.chars().take(80).collect());
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
        let etag = reply.header("etag").map(Cow::into_owned);
        if etag.as_ref().is_some_and(|etag| etag.len() > LONGEST_ETAG) {
            report.warn(format!("ignored an ETag of more than {LONGEST_ETAG} bytes: the status is asked for in full"));
        }
        cursor.extra().etag = etag.filter(|etag| etag.len() <= LONGEST_ETAG);
    }
    if let Some(other) = other_id(protocol, cursor, reply, body).filter(|_| cursor.phase == Phase::Poll) {
        let shown = |id: &str| id.chars().take(80).collect::<String>().escape_debug().to_string();
        let own = cursor.id().map(shown).unwrap_or_default();
        report.warn(format!("the status is of the id `{}`, and the task's is `{own}`", shown(&other)));
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
    if protocol.rotates
        && let Some(url) = rotated(protocol, cursor, reply, body, &mut report)
    {
        cursor.move_to(&url);
    }
    if cursor.kind == StatusKind::Monitor
        && protocol.rotates
        && let Some(url) = reply.header("location").and_then(|location| join(reply.url(), &location).ok())
    {
        cursor.last_location = Some(url.as_str().into());
    }
    start::fire(protocol, cursor, report)
}

/// The new place to ask that an answer names, of the same kind as before: the first that can be used.
fn rotated(
    protocol: &Protocol,
    cursor: &Cursor,
    reply: &Reply,
    body: Option<&Value>,
    report: &mut Report,
) -> Option<url::Url> {
    let is_monitor = cursor.kind == StatusKind::Monitor;
    // A link to itself names what is asked already, and not always by the name that it was asked by.
    let pointers = protocol
        .status_url
        .iter()
        .filter(|pointer| !(pointer.guess && pointer.at.ends_with("/self/href")))
        .filter(|pointer| (pointer.kind == StatusKind::Bare) != is_monitor);
    for text in pointers.flat_map(|pointer| pointer.at.texts(reply, body)) {
        let usable = join(reply.url(), &text).and_then(|url| match cursor.admit(&url) {
            Ok(()) => Ok(url),
            Err(Step::Stop { why, .. }) => Err(why),
            Err(_) => Err("no request may go there".to_owned()),
        });
        match usable {
            Ok(url) => return Some(url),
            Err(why) => report.warn(format!("ignored a new status URL: {why}")),
        }
    }
    let rels = ["monitor", "status"].into_iter().filter(|_| is_monitor);
    rels.filter_map(|rel| accept::rel_link(rel, reply, body)).find(|url| cursor.admit(url).is_ok())
}

fn redirected(
    protocol: &Protocol,
    cursor: &mut Cursor,
    reply: &Reply,
    code: u16,
    report: Report,
    now: SystemTime,
) -> Step {
    cursor.because(Rule::Redirected(code));
    let percent = report.percent.or(Some(100.0));
    if code == 303 {
        return result::redirected(cursor, reply, Report { state: State::Succeeded, percent, ..report });
    }
    let target = reply.header("location").ok_or_else(|| "it names no Location".to_owned());
    let url = match target.and_then(|location| join(reply.url(), &location)) {
        Ok(url) => url,
        Err(why) => {
            // It leads nowhere, and so says nothing of the task.
            (cursor.phase, cursor.following) = (Phase::Poll, None);
            let why = format!("the status answered with {code}, and {why}");
            return trouble::wait(protocol, cursor, report, &why, Fault::default(), now);
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
        // Kept once a status stands there: it may lead to a page that says that the service is away.
        301 | 308 => cursor.moved = true,
        _ => cursor.moved = false,
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
        self.looks = 0;
    }
}

/// Whether a status speaks of another task than the one that is asked for: a place that holds an id holds another, and
/// none holds the task's own. One id may be written as a path that ends in the other.
fn other_id(protocol: &Protocol, cursor: &Cursor, reply: &Reply, body: Option<&Value>) -> Option<String> {
    let own = cursor.id().filter(|_| cursor.kind == StatusKind::Monitor)?;
    let last = |id: &str| id.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let found: Vec<_> = protocol.id.iter().filter_map(|at| at.text(reply, body)).collect();
    let is_own = found.iter().any(|id| last(id) == last(own));
    found.into_iter().find(|_| !is_own)
}

/// A status is asked for again by its ETag, which is some dozen bytes.
const LONGEST_ETAG: usize = 1024;

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
