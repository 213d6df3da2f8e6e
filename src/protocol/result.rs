//! Finding the result of a finished task.

use std::num::NonZeroU64;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::Value;
use url::Url;

use super::location::{join, link};
use super::words::State;
use super::{Cursor, FinalStateVia, Finding, Phase, Protocol, Report, ResultKind, Step, fault};
use crate::clock::unix_millis;
use crate::error::{ErrorKind, Fault};
use crate::message::Reply;
use crate::redact::{SecretUrl, is_signed};

/// The task succeeded: where is its result?
pub(super) fn finish(
    protocol: &Protocol,
    cursor: &mut Cursor,
    reply: &Reply,
    body: Option<&Value>,
    mut report: Report,
) -> Step {
    match protocol.final_state_via {
        Some(FinalStateVia::Operation) => return from_document(protocol, cursor, reply, body, report),
        Some(FinalStateVia::Location) => {
            if let Some(url) = newest_location(cursor, reply) {
                return at(cursor, url, report);
            }
        }
        Some(FinalStateVia::OriginalUri) => {
            if let Ok(url) = Url::parse(&cursor.request_url) {
                return at(cursor, url, report);
            }
        }
        None => {}
    }
    for rule in &protocol.result {
        let values = rule.at.values(reply, body);
        if values.is_empty() {
            continue;
        }
        match rule.kind {
            ResultKind::Value => match links(reply, &values, Reading::Guess) {
                Ok(links) if !links.is_empty() => return done(cursor, report, links, reply),
                _ => {
                    let value = values.first().and_then(|value| serde_json::to_vec(value).ok());
                    return Step::Done(report, Finding { links: Vec::new(), body: value.map(Bytes::from) });
                }
            },
            ResultKind::Link => match links(reply, &values, Reading::Sure) {
                Ok(links) => return done(cursor, report, links, reply),
                Err(why) => return unusable(&rule.at.to_string(), &why),
            },
            ResultKind::Url => {
                let text = values.first().and_then(|value| crate::pointer::text(value)).unwrap_or_default();
                match link(reply.url(), &text) {
                    Ok(url) if Some(url.expose()) == cursor.status_url.as_deref() => {}
                    Ok(url) => return at_link(cursor, url, report),
                    Err(why) => report.warn(format!("ignored {}: {why}", rule.at)),
                }
            }
        }
    }
    if cursor.method == Method::DELETE {
        return from_document(protocol, cursor, reply, body, report);
    }
    if let Some(url) = newest_location(cursor, reply) {
        return at(cursor, url, report);
    }
    if cursor.method == Method::PUT || cursor.method == Method::PATCH {
        let polled = cursor.phase == Phase::Poll && cursor.status_url.as_deref() != Some(&*cursor.request_url);
        if let (true, Ok(url)) = (polled, Url::parse(&cursor.request_url)) {
            return at(cursor, url, report);
        }
    }
    from_document(protocol, cursor, reply, body, report)
}

/// A 303, or a 302 to a signed link: the result is there.
pub(super) fn redirected(protocol: &Protocol, cursor: &mut Cursor, reply: &Reply, report: Report) -> Step {
    let target = reply.header("location").ok_or_else(|| "it names no Location".to_owned());
    match target.and_then(|location| link(reply.url(), location)) {
        Ok(url) => {
            if let Err(step) = cursor.hop(reply.url(), url.url()) {
                return step;
            }
            at_link(cursor, url, report)
        }
        Err(why) if protocol.rotates || cursor.phase != Phase::Poll => unusable("the Location of the redirect", &why),
        Err(why) => unusable("Location", &why),
    }
}

/// Reads what stands at the URL of the result.
pub(super) fn read(protocol: &Protocol, cursor: &mut Cursor, reply: &Reply, now: SystemTime) -> Step {
    let json = reply.json();
    let body = json.as_ref();
    let hint = crate::hint::from_headers(reply.headers(), now).delay;
    let report = Report { percent: Some(100.0), ..Report::new(State::Succeeded) };
    match reply.status().as_u16() {
        202 => {
            // Not there yet: the service takes its word back.
            cursor.phase = Phase::Poll;
            cursor.status_url.get_or_insert_with(|| reply.url().as_str().into());
            cursor.following = None;
            Step::Wait(Report { hint, percent: None, ..Report::new(State::Running) })
        }
        200..=299 => {
            let found = protocol.result.iter().filter(|rule| rule.kind == ResultKind::Link).find_map(|rule| {
                let values = rule.at.values(reply, body);
                (!values.is_empty()).then(|| links(reply, &values, Reading::Sure).map_err(|why| (&rule.at, why)))
            });
            match found {
                Some(Ok(links)) => done(cursor, report, links, reply),
                Some(Err((at, why))) => unusable(&at.to_string(), &why),
                None => whole_body(cursor, reply, report),
            }
        }
        301 | 302 | 303 | 307 | 308 => match redirected(protocol, cursor, reply, report) {
            Step::Follow { url, report, .. } => Step::Follow { url, report, after: hint.unwrap_or_default() },
            step => step,
        },
        404 => {
            let now = unix_millis(now).saturating_add(1);
            let since = cursor.result_since.get_or_insert(NonZeroU64::MIN.saturating_add(now - 1)).get();
            if now.saturating_sub(since) >= VISIBILITY_MILLIS {
                return unavailable(reply, body);
            }
            Step::Follow { url: reply.url().clone(), after: hint.unwrap_or(LOOK_AGAIN).max(LOOK_AGAIN), report: None }
        }
        _ => unavailable(reply, body),
    }
}

/// The body of this answer is the result; one that is too large to hold becomes a link to itself.
pub(super) fn whole_body(cursor: &mut Cursor, reply: &Reply, report: Report) -> Step {
    if !reply.is_whole() {
        let links = vec![SecretUrl::from(reply.url().clone())];
        return Step::Done(report, Finding { links, body: None });
    }
    cursor.following = None;
    let body = Some(reply.body().clone()).filter(|body| !body.is_empty());
    Step::Done(report, Finding { links: Vec::new(), body })
}

/// The status document is all there is.
fn from_document(
    protocol: &Protocol,
    cursor: &mut Cursor,
    reply: &Reply,
    body: Option<&Value>,
    report: Report,
) -> Step {
    let inline = protocol
        .result
        .iter()
        .filter(|rule| rule.kind == ResultKind::Value)
        .find_map(|rule| rule.at.value(reply, body))
        .and_then(|value| serde_json::to_vec(&*value).ok());
    match inline {
        Some(value) => Step::Done(report, Finding { links: Vec::new(), body: Some(Bytes::from(value)) }),
        None => whole_body(cursor, reply, report),
    }
}

fn newest_location(cursor: &Cursor, reply: &Reply) -> Option<Url> {
    let stated = reply.header("location").and_then(|location| join(reply.url(), location).ok());
    let kept = || cursor.last_location.as_deref().and_then(|url| Url::parse(url).ok());
    stated
        .filter(|_| cursor.phase != Phase::Submit || reply.status() != StatusCode::CREATED)
        .or_else(|| kept().filter(|_| cursor.phase != Phase::Submit))
        .filter(|url| Some(url.as_str()) != cursor.status_url.as_deref())
}

fn at(cursor: &mut Cursor, url: Url, report: Report) -> Step {
    at_link(cursor, SecretUrl::from(url), report)
}

/// The result is at this URL: fetched if it is the API's own and unsigned, else it is the link itself.
fn at_link(cursor: &mut Cursor, url: SecretUrl, report: Report) -> Step {
    if let Err(step) = cursor.admit(url.url()) {
        return step;
    }
    if is_signed(url.url()) || !cursor.is_trusted(url.url()) {
        return Step::Done(report, Finding { links: vec![url], body: None });
    }
    cursor.phase = Phase::Result;
    cursor.following = Some(url.expose().into());
    let after = report.hint.filter(|_| cursor.hops > 0).unwrap_or_default();
    Step::Follow { url: url.url().clone(), after, report: Some(report) }
}

fn done(cursor: &Cursor, report: Report, links: Vec<SecretUrl>, reply: &Reply) -> Step {
    if let Err(step) = links.iter().try_for_each(|link| cursor.admit(link.url())) {
        return step;
    }
    let body = Some(reply.body().clone()).filter(|body| reply.is_whole() && !body.is_empty());
    Step::Done(report, Finding { links, body })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// The protocol says that links stand here.
    Sure,
    /// A text that is an absolute URL is one.
    Guess,
}

fn links(reply: &Reply, values: &[std::borrow::Cow<'_, Value>], reading: Reading) -> Result<Vec<SecretUrl>, String> {
    let mut links = Vec::new();
    for value in values {
        let items = match &**value {
            Value::Array(items) => items.iter().collect(),
            other => vec![other],
        };
        for item in items {
            let Some(text) = item.as_str() else {
                return Err("it is no text".into());
            };
            if reading == Reading::Guess && !text.starts_with("http://") && !text.starts_with("https://") {
                return Err("it is no URL".into());
            }
            links.push(link(reply.url(), text)?);
        }
    }
    Ok(links)
}

fn unavailable(reply: &Reply, body: Option<&Value>) -> Step {
    Step::Stop {
        kind: ErrorKind::ResultUnavailable,
        why: format!("the task succeeded, and its result answered with {}", reply.status().as_u16()),
        fault: fault::read(reply, body),
    }
}

fn unusable(at: &str, why: &str) -> Step {
    Step::Stop {
        kind: ErrorKind::ResultUnavailable,
        why: format!("the task succeeded, and {at} is no link that can be used: {why}"),
        fault: Fault::default(),
    }
}

const VISIBILITY_MILLIS: u64 = 30_000;
const LOOK_AGAIN: Duration = Duration::from_secs(1);
