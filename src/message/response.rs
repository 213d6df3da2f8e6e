//! Response: the response of a service, as it arrives.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use url::Url;

use super::flow::Flow;
use super::weight;
use super::{Body, Extent, HttpError, Reply};
use crate::error::{Error, ErrorKind};
use crate::redact::{self, Hidden};

/// A response of a service. Status and headers are available; the body arrives as it is read.
///
/// `Debug` shows the status, the URL without its query, and the names of the headers.
pub struct Response(Box<ResponseParts>);

/// Boxed, because a response is moved often and is some hundred bytes.
struct ResponseParts {
    status: StatusCode,
    /// The HTTP status, if an envelope changes it.
    http_status: Option<StatusCode>,
    headers: HeaderMap,
    url: Url,
    body: Body,
    limit: usize,
    flow: Flow,
    /// Whether the body broke off; the body then holds the part that arrived.
    cut: bool,
    attempts: u32,
    hint: Option<Duration>,
    /// The reason why this was the last attempt, if the reason needs to be stated.
    end: Option<&'static str>,
    hidden: Hidden,
}

impl Response {
    /// Creates a response without headers and body, for implementations of [`Http`](super::Http).
    ///
    /// `url` is the URL of the request: relative links are resolved against it.
    #[must_use]
    pub fn new(status: StatusCode, url: Url) -> Self {
        Self(Box::new(ResponseParts {
            status,
            http_status: None,
            headers: HeaderMap::new(),
            url,
            body: Body::empty(),
            limit: DEFAULT_LIMIT,
            flow: Flow::default(),
            cut: false,
            attempts: 1,
            hint: None,
            end: None,
            hidden: Hidden::default(),
        }))
    }

    /// Sets the headers.
    #[must_use]
    pub fn headers_from(mut self, headers: HeaderMap) -> Self {
        self.0.headers = headers;
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body_from(mut self, body: impl Into<Body>) -> Self {
        self.0.body = body.into();
        self
    }

    /// Returns the status; if an [`EnvelopeRule`](crate::retries::EnvelopeRule) matched, the status of the rule.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.0.status
    }

    /// Returns the status of the HTTP response.
    #[must_use]
    pub fn http_status(&self) -> StatusCode {
        self.0.http_status.unwrap_or(self.0.status)
    }

    /// Returns the headers.
    #[must_use]
    pub const fn headers(&self) -> &HeaderMap {
        &self.0.headers
    }

    /// Returns the URL of the request, without the parts that credentials added.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.0.url
    }

    /// Returns the next chunk of the body; `None` at its end.
    ///
    /// # Errors
    /// [`ErrorKind::Network`] if the body breaks off, or no byte arrives for the client's [idle
    /// timeout](crate::ClientBuilder::idle_timeout); [`ErrorKind::DeadlineExceeded`] at the deadline of the
    /// [call](crate::http::RequestBuilder::deadline). A body that is read in chunks has no least rate.
    ///
    /// # Cancel safety
    /// No byte is lost when the future is dropped.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        // A reader of chunks decides by itself how slow is too slow.
        let mut flow = self.0.flow.at_any_rate();
        let chunk = flow.chunk(&mut self.0.body).await;
        chunk.map_err(|error| self.broken(error))
    }

    /// Returns the next chunk, if the body arrives fast enough.
    pub(crate) async fn next_chunk(&mut self) -> Result<Option<Bytes>, HttpError> {
        let ResponseParts { body, flow, .. } = &mut *self.0;
        flow.chunk(body).await
    }

    /// Returns the whole body.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] past the client's body limit (1 MiB by default); [`ErrorKind::Network`] if the body
    /// breaks off, yields no byte for the [idle timeout](crate::ClientBuilder::idle_timeout), or arrives more slowly
    /// than the [least rate](crate::ClientBuilder::least_rate); [`ErrorKind::DeadlineExceeded`] at the deadline of the
    /// [call](crate::http::RequestBuilder::deadline).
    pub async fn bytes(mut self) -> Result<Bytes, Error> {
        // The other parts stay in place, because a reply would move them all.
        let ResponseParts { body, flow, limit, .. } = &mut *self.0;
        match std::mem::take(body).collect(*limit, flow).await {
            (bytes, Ok(true)) if !self.0.cut => Ok(bytes),
            (_, Ok(_)) => {
                let limit = self.0.limit;
                let message = format!("more than {limit} bytes; read it in chunks, or raise the client's body limit");
                let error = Error::new(ErrorKind::TooLarge, message).with_url(&self.0.url).with_status(self.0.status);
                Err(error.with_attempts(self.0.attempts))
            }
            (_, Err(error)) => Err(self.broken(error)),
        }
    }

    /// Returns the whole body as text; bytes that are no UTF-8 are replaced.
    ///
    /// # Errors
    /// As [`bytes`](Response::bytes).
    pub async fn text(self) -> Result<String, Error> {
        Ok(String::from_utf8_lossy(&self.bytes().await?).into_owned())
    }

    /// Decodes the whole body from JSON, whatever its Content-Type.
    ///
    /// # Errors
    /// As [`bytes`](Response::bytes), and [`ErrorKind::Decode`].
    pub async fn json<T: DeserializeOwned>(self) -> Result<T, Error> {
        let (status, url, attempts) = (self.0.status, self.0.url.clone(), self.0.attempts);
        let hidden = self.0.hidden.clone();
        let body = self.bytes().await?;
        serde_json::from_slice(without_bom(&body)).map_err(|error| {
            let page = if super::looks_like_html(&body) { "the body is a page of HTML: " } else { "" };
            let mask = hidden.mask().and(redact::secrets_in(&url));
            Error::decoding(page, error, &mask).with_url(&url).with_status(status).with_attempts(attempts)
        })
    }

    /// Reads the body into memory, up to the limit.
    pub(crate) fn reply(self) -> impl Future<Output = Result<Reply, Error>> {
        let ResponseParts { status, headers, url, body, limit, mut flow, cut, attempts, hint, hidden, .. } = *self.0;
        async move {
            match body.collect(limit, &mut flow).await {
                (body, Ok(whole)) => {
                    Ok(Reply { status, headers, url, body, extent: Extent::of(whole, cut), hidden, limit })
                }
                (_, Err(error)) => {
                    let broken = broken(error, &flow, &url, status);
                    Err(broken.with_attempts(attempts).with_retry_after(hint))
                }
            }
        }
    }

    /// Reads as much of the body as arrives until then, up to the limit, for a response that counts without its body.
    pub(crate) async fn reply_with_what_came(self, until: Option<Instant>) -> Reply {
        let ResponseParts { status, headers, url, body, limit, mut flow, cut, hidden, .. } = *self.0;
        if until.is_some() {
            flow = flow.until(until);
        }
        let (body, end) = body.collect(limit, &mut flow).await;
        let extent = end.map_or(Extent::Cut, |whole| Extent::of(whole, cut));
        Reply { status, headers, url, body, extent, hidden, limit }
    }

    /// Reads the body as far as it arrives, and none of it if it breaks off.
    pub(crate) async fn reply_as_far_as_it_comes(self) -> Reply {
        let empty = self.cut();
        match self.reply().await {
            Ok(reply) => reply,
            Err(_) => empty,
        }
    }

    /// Reads the body into memory if the limit allows that. A larger body stays in the response, for a reader that
    /// streams it: the service may hand out the body only once.
    pub(crate) async fn reply_or_rest(mut self) -> Result<(Reply, Option<Self>), Error> {
        let limit = self.0.limit;
        let is_larger = self.content_length().is_some_and(|length| length > limit as u64);
        // If the stated length is too large, the beginning shows what the body is.
        let most = if is_larger { limit.min(BEGINNING) } else { limit };
        let ResponseParts { body, flow, .. } = &mut *self.0;
        let (mut body, whole) = body.hold(most, flow).await.map_err(|error| self.broken(error))?;
        if whole && weight::is_light(&body, weight::most(limit)) {
            let ResponseParts { status, headers, url, hidden, .. } = *self.0;
            return Ok((Reply { status, headers, url, body, extent: Extent::Whole, hidden, limit }, None));
        }
        if whole {
            let reply = Reply { body: body.clone(), extent: Extent::Whole, ..self.cut() };
            if !reply.is_heavy() {
                return Ok((reply, None));
            }
            // A document that would take far more memory than its bytes is passed on as it came.
            let beginning = body.slice(..body.len().min(BEGINNING));
            self.0.body = std::mem::replace(&mut body, beginning).into();
        }
        let reply = Reply { body, extent: Extent::TooLarge, ..self.cut() };
        Ok((reply, Some(self)))
    }

    /// Reads the body into memory if it is no longer than `most`, and returns it. The body can still be read from its
    /// beginning.
    pub(crate) async fn hold(&mut self, most: usize) -> Result<Option<Bytes>, Error> {
        if self.0.cut || self.content_length().is_some_and(|length| length > most as u64) {
            return Ok(None);
        }
        let ResponseParts { body, flow, .. } = &mut *self.0;
        let (held, whole) = body.hold(most, flow).await.map_err(|error| self.broken(error))?;
        if !whole {
            return Ok(None);
        }
        self.0.body = held.clone().into();
        Ok(Some(held))
    }

    /// Returns status and headers, as if the body broke off.
    pub(crate) fn cut(&self) -> Reply {
        let (status, headers, url) = (self.0.status, self.0.headers.clone(), self.0.url.clone());
        Reply {
            status,
            headers,
            url,
            body: Bytes::new(),
            extent: Extent::Cut,
            hidden: self.0.hidden.clone(),
            limit: self.0.limit,
        }
    }

    /// Returns the length that the header states.
    pub(crate) fn content_length(&self) -> Option<u64> {
        self.0.headers.get(http::header::CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
    }

    pub(crate) const fn body_mut(&mut self) -> &mut Body {
        &mut self.0.body
    }

    pub(crate) fn bounded(mut self, limit: usize, idle: Duration, least_rate: u32) -> Self {
        (self.0.limit, self.0.flow) = (limit, Flow::new(idle, least_rate));
        self
    }

    /// Sets a deadline that also applies to the body.
    pub(crate) fn until(mut self, deadline: Option<Instant>) -> Self {
        self.0.flow = self.0.flow.until(deadline);
        self
    }

    pub(crate) const fn after(mut self, attempts: u32) -> Self {
        self.0.attempts = attempts;
        self
    }

    /// Sets the wait that the response asks for.
    pub(crate) const fn hinted(mut self, hint: Option<Duration>) -> Self {
        self.0.hint = hint;
        self
    }

    /// Returns the wait that the response asks for.
    pub(crate) const fn hint(&self) -> Option<Duration> {
        self.0.hint
    }

    /// Reads the body ahead if it is JSON and no longer than `most`. Only a body that arrives in time counts, and no
    /// byte is lost.
    pub(crate) async fn peek(&mut self, most: usize, within: Duration) -> Option<Reply> {
        // A stream of events may begin with a brace, and never end.
        if self.content_length().is_some_and(|length| length > most as u64) || !self.may_be_json() {
            return None;
        }
        let looked = tokio::time::timeout(within, self.0.body.peek(most)).await.ok()??;
        Some(Reply::new(self.0.status, self.0.url.clone(), self.0.headers.clone(), looked))
    }

    fn may_be_json(&self) -> bool {
        let Some(kind) = self.0.headers.get(http::header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()) else {
            return true;
        };
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        // Some services send JSON as text.
        let is_lines = kind.contains("ndjson") || kind.contains("json-seq") || kind.contains("jsonl");
        !is_lines
            && (kind.ends_with("json") || kind.ends_with("javascript") || matches!(&*kind, "text/plain" | "text/html"))
    }

    /// Reads the part of the body that arrives within a time, for later use.
    pub(crate) async fn held(self, within: Duration) -> Self {
        let mut held = Self::new(self.0.status, self.0.url.clone()).headers_from(self.0.headers.clone());
        (held.0.http_status, held.0.limit, held.0.flow) = (self.0.http_status, self.0.limit, self.0.flow);
        (held.0.attempts, held.0.hint, held.0.end) = (self.0.attempts, self.0.hint, self.0.end);
        held.0.hidden = self.0.hidden.clone();
        let reply = self.reply_with_what_came(Some(Instant::now() + within)).await;
        held.0.cut = reply.extent() == Extent::Cut;
        held.body_from(reply.into_body())
    }

    /// Changes the status that the response is read as.
    pub(crate) fn reads_as(mut self, status: StatusCode) -> Self {
        self.0.http_status = Some(self.http_status());
        self.0.status = status;
        self
    }

    /// Sets the reason why this was the last attempt.
    pub(crate) const fn ended(mut self, why: Option<&'static str>) -> Self {
        self.0.end = why;
        self
    }

    pub(crate) const fn end(&self) -> Option<&'static str> {
        self.0.end
    }

    /// Returns how many times the request was sent; 0 for an answer that was
    /// [kept](crate::http::RequestBuilder::cached).
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.0.attempts
    }

    pub(crate) const fn limit(&self) -> usize {
        self.0.limit
    }

    /// Sets the secrets that the response may repeat.
    pub(crate) fn hiding(mut self, hidden: Hidden) -> Self {
        self.0.hidden = hidden;
        self
    }

    pub(crate) fn asked(mut self, url: &Url) -> Self {
        if self.0.url != *url {
            self.0.url = url.clone();
        }
        self
    }

    fn broken(&self, error: HttpError) -> Error {
        let broken = broken(error, &self.0.flow, &self.0.url, self.0.status);
        broken.with_attempts(self.0.attempts).with_retry_after(self.0.hint)
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.0.status.as_u16())
            .field("url", &redact::shown(&self.0.url))
            .field("headers", &self.0.headers.keys().collect::<Vec<_>>())
            .field("body", &self.0.body)
            .finish()
    }
}

/// Returns whether a failure with this status may pass by itself: the request may then be sent again, if its method
/// allows that.
pub(crate) const fn is_transient(code: u16) -> bool {
    matches!(code, 408 | 425 | 429) || (code >= 500 && !matches!(code, 501 | 505))
}

/// Returns JSON text without the byte order mark that some services put before it.
pub(crate) fn without_bom(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body)
}

fn broken(error: HttpError, flow: &Flow, url: &Url, status: StatusCode) -> Error {
    let error = if flow.is_over() {
        Error::new(ErrorKind::DeadlineExceeded, "the body of the answer was not whole before the deadline")
    } else {
        let why = crate::error::root_cause(&error);
        Error::new(ErrorKind::Network, format!("the body of the answer broke off: {why}")).with_source(error)
    };
    error.with_url(url).with_status(status)
}

/// 1 MiB: a status document is a few hundred bytes; a larger body is a result, which is downloaded instead.
const DEFAULT_LIMIT: usize = 1 << 20;
/// This much of a body shows whether it is a page, or which state it holds.
const BEGINNING: usize = 16 * 1024;
