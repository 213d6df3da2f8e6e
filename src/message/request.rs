//! Request: one message to a service, as the HTTP client gets it.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method};
use url::Url;

use crate::redact;

/// One request, complete: what an [`Http`](super::Http) sends.
///
/// `Debug` shows method, URL without query, and the names of the headers.
#[derive(Clone)]
pub struct Request(Box<Parts>);

/// In one place: it goes through many hands, and is some hundred bytes.
#[derive(Clone)]
struct Parts {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Bytes,
    class: Priority,
    /// The kind of task that it is for.
    kind: Option<Arc<str>>,
    /// The task that it is for; 0 for none.
    task: u64,
    /// It goes without a credential and the caller's headers, wherever it leads: a foreign origin asked for it.
    is_bare: bool,
}

impl Request {
    pub(crate) fn new(method: Method, url: Url, class: Priority) -> Self {
        Self(Box::new(Parts {
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

    /// The method.
    #[must_use]
    pub const fn method(&self) -> &Method {
        &self.0.method
    }

    /// The URL, query included: it may be secret.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.0.url
    }

    /// The headers, credentials included.
    #[must_use]
    pub const fn headers(&self) -> &HeaderMap {
        &self.0.headers
    }

    /// The body.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.0.body
    }

    /// What the request is for.
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
        let Parts { method, url, headers, body, .. } = *self.0;
        (method, url, headers, body)
    }

    pub(crate) fn for_task(mut self, kind: Option<Arc<str>>, task: u64) -> Self {
        (self.0.kind, self.0.task) = (kind, task);
        self
    }

    /// As a request of another class.
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

/// What a request is for, the most urgent first: the order in which requests leave the throttle's queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Priority {
    /// Fetches or refreshes a token: without it nothing else goes.
    Token,
    /// Asks the service to give up a task.
    Cancel,
    /// Starts a task.
    Submit,
    /// Any other call of the application.
    Call,
    /// Looks at the status of a task.
    Poll,
    /// Fetches the result document of a task.
    Result,
    /// Fetches the bytes of a result.
    Download,
    /// What can wait for all others.
    Batch,
}
