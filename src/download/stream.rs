//! Streams: a download as chunks in order, read ahead on demand.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::stream::Stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::ordered::{Next, Ordered, cannot_take_back};
use crate::clock::has_runtime;
use crate::error::{Error, ErrorKind};

/// The bytes of a download, in order: [`Download::stream`](crate::Download::stream). The stream ends after an error.
///
/// The next chunk is read when it is asked for. [`read_ahead`](DownloadStream::read_ahead) keeps the connection busy
/// meanwhile.
#[must_use = "streams do nothing unless polled"]
pub struct DownloadStream(State);

type Begin = Box<dyn FnOnce() -> Result<Ordered, Error> + Send>;
type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, Error>> + Send>>;

enum State {
    /// What begins the download, and how far it reads ahead.
    Start(Begin, usize),
    Open(Chunks),
    Ended,
}

impl DownloadStream {
    pub(super) fn new(begin: Begin) -> Self {
        Self(State::Start(begin, 0))
    }

    /// Reads up to so many bytes ahead, in a task of its own, from the first poll on; 0, the default, reads nothing
    /// ahead. The memory in use is this, and one chunk more (usually less than 400 KiB). Dropping the stream ends the
    /// task. Call this method before the first poll; a later call changes nothing.
    pub fn read_ahead(mut self, bytes: usize) -> Self {
        if let State::Start(_, ahead) = &mut self.0 {
            *ahead = bytes;
        }
        self
    }
}

impl Stream for DownloadStream {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match &mut self.0 {
                State::Open(chunks) => return chunks.as_mut().poll_next(cx),
                State::Ended => return Poll::Ready(None),
                State::Start(..) => {}
            }
            let State::Start(begin, ahead) = std::mem::replace(&mut self.0, State::Ended) else { continue };
            match begin() {
                Err(error) => return Poll::Ready(Some(Err(error))),
                // Without a runtime, the first chunk says what is wrong.
                Ok(ordered) if ahead > 0 && has_runtime() => self.0 = State::Open(read_ahead(ordered, ahead)),
                Ok(ordered) => self.0 = State::Open(on_demand(ordered)),
            }
        }
    }
}

fn on_demand(ordered: Ordered) -> Chunks {
    Box::pin(futures::stream::try_unfold(ordered, async |mut ordered| {
        Ok(next(&mut ordered).await?.map(|chunk| (chunk, ordered)))
    }))
}

/// Reads in a task, up to `ahead` bytes beyond those that were taken.
fn read_ahead(mut ordered: Ordered, ahead: usize) -> Chunks {
    // A permit is a number of 32 bits.
    let ahead = ahead.min(MOST_AHEAD);
    let room = Arc::new(Semaphore::new(ahead));
    let (sender, receiver) = mpsc::unbounded_channel::<Result<Ahead, Error>>();
    let task = tokio::spawn(async move {
        loop {
            // While there is no room at all, nothing is read: a chunk may be longer than all that may be read ahead.
            let Ok(mut permit) = room.clone().acquire_owned().await else { return };
            let chunk = match next(&mut ordered).await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => {
                    sender.send(Ok(Ahead::End)).ok();
                    return;
                }
                Err(error) => {
                    sender.send(Err(error)).ok();
                    return;
                }
            };
            let more = u32::try_from(chunk.len().min(ahead).saturating_sub(1)).unwrap_or(u32::MAX);
            let Ok(rest) = room.clone().acquire_many_owned(more).await else { return };
            permit.merge(rest);
            // A chunk keeps the whole buffer of its connection in memory.
            if sender.send(Ok(Ahead::Chunk(Bytes::copy_from_slice(&chunk), permit))).is_err() {
                return;
            }
        }
    });
    let task = AbortOnDrop(task);
    Box::pin(futures::stream::try_unfold((receiver, task), async |(mut receiver, task)| {
        match receiver.recv().await.transpose()? {
            Some(Ahead::Chunk(chunk, _permit)) => Ok(Some((chunk, (receiver, task)))),
            Some(Ahead::End) => Ok(None),
            // A stream that ends early must not pass for a whole one.
            None => Err(Error::new(ErrorKind::Interrupted, "the task that read ahead ended before the result did")),
        }
    }))
}

/// What was read ahead.
enum Ahead {
    Chunk(Bytes, OwnedSemaphorePermit),
    End,
}

async fn next(ordered: &mut Ordered) -> Result<Option<Bytes>, Error> {
    match ordered.next().await? {
        Next::Chunk(chunk) => Ok(Some(chunk)),
        Next::End => Ok(None),
        Next::Void => Err(cannot_take_back()),
    }
}

struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl fmt::Debug for DownloadStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DownloadStream").finish_non_exhaustive()
    }
}

const MOST_AHEAD: usize = 1 << 30;
