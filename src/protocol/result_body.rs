//! Result body: a whole answer as the result.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde_json::Value;

use super::fault;
use super::reading::Reading;
use super::reason::Reason;
use super::result_rule::ResultKind;
use super::step::{Finding, Report, Step};
use super::verdict::word;
use super::words::State;
use crate::error::ErrorKind;
use crate::message::Reply;
use crate::pointer::Source;
use crate::redact::SecretUrl;

/// Returns this answer as the result, because no place of the protocol holds one.
pub(super) fn itself(reading: &mut Reading<'_>, mut report: Report) -> Step {
    warn_of_missing(reading, &mut report);
    warn_of_link(reading, &mut report);
    let lacks_link = lacking_link(reading);
    match whole_body(reading, report) {
        Step::Done(report, finding) => Step::Done(report, Finding { lacks_link, ..finding }),
        step => step,
    }
}

/// Returns the body of this answer as the result; a body that is too large to hold becomes a link to itself.
pub(super) fn whole_body(reading: &mut Reading<'_>, mut report: Report) -> Step {
    warn_of_error(reading, &mut report);
    let url = reading.reply.url();
    if let Some(flaw) = reading.result_flaw() {
        // A word states the end, but the received body is not fit to hand out.
        reading.because(Reason::Flawed);
        let look = reading.cursor.trail.look_again().filter(|_| reading.cursor.can_be_asked_again());
        let Some(look) = look else {
            return reading.stop(ErrorKind::ResultUnavailable, format!("the result was answered with {flaw}"));
        };
        reading.cursor.trail.following = Some(url.as_str().into());
        return Step::Follow { url: url.clone(), after: LOOK_AGAIN * u32::from(look), report: None };
    }
    if !reading.reply.is_whole() {
        reading.because(Reason::ResultTooLarge);
        let links = vec![SecretUrl::from(url.clone())];
        return Step::Done(report, Finding { links, is_itself: true, ..Finding::default() });
    }
    reading.cursor.trail.following = None;
    Step::Done(report, Finding { body: held(reading.reply), ..Finding::default() })
}

/// Returns the body; JSON of another charset is converted to UTF-8, as JSON requires (RFC 8259, 8.1).
pub(super) fn held(reply: &Reply) -> Option<Bytes> {
    let body = Some(reply.body().clone()).filter(|body| reply.is_whole() && !body.is_empty())?;
    match reply.json_text() {
        Some(Cow::Owned(text)) => Some(text.into()),
        Some(Cow::Borrowed(_)) | None => Some(body),
    }
}

/// Warns of an error in an answer that counts as a success. Errors of single parts make a partial one.
pub(super) fn warn_of_error(reading: &Reading<'_>, report: &mut Report) {
    if reading.has_failed_parts() {
        return;
    }
    if let (State::Succeeded, Some(error)) =
        (report.state, fault::beside_success(reading.rules, reading.reply, reading.body))
    {
        report.warn(format!(
            "taken as a success, although it contains an {error}; if that means a failure, set an EnvelopeRule"
        ));
    }
}

/// Warns if an answer that is taken as the result reports the end, and has a link as a status would.
fn warn_of_link(reading: &Reading<'_>, report: &mut Report) {
    let is_link = |value: &Value| value.as_str().is_some_and(|text| SecretUrl::parse(text).is_ok());
    let value = |at: &str| Source::pointer(at).value(reading.reply, reading.body);
    let holds_one = |at: &&str| value(at).is_some_and(|value| is_link(&value));
    let is_done = || word(reading).0.is_some_and(State::has_result);
    if let Some(at) = LINKS.into_iter().find(holds_one)
        && is_done()
    {
        report.warn(format!(
            "taken as the result, although it has a final word and a link at {at}: if the result is there, set that \
             with Protocol::result",
        ));
    }
}

/// Warns if none of the named places holds the result.
fn warn_of_missing(reading: &Reading<'_>, report: &mut Report) {
    let named: Vec<_> =
        reading.rules.result.iter().filter(|rule| !rule.guess).map(|rule| rule.at.to_string()).collect();
    if !named.is_empty() && reading.cursor.method != Method::DELETE {
        report.warn(format!(
            "the protocol's place of the result, {}, has none that can be used: the whole answer is taken as the \
             result",
            named.join(" or "),
        ));
    }
}

/// Returns the places of links, if the protocol names no other place of the result, and the answer is a status.
fn lacking_link(reading: &Reading<'_>) -> Option<Box<str>> {
    let mut named = reading.rules.result.iter().filter(|rule| !rule.guess).peekable();
    named.peek()?;
    let places = named.map(|rule| (rule.kind == ResultKind::Link).then(|| rule.at.to_string()));
    let places: Vec<_> = places.collect::<Option<_>>()?;
    word(reading).0.is_some_and(State::has_result).then(|| places.join(" or ").into())
}

/// The places where services put the link to a result beside the word.
const LINKS: [&str; 5] = ["/resultUrl", "/result_url", "/downloadUrl", "/download_url", "/resourceLocation"];

/// The pause before another look for the result.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(1);
