//! Response: what a service answered, as it comes.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use url::Url;

use super::{Body, Extent, HttpError, Reply};
use crate::error::{Error, ErrorKind};
use crate::redact;

/// An answer of a service: status and headers are here, the body comes as it is read.
///
/// `Debug` shows status, URL without query, and the names of the headers.
pub struct Response(Box<Parts>);

/// In one place: it goes through many hands, and is some hundred bytes.
struct Parts {
    status: StatusCode,
    /// What HTTP said, where an envelope says otherwise.
    http_status: Option<StatusCode>,
    headers: HeaderMap,
    url: Url,
    body: Body,
    limit: usize,
    idle: Duration,
    attempts: u32,
    hint: Option<Duration>,
    /// Why it was the last of its attempts, where that needs a word.
    end: Option<&'static str>,
}

impl Response {
    /// An answer without headers and body, for implementations of [`Http`](super::Http).
    ///
    /// `url` is the URL that was asked: relative links are resolved against it.
    #[must_use]
    pub fn new(status: StatusCode, url: Url) -> Self {
        Self(Box::new(Parts {
            status,
            http_status: None,
            headers: HeaderMap::new(),
            url,
            body: Body::empty(),
            limit: DEFAULT_LIMIT,
            idle: DEFAULT_IDLE,
            attempts: 1,
            hint: None,
            end: None,
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

    /// The status; where an [`EnvelopeRule`](crate::EnvelopeRule) matched, what that reads it as.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The status as HTTP had it.
    #[must_use]
    pub fn http_status(&self) -> StatusCode {
        self.0.http_status.unwrap_or(self.0.status)
    }

    /// The headers.
    #[must_use]
    pub const fn headers(&self) -> &HeaderMap {
        &self.0.headers
    }

    /// The URL that was asked, without what credentials added to it.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.0.url
    }

    /// The next chunk of the body; `None` at its end.
    ///
    /// # Errors
    /// [`ErrorKind::Network`] when the body breaks off, or no byte of it comes for 30 seconds.
    ///
    /// # Cancel safety
    /// No byte is lost when the future is dropped.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        let chunk = self.0.body.chunk_within(self.0.idle).await;
        chunk.map_err(|error| self.broken(error))
    }

    /// The whole body.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] past the client's body limit (1 MiB by default), [`ErrorKind::Network`] when it breaks
    /// off.
    pub async fn bytes(self) -> Result<Bytes, Error> {
        let limit = self.0.limit;
        let reply = self.reply().await?;
        if reply.is_whole() {
            return Ok(reply.into_body());
        }
        let message = format!("more than {limit} bytes; read it in chunks, or raise the client's body limit");
        Err(Error::new(ErrorKind::TooLarge, message).with_url(&reply.url).with_status(reply.status))
    }

    /// The whole body as text; bytes that are no UTF-8 are replaced.
    ///
    /// # Errors
    /// As [`bytes`](Response::bytes).
    pub async fn text(self) -> Result<String, Error> {
        Ok(String::from_utf8_lossy(&self.bytes().await?).into_owned())
    }

    /// The whole body decoded from JSON, whatever its Content-Type says.
    ///
    /// # Errors
    /// As [`bytes`](Response::bytes), and [`ErrorKind::Decode`].
    pub async fn json<T: DeserializeOwned>(self) -> Result<T, Error> {
        let (status, url) = (self.0.status, self.0.url.clone());
        let body = self.bytes().await?;
        serde_json::from_slice(without_bom(&body)).map_err(|error| {
            let page = if super::looks_like_html(&body) { "the body is a page of HTML: " } else { "" };
            let what = format!("{page}{error}");
            Error::new(ErrorKind::Decode, what).with_url(&url).with_status(status).with_source(error)
        })
    }

    /// Holds the body, up to the limit.
    pub(crate) fn reply(self) -> impl Future<Output = Result<Reply, Error>> {
        let Parts { status, headers, url, body, limit, idle, .. } = *self.0;
        async move {
            match body.collect(limit, idle).await {
                Ok((body, whole)) => {
                    let extent = if whole { Extent::Whole } else { Extent::TooLarge };
                    Ok(Reply { status, headers, url, body, extent })
                }
                Err(error) => Err(broken(error, &url, status)),
            }
        }
    }

    /// Holds what comes of the body, and none of it if it breaks off.
    pub(crate) async fn reply_as_far_as_it_comes(self) -> Reply {
        let (status, headers, url) = (self.0.status, self.0.headers.clone(), self.0.url.clone());
        match self.reply().await {
            Ok(reply) => reply,
            Err(_) => Reply { status, headers, url, body: Bytes::new(), extent: Extent::Cut },
        }
    }

    /// Holds the body where the limit allows that. One that is larger stays in the response, for who takes it as it comes:
    /// it may be handed out only once.
    pub(crate) async fn reply_or_rest(mut self) -> Result<(Reply, Option<Self>), Error> {
        let (limit, idle) = (self.0.limit, self.0.idle);
        let is_larger = self.content_length().is_some_and(|length| length > limit as u64);
        let body =
            if is_larger { None } else { self.0.body.hold(limit, idle).await.map_err(|error| self.broken(error))? };
        // A document that would take far more memory than bytes is handed on as it came.
        let body = body.and_then(|body| {
            let is_heavy = super::weight::is_heavy(without_bom(&body));
            if is_heavy {
                self.0.body = body.clone().into();
            }
            (!is_heavy).then_some(body)
        });
        let extent = if body.is_some() { Extent::Whole } else { Extent::TooLarge };
        let body = body.unwrap_or_default();
        if extent == Extent::Whole {
            let Parts { status, headers, url, .. } = *self.0;
            return Ok((Reply { status, headers, url, body, extent }, None));
        }
        Ok((
            Reply { status: self.0.status, headers: self.0.headers.clone(), url: self.0.url.clone(), body, extent },
            Some(self),
        ))
    }

    /// Status and headers, of an answer whose body broke off.
    pub(crate) fn cut(status: StatusCode, url: Url, headers: HeaderMap) -> Reply {
        Reply { status, headers, url, body: Bytes::new(), extent: Extent::Cut }
    }

    /// The length that the header states.
    pub(crate) fn content_length(&self) -> Option<u64> {
        self.0.headers.get(http::header::CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
    }

    pub(crate) const fn body_mut(&mut self) -> &mut Body {
        &mut self.0.body
    }

    pub(crate) fn bounded(mut self, limit: usize, idle: Duration) -> Self {
        (self.0.limit, self.0.idle) = (limit, idle);
        self
    }

    pub(crate) const fn after(mut self, attempts: u32) -> Self {
        self.0.attempts = attempts;
        self
    }

    /// With what it asks to wait.
    pub(crate) const fn hinted(mut self, hint: Option<Duration>) -> Self {
        self.0.hint = hint;
        self
    }

    /// How long it asks to wait.
    pub(crate) const fn hint(&self) -> Option<Duration> {
        self.0.hint
    }

    /// Looks at the body where it is JSON and no longer than `most`; what comes in time counts, and nothing is lost.
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

    /// Holds what comes of the body within a time, so that it can be read later.
    pub(crate) async fn held(self, within: Duration) -> Self {
        let empty = Reply::new(self.0.status, self.0.url.clone(), self.0.headers.clone(), Bytes::new());
        let mut held = Self::new(self.0.status, self.0.url.clone()).headers_from(self.0.headers.clone());
        (held.0.http_status, held.0.limit, held.0.idle) = (self.0.http_status, self.0.limit, self.0.idle);
        (held.0.attempts, held.0.hint, held.0.end) = (self.0.attempts, self.0.hint, self.0.end);
        let reply = tokio::time::timeout(within, self.reply_as_far_as_it_comes()).await.unwrap_or(empty);
        held.body_from(reply.into_body())
    }

    /// Is read as if it had another status.
    pub(crate) fn reads_as(mut self, status: StatusCode) -> Self {
        self.0.http_status = Some(self.http_status());
        self.0.status = status;
        self
    }

    /// Was the last of its attempts for this reason.
    pub(crate) const fn ended(mut self, why: Option<&'static str>) -> Self {
        self.0.end = why;
        self
    }

    pub(crate) const fn end(&self) -> Option<&'static str> {
        self.0.end
    }

    /// How many times the request was sent.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.0.attempts
    }

    pub(crate) fn asked(mut self, url: &Url) -> Self {
        if self.0.url != *url {
            self.0.url = url.clone();
        }
        self
    }

    fn broken(&self, error: HttpError) -> Error {
        broken(error, &self.0.url, self.0.status)
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

/// Whether a status may pass by itself: the request may be sent again, where its method allows.
pub(crate) const fn is_transient(code: u16) -> bool {
    matches!(code, 408 | 425 | 429) || (code >= 500 && !matches!(code, 501 | 505))
}

/// JSON text without the byte order mark that some services put before it.
pub(crate) fn without_bom(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body)
}

fn broken(error: HttpError, url: &Url, status: StatusCode) -> Error {
    Error::new(ErrorKind::Network, "the body of the answer broke off")
        .with_url(url)
        .with_status(status)
        .with_source(error)
}

/// 1 MiB: a status document is a few hundred bytes; more is a result, which is downloaded instead.
const DEFAULT_LIMIT: usize = 1 << 20;
/// As long as a stalled connection is worth waiting for.
const DEFAULT_IDLE: Duration = Duration::from_secs(30);
