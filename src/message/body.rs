//! Body: the bytes of a response, as they come.

use std::fmt;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::stream::{BoxStream, Stream, StreamExt};

use super::HttpError;

/// The body of a [`Response`](super::Response): whole, or a stream of chunks.
#[derive(Default)]
pub struct Body(Kind);

#[derive(Default)]
enum Kind {
    #[default]
    Empty,
    Whole(Bytes),
    Stream(BoxStream<'static, Result<Bytes, HttpError>>),
}

impl Body {
    /// No bytes.
    #[must_use]
    pub const fn empty() -> Self {
        Self(Kind::Empty)
    }

    /// A body that arrives in chunks.
    pub fn stream(chunks: impl Stream<Item = Result<Bytes, HttpError>> + Send + 'static) -> Self {
        Self(Kind::Stream(chunks.boxed()))
    }

    /// The next chunk; `None` at the end.
    ///
    /// # Errors
    /// [`HttpError`] when the body breaks off.
    ///
    /// # Cancel safety
    /// No byte is lost when the future is dropped.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, HttpError> {
        match &mut self.0 {
            Kind::Empty => Ok(None),
            Kind::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                self.0 = Kind::Empty;
                Ok(Some(bytes).filter(|bytes| !bytes.is_empty()))
            }
            Kind::Stream(chunks) => chunks.next().await.transpose(),
        }
    }

    /// The next chunk, given up after `idle` without one.
    pub(crate) async fn chunk_within(&mut self, idle: Duration) -> Result<Option<Bytes>, HttpError> {
        if let Kind::Stream(_) = self.0 {
            return tokio::time::timeout(idle, self.chunk()).await.unwrap_or_else(|_| Err(HttpError::timeout()));
        }
        self.chunk().await
    }

    /// The bytes up to `limit`, and whether that was all of them.
    pub(crate) async fn collect(mut self, limit: usize, idle: Duration) -> Result<(Bytes, bool), HttpError> {
        if let Kind::Whole(bytes) = &self.0 {
            return Ok((bytes.slice(..bytes.len().min(limit)), bytes.len() <= limit));
        }
        let mut held = BytesMut::new();
        while let Some(chunk) = self.chunk_within(idle).await? {
            let room = limit - held.len();
            held.extend_from_slice(&chunk.slice(..chunk.len().min(room)));
            if chunk.len() > room {
                return Ok((held.freeze(), false));
            }
        }
        Ok((held.freeze(), true))
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self(Kind::Whole(bytes))
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Empty => f.write_str("Body(empty)"),
            Kind::Whole(bytes) => write!(f, "Body({} bytes)", bytes.len()),
            Kind::Stream(_) => f.write_str("Body(stream)"),
        }
    }
}
