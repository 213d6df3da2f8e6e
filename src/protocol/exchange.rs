//! Exchange: a request of a protocol as a template; Asking: the request that is next.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use serde::{Deserialize, Serialize};
use url::Url;

use super::location::is_below;
use super::template::{Filling, Template};
use super::{Cookies, Cursor, Phase, Protocol, StatusKind};
use crate::message::{Class, Reply, Request};

/// A request of a protocol: method, URL, and a JSON body if there is one, with `{id}` for the task's id and `{status}`
/// for its status URL.
///
/// Written as on the first line of HTTP, also in serialized form. The URL is relative to the client's base.
///
/// ```
/// use longhaul::Exchange;
///
/// let check: Exchange = r#"POST jobs/check {"async_job_id": "{id}"}"#.parse()?;
/// assert_eq!(check.to_string(), r#"POST jobs/check {"async_job_id": "{id}"}"#);
/// assert!("jobs/{id}".parse::<Exchange>().is_err());
/// # Ok::<(), longhaul::ExchangeError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Exchange {
    method: Method,
    target: String,
    body: Option<String>,
}

/// A text that is no request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no request such as `DELETE {{status}}` or `POST jobs/{{id}}/cancel {{\"now\": true}}`")]
pub struct ExchangeError(String);

impl Exchange {
    fn is_default_cancel(&self) -> bool {
        self.to_string() == super::presets::CANCEL_AT_STATUS_URL
    }

    /// The method, the URL and the body for the task at the cursor; `None` where it has no id or status URL to put in.
    fn fill(&self, cursor: &Cursor) -> Option<(Method, Url, Option<String>)> {
        if self.body.as_ref().is_some_and(|body| body.contains("{id}")) && cursor.id().is_none_or(str::is_empty) {
            return None;
        }
        let filling = Filling { id: cursor.id(), answer: None };
        let trust = cursor.trust()?;
        let url = if let Some(below) = self.target.strip_prefix("{status}") {
            let mut url = Url::parse(cursor.status_url.as_deref()?).ok()?;
            if !below.is_empty() {
                let before = url.path().trim_end_matches('/').to_owned();
                let mut root = url.clone();
                root.set_path(&format!("{before}{}", below.split(['{', '?']).next().unwrap_or_default()));
                root.set_query(None);
                let filled = Template::new(below).fill(filling).into_iter().next()?;
                let (path, query) = filled.split_once('?').unwrap_or((&filled, ""));
                url.set_path(&format!("{before}{path}"));
                if !query.is_empty() {
                    let all = [url.query().unwrap_or_default(), query].join("&");
                    url.set_query(Some(all.trim_start_matches('&')));
                }
                if !is_below(&root, &url) {
                    return None;
                }
            }
            url
        } else {
            Template::new(&*self.target).url(trust.base(), filling)?.ok()?
        };
        Some((self.method.clone(), url, self.body_for(cursor)))
    }

    /// Whether its URL can be filled. The braces of a body are its own, `{id}` apart.
    pub(super) fn check(&self) -> Result<(), String> {
        let below = self.target.strip_prefix("{status}").unwrap_or(&self.target);
        Template::new(below).check_one(false).map_err(|why| format!("`{self}`: {why}"))
    }

    /// The body, with the id inside its JSON text.
    fn body_for(&self, cursor: &Cursor) -> Option<String> {
        let quoted = serde_json::Value::from(cursor.id().unwrap_or_default()).to_string();
        let inside = quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default();
        self.body.as_ref().map(|body| body.replace("{id}", inside))
    }
}

impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.target)?;
        self.body.iter().try_for_each(|body| write!(f, " {body}"))
    }
}

impl FromStr for Exchange {
    type Err = ExchangeError;

    fn from_str(text: &str) -> Result<Self, ExchangeError> {
        let wrong = || ExchangeError(text.to_owned());
        let (method, rest) = text.trim().split_once(' ').ok_or_else(wrong)?;
        let (target, body) =
            rest.trim().split_once(' ').map_or((rest.trim(), None), |(target, body)| (target, Some(body)));
        if target.is_empty() || method.chars().any(|c| !c.is_ascii_uppercase()) {
            return Err(wrong());
        }
        let body = body.map(|body| body.trim().to_owned()).filter(|body| !body.is_empty());
        if body.as_ref().is_some_and(|body| serde_json::from_str::<serde_json::Value>(body).is_err()) {
            return Err(wrong());
        }
        Ok(Self { method: method.parse().map_err(|_| wrong())?, target: target.to_owned(), body })
    }
}

impl TryFrom<String> for Exchange {
    type Error = ExchangeError;

    fn try_from(text: String) -> Result<Self, ExchangeError> {
        text.parse()
    }
}

impl From<Exchange> for String {
    fn from(exchange: Exchange) -> Self {
        exchange.to_string()
    }
}

/// An exchange that may be missing, also where a default has one: the text `none`.
pub(super) mod or_none {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use super::Exchange;

    #[expect(clippy::ref_option, reason = "the shape that serde wants")]
    pub(crate) fn serialize<S: Serializer>(exchange: &Option<Exchange>, to: S) -> Result<S::Ok, S::Error> {
        match exchange {
            Some(exchange) => to.collect_str(exchange),
            None => to.serialize_str("none"),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Exchange>, D::Error> {
        let text = String::deserialize(from)?;
        if text == "none" { Ok(None) } else { text.parse().map(Some).map_err(D::Error::custom) }
    }
}

/// The request that is next for a task, and how it may be sent.
pub(crate) struct Asking {
    pub(crate) request: Request,
    pub(crate) phase: Phase,
    /// What a refusal sets goes with the next attempt.
    pub(crate) jar: Option<Cookies>,
}

impl Protocol {
    /// Whether an answer is that of a HEAD, which has no body (RFC 9110, 9.3.2).
    pub(super) fn was_head(&self, reply: &Reply) -> bool {
        reply.body().is_empty() && self.poll.as_ref().is_some_and(|poll| poll.method == Method::HEAD)
    }

    /// Whether headers alone name the status URL of a submit.
    pub(crate) fn is_named_in(&self, headers: &HeaderMap) -> bool {
        self.status_url
            .iter()
            .filter_map(|at| at.at.header_name())
            .chain(["link"])
            .any(|name| headers.contains_key(name))
    }

    /// The next request of the task at the cursor, with the caller's headers; `None` where there is nothing to ask.
    pub(crate) fn next(&self, cursor: &Cursor, headers: HeaderMap) -> Option<Asking> {
        let phase = cursor.phase();
        let (method, mut url, body) = match (phase, &self.poll) {
            (Phase::Start, _) => self.start.get(usize::from(cursor.firing?))?.request.fill(cursor)?,
            (Phase::Poll, Some(poll)) => {
                let (method, url, body) = poll.fill(cursor)?;
                match cursor.following.as_deref().and_then(|url| Url::parse(url).ok()) {
                    None => (method, url, body),
                    // 307 and 308 keep method and body, on the API's own origin.
                    Some(moved) if cursor.is_trusted(&moved) => (method, moved, body),
                    Some(moved) => (Method::GET, moved, None),
                }
            }
            _ => (Method::GET, cursor.next_url()?, None),
        };
        let uses_status = |exchange: &Exchange| exchange.target.starts_with("{status}");
        let is_bare = match (phase, &self.poll) {
            (Phase::Start, _) => {
                let start = cursor.firing.and_then(|at| self.start.get(usize::from(at)));
                start.is_some_and(|start| uses_status(&start.request)) && cursor.is_status_bare()
            }
            (Phase::Poll, Some(poll)) if cursor.following.is_none() => uses_status(poll) && cursor.is_status_bare(),
            _ => cursor.is_next_bare(),
        };
        let own = cursor.is_trusted(&url) && !is_bare;
        if phase == Phase::Poll && own {
            self.repeat(cursor, &mut url);
        }
        let class = match phase {
            Phase::Result => Class::Result,
            Phase::Start => Class::Submit,
            Phase::Submit | Phase::Poll | Phase::Moved => Class::Poll,
        };
        let mut request = dressed(Request::new(method, url, class), headers, body).bare(is_bare);
        if let Some(extra) = &cursor.extra {
            extra.cookies.give(&mut request);
            let etag = extra.etag.as_ref().filter(|_| phase == Phase::Poll && own);
            if let Some(etag) = etag.and_then(|etag| HeaderValue::try_from(etag).ok()) {
                request.headers_mut().insert(header::IF_NONE_MATCH, etag);
            }
        }
        let kept = cursor.extra.as_ref().map(|extra| extra.cookies.clone()).unwrap_or_default();
        let jar = (self.cookies || cursor.keeps_cookies()).then_some(kept);
        Some(Asking { request, phase, jar })
    }

    /// The request that cancels the task; `None` where there is none.
    pub(crate) fn cancel_request(&self, cursor: &Cursor, headers: HeaderMap) -> Option<Request> {
        let given = cursor.extra.as_ref().and_then(|extra| Url::parse(extra.cancel_url.as_deref()?).ok());
        let is_bare = match &given {
            Some(_) => cursor.is_cancel_bare(),
            None => {
                cursor.is_status_bare() && self.cancel.as_ref().is_some_and(|how| how.target.starts_with("{status}"))
            }
        };
        let (method, url, body) = match (given, &self.cancel) {
            (Some(url), Some(how)) if !how.is_default_cancel() => (how.method.clone(), url, how.body_for(cursor)),
            (Some(url), _) => (Method::POST, url, None),
            // What was created is not the task: to delete it would be another thing than to cancel.
            (None, Some(how)) if cursor.kind == StatusKind::Resource && how.is_default_cancel() => return None,
            (None, how) => how.as_ref()?.fill(cursor)?,
        };
        let mut request = dressed(Request::new(method, url, Class::Cancel), headers, body).bare(is_bare);
        if let Some(extra) = &cursor.extra {
            extra.cookies.give(&mut request);
        }
        Some(request)
    }

    /// The request that lets the service forget the task; `None` where there is none.
    pub(crate) fn cleanup_request(&self, cursor: &Cursor, headers: HeaderMap) -> Option<Request> {
        let cleanup = self.cleanup.as_ref()?;
        let (method, url, body) = cleanup.fill(cursor)?;
        let is_bare = cursor.is_status_bare() && cleanup.target.starts_with("{status}");
        Some(dressed(Request::new(method, url, Class::Call), headers, body).bare(is_bare))
    }

    /// Adds what the submit's query had and every poll must have, where the URL lacks it.
    fn repeat(&self, cursor: &Cursor, url: &mut Url) {
        let Some(extra) = &cursor.extra else { return };
        for (name, value) in &extra.query {
            if !url.query_pairs().any(|(other, _)| other == name.as_str()) {
                url.query_pairs_mut().append_pair(name, value);
            }
        }
    }

    /// The jar for the cookies of the task's submit; `None` where nobody asked for one.
    pub(crate) fn jar<'c>(&self, cursor: &'c mut Cursor) -> Option<&'c mut Cookies> {
        (self.cookies || cursor.keeps_cookies()).then(|| &mut cursor.extra().cookies)
    }

    /// Keeps what polls must repeat of the submit.
    pub(crate) fn remember(&self, cursor: &mut Cursor, submit: &Url) {
        let kept: Vec<_> = submit
            .query_pairs()
            .filter(|(name, _)| self.repeat_query.iter().any(|wanted| wanted == name))
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        if !kept.is_empty() {
            cursor.extra().query = kept;
        }
    }
}

fn dressed(request: Request, mut headers: HeaderMap, body: Option<String>) -> Request {
    let Some(body) = body else { return request.with_headers(headers) };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    request.with_headers(headers).with_body(Bytes::from(body))
}
