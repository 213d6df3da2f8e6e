//! Draft: a request under construction, for tasks and calls alike.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use serde::Serialize;
use url::Url;

use super::path;
use crate::error::{Error, ErrorKind};
use crate::message::{Multipart, Priority, RESERVED_WHY, Request, Trust, is_reserved};
use crate::redact::sounds_secret;

/// The parts of a request. An invalid part is kept as an error, and reported when the request is sent.
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
        self.header(header::CONTENT_TYPE, content_type);
    }

    pub(super) fn multipart(&mut self, form: Multipart) {
        match form.encode(&mut fastrand::Rng::new()) {
            Ok((body, content_type)) => self.bytes(body, &content_type),
            Err(why) => self.fail(Error::new(ErrorKind::Request, why)),
        }
    }

    /// Sets a header; returns its name if the name is valid.
    pub(super) fn header<N, V>(&mut self, name: N, value: V) -> Option<HeaderName>
    where
        N: AsRef<str> + TryInto<HeaderName, Error: Into<http::Error>>,
        V: TryInto<HeaderValue, Error: Into<http::Error>>,
    {
        let shown = name.as_ref().escape_debug().to_string();
        let Ok(name) = name.try_into() else {
            let why = format!("`{shown}` is no name of a header: names have letters, digits and `-`");
            self.fail(Error::new(ErrorKind::Request, why));
            return None;
        };
        match value.try_into() {
            _ if is_reserved(&name) => {
                self.fail(Error::new(ErrorKind::Request, format!("the header `{name}` {RESERVED_WHY}")));
            }
            Ok(mut value) => {
                value.set_sensitive(value.is_sensitive() || sounds_secret(name.as_str()));
                self.headers.insert(name.clone(), value);
            }
            Err(_) => {
                let why = format!("the value of the header `{name}` contains a control character, which no header may");
                self.fail(Error::new(ErrorKind::Request, why));
            }
        }
        Some(name)
    }

    pub(super) fn secret_header<N, V>(&mut self, name: N, value: V)
    where
        N: AsRef<str> + TryInto<HeaderName, Error: Into<http::Error>>,
        V: TryInto<HeaderValue, Error: Into<http::Error>>,
    {
        let name = self.header(name, value);
        if let Some(value) = name.and_then(|name| self.headers.get_mut(name)) {
            value.set_sensitive(true);
        }
    }

    pub(super) fn idempotency_key(&mut self, header: &'static str, key: &str) {
        self.key = self.header(header, key);
    }

    pub(super) fn query<K: Into<String>, V: Into<String>>(&mut self, pairs: impl IntoIterator<Item = (K, V)>) {
        self.query.extend(pairs.into_iter().map(|(name, value)| (name.into(), value.into())));
    }

    /// Returns the request, with its URL joined to the base.
    ///
    /// The path and the name of the idempotency key's header stay in the draft, for [`explain`](Draft::explain).
    pub(super) fn finish(&mut self, trust: &Trust, class: Priority) -> Result<Request, Error> {
        if let Some(error) = self.wrong.take() {
            return Err(error);
        }
        let mut url = path::join(trust, &self.path)?;
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        let headers = std::mem::take(&mut self.headers);
        Ok(Request::new(self.method.clone(), url, class)
            .with_headers(headers)
            .with_body(std::mem::take(&mut self.body)))
    }

    /// Adds a hint about a path outside the base to an error, if the answer suggests that the path does not exist or is
    /// not the API's.
    pub(super) fn explain(&self, error: Error, base: &Url) -> Error {
        let no_place = error.suggests_a_wrong_path() || error.kind() == ErrorKind::NoStatusUrl;
        if no_place { error.with_advice(path::astray(base, &self.path)) } else { error }
    }

    fn fail(&mut self, error: Error) {
        self.wrong.get_or_insert(error);
    }
}
