//! Bulk: many items in requests of a bounded size, with one result for each item.

mod answer;
mod item_error;
mod plan;

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, BoxStream, Stream, StreamExt};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::Client;
use super::draft::Draft;
use super::request_builder::{earlier, path};
use crate::error::{Error, ErrorKind};
use crate::message::{Priority, Request};
use crate::pointer::Source;
use crate::redact::Hidden;
use crate::transport::{Sending, Transport};

pub use item_error::{ItemError, ItemFate};

use answer::ResultPlaces;
use plan::{Chunk, Plan};

/// A builder for many items in requests of a bounded size: [`Client::in_chunks`].
///
/// Each request takes the path of all others: credential, limits, retries. A POST is repeated only if it was provably
/// not received, or was refused with 429 or 503.
#[must_use = "nothing is sent until `send` is awaited, or the stream is polled"]
pub struct BulkBuilder<'a, T> {
    client: Client,
    draft: Box<Draft>,
    items: Vec<T>,
    most: usize,
    most_bytes: Option<usize>,
    body: BodyOf<'a, T>,
    places: ResultPlaces,
    /// The id in an item.
    id: Option<Source>,
    at_a_time: usize,
    timeout: Option<Duration>,
    deadline: Option<Instant>,
    priority: Priority,
}

type BodyOf<'a, T> = Box<dyn Fn(&[T]) -> serde_json::Result<Vec<u8>> + Send + 'a>;

impl<'a, T: Serialize + 'a> BulkBuilder<'a, T> {
    pub(super) fn new(client: Client, items: Vec<T>, most: usize) -> Self {
        Self {
            client,
            draft: Box::new(Draft::new(Method::POST, String::new())),
            items,
            most,
            most_bytes: None,
            body: Box::new(serde_json::to_vec),
            places: ResultPlaces::default(),
            id: None,
            at_a_time: 1,
            timeout: None,
            deadline: None,
            priority: Priority::Call,
        }
    }

    /// Sends each request with POST to this path, which is as in [`Client::request`].
    pub fn post(self, path: impl Into<String>) -> Self {
        self.method(Method::POST, path)
    }

    /// Sends each request with PUT to this path.
    pub fn put(self, path: impl Into<String>) -> Self {
        self.method(Method::PUT, path)
    }

    /// Sends each request with any method to this path.
    pub fn method(mut self, method: Method, path: impl Into<String>) -> Self {
        (self.draft.method, self.draft.path) = (method, path.into());
        self
    }

    /// Adds pairs to the query of each request.
    pub fn query<K: Into<String>, V: Into<String>>(mut self, pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        self.draft.query(pairs);
        self
    }

    /// Sets a header of each request.
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: AsRef<str> + TryInto<HeaderName, Error: Into<http::Error>>,
        V: TryInto<HeaderValue, Error: Into<http::Error>>,
    {
        self.draft.header(name, value);
        self
    }

    /// Sets the JSON body of a request, made from its items: `|items| json!({"inputs": items})`. By default, the body
    /// is the list of the items.
    pub fn body<B: Serialize>(mut self, body: impl Fn(&[T]) -> B + Send + 'a) -> Self {
        self.body = Box::new(move |items| serde_json::to_vec(&body(items)));
        self
    }

    /// Sets the longest body of a request, in bytes, for services that bound it: a request then has fewer items. There
    /// is no bound by default. An item that makes a longer body alone is an error, and nothing is sent.
    pub const fn max_bytes(mut self, bytes: usize) -> Self {
        self.most_bytes = Some(bytes);
        self
    }

    /// Sets the place of the results in an answer: a list with one result for each item, in the order of the items
    /// (`/entities` or `/entities/*`). A list of another length proves nothing about any item, and each item is
    /// [`Uncertain`](ItemFate::Uncertain); with [`match_by`](BulkBuilder::match_by), the order does not matter, and only
    /// the items without a result are.
    ///
    /// Without this setting, each item has the whole answer to its request as its result.
    pub fn results(mut self, at: Source) -> Self {
        self.places.list = Some(at);
        self
    }

    /// Matches results to items by an id at the same place in both, such as `id` or `/contact/id`.
    pub fn match_by(self, at: impl AsRef<str>) -> Self {
        let at = at.as_ref();
        self.match_by_pair(at, at)
    }

    /// Matches results to items by an id at one place in an item, and at another in its result.
    pub fn match_by_pair(mut self, in_item: impl AsRef<str>, in_result: impl AsRef<str>) -> Self {
        self.id = Some(Source::pointer(in_item.as_ref()));
        self.places.id = Some(Source::pointer(in_result.as_ref()));
        self
    }

    /// Sets a place in a result that holds an error if the service refused the item. Null, `false`, `0`, and an empty
    /// text, list or object are no error.
    pub fn item_error(mut self, at: Source) -> Self {
        self.places.error = Some(at);
        self
    }

    /// Sets how many requests are under way at a time: 1 by default, and 1 at least.
    ///
    /// One at a time, the service receives the items in their order, no two requests compete for the same list at the
    /// service, and nothing more is sent once an error shows that the rest would fail, too. The limits of the client
    /// hold whatever the number.
    pub const fn concurrent(mut self, requests: usize) -> Self {
        self.at_a_time = if requests == 0 { 1 } else { requests };
        self
    }

    /// Sets the timeout of all requests together. The items that are not sent by then are
    /// [`NotSent`](ItemFate::NotSent). There is none by default.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets the time by which the last request must be answered. If a [`timeout`](BulkBuilder::timeout) is set too, the
    /// earlier of the two counts.
    pub const fn deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Sets the priority of the requests among waiting requests: [`Priority::Call`] by default, [`Priority::Batch`] for
    /// requests that can wait for all others.
    pub const fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Sends all items, and returns one result for each, in the order of the items.
    ///
    /// A request that fails as a whole gives each of its items the error ([`ItemFate`] says whether the service may have
    /// accepted them), and the next requests are still sent. After an error that all of them would get (401, 403, 404,
    /// 405, 410, 501, a credential that gives no token, a missed deadline), no further request begins, and the items
    /// that are left are [`NotSent`](ItemFate::NotSent).
    ///
    /// # Errors
    /// [`ErrorKind::Request`] if an item or the path makes no request. Nothing was sent then: all bodies are made before
    /// the first request, and are held in memory.
    ///
    /// # Cancel safety
    /// If the future is dropped, the results so far are lost, and the service may have acted on the requests in flight.
    /// [`stream`](BulkBuilder::stream) hands out each result as soon as it is known.
    pub async fn send<V: DeserializeOwned>(self) -> Result<Vec<Result<V, ItemError>>, Error> {
        Ok(self.stream()?.collect().await)
    }

    /// Returns the results as a stream, in the order of the items, as the answers arrive. The requests are sent while
    /// the stream is polled.
    ///
    /// # Errors
    /// As [`send`](BulkBuilder::send).
    pub fn stream<V: DeserializeOwned>(self) -> Result<BulkResults<V>, Error> {
        let Self { client, mut draft, items, most, most_bytes, body, places, id, at_a_time, .. } = self;
        if draft.path.trim().is_empty() {
            let why = "it has no path: set one, such as post(\"contacts/bulk\"), or post(\".\") for the base";
            return Err(Error::new(ErrorKind::Request, why));
        }
        let chunks = Plan { most, most_bytes, body: &*body, id: id.as_ref() }.chunks(&items)?;
        let transport = client.0.transport.clone();
        draft.header(header::CONTENT_TYPE, "application/json");
        let request = draft.finish(&transport.trust, self.priority)?;
        let deadline = earlier(self.timeout, self.deadline);
        let advice = super::path::astray(client.base(), &draft.path);
        let hidden = transport.wire.hidden.clone();
        let bulk = Arc::new(Bulk { transport, request, deadline, places, advice, end: OnceLock::new() });
        let results = stream::iter(chunks)
            .map(move |chunk| {
                let bulk = bulk.clone();
                async move { bulk.send(chunk).await }
            })
            .buffered(at_a_time)
            .flat_map(stream::iter)
            .boxed();
        Ok(BulkResults { results, hidden, next: 0, decoded: PhantomData })
    }
}

/// The results of a bulk, in the order of its items: [`BulkBuilder::stream`].
#[must_use = "nothing is sent until the stream is polled"]
pub struct BulkResults<V> {
    results: BoxStream<'static, Result<Bytes, ItemError>>,
    hidden: Hidden,
    next: usize,
    decoded: PhantomData<fn() -> V>,
}

impl<V: DeserializeOwned> Stream for BulkResults<V> {
    type Item = Result<V, ItemError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = std::task::ready!(self.results.poll_next_unpin(cx));
        let index = self.next;
        self.next += 1;
        Poll::Ready(next.map(|result| {
            let json = result?;
            serde_json::from_slice(&json).map_err(|error| {
                let error = Error::decoding("the result of the item: ", error, &self.hidden.mask());
                ItemError::new(index, ItemFate::Undecoded, error).with_value(json)
            })
        }))
    }
}

impl<V> fmt::Debug for BulkResults<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkResults").field("next", &self.next).finish_non_exhaustive()
    }
}

/// The settings that all requests of one bulk share.
struct Bulk {
    transport: Arc<Transport>,
    /// The request without its body.
    request: Request,
    deadline: Option<Instant>,
    places: ResultPlaces,
    advice: Option<String>,
    /// The error after which no further request begins.
    end: OnceLock<Error>,
}

impl Bulk {
    async fn send(&self, chunk: Chunk) -> Vec<Result<Bytes, ItemError>> {
        let all = |fate: ItemFate, error: &Error| {
            let indices = chunk.first..chunk.first + chunk.count;
            indices.map(|index| Err(ItemError::new(index, fate, error.clone()))).collect()
        };
        if let Some(error) = self.end.get() {
            return all(ItemFate::NotSent, error);
        }
        let request = self.request.clone().with_body(chunk.body.clone());
        let mut sending = Sending::of(&self.transport, &request).until(self.deadline);
        let answered = match sending.call().await {
            Ok(response) if !response.status().is_success() => {
                let why = format!("answered with {}, which is no success", response.status().as_u16());
                let error = Error::new(ErrorKind::Rejected, why).with_status(response.status());
                Err(error.with_url(response.url()).with_attempts(response.attempts()))
            }
            answered => answered,
        };
        let response = match answered {
            Ok(response) => response,
            Err(error) => {
                let fate = match error.status() {
                    _ if sending.may_have_acted() => ItemFate::Uncertain,
                    // See Other is the answer to a POST that was acted on (RFC 9110, 15.4.4).
                    Some(StatusCode::SEE_OTHER) => ItemFate::Uncertain,
                    Some(_) => ItemFate::Failed,
                    None => ItemFate::NotSent,
                };
                let is_astray = error.suggests_a_wrong_path();
                let error = if is_astray { error.with_advice(self.advice.clone()) } else { error };
                if ends_all(&error) {
                    self.end.get_or_init(|| error.clone());
                }
                return all(fate, &error);
            }
        };
        let (status, url) = (response.status(), response.url().clone());
        match response.reply().await {
            Ok(reply) if reply.is_whole() => self.places.read(&chunk, &reply),
            Ok(reply) => {
                let why =
                    format!("answered with more than {} bytes: raise the client's body limit", reply.body().len());
                all(ItemFate::Uncertain, &Error::new(ErrorKind::TooLarge, why).with_url(&url).with_status(status))
            }
            Err(error) => all(ItemFate::Uncertain, &error),
        }
    }
}

/// Returns whether every further request of the bulk would get the same error.
fn ends_all(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::Config
        | ErrorKind::Request
        | ErrorKind::Untrusted
        | ErrorKind::Unauthorized
        | ErrorKind::TokenRefused
        | ErrorKind::TokenUnavailable
        | ErrorKind::Store
        | ErrorKind::DeadlineExceeded => true,
        _ => matches!(
            error.status(),
            Some(
                StatusCode::UNAUTHORIZED
                    | StatusCode::FORBIDDEN
                    | StatusCode::NOT_FOUND
                    | StatusCode::METHOD_NOT_ALLOWED
                    | StatusCode::GONE
                    | StatusCode::NOT_IMPLEMENTED
            )
        ),
    }
}

impl<T> fmt::Debug for BulkBuilder<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkBuilder")
            .field("method", &self.draft.method)
            .field("path", &path(&self.draft))
            .field("items", &self.items.len())
            .field("most", &self.most)
            .finish_non_exhaustive()
    }
}
