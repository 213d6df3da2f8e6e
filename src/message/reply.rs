//! Reply: what a service answered, with its body held.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use url::Url;

use super::beginning;
use super::media::{self, MediaType};
use super::weight;
use super::without_bom;
use crate::redact::{self, Hidden, Mask};

/// An answer whose body is held: what [`Protocol::read`](crate::Protocol::read) reads.
#[derive(Clone)]
pub struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) url: Url,
    pub(super) body: Bytes,
    pub(super) extent: Extent,
    pub(super) hidden: Hidden,
    /// The client's body limit.
    pub(super) limit: usize,
}

/// How much of a body is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    Whole,
    /// The body is larger than the client's body limit.
    TooLarge,
    /// The connection broke or stalled inside the body.
    Cut,
}

impl Extent {
    /// Of a body that was read to its end or to the limit, after it may have been cut before.
    pub(super) const fn of(whole: bool, cut: bool) -> Self {
        match (whole, cut) {
            (_, true) => Self::Cut,
            (true, false) => Self::Whole,
            (false, false) => Self::TooLarge,
        }
    }
}

impl Reply {
    /// An answer to a request of `url`.
    #[must_use]
    pub fn new(status: StatusCode, url: Url, headers: HeaderMap, body: impl Into<Bytes>) -> Self {
        Self { status, headers, url, body: body.into(), extent: Extent::Whole, hidden: Hidden::default(), limit: 0 }
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

    /// Whether the body is all there: neither cut at the limit nor broken off.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.extent == Extent::Whole
    }

    pub(crate) const fn extent(&self) -> Extent {
        self.extent
    }

    /// A header as text; `None` where it is missing or empty. Bytes that are no UTF-8 are percent-encoded: most such
    /// headers hold a URL, and so the service gets back the bytes that it sent.
    pub(crate) fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        field_text(self.headers.get(name)?)
    }

    /// As [`header`](Self::header), each of its fields.
    pub(crate) fn header_fields(&self, name: &str) -> impl Iterator<Item = String> {
        self.headers.get_all(name).into_iter().filter_map(field_text).map(Cow::into_owned)
    }

    /// The body as JSON, whatever the Content-Type says; `None` where it is none.
    pub(crate) fn json(&self) -> Option<serde_json::Value> {
        if self.extent != Extent::Whole {
            return None;
        }
        let read = |text: &[u8]| {
            let is_heavy = weight::is_heavy(text, weight::most(self.limit));
            if is_heavy { None } else { serde_json::from_slice(text).ok() }
        };
        let document = without_bom(&self.body);
        // One of such numbers cannot be weighed.
        let wide = || {
            weight::is_light(document, weight::most(self.limit))
                .then(|| super::json::with_wide_numbers(document))
                .flatten()
        };
        read(document).or_else(|| read(media::decoded(&self.media_type(), &self.body)?.as_bytes())).or_else(wide)
    }

    /// The members of a document that is too large to hold, or is no whole JSON, as far as its beginning shows them.
    pub(crate) fn beginning(&self) -> Option<serde_json::Value> {
        Some(beginning::members(without_bom(&self.body)).into())
            .filter(|members: &serde_json::Value| members.as_object().is_some_and(|all| !all.is_empty()))
    }

    /// Whether the body is JSON that would take far more memory than its bytes: it is handed on, and not read.
    pub(crate) fn is_heavy(&self) -> bool {
        let most = weight::most(self.limit);
        if weight::is_light(&self.body, most) {
            return false;
        }
        let decoded = || media::decoded(&self.media_type(), &self.body);
        weight::is_heavy(without_bom(&self.body), most)
            || decoded().is_some_and(|text| weight::is_heavy(text.as_bytes(), most))
    }

    /// The body as JSON text in UTF-8, without a byte order mark; `None` where it is no JSON.
    pub(crate) fn json_text(&self) -> Option<Cow<'_, [u8]>> {
        // What is ignored is not looked at for UTF-8.
        let is_json = |text: &[u8]| {
            std::str::from_utf8(text).is_ok() && serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok()
        };
        if self.extent != Extent::Whole {
            return None;
        }
        let plain = without_bom(&self.body);
        if is_json(plain) {
            return Some(Cow::Borrowed(plain));
        }
        let text = media::decoded(&self.media_type(), &self.body)?;
        is_json(text.as_bytes()).then(|| Cow::Owned(text.into_bytes()))
    }

    /// What the body is declared to be.
    pub(crate) fn media_type(&self) -> MediaType {
        MediaType::of(&self.headers)
    }

    /// Whether the body is a page of HTML: by its Content-Type, or by how it begins.
    pub(crate) fn is_html(&self) -> bool {
        media::is_html(&self.media_type(), &self.body)
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

fn field_text(field: &http::HeaderValue) -> Option<Cow<'_, str>> {
    let bytes = field.as_bytes().trim_ascii();
    if bytes.is_empty() {
        return None;
    }
    Some(match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => media::escaped(bytes).into(),
    })
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
