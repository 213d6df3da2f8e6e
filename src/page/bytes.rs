//! PageBytes: whole pages as bytes, one after the other or as one file.

use std::fmt;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::stream::{Stream, StreamExt};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::Walk;
use super::file::Sink;
use super::header::Header;
use crate::error::{Error, ErrorKind};

/// Whole pages as bytes, such as CSV or NDJSON: [`Outcome::page_bytes`](crate::Outcome::page_bytes), and of a listing
/// [`Client::page_bytes`](crate::Client::page_bytes).
///
/// Pages are as the service wrote them, without empty ones. With
/// [`PageRule::skip_repeated_header`](crate::protocols::PageRule::skip_repeated_header), a first line that repeats the
/// header is left out. Requests, redirects and repeats are those of [`Pages`](crate::tasks::Pages).
///
/// # Cancel safety
/// Dropping a `next()` loses nothing.
#[must_use = "streams do nothing unless polled"]
pub struct PageBytes {
    walk: Walk,
    header: Option<Header>,
    /// Whether the last page was lines of text.
    is_text: bool,
}

impl PageBytes {
    pub(crate) fn new(walk: Walk) -> Self {
        let skips = walk.rule().is_some_and(crate::protocol::PageRule::skips_repeated_header);
        Self { walk, header: skips.then(Header::default), is_text: false }
    }

    /// Returns how many pages were fetched so far.
    #[must_use]
    pub const fn fetched(&self) -> u32 {
        self.walk.fetched()
    }

    /// Writes all pages one after the other, and returns the number of bytes. If a page of text (`text/*`, CSV, JSON
    /// and NDJSON) ends without a line break, one is inserted before the next page.
    ///
    /// # Errors
    /// The errors of the stream, and [`ErrorKind::Io`] of the writer. The pages before the error were written.
    ///
    /// # Cancel safety
    /// If the future is dropped, part of a page may have been written.
    pub async fn to_writer(mut self, writer: &mut (impl AsyncWrite + Unpin + Send)) -> Result<u64, Error> {
        let mut seam = Seam::default();
        while let Some(page) = self.next().await {
            for piece in seam.pieces(page?, self.is_text) {
                writer.write_all(&piece).await.map_err(|error| io_error("the writer", error))?;
            }
        }
        writer.flush().await.map_err(|error| io_error("the writer", error))?;
        Ok(seam.written)
    }

    /// Writes all pages into one file, as [`to_writer`](PageBytes::to_writer), and returns the length of the file. The
    /// name appears when the file is complete, and replaces an older file. Until then, the pages are in a file beside
    /// it whose name ends in `.part`, which is removed after an error. A result without a byte creates an empty file.
    ///
    /// # Errors
    /// The errors of the stream, and [`ErrorKind::Io`] of the file system. An older file stays unchanged.
    ///
    /// # Cancel safety
    /// If the future is dropped, the target stays unchanged, and no file is left beside it.
    pub async fn to_file(mut self, target: impl AsRef<Path> + Send) -> Result<u64, Error> {
        let target = target.as_ref();
        let refused = |error| io_error(&target.display().to_string(), error);
        let mut sink = Sink::beside(target).await.map_err(refused)?;
        let mut seam = Seam::default();
        while let Some(page) = self.next().await {
            for piece in seam.pieces(page?, self.is_text) {
                sink = sink.write(piece).await.map_err(refused)?;
            }
        }
        sink.place().await.map_err(refused)?;
        Ok(seam.written)
    }
}

impl Stream for PageBytes {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            let page = match ready!(this.walk.poll_page(cx)) {
                Some(Ok(page)) => page,
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            };
            let bytes = match &mut this.header {
                Some(header) => header.strip(page.bytes),
                None => page.bytes,
            };
            if !bytes.is_empty() {
                this.is_text = page.is_text;
                return Poll::Ready(Some(Ok(bytes)));
            }
        }
    }
}

impl fmt::Debug for PageBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageBytes").field("walk", &self.walk).finish_non_exhaustive()
    }
}

/// The boundary between one page and the next.
#[derive(Default)]
struct Seam {
    written: u64,
    /// Whether the last page was text, and ended without a line break.
    open: bool,
    /// Whether the text's lines end in CR LF.
    crlf: bool,
}

impl Seam {
    fn pieces(&mut self, page: Bytes, is_text: bool) -> impl Iterator<Item = Bytes> + use<> {
        let line_break = Bytes::from_static(if self.crlf { b"\r\n" } else { b"\n" });
        let between = Some(line_break).filter(|_| self.open && is_text);
        self.open = is_text && !page.ends_with(b"\n");
        self.crlf |= is_text && page.windows(2).any(|pair| pair == b"\r\n");
        self.written += (between.as_ref().map_or(0, Bytes::len) + page.len()) as u64;
        between.into_iter().chain([page])
    }
}

fn io_error(what: &str, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, format!("{what}: {error}")).with_source(error)
}
