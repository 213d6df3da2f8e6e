//! Body: the bytes of a response, as they arrive.

use std::collections::VecDeque;
use std::fmt;

use bytes::{Bytes, BytesMut};
use futures::stream::{BoxStream, Stream, StreamExt};

use super::HttpError;
use super::flow::Flow;

/// The body of a [`Response`](super::Response): complete, or a stream of chunks.
#[derive(Default)]
pub struct Body(BodyKind);

#[derive(Default)]
enum BodyKind {
    #[default]
    Empty,
    Whole(Bytes),
    Stream(BoxStream<'static, Result<Bytes, HttpError>>),
    /// The beginning was already read.
    Begun(VecDeque<Bytes>, BoxStream<'static, Result<Bytes, HttpError>>),
}

impl Body {
    /// Creates an empty body.
    #[must_use]
    pub const fn empty() -> Self {
        Self(BodyKind::Empty)
    }

    /// Creates a body that arrives in chunks.
    pub fn stream(chunks: impl Stream<Item = Result<Bytes, HttpError>> + Send + 'static) -> Self {
        Self(BodyKind::Stream(chunks.boxed()))
    }

    /// Returns the next chunk; `None` at the end.
    ///
    /// # Errors
    /// [`HttpError`] if the body breaks off.
    ///
    /// # Cancel safety
    /// No byte is lost when the future is dropped.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, HttpError> {
        match &mut self.0 {
            BodyKind::Empty => Ok(None),
            BodyKind::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                self.0 = BodyKind::Empty;
                Ok(Some(bytes).filter(|bytes| !bytes.is_empty()))
            }
            BodyKind::Stream(chunks) => chunks.next().await.transpose(),
            BodyKind::Begun(begun, chunks) => match begun.pop_front() {
                Some(chunk) => Ok(Some(chunk)),
                None => chunks.next().await.transpose(),
            },
        }
    }

    /// Returns the whole body if it is JSON and no longer than `most`; the body can still be read from its beginning.
    ///
    /// # Cancel safety
    /// The bytes that were read stay in the body.
    pub(crate) async fn peek(&mut self, most: usize) -> Option<Bytes> {
        let is_json = |bytes: &[u8]| {
            let first = super::without_bom(bytes).iter().find(|byte| !byte.is_ascii_whitespace());
            first.is_none_or(|first| matches!(first, b'{' | b'['))
        };
        if let BodyKind::Whole(bytes) = &self.0 {
            return (bytes.len() <= most && is_json(bytes)).then(|| bytes.clone());
        }
        if let BodyKind::Stream(chunks) = &mut self.0 {
            let chunks = std::mem::replace(chunks, futures::stream::empty().boxed());
            self.0 = BodyKind::Begun(VecDeque::new(), chunks);
        }
        let BodyKind::Begun(begun, chunks) = &mut self.0 else { return Some(Bytes::new()) };
        let mut length: usize = begun.iter().map(Bytes::len).sum();
        loop {
            if length > most || !begun.front().is_none_or(|first| is_json(first)) {
                return None;
            }
            match chunks.next().await {
                Some(Ok(chunk)) if chunk.is_empty() => {}
                Some(Ok(chunk)) => {
                    length += chunk.len();
                    begun.push_back(chunk);
                }
                Some(Err(error)) => {
                    // The next reader receives the error.
                    *chunks = futures::stream::iter([Err(error)]).boxed();
                    return None;
                }
                None => break,
            }
        }
        let whole = whole(begun, most);
        self.0 = BodyKind::Whole(whole.clone());
        Some(whole)
    }

    /// Holds the body if it is no longer than `limit`, and returns true. Of a longer body, returns the beginning; the
    /// body can still be read from there.
    pub(crate) async fn hold(&mut self, limit: usize, flow: &mut Flow) -> Result<(Bytes, bool), HttpError> {
        if let BodyKind::Whole(bytes) = &self.0 {
            return Ok((bytes.slice(..bytes.len().min(limit)), bytes.len() <= limit));
        }
        let (mut begun, mut length) = (VecDeque::new(), 0);
        while let Some(chunk) = flow.chunk(self).await? {
            length += chunk.len();
            begun.push_back(chunk);
            if length > limit {
                let beginning = whole(&begun, limit);
                let rest = match std::mem::take(&mut self.0) {
                    BodyKind::Stream(chunks) => chunks,
                    BodyKind::Begun(looked, chunks) => {
                        begun.extend(looked);
                        chunks
                    }
                    BodyKind::Empty | BodyKind::Whole(_) => futures::stream::empty().boxed(),
                };
                self.0 = BodyKind::Begun(begun, rest);
                return Ok((beginning, false));
            }
        }
        Ok((whole(&begun, limit), true))
    }

    /// Returns the bytes up to `limit`, as far as they arrived, and whether they are the whole body.
    pub(crate) async fn collect(mut self, limit: usize, flow: &mut Flow) -> (Bytes, Result<bool, HttpError>) {
        if let BodyKind::Whole(bytes) = &self.0 {
            return (bytes.slice(..bytes.len().min(limit)), Ok(bytes.len() <= limit));
        }
        // A body of one chunk is not copied.
        let first = match flow.chunk(&mut self).await {
            Ok(first) => first.unwrap_or_default(),
            Err(error) => return (Bytes::new(), Err(error)),
        };
        if first.len() > limit {
            return (first.slice(..limit), Ok(false));
        }
        let mut chunk = match flow.chunk(&mut self).await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => return (first, Ok(true)),
            Err(error) => return (first, Err(error)),
        };
        let mut held = BytesMut::from(&*first);
        loop {
            let room = limit - held.len();
            held.extend_from_slice(&chunk.slice(..chunk.len().min(room)));
            if chunk.len() > room {
                return (held.freeze(), Ok(false));
            }
            match flow.chunk(&mut self).await {
                Ok(Some(next)) => chunk = next,
                Ok(None) => return (held.freeze(), Ok(true)),
                Err(error) => return (held.freeze(), Err(error)),
            }
        }
    }
}

/// Joins the chunks, up to `most` bytes. A single chunk is not copied.
fn whole(chunks: &VecDeque<Bytes>, most: usize) -> Bytes {
    match chunks.front() {
        Some(first) if chunks.len() == 1 => first.slice(..first.len().min(most)),
        _ => chunks.iter().flatten().copied().take(most).collect(),
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self(BodyKind::Whole(bytes))
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            BodyKind::Empty => f.write_str("Body(empty)"),
            BodyKind::Whole(bytes) => write!(f, "Body({} bytes)", bytes.len()),
            BodyKind::Stream(_) | BodyKind::Begun(..) => f.write_str("Body(stream)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunks(chunks: &[&'static str]) -> Body {
        let chunks: Vec<_> = chunks.iter().map(|chunk| Ok(Bytes::from_static(chunk.as_bytes()))).collect();
        Body::stream(futures::stream::iter(chunks))
    }

    #[tokio::test]
    async fn a_look_at_json_takes_nothing_from_the_body() {
        let most = 10;
        for (parts, seen) in [
            (&["{\"a\"", ":1}"][..], Some("{\"a\":1}")),
            (&["", " [1", "]"], Some(" [1]")),
            (&[], Some("")),
            (&["[1,2,3", ",4,5,6,7]", "more"], None),
            (&["a,b", "c"], None),
        ] {
            let mut body = chunks(parts);
            let looked = body.peek(most).await;
            assert_eq!(looked.as_deref(), seen.map(str::as_bytes), "{parts:?}");
            let (read, whole) = body.collect(100, &mut Flow::default()).await;
            assert_eq!((&*read, whole.unwrap()), (parts.concat().as_bytes(), true), "{parts:?}");
        }
    }

    #[tokio::test]
    async fn what_came_before_a_break_is_held() {
        for parts in [&["words"][..], &["wor", "ds"], &["w", "or", "ds"], &["", "words"]] {
            let chunks: Vec<_> = parts.iter().map(|part| Ok(Bytes::from_static(part.as_bytes()))).collect();
            let chunks = chunks.into_iter().chain([Err(HttpError::broken())]);
            let body = Body::stream(futures::stream::iter(chunks));
            let (read, end) = body.collect(100, &mut Flow::default()).await;
            assert_eq!((&*read, end.is_err()), (&b"words"[..], true), "{parts:?}");
        }
    }

    #[tokio::test]
    async fn a_body_that_is_too_long_to_hold_can_be_read_from_its_beginning() {
        for (parts, limit, held) in [
            (&["ab", "cd"][..], 4, ("abcd", true)),
            (&["ab", "", "cd"], 3, ("abc", false)),
            (&["abcd"], 3, ("abc", false)),
            (&[], 0, ("", true)),
        ] {
            let mut body = chunks(parts);
            let (bytes, whole) = body.hold(limit, &mut Flow::default()).await.unwrap();
            assert_eq!((&*bytes, whole), (held.0.as_bytes(), held.1), "{parts:?}");
            if !whole {
                let (read, whole) = body.collect(100, &mut Flow::default()).await;
                assert_eq!((&*read, whole.unwrap()), (parts.concat().as_bytes(), true), "{parts:?}");
            }
        }
        let broken = [Ok(Bytes::from_static(b"ab")), Err(HttpError::broken())];
        assert!(Body::stream(futures::stream::iter(broken)).hold(9, &mut Flow::default()).await.is_err());
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_under_a_look_breaks_off_when_it_is_read() {
        let parts = [Ok(Bytes::from_static(b"{\"a\"")), Err(HttpError::broken())];
        let mut body = Body::stream(futures::stream::iter(parts));
        assert_eq!(body.peek(100).await, None);
        assert_eq!(body.chunk().await.unwrap().as_deref(), Some(&b"{\"a\""[..]));
        assert!(body.chunk().await.is_err());
    }
}
