//! Reads the answer to a poll.

use http::StatusCode;
use url::Url;

use super::location::join;
use super::named_result::leads_elsewhere;
use super::patience::wait;
use super::phase::Phase;
use super::reading::Reading;
use super::reason::Reason;
use super::result::terminal;
use super::result_body::{itself, warn_of_error};
use super::rules::StatusKind;
use super::status_place::{may_be_url, rel_link};
use super::step::{Report, Step};
use super::trail::Trail;
use super::verdict::{Verdict, judge};
use super::words::{State, plain};
use super::{created, follow_up, poll_error, redirect, report};

pub(super) fn read(reading: &mut Reading<'_>) -> Step {
    if reading.cursor.trail.following.take().is_none() {
        (reading.cursor.phase, reading.cursor.trail) = (Phase::POLLING, Trail::default());
    }
    let report = report::parse(reading);
    reading.code = out_of_band(reading).unwrap_or(reading.code);
    if reading.cursor.created
        && let Some(step) = created::read(reading, &report)
    {
        return step;
    }
    match reading.code {
        code @ (301 | 302 | 303 | 307 | 308) => return redirect::follow(reading, code, report),
        304 => {
            reading.because(Reason::Unchanged);
            reading.cursor.settle();
            return Step::Wait(Report { state: reading.cursor.state, ..report });
        }
        200..=299 => {}
        _ => return poll_error::read(reading, report),
    }
    reading.cursor.trail.hops = 0;
    let (verdict, reason) = judge(reading, &report);
    reading.because(reason);
    if !matches!(verdict, Verdict::Unreadable(_)) {
        if reading.cursor.take_moved() {
            // The target of a permanent redirect does hold a status.
            reading.cursor.move_to(reading.reply.url());
        }
        reading.cursor.seen_alive = true;
        reading.cursor.shown_state |= reading.body.is_some() && report.word().is_some();
    }
    if reading.was_head() && is_end(&verdict) && !leads_elsewhere(reading) {
        return found_by_head(reading, &report);
    }
    act(reading, verdict, reason, report)
}

/// Carries out a verdict.
fn act(reading: &mut Reading<'_>, verdict: Verdict, reason: Reason, report: Report) -> Step {
    if let Verdict::Unreadable(why) = verdict {
        return wait(reading, report, why);
    }
    reading.cursor.settle();
    match verdict {
        Verdict::Pending(state) => {
            reading.cursor.state = state;
            let mut report = Report { state, ..report };
            match reason {
                Reason::UnknownWord(_) => warn_of_word(reading, &mut report),
                _ => reading.cursor.extra.iter_mut().for_each(|extra| extra.forget_unknown()),
            }
            pending(reading, report)
        }
        Verdict::Terminal(state) => terminal(reading, Report { state, ..report }),
        Verdict::Named => {
            let mut report = Report { state: State::Succeeded, ..report };
            warn_of_error(reading, &mut report);
            terminal(reading, report)
        }
        Verdict::IsResult | Verdict::Unreadable(_) => {
            let percent = report.percent.or(Some(100.0));
            let mut report = Report { state: State::Succeeded, percent, ..report };
            if let (Reason::UnknownWord(_), Some(word)) = (reason, report.word().map(str::to_owned)) {
                report.warn(format!(
                    "taken as the result, although it has the unknown word `{word}`: if that is the task's state, set \
                     its meaning with Protocol::word"
                ));
            }
            itself(reading, report)
        }
    }
}

/// Returns whether a verdict is a success whose result is still to be found.
const fn is_end(verdict: &Verdict) -> bool {
    match verdict {
        Verdict::IsResult | Verdict::Named => true,
        Verdict::Terminal(state) => state.has_result(),
        Verdict::Pending(_) | Verdict::Unreadable(_) => false,
    }
}

/// Handles a HEAD that reports the end: GET fetches the body, a status or the result.
fn found_by_head(reading: &mut Reading<'_>, report: &Report) -> Step {
    reading.because(Reason::FoundByHead);
    let url = reading.reply.url();
    reading.cursor.phase = Phase::Moved;
    reading.cursor.trail.following = Some(url.as_str().into());
    Step::Follow { url: url.clone(), after: report.hint.unwrap_or_default(), report: None }
}

/// Counts an unknown word as running; a word that stays for long is reported once.
fn warn_of_word(reading: &mut Reading<'_>, report: &mut Report) {
    let fires = |word: &str| reading.rules.start.iter().any(|start| plain(&start.when) == plain(word));
    let Some(word) = report.word().filter(|word| !fires(word)).map(str::to_owned) else { return };
    let patience = reading.rules.patience;
    let extra = reading.cursor.extra();
    if extra.unknown_since(&word, reading.now).is_some_and(|since| since > patience) {
        extra.unknown_was_reported();
        report.is_stuck = true;
        report.warn(format!(
            "the word `{word}` is not known, counts as running, and has stayed for more than {patience:?}: set its \
             meaning with Protocol::word"
        ));
    } else {
        report.warn(format!("the word `{word}` is not known, and counts as running"));
    }
}

/// Handles a task that is still pending: a word may trigger a request, and the answer may name a new status URL.
fn pending(reading: &mut Reading<'_>, mut report: Report) -> Step {
    if reading.rules.rotates {
        if let Some(url) = rotated(reading, &mut report) {
            reading.cursor.move_to(&url);
        }
        if reading.cursor.kind == StatusKind::Monitor
            && let Some(url) = reading.location()
        {
            reading.cursor.last_location = Some(url.as_str().into());
        }
    }
    follow_up::fire(reading, report)
}

/// Returns the new status URL that an answer names, of the same kind as before: the first that can be used.
fn rotated(reading: &Reading<'_>, report: &mut Report) -> Option<Url> {
    let Reading { rules, cursor, reply, .. } = reading;
    let is_monitor = cursor.kind == StatusKind::Monitor;
    // A self link names the requested URL, and not always under the requested name.
    let pointers = rules
        .status_url
        .iter()
        .filter(|pointer| !(pointer.guess && pointer.at.ends_with("/self/href")))
        .filter(|pointer| (pointer.kind == StatusKind::Bare) != is_monitor);
    let texts = pointers.flat_map(|pointer| {
        let texts = pointer.at.texts(reply, reading.body);
        texts.into_iter().filter(move |text| may_be_url(reading, pointer, text))
    });
    for text in texts {
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
    rels.filter_map(|rel| rel_link(rel, reading)).find(|url| cursor.admit(url).is_ok())
}

/// Returns the number that replaces the HTTP status, if the protocol names a place for one.
fn out_of_band(reading: &Reading<'_>) -> Option<u16> {
    let text = reading.rules.status_header.as_ref()?.text(reading.reply, reading.body)?;
    text.parse().ok().filter(|code| StatusCode::from_u16(*code).is_ok())
}
