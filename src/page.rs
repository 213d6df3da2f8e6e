//! Pages: the rows of a result that comes in pages, as a stream.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures::future::BoxFuture;
use futures::stream::Stream;
use http::{HeaderMap, Method};
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use crate::error::{Error, ErrorKind};
use crate::message::{Class, Reply, Request};
use crate::protocol::PageRule;
use crate::transport::Transport;

/// The rows of a result, page after page: [`Outcome::pages`](crate::Outcome::pages).
///
/// Each page is a request through the client's pipeline, sent when the rows before it have been taken. A page is held
/// in memory, up to the client's body limit.
///
/// # Cancel safety
/// Dropping a `next()` loses nothing.
#[must_use = "streams do nothing unless polled"]
pub struct Pages<R> {
    rule: PageRule,
    source: Option<(Arc<Transport>, HeaderMap)>,
    next: Option<Url>,
    /// A page of a foreign origin led here: what it names is asked without a credential.
    is_bare: bool,
    /// Pages in a row that had no row.
    empty: u32,
    fetching: Option<BoxFuture<'static, Result<Reply, Error>>>,
    rows: VecDeque<Value>,
    wrong: Option<Error>,
    /// The URLs of the pages so far, hashed.
    seen: HashSet<u64>,
    fetched: u32,
    row: PhantomData<fn() -> R>,
}

impl<R> Pages<R> {
    pub(crate) fn new(transport: Arc<Transport>, headers: HeaderMap, rule: PageRule, first: Url) -> Self {
        Self {
            rule,
            source: Some((transport, headers)),
            seen: HashSet::from([hash(&first)]),
            next: Some(first),
            is_bare: false,
            empty: 0,
            fetching: None,
            rows: VecDeque::new(),
            wrong: None,
            fetched: 0,
            row: PhantomData,
        }
    }

    pub(crate) fn impossible(error: Error) -> Self {
        Self {
            rule: PageRule::new("", crate::pointer::Source::pointer("/")),
            source: None,
            next: None,
            is_bare: false,
            empty: 0,
            fetching: None,
            rows: VecDeque::new(),
            wrong: Some(error),
            seen: HashSet::new(),
            fetched: 0,
            row: PhantomData,
        }
    }

    /// How many pages were fetched so far.
    #[must_use]
    pub const fn fetched(&self) -> u32 {
        self.fetched
    }

    fn fetch(&mut self) -> Option<BoxFuture<'static, Result<Reply, Error>>> {
        let (transport, headers) = self.source.clone()?;
        let request =
            Request::new(Method::GET, self.next.clone()?, Class::Result).with_headers(headers).bare(self.is_bare);
        Some(Box::pin(async move {
            let reply = transport.call(&request, None, None).await?.reply().await?;
            if !reply.status().is_success() {
                let message = format!("the page was answered with {}", reply.status().as_u16());
                return Err(Error::new(ErrorKind::ResultUnavailable, message).with_url(reply.url()));
            }
            if reply.is_whole() {
                return Ok(reply);
            }
            let message = "a page is larger than the client's body limit; ask for smaller pages, or raise it";
            Err(Error::new(ErrorKind::TooLarge, message).with_url(reply.url()))
        }))
    }
}

impl<R: DeserializeOwned> Stream for Pages<R> {
    type Item = Result<R, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(row) = this.rows.pop_front() {
                let row = serde_json::from_value(row).map_err(|error| {
                    let message = format!("a row is no {}: {error}", std::any::type_name::<R>());
                    Error::new(ErrorKind::Decode, message).with_source(error)
                });
                return Poll::Ready(Some(row));
            }
            if let Some(error) = this.wrong.take() {
                this.next = None;
                return Poll::Ready(Some(Err(error)));
            }
            if this.fetching.is_none() {
                this.fetching = this.fetch();
            }
            let Some(fetching) = &mut this.fetching else { return Poll::Ready(None) };
            let fetched = ready!(fetching.as_mut().poll(cx));
            this.fetching = None;
            let read = fetched.and_then(|reply| {
                this.fetched += 1;
                this.is_bare |= this.source.as_ref().is_some_and(|(transport, _)| !transport.trust.is_own(reply.url()));
                this.rule.read(&reply).map_err(|why| {
                    Error::new(ErrorKind::ResultUnavailable, why).with_url(reply.url()).with_status(reply.status())
                })
            });
            match read {
                Ok((rows, next)) => {
                    this.empty = if rows.is_empty() { this.empty + 1 } else { 0 };
                    if this.empty >= MOST_EMPTY && next.is_some() {
                        let message = format!("{MOST_EMPTY} pages in a row have no row, and lead on");
                        this.wrong = Some(Error::new(ErrorKind::ResultUnavailable, message));
                    }
                    this.rows = rows.into();
                    // A page that was read already would lead round for ever.
                    let again = next.as_ref().is_some_and(|url| !this.seen.insert(hash(url)));
                    if again {
                        let message = "the pages lead in a circle";
                        this.wrong = Some(Error::new(ErrorKind::ResultUnavailable, message));
                    }
                    this.next = next;
                }
                Err(error) => this.wrong = Some(error),
            }
        }
    }
}

/// Services that filter send empty pages, some hundred in a row perhaps; one that sends more leads on for ever.
const MOST_EMPTY: u32 = 1_000;

fn hash(url: &Url) -> u64 {
    let mut hasher = DefaultHasher::new();
    url.as_str().hash(&mut hasher);
    hasher.finish()
}

impl<R> fmt::Debug for Pages<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages")
            .field("next", &self.next.as_ref().map(crate::redact::shown))
            .field("rows_held", &self.rows.len())
            .field("fetched", &self.fetched)
            .finish_non_exhaustive()
    }
}
