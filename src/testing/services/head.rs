//! The head of a request, and the origin that it arrived at.

use http::request::Parts;
use http::{HeaderMap, Method};
use url::form_urlencoded;

use crate::testing::seen::Side;

#[derive(Clone, Debug)]
pub(super) struct Head {
    side: Side,
    parts: Parts,
}

impl Head {
    pub(super) fn new(side: Side, parts: Parts) -> Self {
        Self { side, parts }
    }

    pub(super) fn side(&self) -> Side {
        self.side
    }

    pub(super) fn method(&self) -> &Method {
        &self.parts.method
    }

    pub(super) fn path(&self) -> &str {
        self.parts.uri.path()
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// Returns a header, if it is there and text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.parts.headers.get(name)?.to_str().ok()
    }

    /// Returns the token of `Authorization: Bearer`.
    pub(super) fn bearer(&self) -> Option<&str> {
        let (scheme, token) = self.header("authorization")?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    }

    /// Returns the first parameter of this name in the query.
    pub(super) fn query(&self, name: &str) -> Option<String> {
        let query = self.parts.uri.query().unwrap_or_default();
        let found = form_urlencoded::parse(query.as_bytes()).find(|(found, _)| found == name);
        found.map(|(_, value)| value.into_owned())
    }
}
