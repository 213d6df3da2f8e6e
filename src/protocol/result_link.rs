//! Result link: a URL of the result, fetched or handed on.

use std::borrow::Cow;

use serde_json::Value;

use super::location::link;
use super::phase::Phase;
use super::reading::Reading;
use super::reason::Reason;
use super::result_body::held;
use super::step::{Finding, Report, Step};
use super::words::State;
use crate::error::{ErrorKind, Fault};
use crate::message::Reply;
use crate::redact::{SecretUrl, is_signed};

/// Handles a 303, or a 302 to a signed link: the result is at the target.
pub(super) fn redirected(reading: &mut Reading<'_>, report: Report) -> Step {
    let percent = report.percent.or(Some(100.0));
    let report = Report { state: State::Succeeded, percent, ..report };
    let (_, reason) = reading.cursor.reasons();
    let target = reading.reply.header("location").ok_or_else(|| "it names no Location".to_owned());
    let url = match target.and_then(|location| link(reading.reply.url(), &location)) {
        Ok(url) => url,
        Err(why) => return unusable(reading, "the Location of the redirect", &why),
    };
    if let Err(step) = reading.cursor.trail.hop(reading.reply.url(), url.url()) {
        return step;
    }
    let is_submit = reading.cursor.phase == Phase::Submitting;
    if !reading.cursor.is_trusted(url.url()) && is_login(&url) {
        return Step::Stop {
            kind: if is_submit { ErrorKind::Rejected } else { ErrorKind::StatusUnreadable },
            why: format!("it was redirected to {url}, which is named as a page to log in and not as a result"),
            fault: Fault::default(),
        };
    }
    let was_polled = matches!(reading.cursor.phase, Phase::Polling { .. } | Phase::Moved);
    let step = at(reading, url, report, reason);
    if let Phase::Fetching { redirected, .. } = &mut reading.cursor.phase {
        *redirected |= was_polled;
    }
    step
}

/// Handles a result at this URL: it is fetched if the URL is the API's own and unsigned; otherwise the result is the
/// link itself.
pub(super) fn at(reading: &mut Reading<'_>, url: SecretUrl, report: Report, why: Reason) -> Step {
    let cursor = &mut *reading.cursor;
    cursor.because(why);
    if let Err(step) = cursor.admit(url.url()) {
        cursor.because(Reason::Untrusted);
        return step;
    }
    if is_signed(url.url()) || !cursor.is_trusted(url.url()) {
        return Step::Done(report, Finding { links: vec![url], ..Finding::default() });
    }
    cursor.phase = Phase::Fetching { guessed: why == Reason::LastLocation, redirected: false };
    cursor.trail.following = Some(url.expose().into());
    let after = report.hint.filter(|_| cursor.trail.hops > 0).unwrap_or_default();
    Step::Follow { url: url.url().clone(), after, report: Some(report) }
}

/// Ends the task with these links.
pub(super) fn done(reading: &mut Reading<'_>, report: Report, links: Vec<SecretUrl>) -> Step {
    if let Err(step) = links.iter().try_for_each(|link| reading.cursor.admit(link.url())) {
        reading.because(Reason::Untrusted);
        return step;
    }
    Step::Done(report, Finding { links, body: held(reading.reply), ..Finding::default() })
}

pub(super) fn unusable(reading: &mut Reading<'_>, at: &str, why: &str) -> Step {
    reading.because(Reason::ResultUnusable);
    Step::Stop {
        kind: ErrorKind::ResultUnavailable,
        why: format!("the task succeeded, and {at} is no link that can be used: {why}"),
        fault: Fault::default(),
    }
}

/// Returns the links at a place that the protocol names for links.
pub(super) fn links(reply: &Reply, values: &[Cow<'_, Value>]) -> Result<Vec<SecretUrl>, String> {
    parse_links(reply, values, |_| true)
}

/// Returns the links at a place of a value: a text that is an absolute URL is a link.
pub(super) fn absolute_links(reply: &Reply, values: &[Cow<'_, Value>]) -> Option<Vec<SecretUrl>> {
    let is_absolute = |text: &str| text.starts_with("http://") || text.starts_with("https://");
    parse_links(reply, values, is_absolute).ok().filter(|links| !links.is_empty())
}

fn parse_links(
    reply: &Reply,
    values: &[Cow<'_, Value>],
    is_one: impl Fn(&str) -> bool,
) -> Result<Vec<SecretUrl>, String> {
    let items = values.iter().flat_map(|value| match &**value {
        Value::Array(items) => items.as_slice(),
        other => std::slice::from_ref(other),
    });
    let parse = |item: &Value| -> Result<SecretUrl, String> {
        let text = item.as_str().ok_or("it is no text")?;
        if is_one(text) { link(reply.url(), text) } else { Err("it is no URL".into()) }
    };
    items.map(parse).collect()
}

/// Returns whether a redirect's target is named like a login page. At the API's own origin such a page is fetched, and
/// recognized by its contents; elsewhere it would be taken as the link to the result.
fn is_login(link: &SecretUrl) -> bool {
    let url = link.url();
    let host = url.host_str().unwrap_or_default();
    let last = url.path().trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    // A file with another extension is a report.
    let (last, ending) = last.split_once('.').unwrap_or((&last, ""));
    let is_page = matches!(ending, "" | "html" | "htm" | "php" | "asp" | "aspx" | "jsp" | "do" | "action");
    let by_host = ["login.", "signin.", "sso.", "accounts.", "auth.", "idp."].iter().any(|name| host.starts_with(name));
    !is_signed(url) && is_page && (by_host || LOGIN_PAGES.contains(&last))
}

const LOGIN_PAGES: [&str; 15] = [
    "login",
    "log-in",
    "log_in",
    "signin",
    "sign-in",
    "sign_in",
    "logon",
    "sso",
    "saml",
    "saml2",
    "authorize",
    "oauth",
    "oauth2",
    "auth",
    "adfs",
];
