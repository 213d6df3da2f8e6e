//! Requests: builds the requests for the task at a cursor.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use url::Url;

use super::cookies::Cookies;
use super::cursor::Cursor;
use super::exchange::Exchange;
use super::phase::Phase;
use super::rules::{Rules, StatusKind};
use crate::message::{Priority, Request};

/// The next request of a task, and how it may be sent.
pub(crate) struct Asking {
    pub(crate) request: Request,
    pub(crate) purpose: Purpose,
    /// A cookie that a refusal sets is sent with the next attempt.
    pub(crate) jar: Option<Cookies>,
}

/// The purpose of a request: it decides how often the request is repeated, and the meaning of a missing answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To read the task's status.
    Status,
    /// To start the task, after a state has triggered the request.
    Start,
    Result,
}

/// Returns the next request of the task at the cursor, with the caller's headers; `None` if there is nothing to
/// request.
pub(super) fn next(rules: &Rules, cursor: &Cursor, headers: HeaderMap) -> Option<Asking> {
    let purpose = match &cursor.phase {
        Phase::Submitting | Phase::Polling { .. } | Phase::Moved => Purpose::Status,
        Phase::Starting { .. } => Purpose::Start,
        Phase::Fetching { .. } => Purpose::Result,
    };
    let mut exchange = match &cursor.phase {
        Phase::Starting { firing } => Some(&rules.start.get(usize::from(*firing))?.request),
        Phase::Polling { .. } => rules.poll.as_ref(),
        _ => None,
    };
    let moved = || cursor.following().and_then(|url| Url::parse(url).ok()).filter(|_| purpose == Purpose::Status);
    let (method, mut url, body) = match exchange {
        None => (Method::GET, cursor.next_url()?, None),
        Some(how) => {
            let (url, body) = filled(how, cursor)?;
            match moved() {
                None => (how.method().clone(), url, body),
                // 307 and 308 keep method and body, on the API's own origin.
                Some(moved) if cursor.is_trusted(&moved) => (how.method().clone(), moved, body),
                Some(moved) => {
                    exchange = None;
                    (Method::GET, moved, None)
                }
            }
        }
    };
    let is_bare = match exchange {
        Some(exchange) if purpose == Purpose::Start || cursor.following().is_none() => {
            exchange.uses_status() && cursor.is_status_bare()
        }
        _ => cursor.is_next_bare(),
    };
    let is_polled = matches!(cursor.phase, Phase::Polling { .. }) && cursor.is_trusted(&url) && !is_bare;
    if is_polled {
        repeat(cursor, &mut url);
    }
    let class = match purpose {
        Purpose::Result => Priority::Result,
        Purpose::Start => Priority::Submit,
        Purpose::Status => Priority::Poll,
    };
    let mut request = dressed(Request::new(method, url, class), headers, exchange, body).bare(is_bare);
    if let Some(extra) = &cursor.extra {
        extra.cookies.give(&mut request);
        let etag = extra.etag.as_ref().filter(|_| is_polled);
        if let Some(etag) = etag.and_then(|etag| HeaderValue::try_from(etag).ok()) {
            request.headers_mut().insert(header::IF_NONE_MATCH, etag);
        }
    }
    let kept = cursor.extra.as_ref().map(|extra| extra.cookies.clone()).unwrap_or_default();
    let jar = (rules.cookies || cursor.keeps_cookies()).then_some(kept);
    Some(Asking { request, purpose, jar })
}

/// Returns the request for the status of several tasks, as the task at the cursor would send it; `None` if the protocol
/// has none, or the ids make no URL.
pub(super) fn many(rules: &Rules, cursor: &Cursor, headers: HeaderMap, ids: &[&str]) -> Option<Request> {
    let many = rules.poll_many.as_ref()?;
    let (mut url, body) = many.fill(cursor.trust()?.base(), ids)?;
    repeat(cursor, &mut url);
    Some(dressed(
        Request::new(many.request().method().clone(), url, Priority::Poll),
        headers,
        Some(many.request()),
        body,
    ))
}

/// Returns whether the next poll of the task can be part of a request for several: not a redirect, nothing that a
/// foreign origin named, and no cookies, which belong to one task.
pub(super) fn is_shareable(rules: &Rules, cursor: &Cursor) -> bool {
    let keeps_cookies = rules.cookies || cursor.keeps_cookies();
    cursor.is_polling() && !cursor.created && !cursor.is_status_bare() && !keeps_cookies
}

/// Returns the request that cancels the task; `None` if there is none.
pub(super) fn cancel(rules: &Rules, cursor: &Cursor, headers: HeaderMap) -> Option<Request> {
    let given = cursor.cancel_url().and_then(|url| Url::parse(url).ok());
    let is_bare = match &given {
        Some(_) => cursor.is_cancel_bare(),
        None => cursor.is_status_bare() && rules.cancel.as_ref().is_some_and(Exchange::uses_status),
    };
    let how = rules.cancel.as_ref().filter(|how| given.is_none() || !how.is_default_cancel());
    let (method, url, body) = match (given, how) {
        (Some(url), Some(how)) => (how.method().clone(), url, how.body_for(cursor.id())),
        (Some(url), None) => (Method::POST, url, None),
        // The created resource is not the task: deleting it would not be a cancel.
        (None, Some(how)) if cursor.kind == StatusKind::Resource && how.is_default_cancel() => return None,
        (None, how) => {
            let how = how?;
            let (url, body) = filled(how, cursor)?;
            (how.method().clone(), url, body)
        }
    };
    let mut request = dressed(Request::new(method, url, Priority::Cancel), headers, how, body).bare(is_bare);
    if let Some(extra) = &cursor.extra {
        extra.cookies.give(&mut request);
    }
    Some(request)
}

/// Returns the request that makes the service delete the task; `None` if there is none.
pub(super) fn cleanup(rules: &Rules, cursor: &Cursor, headers: HeaderMap) -> Option<Request> {
    let cleanup = rules.cleanup.as_ref()?;
    let (url, body) = filled(cleanup, cursor)?;
    let is_bare = cursor.is_status_bare() && cleanup.uses_status();
    let request = Request::new(cleanup.method().clone(), url, Priority::Call);
    Some(dressed(request, headers, Some(cleanup), body).bare(is_bare))
}

fn filled(exchange: &Exchange, cursor: &Cursor) -> Option<(Url, Option<String>)> {
    exchange.fill(cursor.trust()?.base(), cursor.id(), cursor.status_url.as_deref(), &cursor.request_url)
}

/// Adds the members of the submit's query that every poll repeats, if the URL lacks them.
fn repeat(cursor: &Cursor, url: &mut Url) {
    let Some(extra) = &cursor.extra else { return };
    for (name, value) in &extra.query {
        if !url.query_pairs().any(|(other, _)| other == name.as_str()) {
            url.query_pairs_mut().append_pair(name, value);
        }
    }
}

fn dressed(request: Request, mut headers: HeaderMap, how: Option<&Exchange>, body: Option<String>) -> Request {
    if let Some(how) = how {
        how.dress(&mut headers);
    }
    let request = request.with_headers(headers);
    body.into_iter().fold(request, |request, body| request.with_body(Bytes::from(body)))
}
