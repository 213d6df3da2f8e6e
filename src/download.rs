//! Download: the bytes behind a link, into a file, a writer, a stream or memory.

mod beside;
mod carrier;
mod expiry;
mod file;
mod journal;
mod part;
mod progress;
mod range;
mod reader;
mod redirect;
mod renew;
mod writer;

use std::fmt;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures::stream::Stream;
use http::HeaderMap;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use url::Url;

use crate::clock::{NO_RUNTIME, has_runtime};
use crate::error::{Error, ErrorKind};
use crate::message::Response;
use crate::redact::SecretUrl;

pub use progress::{Progress, ProgressWatch};

pub(crate) use carrier::Carrier;
pub(crate) use renew::{Renew, Renewed};

use progress::Gauge;
use reader::{Piece, Reader};

/// The bytes behind a link, ready to be fetched: no request is sent before a sink is chosen and awaited.
///
/// A signed link, a link of another origin, and a link that an answer of another origin named are fetched bare: byte
/// for byte as given, without credentials, cookies or `Referer`, over a separate HTTP client. An unsigned link on the
/// API's own origin goes through the client's pipeline, including credential and limits.
///
/// A body that breaks off is resumed at its offset with `If-Match` (or `If-Unmodified-Since`), so that a result which
/// was replaced meanwhile is an error and never a splice. An expired link is renewed through its task.
///
/// # Panics
/// Panics if a sink is awaited in a tokio runtime without time or IO enabled. Outside any runtime, the sink fails with
/// [`ErrorKind::Config`], unless the bytes are already held.
#[must_use = "nothing is sent until a sink is awaited"]
pub struct Download {
    source: Result<DownloadSource, Error>,
    gauge: Gauge,
}

enum DownloadSource {
    /// The result arrived with the task's last answer.
    Held(Bytes),
    Linked {
        carrier: Arc<Carrier>,
        link: SecretUrl,
        /// The URL of the answer that named the link; `None` if the application did.
        from: Option<Box<Url>>,
        headers: HeaderMap,
        renew: Option<Arc<dyn Renew>>,
        /// Whether a foreign origin named the link.
        is_bare: bool,
        /// The answer to the task's request for the result, still to be read.
        opened: Option<Response>,
    },
}

/// The report of a finished download.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    bytes: u64,
    resumed_at: u64,
    reopened: u32,
    renewed: u32,
}

impl Receipt {
    /// Returns the length of the whole result.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns how many of these bytes an earlier call had fetched.
    #[must_use]
    pub const fn resumed_at(&self) -> u64 {
        self.resumed_at
    }

    /// Returns how often the transfer broke off and was resumed.
    #[must_use]
    pub const fn reopened(&self) -> u32 {
        self.reopened
    }

    /// Returns how often the link was renewed.
    #[must_use]
    pub const fn renewed(&self) -> u32 {
        self.renewed
    }
}

impl Download {
    /// Creates a download from a link. `headers` are the caller's, for the API's own origin; `from` is the URL of the
    /// answer that named the link, `None` if the application did.
    pub(crate) fn linked(
        carrier: Arc<Carrier>,
        link: SecretUrl,
        from: Option<Box<Url>>,
        headers: HeaderMap,
        renew: Option<Arc<dyn Renew>>,
    ) -> Self {
        let source = DownloadSource::Linked { carrier, link, from, headers, renew, is_bare: false, opened: None };
        Self { source: Ok(source), gauge: Gauge::default() }
    }

    /// Sets whether the download is bare wherever the link leads, because a foreign origin named it.
    pub(crate) fn bare(mut self, bare: bool) -> Self {
        if let Ok(DownloadSource::Linked { is_bare, .. }) = &mut self.source {
            *is_bare = bare;
        }
        self
    }

    /// Starts with an answer that was already received.
    pub(crate) fn opened(mut self, response: Option<Response>) -> Self {
        if let Ok(DownloadSource::Linked { opened, .. }) = &mut self.source {
            *opened = response;
        }
        self
    }

    pub(crate) fn held(bytes: Bytes) -> Self {
        Self { source: Ok(DownloadSource::Held(bytes)), gauge: Gauge::default() }
    }

    pub(crate) fn impossible(error: Error) -> Self {
        Self { source: Err(error), gauge: Gauge::default() }
    }

    /// Returns the link, unless the result is already held.
    #[must_use]
    pub fn link(&self) -> Option<&SecretUrl> {
        match &self.source {
            Ok(DownloadSource::Linked { link, .. }) => Some(link),
            Ok(DownloadSource::Held(_)) | Err(_) => None,
        }
    }

    /// Returns a watch on the progress. Call this method before the sink.
    #[must_use]
    pub fn progress(&self) -> ProgressWatch {
        self.gauge.watch()
    }

    /// Downloads into a file. The bytes are written to `target` + `.part`. The part file takes the name `target`, in
    /// place of any previous file, only after the download is complete, of the stated length, and synced.
    ///
    /// After an error or a drop, the part file stays, with a small journal beside it. The same call then continues
    /// where the download ended, also in another process, and with a fresh link to the same object. Resuming needs a
    /// strong `ETag` from the storage; without one, the download starts anew.
    ///
    /// The target may be missing, a regular file, or a symbolic link to one, which is replaced and not followed; a
    /// device, a FIFO, a socket and a folder are refused. The part of an earlier call is used only if it is a regular
    /// file of the same user under one name. A link, a FIFO or a file of another user beside the target is removed and
    /// never followed; if the folder forbids the removal, the part gets a random name and cannot be resumed. The mode
    /// of the file is that of any new file of the process.
    ///
    /// # Errors
    /// [`ErrorKind::Interrupted`] after 8 attempts without a byte of progress, [`ErrorKind::ResultChanged`],
    /// [`ErrorKind::AccessDenied`], [`ErrorKind::ResultUnavailable`], [`ErrorKind::Io`].
    ///
    /// # Cancel safety
    /// Dropping the future at any point leaves a part that can be resumed, and never a file under the final name.
    pub async fn to_file(self, target: impl AsRef<Path> + Send) -> Result<Receipt, Error> {
        let target = target.as_ref();
        let source = self.source?;
        in_runtime()?;
        match source {
            DownloadSource::Held(bytes) => file::write_held(target, bytes, &self.gauge).await,
            DownloadSource::Linked { carrier, link, from, headers, renew, is_bare, opened } => {
                let reader = Reader::new(carrier, link, from, headers, renew, opened).bare(is_bare);
                file::fetch(target, reader, &self.gauge).await
            }
        }
    }

    /// Downloads into a writer, in order. The writer is flushed, not shut down.
    ///
    /// # Errors
    /// As [`to_file`](Download::to_file). Bytes that were written stay written.
    ///
    /// # Cancel safety
    /// Not cancel-safe: only the writer knows how much was written.
    pub async fn to_writer(self, writer: &mut (impl AsyncWrite + Unpin + Send)) -> Result<Receipt, Error> {
        let mut pieces = Pieces::open(self.source?, self.gauge);
        while let Some(chunk) = pieces.next().await? {
            writer.write_all(&chunk).await.map_err(refused_by_writer)?;
        }
        writer.flush().await.map_err(refused_by_writer)?;
        Ok(pieces.receipt())
    }

    /// Returns the download as a stream of chunks, in order. The stream ends after an error.
    ///
    /// ```no_run
    /// use futures::TryStreamExt;
    ///
    /// # async fn run(client: longhaul::Client) -> longhaul::Result<()> {
    /// let mut chunks = client.download("https://store.example.net/7.parquet?sig=…").stream();
    /// while let Some(chunk) = chunks.try_next().await? {
    ///     println!("{} bytes", chunk.len());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn stream(self) -> DownloadStream {
        enum At {
            Start(Result<DownloadSource, Error>, Gauge),
            Open(Pieces),
        }
        let start = At::Start(self.source, self.gauge);
        DownloadStream(Box::pin(futures::stream::try_unfold(start, async |at| {
            let mut pieces = match at {
                At::Start(source, gauge) => Pieces::open(source?, gauge),
                At::Open(pieces) => pieces,
            };
            Ok(pieces.next().await?.map(|chunk| (chunk, At::Open(pieces))))
        })))
    }

    /// Downloads into memory, up to `limit` bytes.
    ///
    /// # Errors
    /// As [`to_file`](Download::to_file), and [`ErrorKind::TooLarge`] as soon as the download is known to be longer.
    pub async fn to_memory(self, limit: usize) -> Result<Bytes, Error> {
        let too_large = || {
            let message = format!("more than the {limit} bytes that were allowed; download it to a file");
            Error::new(ErrorKind::TooLarge, message)
        };
        let mut pieces = Pieces::open(self.source?, self.gauge);
        let mut held = BytesMut::new();
        while let Some(chunk) = pieces.next().await? {
            let stated = pieces.total().is_some_and(|total| total > limit as u64);
            if stated || held.len() + chunk.len() > limit {
                return Err(too_large());
            }
            held.extend_from_slice(&chunk);
        }
        Ok(held.freeze())
    }
}

/// The bytes of a download, in order: [`Download::stream`]. The stream ends after an error.
#[must_use = "streams do nothing unless polled"]
pub struct DownloadStream(Pin<Box<dyn Stream<Item = Result<Bytes, Error>> + Send>>);

impl Stream for DownloadStream {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(cx)
    }
}

impl fmt::Debug for DownloadStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DownloadStream").finish_non_exhaustive()
    }
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Ok(DownloadSource::Held(bytes)) => write!(f, "Download({} bytes held)", bytes.len()),
            Ok(DownloadSource::Linked { link, .. }) => write!(f, "Download({link})"),
            Err(error) => write!(f, "Download({error})"),
        }
    }
}

/// The chunks of a source, for sinks that cannot take data back.
enum Pieces {
    Held(Option<Bytes>, Gauge, u64),
    Linked(Box<Reader>, Gauge),
}

impl Pieces {
    fn open(source: DownloadSource, gauge: Gauge) -> Self {
        match source {
            DownloadSource::Held(bytes) => {
                let length = bytes.len() as u64;
                gauge.set(0, Some(length));
                Self::Held(Some(bytes), gauge, length)
            }
            DownloadSource::Linked { carrier, link, from, headers, renew, is_bare, opened } => {
                let reader = Reader::new(carrier, link, from, headers, renew, opened).bare(is_bare);
                Self::Linked(Box::new(reader), gauge)
            }
        }
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        if matches!(self, Self::Linked(..)) {
            in_runtime()?;
        }
        match self {
            Self::Held(bytes, gauge, length) => {
                gauge.set(*length, Some(*length));
                Ok(bytes.take().filter(|bytes| !bytes.is_empty()))
            }
            Self::Linked(reader, gauge) => match reader.next().await? {
                Piece::Chunk(chunk) => {
                    gauge.set(reader.offset(), reader.total());
                    Ok(Some(chunk))
                }
                Piece::End => {
                    gauge.set(reader.offset(), reader.total());
                    Ok(None)
                }
                Piece::Restart => Err(Error::new(
                    ErrorKind::Interrupted,
                    "the transfer broke off, and this storage can neither resume nor prove that the rest would fit; \
                     a download to a file begins anew",
                )),
            },
        }
    }

    fn total(&self) -> Option<u64> {
        match self {
            Self::Held(_, _, length) => Some(*length),
            Self::Linked(reader, _) => reader.total(),
        }
    }

    fn receipt(&self) -> Receipt {
        match self {
            Self::Held(_, _, length) => Receipt { bytes: *length, ..Receipt::default() },
            Self::Linked(reader, _) => reader.receipt(),
        }
    }
}

/// Checks for a runtime: fetching and writing to disk need one; bytes that are already held do not.
fn in_runtime() -> Result<(), Error> {
    has_runtime().then_some(()).ok_or_else(|| Error::new(ErrorKind::Config, NO_RUNTIME))
}

fn refused_by_writer(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, format!("the writer refused: {error}")).with_source(error)
}
