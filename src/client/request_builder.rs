//! RequestBuilder: an ordinary request through the same pipeline as the tasks.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde::Serialize;
use tokio::time::Instant;

use super::Client;
use super::draft::Draft;
use crate::error::Error;
use crate::message::{Multipart, Priority, Request, Response};
use crate::transport::{Sending, Transport};

/// A builder for an ordinary request: [`Client::request`].
#[must_use = "nothing is sent until `send` is awaited"]
pub struct RequestBuilder {
    client: Client,
    draft: Box<Draft>,
    timeout: Option<Duration>,
    deadline: Option<Instant>,
    priority: Priority,
    /// How long the answer is kept; `None` for the client's setting.
    keep_for: Option<Duration>,
}

impl RequestBuilder {
    pub(super) fn new(client: Client, method: Method, path: String) -> Self {
        Self {
            client,
            draft: Box::new(Draft::new(method, path)),
            timeout: None,
            deadline: None,
            priority: Priority::Call,
            keep_for: None,
        }
    }

    /// Adds pairs to the query.
    pub fn query<K: Into<String>, V: Into<String>>(mut self, pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        self.draft.query(pairs);
        self
    }

    /// Sets a header.
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: AsRef<str> + TryInto<HeaderName, Error: Into<http::Error>>,
        V: TryInto<HeaderValue, Error: Into<http::Error>>,
    {
        self.draft.header(name, value);
        self
    }

    /// Sets the body as JSON.
    pub fn json(mut self, body: &(impl Serialize + ?Sized)) -> Self {
        self.draft.json(body);
        self
    }

    /// Sets the body and its content type.
    pub fn body(mut self, body: impl Into<Bytes>, content_type: impl AsRef<str>) -> Self {
        self.draft.bytes(body.into(), content_type.as_ref());
        self
    }

    /// Sets the body as a form of fields and files: `multipart/form-data`.
    pub fn multipart(mut self, form: Multipart) -> Self {
        self.draft.multipart(form);
        self
    }

    /// Sends this `Idempotency-Key` with the request: the service acts once for the key, however often the request
    /// arrives. A POST whose answer was lost is repeated only if it carries a key. Use a key if the service documents
    /// support for it.
    pub fn idempotency_key(self, key: impl AsRef<str>) -> Self {
        self.idempotency_key_in("idempotency-key", key)
    }

    /// Sends an idempotency key in another header, such as `X-Request-Id`; otherwise as
    /// [`idempotency_key`](RequestBuilder::idempotency_key).
    pub fn idempotency_key_in(mut self, header: &'static str, key: impl AsRef<str>) -> Self {
        self.draft.idempotency_key(header, key.as_ref());
        self
    }

    /// Sets the timeout of the request from [`send`](RequestBuilder::send) on, queue and retries included. There is
    /// none by default.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets the time by which the request must be answered, queue and retries included. If a
    /// [`timeout`](RequestBuilder::timeout) is set too, the earlier of the two counts.
    pub const fn deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Sets the priority of the request among waiting requests: [`Priority::Call`] by default, [`Priority::Batch`] for
    /// requests that can wait for all others.
    pub const fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Takes the answer to the same GET that this client got within this time, or else sends the request and keeps the
    /// answer for this long. Zero takes and keeps none, whatever [`ClientBuilder::cache_gets`] sets. Other methods are
    /// always sent.
    ///
    /// ```
    /// use std::time::Duration;
    /// # use longhaul::testing::{reply, script};
    /// # use serde_json::json;
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> longhaul::Result<()> {
    /// # let service = script([reply(200).json(json!([1, 2]))]);
    /// # let client = service.client().build()?;
    /// let farms = || client.get("farms").cached(Duration::from_secs(60)).send();
    /// assert_eq!(farms().await?.attempts(), 1);
    /// let again = farms().await?;
    /// assert_eq!(again.attempts(), 0); // not sent
    /// assert_eq!(again.json::<Vec<u32>>().await?, [1, 2]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Only a 200 with a body of at most the client's [body limit](crate::ClientBuilder::body_limit) is kept: never a
    /// refusal, an error or a part. The request is the same if its URL and all headers of the call are, so that a `Vary`
    /// is kept. `Cache-Control: no-store` and `no-cache`, `Vary: *` and `Set-Cookie` keep an answer out, and a shorter
    /// `max-age` or `Expires` counts. A POST, PUT, PATCH or DELETE of the client to the same path, whatever its query, forgets the
    /// answer; a write to `farms/7` does not forget the list `farms`.
    ///
    /// The body is read before the answer is returned, and is held in memory alone. Calls that are under way at the same
    /// time are each sent. Statistics and limits count only what is sent.
    ///
    /// [`ClientBuilder::cache_gets`]: crate::ClientBuilder::cache_gets
    pub const fn cached(mut self, ttl: Duration) -> Self {
        self.keep_for = Some(ttl);
        self
    }

    /// Sends the request, and repeats it if that is safe. Redirects are returned as answers, not followed.
    ///
    /// # Errors
    /// An answer of 400 or more is an error, with the service's words in [`Error::fault`].
    /// [`ErrorKind::Request`](crate::ErrorKind::Request) if the path is empty or does not join to the base: `.` is the
    /// base itself.
    ///
    /// # Cancel safety
    /// If the future is dropped in flight, the service may have acted.
    ///
    /// # Panics
    /// Panics in a tokio runtime without time or IO enabled. Outside any runtime, the request fails with
    /// [`ErrorKind::Config`](crate::ErrorKind::Config).
    pub async fn send(self) -> Result<Response, Error> {
        let Self { client, mut draft, timeout, deadline, priority, keep_for } = self;
        let trust = &client.0.transport.trust;
        let request = draft.finish(trust, priority)?;
        let deadline = earlier(timeout, deadline);
        let ttl = keep_for.or(client.0.cache_gets).filter(|ttl| !ttl.is_zero() && request.method() == Method::GET);
        if let Some(ttl) = ttl {
            let answer = Box::pin(cached(&client.0.transport, &request, deadline, ttl)).await;
            return answer.map_err(|error| draft.explain(error, trust.base()));
        }
        let answer = Sending::of(&client.0.transport, &request).key(draft.key.as_ref()).until(deadline).call().await;
        answer.map_err(|error| draft.explain(error, trust.base()))
    }
}

/// Returns a kept answer, or sends the request and keeps its answer.
async fn cached(
    transport: &Transport,
    request: &Request,
    deadline: Option<Instant>,
    ttl: Duration,
) -> Result<Response, Error> {
    let read = match transport.cache.get(request, ttl) {
        Ok(kept) => return Ok(transport.wire.bounded(kept).hiding(transport.wire.hidden.clone())),
        Err(read) => read,
    };
    let mut response = Sending::of(transport, request).until(deadline).call().await?;
    if response.status() == StatusCode::OK && response.http_status() == StatusCode::OK {
        let most = transport.cache.most_bytes().min(response.limit());
        if let Some(body) = response.hold(most).await? {
            transport.cache.keep(read, response.headers(), &body, ttl);
        }
    }
    Ok(response)
}

impl fmt::Debug for RequestBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBuilder")
            .field("method", &self.draft.method)
            .field("path", &path(&self.draft))
            .finish_non_exhaustive()
    }
}

/// Returns the earlier of a timeout from now on and a deadline. A timeout that no clock can represent, such as
/// [`Duration::MAX`], counts as none.
pub(super) fn earlier(timeout: Option<Duration>, deadline: Option<Instant>) -> Option<Instant> {
    let ends = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    ends.into_iter().chain(deadline).min()
}

pub(super) fn path(draft: &Draft) -> &str {
    draft.path.split_once('?').map_or(&draft.path, |(path, _)| path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every request pays for the size of its future: it is moved, and occupies cache lines.
    #[test]
    fn the_future_of_a_call_stays_small() {
        let client = Client::builder("https://api.example.com").build().unwrap();
        let size = size_of_val(&client.request(Method::GET, "farms").send());
        assert!(size <= 1152, "{size} bytes");
    }
}
