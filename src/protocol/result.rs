//! Finding the result of a finished task.

use std::borrow::Cow;
use std::num::NonZeroU64;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::Value;
use url::Url;

use super::flaw::Flaw;
use super::location::{join, link};
use super::rule::{Rule, numbered};
use super::template::Filling;
use super::words::State;
use super::{Cursor, FinalStateVia, Finding, Phase, Protocol, Report, ResultKind, Step, fault, trouble, verdict};
use crate::clock::unix_millis;
use crate::error::{ErrorKind, Fault};
use crate::message::Reply;
use crate::redact::{SecretUrl, is_signed, shown};

/// The task succeeded: where is its result?
pub(super) fn finish(
    protocol: &Protocol,
    cursor: &mut Cursor,
    reply: &Reply,
    body: Option<&Value>,
    mut report: Report,
) -> Step {
    let via = match protocol.final_state_via {
        Some(FinalStateVia::Operation) => return document(protocol, cursor, reply, body, report, Rule::FinalStateVia),
        Some(FinalStateVia::Location) => newest_location(cursor, reply),
        Some(FinalStateVia::OriginalUri) => Url::parse(&cursor.request_url).ok(),
        None => None,
    };
    if let Some(url) = via {
        return at(cursor, url, report, Rule::FinalStateVia);
    }
    if let Some(rule) = &protocol.pages
        && let Some(url) =
            cursor.trust().and_then(|trust| rule.first(trust.base(), Filling::new(cursor.id(), reply, body)))
    {
        cursor.because(Rule::Pages);
        let body = held(reply);
        return Step::Done(report, Finding { pages: Some(url), body, ..Finding::default() });
    }
    for (rule, place) in numbered(&protocol.result) {
        let values = rule.values(cursor, reply, body);
        let Some(first) = values.first() else { continue };
        match rule.kind {
            ResultKind::Value => {
                cursor.because(Rule::ResultAt(place));
                return match links(reply, &values, Reading::Guess) {
                    Ok(links) if !links.is_empty() => done(cursor, report, links, reply),
                    _ => Step::Done(report, Finding { body: rule.written(reply), ..Finding::default() }),
                };
            }
            ResultKind::Url if !rule.is_of_links(values.len()) => {
                match link(reply.url(), &crate::pointer::text(first).unwrap_or_default()) {
                    Ok(url) if Some(url.expose()) == cursor.status_url.as_deref() => {}
                    Ok(url) => return at_link(cursor, url, report, Rule::ResultAt(place)),
                    Err(why) => report.warn(format!("ignored {}: {why}", rule.at)),
                }
            }
            ResultKind::Link | ResultKind::Url => {
                cursor.because(Rule::ResultAt(place));
                return match links(reply, &values, Reading::Sure) {
                    // An empty list: the answer is not what it should have held.
                    Ok(links) if links.is_empty() => match protocol.names_another(place, cursor, reply, body) {
                        true => continue,
                        false => itself(protocol, cursor, reply, body, report),
                    },
                    Ok(links) => done(cursor, report, links, reply),
                    Err(why) => unusable(cursor, &rule.at.to_string(), &why),
                };
            }
        }
    }
    if cursor.method == Method::DELETE {
        return document(protocol, cursor, reply, body, report, Rule::StatusDocument);
    }
    let changes_a_resource = cursor.method == Method::PUT || cursor.method == Method::PATCH;
    if let Some(url) = newest_location(cursor, reply).filter(|_| !changes_a_resource) {
        return at(cursor, url, report, Rule::LastLocation);
    }
    if changes_a_resource {
        let polled = cursor.phase == Phase::Poll && cursor.status_url.as_deref() != Some(&*cursor.request_url);
        if let (true, Ok(url)) = (polled, Url::parse(&cursor.request_url)) {
            return at(cursor, url, report, Rule::OriginalUri);
        }
    }
    document(protocol, cursor, reply, body, report, Rule::StatusDocument)
}

/// A 303, or a 302 to a signed link: the result is there.
pub(super) fn redirected(cursor: &mut Cursor, reply: &Reply, report: Report) -> Step {
    let rule = cursor.rules().1;
    let target = reply.header("location").ok_or_else(|| "it names no Location".to_owned());
    match target.and_then(|location| link(reply.url(), &location)) {
        Ok(url) => match cursor.hop(reply.url(), url.url()) {
            Ok(()) if !cursor.is_trusted(url.url()) && is_login(&url) => Step::Stop {
                kind: if cursor.phase == Phase::Submit { ErrorKind::Rejected } else { ErrorKind::StatusUnreadable },
                why: format!("it was redirected to {url}, which is named as a page to log in and not as a result"),
                fault: Fault::default(),
            },
            Ok(()) => {
                let polled = matches!(cursor.phase, Phase::Poll | Phase::Moved);
                let step = at_link(cursor, url, report, rule);
                cursor.redirected |= polled;
                step
            }
            Err(step) => step,
        },
        Err(why) => unusable(cursor, "the Location of the redirect", &why),
    }
}

/// Reads what stands at the URL of the result.
pub(super) fn read(protocol: &Protocol, cursor: &mut Cursor, reply: &Reply, now: SystemTime) -> Step {
    let json = reply.json();
    let body = json.as_ref();
    let hint = crate::hint::from_answer(reply.status(), reply.headers(), now, |_| false).delay;
    let report = Report { percent: Some(100.0), ..Report::new(State::Succeeded) };
    let (word, _) = verdict::word(protocol, reply, body);
    let is_status = reply.headers().contains_key(http::header::RETRY_AFTER) || body.is_some_and(verdict::has_signs);
    let pending = is_status && reply.status().is_success() && word.is_some_and(|state| !state.is_terminal());
    match reply.status().as_u16() {
        code if code == 202 || pending => {
            // Not there yet: the service takes its word back.
            cursor.because(Rule::ResultNotReady);
            cursor.phase = Phase::Poll;
            cursor.status_url.get_or_insert_with(|| reply.url().as_str().into());
            cursor.following = None;
            cursor.state = State::Running;
            Step::Wait(Report { hint, percent: None, ..Report::new(State::Running) })
        }
        200..=299 if let Some(flaw) = Flaw::of_result(protocol, reply, body) => {
            flawed(protocol, cursor, reply, body, &flaw, now)
        }
        200..=299 => {
            let found = numbered(&protocol.result).find_map(|(rule, place)| {
                let values = rule.values(cursor, reply, body);
                match rule.kind {
                    _ if values.is_empty() || !rule.reads_an_answer() => None,
                    ResultKind::Link => {
                        let links = links(reply, &values, Reading::Sure);
                        Some(links.map(|links| (links, place)).map_err(|why| (&rule.at, why)))
                    }
                    // A document that only names a signed link is not the result itself.
                    ResultKind::Value => {
                        let links = links(reply, &values, Reading::Guess).ok()?;
                        let signed = !links.is_empty() && links.iter().all(SecretUrl::is_signed);
                        signed.then_some(Ok((links, place)))
                    }
                    ResultKind::Url => None,
                }
            });
            match found {
                Some(Ok((links, place))) => {
                    cursor.because(Rule::LinkInResult(place));
                    done(cursor, report, links, reply)
                }
                Some(Err((at, why))) => unusable(cursor, &at.to_string(), &why),
                None => {
                    cursor.because(Rule::ResultBody);
                    whole_body(protocol, cursor, reply, body, report)
                }
            }
        }
        code @ (301 | 302 | 303 | 307 | 308) => {
            cursor.because(Rule::Redirected(code));
            match redirected(cursor, reply, report) {
                Step::Follow { url, report, .. } => Step::Follow { url, report, after: hint.unwrap_or_default() },
                step => step,
            }
        }
        404 if young(protocol, cursor, now) => {
            cursor.because(Rule::ResultNotVisible);
            Step::Follow { url: reply.url().clone(), after: hint.unwrap_or(LOOK_AGAIN).max(LOOK_AGAIN), report: None }
        }
        400 | 404 | 405 | 410 | 501 if cursor.guessed && cursor.status_url.is_some() => {
            // The Location was of something else: the status document is all there is.
            cursor.location_refused = true;
            cursor.rewind();
            match cursor.next_url() {
                Some(url) => Step::Follow { url, after: hint.unwrap_or_default(), report: None },
                None => unavailable(protocol, cursor, reply, body),
            }
        }
        _ => unavailable(protocol, cursor, reply, body),
    }
}

/// HEAD says that the task has come to its end: GET fetches what stands there, a status or the result.
pub(super) fn found_by_head(cursor: &mut Cursor, reply: &Reply, report: &Report) -> Step {
    cursor.because(Rule::FoundByHead);
    cursor.phase = Phase::Moved;
    cursor.following = Some(reply.url().as_str().into());
    Step::Follow { url: reply.url().clone(), after: report.hint.unwrap_or_default(), report: None }
}

/// What stands at the URL of the result is no document: it is fetched again, and the task stays succeeded.
fn flawed(
    protocol: &Protocol,
    cursor: &mut Cursor,
    reply: &Reply,
    body: Option<&Value>,
    flaw: &Flaw,
    now: SystemTime,
) -> Step {
    cursor.because(Rule::Flawed);
    let hint = crate::hint::from_answer(reply.status(), reply.headers(), now, |_| false).delay;
    let fault = fault::read(protocol, reply, body);
    if cursor.redirected && cursor.status_url.is_some() {
        // Nothing but a redirect said that it is done, and a redirect to such a page says nothing of the task.
        (cursor.phase, cursor.following, cursor.redirected) = (Phase::Poll, None, false);
        let why = format!("the status leads to {}, which answers with {flaw}", shown(reply.url()));
        let report = Report { hint, ..Report::new(cursor.state) };
        return trouble::wait(protocol, cursor, report, &why, fault, now);
    }
    cursor.looks = cursor.looks.saturating_add(1);
    if cursor.looks < MOST_LOOKS {
        let after = LOOK_AGAIN * u32::from(cursor.looks);
        return Step::Follow { url: reply.url().clone(), after: hint.unwrap_or_default().max(after), report: None };
    }
    Step::Stop {
        kind: ErrorKind::ResultUnavailable,
        why: format!("the result was answered with {flaw}, {MOST_LOOKS} times"),
        fault,
    }
}

/// Whether a redirect's target is named as a page to log in. At the API's own origin such a page is fetched, and known by
/// what it is; elsewhere it would be taken as the link to the result.
fn is_login(link: &SecretUrl) -> bool {
    let url = link.url();
    let host = url.host_str().unwrap_or_default();
    let last = url.path().trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    // A file of another ending is a report.
    let (last, ending) = last.split_once('.').unwrap_or((&last, ""));
    let is_page = matches!(ending, "" | "html" | "htm" | "php" | "asp" | "aspx" | "jsp" | "do" | "action");
    let by_host = ["login.", "signin.", "sso.", "accounts.", "auth.", "idp."].iter().any(|name| host.starts_with(name));
    let by_path = matches!(
        last,
        "login"
            | "log-in"
            | "log_in"
            | "signin"
            | "sign-in"
            | "sign_in"
            | "logon"
            | "sso"
            | "saml"
            | "saml2"
            | "authorize"
            | "oauth"
            | "oauth2"
            | "auth"
            | "adfs"
    );
    !is_signed(url) && is_page && (by_host || by_path)
}

/// This answer is the result, because none stands where the protocol says.
pub(super) fn itself(
    protocol: &Protocol,
    cursor: &mut Cursor,
    reply: &Reply,
    body: Option<&Value>,
    mut report: Report,
) -> Step {
    protocol.warn_of_missing(cursor, &mut report);
    protocol.warn_of_link(reply, body, &mut report);
    whole_body(protocol, cursor, reply, body, report)
}

/// Warns of an error in an answer that counts as a success.
pub(super) fn warn_of_error(protocol: &Protocol, reply: &Reply, body: Option<&Value>, report: &mut Report) {
    if let (State::Succeeded, Some(error)) = (report.state, fault::beside_success(protocol, reply, body)) {
        report.warn(format!(
            "taken as a success, and it holds an {error}; if that means a failure, say so with an EnvelopeRule"
        ));
    }
}

/// The body of this answer is the result; one that is too large to hold becomes a link to itself.
fn whole_body(
    protocol: &Protocol,
    cursor: &mut Cursor,
    reply: &Reply,
    body: Option<&Value>,
    mut report: Report,
) -> Step {
    warn_of_error(protocol, reply, body, &mut report);
    if let Some(flaw) = Flaw::of_result(protocol, reply, body) {
        // A word says that it is done, and what came is nothing to hand out.
        cursor.because(Rule::Flawed);
        cursor.looks = cursor.looks.saturating_add(1);
        if cursor.looks < MOST_LOOKS && cursor.status_url.is_some() {
            cursor.following = Some(reply.url().as_str().into());
            return Step::Follow {
                url: reply.url().clone(),
                after: LOOK_AGAIN * u32::from(cursor.looks),
                report: None,
            };
        }
        return Step::Stop {
            kind: ErrorKind::ResultUnavailable,
            why: format!("the result was answered with {flaw}"),
            fault: fault::read(protocol, reply, body),
        };
    }
    if !reply.is_whole() {
        cursor.because(Rule::ResultTooLarge);
        let links = vec![SecretUrl::from(reply.url().clone())];
        return Step::Done(report, Finding { links, is_itself: true, ..Finding::default() });
    }
    cursor.following = None;
    Step::Done(report, Finding { body: held(reply), ..Finding::default() })
}

/// The status document is all there is.
fn document(
    protocol: &Protocol,
    cursor: &mut Cursor,
    reply: &Reply,
    body: Option<&Value>,
    report: Report,
    why: Rule,
) -> Step {
    cursor.because(why);
    let inline =
        protocol.result.iter().filter(|rule| rule.kind == ResultKind::Value).find_map(|rule| rule.written(reply));
    match inline {
        Some(value) => Step::Done(report, Finding { body: Some(value), ..Finding::default() }),
        None if why == Rule::FinalStateVia => whole_body(protocol, cursor, reply, body, report),
        None => itself(protocol, cursor, reply, body, report),
    }
}

/// The body; JSON of another charset in UTF-8, as JSON has to be (RFC 8259, 8.1).
fn held(reply: &Reply) -> Option<Bytes> {
    let body = Some(reply.body().clone()).filter(|body| reply.is_whole() && !body.is_empty())?;
    match reply.json_text() {
        Some(Cow::Owned(text)) => Some(text.into()),
        Some(Cow::Borrowed(_)) | None => Some(body),
    }
}

fn young(protocol: &Protocol, cursor: &mut Cursor, now: SystemTime) -> bool {
    let now = unix_millis(now);
    let since = cursor.result_since.get_or_insert(NonZeroU64::MIN.saturating_add(now)).get() - 1;
    u128::from(now.saturating_sub(since)) < protocol.visibility.as_millis()
}

pub(super) fn newest_location(cursor: &Cursor, reply: &Reply) -> Option<Url> {
    let stated = reply.header("location").and_then(|location| join(reply.url(), &location).ok());
    let kept = || cursor.last_location.as_deref().and_then(|url| Url::parse(url).ok());
    stated
        .filter(|_| cursor.phase != Phase::Submit || reply.status() != StatusCode::CREATED)
        .or_else(|| kept().filter(|_| cursor.phase != Phase::Submit))
        .filter(|url| Some(url.as_str()) != cursor.status_url.as_deref() && !cursor.location_refused)
}

fn at(cursor: &mut Cursor, url: Url, report: Report, why: Rule) -> Step {
    at_link(cursor, SecretUrl::from(url), report, why)
}

/// The result is at this URL: fetched if it is the API's own and unsigned, else it is the link itself.
fn at_link(cursor: &mut Cursor, url: SecretUrl, report: Report, why: Rule) -> Step {
    cursor.because(why);
    if let Err(step) = cursor.admit(url.url()) {
        cursor.because(Rule::Untrusted);
        return step;
    }
    if is_signed(url.url()) || !cursor.is_trusted(url.url()) {
        return Step::Done(report, Finding { links: vec![url], ..Finding::default() });
    }
    cursor.phase = Phase::Result;
    cursor.guessed = why == Rule::LastLocation;
    cursor.redirected = false;
    cursor.following = Some(url.expose().into());
    let after = report.hint.filter(|_| cursor.hops > 0).unwrap_or_default();
    Step::Follow { url: url.url().clone(), after, report: Some(report) }
}

fn done(cursor: &mut Cursor, report: Report, links: Vec<SecretUrl>, reply: &Reply) -> Step {
    if let Err(step) = links.iter().try_for_each(|link| cursor.admit(link.url())) {
        cursor.because(Rule::Untrusted);
        return step;
    }
    Step::Done(report, Finding { links, body: held(reply), ..Finding::default() })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// The protocol says that links stand here.
    Sure,
    /// A text that is an absolute URL is one.
    Guess,
}

fn links(reply: &Reply, values: &[Cow<'_, Value>], reading: Reading) -> Result<Vec<SecretUrl>, String> {
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

fn unavailable(protocol: &Protocol, cursor: &mut Cursor, reply: &Reply, body: Option<&Value>) -> Step {
    let code = reply.status().as_u16();
    cursor.because(Rule::ResultRefused(code));
    Step::Stop {
        kind: ErrorKind::ResultUnavailable,
        why: format!("the task succeeded, and its result answered with {code}"),
        fault: fault::read(protocol, reply, body),
    }
}

fn unusable(cursor: &mut Cursor, at: &str, why: &str) -> Step {
    cursor.because(Rule::ResultUnusable);
    Step::Stop {
        kind: ErrorKind::ResultUnavailable,
        why: format!("the task succeeded, and {at} is no link that can be used: {why}"),
        fault: Fault::default(),
    }
}

const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// A result that is no document is fetched so often: a gateway's page is gone after seconds, a login page stays.
const MOST_LOOKS: u8 = 3;
