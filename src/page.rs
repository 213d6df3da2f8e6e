//! Pages: the rows of a paged result, as a stream.

mod bytes;
mod fetch;
mod file;
mod header;
mod walk;

use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use ::bytes::Bytes;
use futures::stream::Stream;
use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorKind};
use crate::redact::Hidden;

pub use bytes::PageBytes;

pub(crate) use fetch::PageSource;
pub(crate) use walk::Walk;

/// The rows of a paged result, page after page: [`Outcome::pages`](crate::Outcome::pages), and of a listing:
/// [`Client::pages`](crate::Client::pages).
///
/// Each page is a request through the client's pipeline, sent when the rows of the previous page have been taken. A
/// page is held in memory, up to the client's body limit. Redirects are followed. A page that breaks off is fetched
/// again within the client's retry policy, before any of its rows is returned. A row is decoded from the text that the
/// service wrote: `serde_json::value::RawValue` keeps its digits.
///
/// An error of a page ends the stream; an error of one row ([`ErrorKind::Decode`]) leaves the other rows.
///
/// # Cancel safety
/// Dropping a `next()` loses nothing.
#[must_use = "streams do nothing unless polled"]
pub struct Pages<R> {
    walk: Walk,
    rows: VecDeque<Bytes>,
    /// The secrets that the rows may repeat.
    hidden: Hidden,
    row: PhantomData<fn() -> R>,
}

impl<R> Pages<R> {
    pub(crate) fn new(walk: Walk) -> Self {
        let walk = match walk.rule().is_some_and(|rule| !rule.has_rows()) {
            true => Walk::impossible(Error::new(
                ErrorKind::ResultShape,
                "the pages are bytes, and no place of rows is set: take them with `page_bytes()`",
            )),
            false => walk,
        };
        Self { walk, rows: VecDeque::new(), hidden: Hidden::default(), row: PhantomData }
    }

    /// Returns how many pages were fetched so far.
    #[must_use]
    pub const fn fetched(&self) -> u32 {
        self.walk.fetched()
    }
}

impl<R: DeserializeOwned> Stream for Pages<R> {
    type Item = Result<R, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(row) = this.rows.pop_front() {
                let row = serde_json::from_slice(&row).map_err(|error| {
                    let what = format!("a row is no {}: ", std::any::type_name::<R>());
                    Error::decoding(&what, error, &this.hidden.mask())
                });
                return Poll::Ready(Some(row));
            }
            match ready!(this.walk.poll_page(cx)) {
                Some(Ok(page)) => (this.rows, this.hidden) = (page.rows.into(), page.hidden),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }
}

impl<R> fmt::Debug for Pages<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages").field("walk", &self.walk).field("rows_held", &self.rows.len()).finish()
    }
}
