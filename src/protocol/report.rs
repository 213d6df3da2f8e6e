//! Reading a report: everything that an answer states about the task, except its state.

use std::borrow::Cow;
use std::time::Duration;

use http::Method;

use super::location::join;
use super::phase::Phase;
use super::reading::Reading;
use super::rules::{ProgressUnit, StatusKind};
use super::step::Report;
use super::verdict::is_word;
use crate::hint::{self, Hint};
use crate::pointer::text;

/// Reads the report; the cursor keeps the hint, the `ETag` and the URL of the cancel.
pub(super) fn parse(reading: &mut Reading<'_>) -> Report {
    let (rules, reply, body) = (reading.rules, reading.reply, reading.body);
    let mut report = Report::new(reading.cursor.state);
    let words = rules.state.iter().filter_map(|at| at.value(reply, body)).filter(|value| is_word(value, reply));
    let first = words.filter_map(|value| text(&value)).next();
    report.word = first.map(|word| word.chars().take(80).collect());
    report.percent = reading
        .ratio()
        .or_else(|| rules.progress.iter().find_map(|at| percent(&at.text(reply, body)?, rules.progress_unit)));
    report.hint = hint(reading, &mut report);
    if let Some(delay) = report.hint.filter(|_| reply.status().as_u16() < 400) {
        // The wait after a refusal does not determine how often to poll.
        reading.cursor.keep_hint(delay);
    }
    if rules.conditional && reply.status().is_success() {
        let etag = reply.header("etag").map(Cow::into_owned);
        if etag.as_ref().is_some_and(|etag| etag.len() > LONGEST_ETAG) {
            report.warn(format!("ignored an ETag of more than {LONGEST_ETAG} bytes: the status is requested in full"));
        }
        reading.cursor.extra().etag = etag.filter(|etag| etag.len() <= LONGEST_ETAG);
    }
    if let Some(other) = other_id(reading) {
        let shown = |id: &str| id.chars().take(80).collect::<String>().escape_debug().to_string();
        let own = reading.cursor.id().map(shown).unwrap_or_default();
        report.warn(format!("the status has the id `{}`, and the task has the id `{own}`", shown(&other)));
    }
    if let Some(url) = rules.cancel_url.iter().find_map(|at| join(reply.url(), &at.text(reply, body)?).ok())
        && reading.cursor.admit(&url).is_ok()
    {
        reading.cursor.extra().cancel_url = Some(url.as_str().into());
    }
    report
}

/// Returns how long the service asks to wait. The longest value counts: no request is sent before any of them has
/// passed.
fn hint(reading: &Reading<'_>, report: &mut Report) -> Option<Duration> {
    let (rules, reply, now) = (reading.rules, reading.reply, reading.now);
    // A header that an interval names has the unit of that interval.
    let is_read = |name: &str| rules.intervals.iter().any(|interval| interval.at.header_name() == Some(name));
    let own =
        rules.intervals.iter().filter_map(|interval| Some((interval.at.value(reply, reading.body)?, interval.unit)));
    let own = own.map(|(value, unit)| hint::from_value(&value, unit, reply.headers(), now));
    let mut found = None;
    for Hint { delay, ignored } in
        std::iter::once(hint::from_answer(reply.status(), reply.headers(), now, is_read)).chain(own)
    {
        ignored.into_iter().for_each(|why| report.warn(why));
        found = found.max(delay);
    }
    found
}

/// Returns the id if a status belongs to another task than the requested one: a place for ids holds another id, and
/// none holds the task's own. One id may be written as a path that ends in the other.
fn other_id(reading: &Reading<'_>) -> Option<String> {
    let Reading { rules, cursor, reply, body, .. } = reading;
    // A PUT is answered with the resource, whose id is not that of the operation (Azure Resource Manager).
    let is_of_task = cursor.method != Method::PUT && cursor.method != Method::PATCH;
    let is_status = is_of_task && cursor.kind == StatusKind::Monitor && matches!(cursor.phase, Phase::Polling { .. });
    let own = cursor.id().filter(|_| is_status)?;
    let last = |id: &str| id.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let found: Vec<_> = rules.id.iter().filter_map(|at| at.text(reply, *body)).collect();
    let is_own = found.iter().any(|id| last(id) == last(own));
    found.into_iter().find(|_| !is_own)
}

fn percent(text: &str, unit: ProgressUnit) -> Option<f64> {
    let is_digit = |c: &char| c.is_ascii_digit() || *c == '.';
    let mut digits: String = text.chars().take_while(is_digit).collect();
    if digits.is_empty() {
        // A text such as `in-progress, 30% done` (the X-Progress of FHIR): the number of the first `%`.
        let before = text.split_once('%')?.0.trim_end();
        digits = before.chars().rev().take_while(is_digit).collect::<Vec<_>>().into_iter().rev().collect();
        return digits.parse().ok().map(|percent: f64| percent.clamp(0.0, 100.0));
    }
    let number: f64 = digits.parse().ok()?;
    let percent = match unit {
        ProgressUnit::Percent => number,
        ProgressUnit::Fraction => number * 100.0,
    };
    Some(percent.clamp(0.0, 100.0))
}

/// A status is requested again by its ETag, which is some dozen bytes.
const LONGEST_ETAG: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_progress_is_a_number_or_stands_before_a_percent_sign() {
        for (text, percent) in [
            ("30", Some(30.0)),
            ("30.5%", Some(30.5)),
            ("30 of 70", Some(30.0)),
            ("in-progress, 30% done", Some(30.0)),
            ("phase 2: 12.5 %", Some(12.5)),
            ("at 400%", Some(100.0)),
            ("in-progress", None),
            ("phase 2", None),
            ("x%", None),
            ("", None),
        ] {
            assert_eq!(super::percent(text, ProgressUnit::Percent), percent, "{text}");
        }
        assert_eq!(percent("0.25", ProgressUnit::Fraction), Some(25.0));
        assert_eq!(percent("about 25%", ProgressUnit::Fraction), Some(25.0));
    }
}
