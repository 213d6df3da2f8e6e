//! Reply: a response with its body in memory.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_LOCATION, CONTENT_TYPE, ETAG, LAST_MODIFIED, LINK, LOCATION, SET_COOKIE};
use http::{HeaderMap, HeaderValue, StatusCode};
use url::Url;

use super::beginning;
use super::media::{self, MediaType};
use super::weight;
use super::without_bom;
use crate::redact::{self, Hidden, Mask};

/// A response whose body is in memory, as read by [`Protocol::read`](crate::Protocol::read).
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

/// How much of a body is in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    Whole,
    /// The body is larger than the client's body limit.
    TooLarge,
    /// The connection broke or stalled inside the body.
    Cut,
}

impl Extent {
    /// Returns the extent of a body that was read to its end or to the limit, and that may have been cut before.
    pub(super) const fn of(whole: bool, cut: bool) -> Self {
        match (whole, cut) {
            (_, true) => Self::Cut,
            (true, false) => Self::Whole,
            (false, false) => Self::TooLarge,
        }
    }
}

impl Reply {
    /// Creates a response to a request of `url`.
    #[must_use]
    pub fn new(status: StatusCode, url: Url, headers: HeaderMap, body: impl Into<Bytes>) -> Self {
        Self { status, headers, url, body: body.into(), extent: Extent::Whole, hidden: Hidden::default(), limit: 0 }
    }

    /// Returns the status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the headers.
    #[must_use]
    pub const fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Returns the URL of the request.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// Returns the body, up to the client's body limit.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// Returns whether the body is complete: neither cut at the limit nor broken off.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.extent == Extent::Whole
    }

    pub(crate) const fn extent(&self) -> Extent {
        self.extent
    }

    /// Returns a header as text; `None` if the header is missing or empty. Bytes that are no UTF-8 are percent-encoded:
    /// most such headers hold a URL, and the service then receives the bytes that it sent.
    pub(crate) fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        field_text(self.headers.get(name)?)
    }

    /// As [`header`](Self::header), for each field of that name.
    pub(crate) fn header_fields(&self, name: &str) -> impl Iterator<Item = String> {
        self.headers.get_all(name).into_iter().filter_map(field_text).map(Cow::into_owned)
    }

    /// Returns the part of the response that belongs to `url`, as if a request of it had been answered with `body`. The
    /// headers that describe the whole response, or lead elsewhere, are left out.
    pub(crate) fn part(&self, url: Url, body: Bytes) -> Self {
        let mut headers = self.headers.clone();
        for name in [CONTENT_LENGTH, CONTENT_LOCATION, CONTENT_TYPE, ETAG, LAST_MODIFIED, LINK, LOCATION, SET_COOKIE] {
            headers.remove(name);
        }
        headers.remove("operation-location");
        headers.remove("azure-asyncoperation");
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Self {
            status: self.status,
            headers,
            url,
            body,
            extent: Extent::Whole,
            hidden: self.hidden.clone(),
            limit: self.limit,
        }
    }

    /// Returns the body as JSON, whatever the Content-Type; `None` if it is not JSON.
    pub(crate) fn json(&self) -> Option<serde_json::Value> {
        if self.extent != Extent::Whole {
            return None;
        }
        let read = |text: &[u8]| {
            let is_heavy = weight::is_heavy(text, weight::most(self.limit));
            if is_heavy { None } else { serde_json::from_slice(text).ok() }
        };
        let document = without_bom(&self.body);
        // A document with such numbers cannot be weighed.
        let wide = || {
            weight::is_light(document, weight::most(self.limit))
                .then(|| super::json::with_wide_numbers(document))
                .flatten()
        };
        read(document).or_else(|| read(media::decoded(&self.media_type(), &self.body)?.as_bytes())).or_else(wide)
    }

    /// Returns the members of a document that is too large to hold, or is incomplete JSON, as far as its beginning
    /// shows them.
    pub(crate) fn beginning(&self) -> Option<serde_json::Value> {
        Some(beginning::members(without_bom(&self.body)).into())
            .filter(|members: &serde_json::Value| members.as_object().is_some_and(|all| !all.is_empty()))
    }

    /// Returns whether the body is JSON that would take far more memory than its bytes: such a body is passed on
    /// unparsed.
    pub(crate) fn is_heavy(&self) -> bool {
        let most = weight::most(self.limit);
        if weight::is_light(&self.body, most) {
            return false;
        }
        let decoded = || media::decoded(&self.media_type(), &self.body);
        weight::is_heavy(without_bom(&self.body), most)
            || decoded().is_some_and(|text| weight::is_heavy(text.as_bytes(), most))
    }

    /// Returns the body as JSON text in UTF-8, without a byte order mark; `None` if it is not JSON.
    pub(crate) fn json_text(&self) -> Option<Cow<'_, [u8]>> {
        // Ignored values are not checked for UTF-8.
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

    /// Returns the declared type of the body.
    pub(crate) fn media_type(&self) -> MediaType {
        MediaType::of(&self.headers)
    }

    /// Returns whether the body is a page of HTML, by its Content-Type or by its first bytes.
    pub(crate) fn is_html(&self) -> bool {
        media::is_html(&self.media_type(), &self.body)
    }

    /// Returns a mask of the request's secrets, for words of the response that may repeat them. The mask copies each
    /// secret, so it is built for errors only.
    pub(crate) fn mask(&self) -> Mask {
        self.hidden().mask()
    }

    /// Returns the secrets that the response may repeat, including those in the request's URL.
    pub(crate) fn hidden(&self) -> Hidden {
        self.hidden.and(redact::secrets_in(&self.url).collect())
    }

    pub(crate) fn into_body(self) -> Bytes {
        self.body
    }
}

fn field_text(field: &HeaderValue) -> Option<Cow<'_, str>> {
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
