//! The body of a result in transit: generated as it is sent, at the configured rate and length.

use std::io::{self, ErrorKind};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;

use super::content::Content;
use super::service::Service;
use crate::testing::server::{Body, Connection};

/// The rest of a body.
pub(super) struct Feed {
    service: Arc<Service>,
    connection: Connection,
    content: Content,
    left: Range<u64>,
    cut_at: Option<u64>,
}

impl Feed {
    /// Creates a feed of the bytes of `range`, cut after `cut` bytes if it is set.
    pub(super) fn new(
        service: Arc<Service>,
        connection: Connection,
        content: Content,
        range: Range<u64>,
        cut: Option<u64>,
    ) -> Self {
        Self { service, connection, content, cut_at: cut.map(|after| range.start.saturating_add(after)), left: range }
    }

    pub(super) fn into_body(self) -> Body {
        let frames = futures::stream::try_unfold(self, Self::next);
        StreamBody::new(frames).boxed_unsync()
    }

    async fn next(mut self) -> io::Result<Option<(Frame<Bytes>, Self)>> {
        if self.left.is_empty() {
            return Ok(None);
        }
        if self.cut_at == Some(self.left.start) {
            self.connection.flushed().await;
            return Err(ErrorKind::ConnectionAborted.into());
        }
        let rate = self.service.knobs.storage_rate;
        let most = if rate == 0 { CHUNK } else { (rate / 20).clamp(1, CHUNK) };
        let until = self.cut_at.unwrap_or(u64::MAX).min(self.left.end);
        let end = until.min(self.left.start.saturating_add(most));
        let length = end - self.left.start;

        if let Some(busy) = (length * NANOS).checked_div(rate) {
            self.connection.occupy(Duration::from_nanos(busy)).await;
        }
        let chunk = self.content.bytes(self.left.start..end);
        self.left.start = end;
        self.service.state().counts.storage_bytes += length;
        Ok(Some((Frame::data(chunk.into()), self)))
    }
}

const CHUNK: u64 = 64 * 1024;
const NANOS: u64 = 1_000_000_000;
