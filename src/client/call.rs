//! Call: an ordinary request through the same pipeline as the tasks.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde::Serialize;
use tokio::time::Instant;

use super::Client;
use super::draft::Draft;
use crate::error::Error;
use crate::message::{Class, Response};
use crate::transport::Sending;

/// An ordinary request, while it is being put together: [`Client::request`].
#[must_use = "nothing is sent until `send` is awaited"]
pub struct Call {
    client: Client,
    draft: Box<Draft>,
    deadline: Option<Duration>,
    class: Class,
}

impl Call {
    pub(super) fn new(client: Client, method: Method, path: String) -> Self {
        Self { client, draft: Box::new(Draft::new(method, path)), deadline: None, class: Class::Call }
    }

    /// Adds to the query.
    pub fn query<K: Into<String>, V: Into<String>>(mut self, pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        self.draft.query(pairs);
        self
    }

    /// Sets a header.
    pub fn header(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        self.draft.header(name.as_ref(), value.as_ref());
        self
    }

    /// Sets the body, as JSON.
    pub fn json(mut self, body: &(impl Serialize + ?Sized)) -> Self {
        self.draft.json(body);
        self
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Bytes>, content_type: impl AsRef<str>) -> Self {
        self.draft.bytes(body.into(), content_type.as_ref());
        self
    }

    /// Sends this `Idempotency-Key` with it: the service acts once for it, however often it comes. Only with a key is a POST
    /// repeated whose answer was lost. Use it where the service says that it knows such keys.
    pub fn idempotency_key(self, key: impl AsRef<str>) -> Self {
        self.idempotency_key_in("idempotency-key", key)
    }

    /// As [`idempotency_key`](Call::idempotency_key), in another header, such as `X-Request-Id`.
    pub fn idempotency_key_in(mut self, header: &'static str, key: impl AsRef<str>) -> Self {
        self.draft.idempotency_key(header, key.as_ref());
        self
    }

    /// Sets how long it may take, queue and retries included. There is no such limit by default.
    pub fn deadline(mut self, within: Duration) -> Self {
        self.deadline = Some(within);
        self
    }

    /// Sets how urgent it is against other requests that wait: [`Class::Call`] by default, [`Class::Batch`] for what can
    /// wait for all others.
    pub const fn class(mut self, class: Class) -> Self {
        self.class = class;
        self
    }

    /// Sends it, and repeats what may be repeated. Redirects are answers: they are not followed.
    ///
    /// # Errors
    /// An answer of 400 or more is an error, with the service's words in [`Error::fault`].
    /// [`ErrorKind::Request`](crate::ErrorKind::Request) where the path is empty or does not join to the base: `.` is the
    /// base itself.
    ///
    /// # Cancel safety
    /// Dropped in flight, the service may have acted.
    ///
    /// # Panics
    /// In a tokio runtime without time or IO enabled. Outside of any runtime it is an error
    /// ([`ErrorKind::Config`](crate::ErrorKind::Config)).
    pub async fn send(self) -> Result<Response, Error> {
        let Self { client, mut draft, deadline, class } = self;
        let trust = &client.0.transport.trust;
        let request = draft.finish(trust, class)?;
        let deadline = deadline.and_then(|within| Instant::now().checked_add(within));
        let answer = Sending::of(&client.0.transport, &request).key(draft.key.as_ref()).until(deadline).call().await;
        answer.map_err(|error| draft.explain(error, trust.base()))
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("method", &self.draft.method)
            .field("path", &path(&self.draft))
            .finish_non_exhaustive()
    }
}

pub(super) fn path(draft: &Draft) -> &str {
    draft.path.split_once('?').map_or(&draft.path, |(path, _)| path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each request pays for the size of its future: it is moved, and spread over the cache.
    #[test]
    fn the_future_of_a_call_stays_small() {
        let client = Client::builder("https://api.example.com").build().unwrap();
        let size = size_of_val(&client.request(Method::GET, "farms").send());
        assert!(size <= 1152, "{size} bytes");
    }
}
