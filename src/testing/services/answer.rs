//! An answer of a service, before it is sent.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, DATE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::Value;

use super::wall::Wall;
use crate::testing::server::Body;

#[derive(Clone, Debug)]
pub(super) struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    /// Returns an answer without a body.
    pub(super) fn empty(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), body: Bytes::new() }
    }

    pub(super) fn json(status: StatusCode, body: &Value) -> Self {
        Self::bytes(status, "application/json; charset=utf-8", body.to_string())
    }

    pub(super) fn bytes(status: StatusCode, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..Self::empty(status) }.header(CONTENT_TYPE, content_type)
    }

    /// Sets a header, whose value must be visible ASCII.
    pub(super) fn header(mut self, name: HeaderName, value: &str) -> Self {
        let value = HeaderValue::from_str(value);
        debug_assert!(value.is_ok(), "the value of {name} is no visible ASCII");
        if let Ok(value) = value {
            self.headers.insert(name, value);
        }
        self
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// Dates the answer by the service's clock.
    pub(super) fn into_response(self, wall: Wall) -> Response<Body> {
        let mut dated = self;
        if let Ok(date) = HeaderValue::from_str(&httpdate::fmt_http_date(wall.now())) {
            dated.headers.insert(DATE, date);
        }
        let mut response = Response::new(Full::from(dated.body).map_err(|never| match never {}).boxed_unsync());
        *response.status_mut() = dated.status;
        *response.headers_mut() = dated.headers;
        response
    }
}
