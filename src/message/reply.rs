//! Reply: what a service answered, with its body held.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use url::Url;

use super::without_bom;
use crate::redact::{self, Hidden, Mask};

/// An answer whose body is held: what [`Protocol::read`](crate::Protocol::read) reads.
#[derive(Clone)]
pub struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) url: Url,
    pub(super) body: Bytes,
    pub(super) whole: bool,
    pub(super) hidden: Hidden,
}

impl Reply {
    /// An answer to a request of `url`.
    #[must_use]
    pub fn new(status: StatusCode, url: Url, headers: HeaderMap, body: impl Into<Bytes>) -> Self {
        Self { status, headers, url, body: body.into(), whole: true, hidden: Hidden::default() }
    }

    /// The status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers.
    #[must_use]
    pub const fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The URL that was asked.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// The body, up to the client's body limit.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// Whether the body is all there, and not cut at the limit.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.whole
    }

    /// A header as text; `None` where it is missing or no text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok().map(str::trim).filter(|text| !text.is_empty())
    }

    /// The body as JSON, whatever the Content-Type says; `None` where it is none.
    pub(crate) fn json(&self) -> Option<serde_json::Value> {
        if !self.whole {
            return None;
        }
        serde_json::from_slice(without_bom(&self.body)).ok()
    }

    /// Takes out of its words what it repeats of the secrets that it was sent. It copies each of them: for the way of
    /// errors.
    pub(crate) fn mask(&self) -> Mask {
        self.hidden().mask()
    }

    /// The secrets that it may repeat, those in the URL that was asked included.
    pub(crate) fn hidden(&self) -> Hidden {
        self.hidden.and(redact::secrets_in(&self.url).collect())
    }

    pub(crate) fn into_body(self) -> Bytes {
        self.body
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("status", &self.status.as_u16())
            .field("url", &redact::shown(&self.url))
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("body_bytes", &self.body.len())
            .finish()
    }
}
