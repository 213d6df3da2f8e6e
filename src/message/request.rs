//! Request: one message to a service, as the HTTP client receives it.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method};
use url::Url;

use crate::redact;

/// One complete request, as sent by an [`Http`](super::Http).
///
/// `Debug` shows the method, the URL without its query, and the names of the headers.
#[derive(Clone)]
pub struct Request(Box<RequestParts>);

/// Boxed, because a request is moved often and is some hundred bytes.
#[derive(Clone)]
struct RequestParts {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Bytes,
    class: Priority,
    /// The kind of task that the request belongs to.
    kind: Option<Arc<str>>,
    /// The task that the request belongs to; 0 for none.
    task: u64,
    /// Whether the request goes without a credential and without the caller's headers, wherever it leads, because a
    /// foreign origin caused it.
    is_bare: bool,
}

impl Request {
    pub(crate) fn new(method: Method, url: Url, class: Priority) -> Self {
        Self(Box::new(RequestParts {
            method,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            class,
            kind: None,
            task: 0,
            is_bare: false,
        }))
    }

    /// Returns the method.
    #[must_use]
    pub const fn method(&self) -> &Method {
        &self.0.method
    }

    /// Returns the URL with its query, which may be secret.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.0.url
    }

    /// Returns the headers, including credentials.
    #[must_use]
    pub const fn headers(&self) -> &HeaderMap {
        &self.0.headers
    }

    /// Returns the body.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.0.body
    }

    /// Returns the class of the request.
    #[must_use]
    pub const fn priority(&self) -> Priority {
        self.0.class
    }

    pub(crate) fn with_headers(mut self, headers: HeaderMap) -> Self {
        self.0.headers = headers;
        self
    }

    pub(crate) fn with_body(mut self, body: Bytes) -> Self {
        self.0.body = body;
        self
    }

    pub(crate) fn with_url(mut self, url: Url) -> Self {
        self.0.url = url;
        self
    }

    pub(crate) fn into_parts(self) -> (Method, Url, HeaderMap, Bytes) {
        let RequestParts { method, url, headers, body, .. } = *self.0;
        (method, url, headers, body)
    }

    pub(crate) fn for_task(mut self, kind: Option<Arc<str>>, task: u64) -> Self {
        (self.0.kind, self.0.task) = (kind, task);
        self
    }

    /// Changes the class of the request.
    pub(crate) const fn of_class(mut self, class: Priority) -> Self {
        self.0.class = class;
        self
    }

    pub(crate) const fn bare(mut self, is_bare: bool) -> Self {
        self.0.is_bare = is_bare;
        self
    }

    pub(crate) const fn is_bare(&self) -> bool {
        self.0.is_bare
    }

    pub(crate) fn kind(&self) -> Option<&str> {
        self.0.kind.as_deref()
    }

    pub(crate) const fn task(&self) -> u64 {
        self.0.task
    }

    pub(crate) const fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.0.headers
    }

    pub(crate) const fn url_mut(&mut self) -> &mut Url {
        &mut self.0.url
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.0.method)
            .field("url", &redact::shown(&self.0.url))
            .field("headers", &self.0.headers.keys().collect::<Vec<_>>())
            .field("body_bytes", &self.0.body.len())
            .field("class", &self.0.class)
            .finish()
    }
}

/// The class of a request, the most urgent first. Requests leave the throttle's queue in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Priority {
    /// Fetches or refreshes a token, which all other requests need.
    Token,
    /// Cancels a task at the service.
    Cancel,
    /// Starts a task.
    Submit,
    /// Any other call of the application.
    Call,
    /// Fetches the status of a task.
    Poll,
    /// Fetches the result document of a task.
    Result,
    /// Fetches the bytes of a result.
    Download,
    /// A request that can wait for all others.
    Batch,
}
