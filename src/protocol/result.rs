//! Result: finds the result of a task that has ended.

use http::Method;
use url::Url;

use super::location::link;
use super::named_result::{first_page, names_another, newest_location};
use super::phase::Phase;
use super::reading::Reading;
use super::reason::Reason;
use super::result_body::{held, itself, whole_body};
use super::result_link::{absolute_links, at, done, links, unusable};
use super::result_rule::ResultKind;
use super::rules::{FinalStateVia, numbered};
use super::step::{Finding, Report, Step};
use super::words::State;

/// Handles a terminal state: continues to the result, or to the fault.
pub(super) fn terminal(reading: &mut Reading<'_>, mut report: Report) -> Step {
    // A final status is requested again only to be read anew.
    reading.cursor.forget_etag();
    if report.state.has_result() {
        if report.state == State::Succeeded && reading.has_failed_parts() {
            report.state = State::PartiallySucceeded;
        }
        report.percent = report.percent.or(Some(100.0));
        return find(reading, report);
    }
    let fault = reading.fault();
    if fault.code().is_some_and(|code| reading.rules.canceled_codes.iter().any(|known| known == code)) {
        report.state = State::Canceled;
    }
    Step::Ended(report, fault)
}

/// Finds the result of a task that succeeded.
fn find(reading: &mut Reading<'_>, report: Report) -> Step {
    let via = match reading.rules.final_state_via {
        Some(FinalStateVia::Operation) => return document(reading, report, Reason::FinalStateVia),
        Some(FinalStateVia::Location) => newest_location(reading),
        Some(FinalStateVia::OriginalUri) => Url::parse(&reading.cursor.request_url).ok(),
        None => None,
    };
    if let Some(url) = via {
        return at(reading, url.into(), report, Reason::FinalStateVia);
    }
    if let Some(url) = first_page(reading) {
        let url = match url {
            Ok(url) => url,
            Err(why) => return unusable(reading, "the URL of the first page", &format!("{why}: {FIRST_PAGE}")),
        };
        reading.because(Reason::Pages);
        let body = held(reading.reply);
        return Step::Done(report, Finding { pages: Some(url), body, ..Finding::default() });
    }
    match named(reading, report) {
        Ok(step) => step,
        Err(report) => unnamed(reading, report),
    }
}

/// Returns the result at the first of the protocol's places that has one; otherwise returns the report.
fn named(reading: &mut Reading<'_>, mut report: Report) -> Result<Step, Report> {
    for (rule, place) in numbered(&reading.rules.result) {
        let values = match reading.values(rule) {
            Ok(values) => values,
            Err(why) => return Ok(unusable(reading, &rule.at.to_string(), &format!("{why}: {RESULT}"))),
        };
        let Some(first) = values.first() else { continue };
        match rule.kind {
            ResultKind::Value => {
                reading.because(Reason::ResultAt(place));
                return Ok(match absolute_links(reading.reply, &values) {
                    Some(links) => done(reading, report, links),
                    None => Step::Done(report, Finding { body: rule.written(reading.reply), ..Finding::default() }),
                });
            }
            ResultKind::Url if !rule.is_of_links(values.len()) => {
                match link(reading.reply.url(), &crate::pointer::text(first).unwrap_or_default()) {
                    Ok(url) if Some(url.expose()) == reading.cursor.status_url.as_deref() => {}
                    Ok(url) => return Ok(at(reading, url, report, Reason::ResultAt(place))),
                    Err(why) => report.warn(format!("ignored {}: {why}", rule.at)),
                }
            }
            ResultKind::Link | ResultKind::Url => {
                reading.because(Reason::ResultAt(place));
                match links(reading.reply, &values) {
                    // An empty list: the answer lacks the expected result.
                    Ok(links) if links.is_empty() && names_another(reading, place) => {}
                    Ok(links) if links.is_empty() => return Ok(itself(reading, report)),
                    Ok(links) => return Ok(done(reading, report, links)),
                    Err(why) => return Ok(unusable(reading, &rule.at.to_string(), &why)),
                }
            }
        }
    }
    Err(report)
}

/// Returns the result if the protocol names no place for it.
fn unnamed(reading: &mut Reading<'_>, report: Report) -> Step {
    let cursor = &reading.cursor;
    if cursor.method == Method::PUT || cursor.method == Method::PATCH {
        let is_polled = matches!(cursor.phase, Phase::Polling { .. });
        let is_elsewhere = is_polled && cursor.status_url.as_deref() != Some(&*cursor.request_url);
        if let (true, Ok(url)) = (is_elsewhere, Url::parse(&cursor.request_url)) {
            return at(reading, url.into(), report, Reason::OriginalUri);
        }
    } else if cursor.method != Method::DELETE
        && let Some(url) = newest_location(reading)
    {
        return at(reading, url.into(), report, Reason::LastLocation);
    }
    document(reading, report, Reason::StatusDocument)
}

/// Returns the status document as the result, because there is nothing else.
fn document(reading: &mut Reading<'_>, report: Report, why: Reason) -> Step {
    reading.because(why);
    let values = reading.rules.result.iter().filter(|rule| rule.kind == ResultKind::Value);
    match values.filter_map(|rule| rule.written(reading.reply)).next() {
        Some(value) => Step::Done(report, Finding { body: Some(value), ..Finding::default() }),
        None if why == Reason::FinalStateVia => whole_body(reading, report),
        None => itself(reading, report),
    }
}

/// The advice for a template whose value is a URL of its own.
const RESULT: &str = "name the place of the URL itself with Protocol::result, such as \
                      Protocol::result(Source::pointer(\"/url\"), ResultKind::Url)";

const FIRST_PAGE: &str = "name the place of the URL with Protocol::result, and leave the URL out of the PageRule";
