//! Reading the answer at the URL of the result.

use std::time::Duration;

use super::flaw::Flaw;
use super::patience::wait;
use super::phase::Phase;
use super::reading::Reading;
use super::reason::Reason;
use super::result_body::{LOOK_AGAIN, whole_body};
use super::result_link::{absolute_links, done, links, redirected, unusable};
use super::result_rule::ResultKind;
use super::rules::numbered;
use super::shape::has_signs;
use super::step::{Report, Step};
use super::trail::MOST_LOOKS;
use super::verdict::word;
use super::words::State;
use crate::error::ErrorKind;
use crate::hint;
use crate::redact::{SecretUrl, shown};

pub(super) fn read(reading: &mut Reading<'_>) -> Step {
    let reply = reading.reply;
    let hint = hint::from_answer(reply.status(), reply.headers(), reading.now, |_| false).delay;
    let after = hint.unwrap_or_default();
    let again = |url: &url::Url, after| Step::Follow { url: url.clone(), after, report: None };
    match reading.code {
        code if code == 202 || is_pending(reading) => not_ready(reading, hint),
        200..=299 => match reading.result_flaw() {
            Some(flaw) => flawed(reading, &flaw, hint),
            None => found(reading),
        },
        code @ (301 | 302 | 303 | 307 | 308) => {
            reading.because(Reason::Redirected(code));
            match redirected(reading, Report::new(State::Succeeded)) {
                Step::Follow { url, report, .. } => Step::Follow { url, report, after },
                step => step,
            }
        }
        404 if reading.cursor.result_missing_for(reading.now) < reading.rules.visibility => {
            reading.because(Reason::ResultNotVisible);
            again(reply.url(), after.max(LOOK_AGAIN))
        }
        400 | 404 | 405 | 410 | 501 if is_guessed(reading) => {
            // The Location pointed to something else: only the status document remains.
            reading.cursor.location_refused = true;
            reading.cursor.rewind();
            match reading.cursor.next_url() {
                Some(url) => again(&url, after),
                None => unavailable(reading),
            }
        }
        _ => unavailable(reading),
    }
}

/// Returns whether a success states that the task still runs.
fn is_pending(reading: &Reading<'_>) -> bool {
    let is_status = reading.asks_to_retry() || reading.body.is_some_and(has_signs);
    is_status && reading.reply.status().is_success() && word(reading).0.is_some_and(|state| !state.is_terminal())
}

/// Handles a result that is not there yet: the service withdraws its success.
fn not_ready(reading: &mut Reading<'_>, hint: Option<Duration>) -> Step {
    reading.because(Reason::ResultNotReady);
    let url = reading.reply.url();
    reading.cursor.turn_back();
    reading.cursor.status_url.get_or_insert_with(|| url.as_str().into());
    reading.cursor.state = State::Running;
    Step::Wait(Report { hint, ..Report::new(State::Running) })
}

/// Handles a document: the links in it, or the whole of it.
fn found(reading: &mut Reading<'_>) -> Step {
    let report = Report { percent: Some(100.0), ..Report::new(State::Succeeded) };
    for (rule, place) in numbered(&reading.rules.result).filter(|(rule, _)| rule.reads_an_answer()) {
        let values = match reading.values(rule) {
            Ok(values) => values,
            Err(why) => return unusable(reading, &rule.at.to_string(), &why),
        };
        if values.is_empty() {
            continue;
        }
        let found = match rule.kind {
            ResultKind::Link => links(reading.reply, &values),
            // A document that only names a signed link is not the result itself.
            ResultKind::Value => match absolute_links(reading.reply, &values) {
                Some(links) if links.iter().all(SecretUrl::is_signed) => Ok(links),
                _ => continue,
            },
            ResultKind::Url => continue,
        };
        return match found {
            Ok(links) => {
                reading.because(Reason::LinkInResult(place));
                done(reading, report, links)
            }
            Err(why) => unusable(reading, &rule.at.to_string(), &why),
        };
    }
    reading.because(Reason::ResultBody);
    whole_body(reading, report)
}

/// Handles a body at the URL of the result that is not a document: it is fetched again, and the task stays succeeded.
fn flawed(reading: &mut Reading<'_>, flaw: &Flaw, hint: Option<Duration>) -> Step {
    reading.because(Reason::Flawed);
    let url = reading.reply.url();
    let was_redirected = matches!(reading.cursor.phase, Phase::Fetching { redirected: true, .. });
    if was_redirected && reading.cursor.can_be_asked_again() {
        // Only a redirect indicated the end, and a redirect to such a page states nothing about the task.
        reading.cursor.turn_back();
        let why = format!("the status leads to {}, which answers with {flaw}", shown(url));
        let report = Report { hint, ..Report::new(reading.cursor.state) };
        return wait(reading, report, why);
    }
    match reading.cursor.trail.look_again() {
        Some(look) => {
            let after = hint.unwrap_or_default().max(LOOK_AGAIN * u32::from(look));
            Step::Follow { url: url.clone(), after, report: None }
        }
        None => reading
            .stop(ErrorKind::ResultUnavailable, format!("the result was answered with {flaw}, {MOST_LOOKS} times")),
    }
}

/// Returns whether the URL is a Location that nothing named as the result's, and there is a status to return to.
const fn is_guessed(reading: &Reading<'_>) -> bool {
    matches!(reading.cursor.phase, Phase::Fetching { guessed: true, .. }) && reading.cursor.can_be_asked_again()
}

fn unavailable(reading: &mut Reading<'_>) -> Step {
    let code = reading.code;
    reading.because(Reason::ResultRefused(code));
    reading.stop(ErrorKind::ResultUnavailable, format!("the task succeeded, and its result answered with {code}"))
}
