//! Draft: a request while it is being put together, for tasks and calls alike.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use serde::Serialize;

use super::path;
use crate::error::{Error, ErrorKind};
use crate::message::{Class, RESERVED_WHY, Request, Trust, is_reserved};

/// The parts of a request. What is wrong with one is kept, and told when it is sent.
pub(super) struct Draft {
    pub(super) method: Method,
    pub(super) path: String,
    query: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
    body: Bytes,
    /// The header that carries the idempotency key.
    pub(super) key: Option<HeaderName>,
    wrong: Option<Error>,
}

impl Draft {
    pub(super) fn new(method: Method, path: String) -> Self {
        Self { method, path, query: Vec::new(), headers: HeaderMap::new(), body: Bytes::new(), key: None, wrong: None }
    }

    pub(super) fn json(&mut self, body: &(impl Serialize + ?Sized)) {
        match serde_json::to_vec(body) {
            Ok(json) => self.bytes(json.into(), "application/json"),
            Err(error) => self.fail(Error::new(ErrorKind::Request, "the body does not serialize").with_source(error)),
        }
    }

    pub(super) fn bytes(&mut self, body: Bytes, content_type: &str) {
        self.body = body;
        self.header(header::CONTENT_TYPE.as_str(), content_type);
    }

    pub(super) fn header(&mut self, name: &str, value: &str) {
        match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            (Ok(name), _) if is_reserved(&name) => {
                self.fail(Error::new(ErrorKind::Request, format!("the header `{name}` {RESERVED_WHY}")));
            }
            (Ok(name), Ok(value)) => drop(self.headers.insert(name, value)),
            _ => {
                self.fail(Error::new(ErrorKind::Request, format!("the header `{}` is no header", name.escape_debug())));
            }
        }
    }

    pub(super) fn secret_header(&mut self, name: &str, value: &str) {
        self.header(name, value);
        if let Some(value) = self.headers.get_mut(name) {
            value.set_sensitive(true);
        }
    }

    pub(super) fn idempotency_key(&mut self, header: &'static str, key: &str) {
        self.header(header, key);
        self.key = header.parse().ok();
    }

    pub(super) fn query<K: Into<String>, V: Into<String>>(&mut self, pairs: impl IntoIterator<Item = (K, V)>) {
        self.query.extend(pairs.into_iter().map(|(name, value)| (name.into(), value.into())));
    }

    /// The request, with its URL joined to the base.
    pub(super) fn finish(self, trust: &Trust, class: Class) -> Result<Request, Error> {
        if let Some(error) = self.wrong {
            return Err(error);
        }
        let mut url = path::join(trust, &self.path)?;
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        Ok(Request::new(self.method, url, class).with_headers(self.headers).with_body(self.body))
    }

    fn fail(&mut self, error: Error) {
        self.wrong.get_or_insert(error);
    }
}
