//! Download: the bytes behind a link, into a file, a writer, a stream or memory.

mod answer;
mod bandwidth;
mod beside;
mod budget;
mod carrier;
mod checksum;
mod connections;
mod content_range;
mod deadline;
mod disk;
mod expiry;
mod extra_header;
mod file;
mod file_name;
mod folder;
mod identity;
mod job;
mod journal;
mod kept_file;
mod names;
mod object;
mod ordered;
mod part;
mod parts;
mod plan;
mod progress;
mod reader;
mod receipt;
mod record;
mod redirect;
mod renew;
mod runs;
mod settings;
mod source;
mod space;
mod straight;
mod stream;
mod verification;

use std::fmt;
use std::num::NonZeroU64;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;
use url::Url;

use crate::clock::{NO_RUNTIME, has_runtime};
use crate::error::{Error, ErrorKind};
use crate::message::Response;
use crate::redact::SecretUrl;

pub use checksum::Checksum;
pub use folder::DownloadAll;
pub use progress::{Progress, ProgressWatch};
pub use receipt::Receipt;
pub use settings::{Overwrite, Verify};
pub use stream::DownloadStream;

pub(crate) use carrier::Carrier;
pub(crate) use renew::{Renew, Renewed};

use deadline::{in_time, too_late};
use file::Begun;
use ordered::{Next, Ordered, cannot_take_back};
use progress::Gauge;
use reader::Reader;
use settings::{MOST_CONNECTIONS, SMALLEST_PART, Settings};
use source::Source;

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
    settings: Settings,
    gauge: Gauge,
}

enum DownloadSource {
    /// The result arrived with the task's last answer.
    Held(Bytes),
    Linked(Box<Linked>),
}

/// A link, and all that is needed to fetch what is behind it.
struct Linked {
    carrier: Arc<Carrier>,
    link: SecretUrl,
    /// The URL of the answer that named the link; `None` if the application did.
    from: Option<Box<Url>>,
    headers: HeaderMap,
    /// The headers of this link alone, for its own origin.
    link_headers: HeaderMap,
    renew: Option<Arc<dyn Renew>>,
    /// Whether a foreign origin named the link.
    is_bare: bool,
    /// The answer to the task's request for the result, still to be read.
    received: Option<Response>,
}

impl Linked {
    fn into_source(self, settings: &Settings) -> (Source, Option<Response>) {
        let source = Source::new(self.carrier, self.link, self.from, self.headers, self.renew, self.is_bare);
        let source = source.set(settings.trusts_weak, settings.until).sending(self.link_headers);
        (source, self.received)
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
        let link_headers = HeaderMap::new();
        let linked = Linked { carrier, link, from, headers, link_headers, renew, is_bare: false, received: None };
        Self::of(Ok(DownloadSource::Linked(Box::new(linked))))
    }

    fn of(source: Result<DownloadSource, Error>) -> Self {
        Self { source, settings: Settings::default(), gauge: Gauge::default() }
    }

    /// Sets whether the download is bare wherever the link leads, because a foreign origin named it.
    pub(crate) fn bare(mut self, bare: bool) -> Self {
        if let Ok(DownloadSource::Linked(linked)) = &mut self.source {
            linked.is_bare = bare;
        }
        self
    }

    /// Starts with an answer that was already received.
    pub(crate) fn opened(mut self, response: Option<Response>) -> Self {
        if let Ok(DownloadSource::Linked(linked)) = &mut self.source {
            linked.received = response;
        }
        self
    }

    pub(crate) fn held(bytes: Bytes) -> Self {
        Self::of(Ok(DownloadSource::Held(bytes)))
    }

    pub(crate) fn impossible(error: Error) -> Self {
        Self::of(Err(error))
    }

    /// Returns the link, unless the result is already held.
    #[must_use]
    pub fn link(&self) -> Option<&SecretUrl> {
        match &self.source {
            Ok(DownloadSource::Linked(linked)) => Some(&linked.link),
            Ok(DownloadSource::Held(_)) | Err(_) => None,
        }
    }

    /// Returns a watch on the progress. Call this method before the sink.
    #[must_use]
    pub fn progress(&self) -> ProgressWatch {
        self.gauge.watch()
    }

    /// Sets the largest number of connections for a file: at least 1, at most 8. The default is 8; for an unsigned link on
    /// the API's own origin it is 1, because each request there counts against the limits of the API.
    ///
    /// A download begins with one connection, and doubles their number while that gains at least 15 %. A storage that
    /// answers with 429 or 503 gets half as many. Every other sink uses one connection, because its bytes are in order.
    pub fn connections(mut self, most: usize) -> Self {
        self.settings.connections = Some(most.clamp(1, MOST_CONNECTIONS));
        self
    }

    /// Sets the smallest range that a connection is used for: 4 MiB by default, 64 KiB at least. A small value makes
    /// the connections end together; a large one makes fewer requests.
    pub fn part_size(mut self, bytes: u64) -> Self {
        self.settings.part_size = bytes.max(SMALLEST_PART);
        self
    }

    /// Sets a header that the link needs, such as a key of the storage's encryption: services name it beside the link
    /// (Databricks' `http_headers`). It is sent with each request to the link's own origin, and to no other origin that
    /// the link redirects to. Its value is treated as a secret.
    ///
    /// A header that belongs to the connection, and one by which the download asks for parts (`Range`, `If-Match` and the
    /// like), is an error of the sink.
    ///
    /// ```
    /// # fn run(client: &longhaul::Client, link: &str) {
    /// let download = client.download(link).header("x-amz-server-side-encryption-customer-algorithm", "AES256");
    /// # drop(download);
    /// # }
    /// ```
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: AsRef<str> + TryInto<HeaderName, Error: Into<http::Error>>,
        V: TryInto<HeaderValue, Error: Into<http::Error>>,
    {
        match (extra_header::parse(name, value), &mut self.source) {
            (Ok((name, value)), Ok(DownloadSource::Linked(linked))) => {
                linked.link_headers.insert(name, value);
            }
            (Err(error), Ok(_)) => self.source = Err(error),
            _ => {}
        }
        self
    }

    /// Sets which checksums are compared: by default, each one that the storage states ([`Verify::Stated`]).
    pub const fn verify(mut self, verify: Verify) -> Self {
        self.settings.verify = verify;
        self
    }

    /// Sets a checksum that the application knows. It is compared whatever [`verify`](Download::verify) says.
    ///
    /// ```
    /// use longhaul::downloads::Checksum;
    ///
    /// # fn run(client: &longhaul::Client, link: &str) -> Result<(), Box<dyn std::error::Error>> {
    /// let expected = Checksum::sha256("84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882")?;
    /// let download = client.download(link).checksum(expected);
    /// # drop(download);
    /// # Ok(())
    /// # }
    /// ```
    pub fn checksum(mut self, checksum: Checksum) -> Self {
        self.settings.checksum = Some(checksum);
        self
    }

    /// Sets what is done about a file that has the name of the target: by default, it is replaced once the download is
    /// whole ([`Overwrite::Always`]).
    pub const fn overwrite(mut self, overwrite: Overwrite) -> Self {
        self.settings.overwrite = overwrite;
        self
    }

    /// Limits the bandwidth of this download, in bytes a second. There is no limit by default; 0 counts as 1. The limit
    /// of [the client](crate::ClientBuilder::download_bandwidth) holds as well.
    pub fn bandwidth(mut self, bytes_per_second: u64) -> Self {
        self.settings.bandwidth = Some(NonZeroU64::new(bytes_per_second).unwrap_or(NonZeroU64::MIN));
        self
    }

    /// Sets how long the download may take, from the first poll of its sink on. There is no limit by default, because a
    /// large result takes as long as it takes. When the time is over, the sink fails with
    /// [`ErrorKind::DeadlineExceeded`]; a file can be resumed.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = Some(timeout);
        self
    }

    /// Sets the time by which the download must be complete. If a [`timeout`](Download::timeout) is set too, the earlier
    /// of the two counts.
    pub const fn deadline(mut self, deadline: Instant) -> Self {
        self.settings.until = Some(deadline);
        self
    }

    /// Sets whether the part of an earlier call is used: it is by default.
    pub const fn resume(mut self, resume: bool) -> Self {
        self.settings.resumes = resume;
        self
    }

    /// Sets whether a weak ETag, Last-Modified and the length, all three unchanged, prove that an object is the same.
    ///
    /// By default they do not (RFC 9110, 8.8.1: a weak ETag may stand for other bytes), and a transfer that breaks off
    /// begins anew. Set this for a service that you know to give each version another weak ETag.
    pub const fn trust_weak_etags(mut self, trust: bool) -> Self {
        self.settings.trusts_weak = trust;
        self
    }

    /// Downloads into a file. The bytes are written to `target` + `.part`. The part file takes the name `target` only
    /// after the download is complete, of the stated length, of the stated checksums, and synced.
    ///
    /// After an error or a drop, the part file stays, with a small journal beside it. The same call then continues
    /// where the download ended, also in another process, and with a fresh link to the same object. Resuming needs a
    /// strong validator from the storage: a strong `ETag`, or a `Last-Modified` that is a minute old. Without one, the
    /// download starts anew.
    ///
    /// The target may be missing, a regular file, or a symbolic link to one, which is replaced and not followed; a
    /// device, a FIFO, a socket and a folder are refused. The part of an earlier call is used only if it is a regular
    /// file of the same user under one name. A link, a FIFO or a file of another user beside the target is removed and
    /// never followed; if the folder forbids the removal, the part gets a random name and cannot be resumed. The mode
    /// of the file is that of any new file of the process.
    ///
    /// # Errors
    /// [`ErrorKind::Interrupted`] after 8 attempts without a byte of progress, [`ErrorKind::ResultChanged`],
    /// [`ErrorKind::ChecksumMismatch`], [`ErrorKind::AccessDenied`], [`ErrorKind::ResultUnavailable`],
    /// [`ErrorKind::DeadlineExceeded`], [`ErrorKind::DiskFull`], [`ErrorKind::Io`].
    ///
    /// # Cancel safety
    /// Dropping the future at any point leaves a part that can be resumed, and never a file under the final name.
    pub async fn to_file(self, target: impl AsRef<Path> + Send) -> Result<Receipt, Error> {
        let target = target.as_ref();
        let (source, settings) = (self.source?, self.settings);
        in_runtime()?;
        let (settings, begun) = settings.begin();
        let receipt = match source {
            DownloadSource::Held(bytes) => file::write_held(target, bytes, &settings, &self.gauge).await?,
            DownloadSource::Linked(linked) => {
                let (source, received) = linked.into_source(&settings);
                let first = Begun { received, ..Begun::default() };
                file::fetch(target, Arc::new(source), first, &settings, &self.gauge).await?
            }
        };
        Ok(Receipt { elapsed: begun.elapsed(), ..receipt })
    }

    /// Downloads into a file in this folder, under the name that the storage suggests (Content-Disposition, RFC 6266),
    /// else under the last part of the link's path, else as `download`. [`Receipt::path`] returns where it is.
    ///
    /// The name comes from a stranger, so it is made safe: one name without a path, control characters and what other
    /// systems reserve. It may still replace a file in the folder: use a folder for downloads alone, or
    /// [`Overwrite::Never`].
    ///
    /// # Errors
    /// As [`to_file`](Download::to_file).
    ///
    /// # Cancel safety
    /// As [`to_file`](Download::to_file).
    pub async fn to_dir(self, folder: impl AsRef<Path> + Send) -> Result<Receipt, Error> {
        let named = self.begin(&mut folder::Names::default()).await?;
        named.fetch_into(folder.as_ref()).await
    }

    /// Downloads into a writer, in order. The writer is flushed, not shut down.
    ///
    /// # Errors
    /// As [`to_file`](Download::to_file). Bytes that were written stay written: also those of a result whose checksum
    /// turns out to be wrong at its end.
    ///
    /// # Cancel safety
    /// Not cancel-safe: only the writer knows how much was written.
    pub async fn to_writer(self, writer: &mut (impl AsyncWrite + Unpin + Send)) -> Result<Receipt, Error> {
        let (settings, begun) = self.settings.begin();
        let mut ordered = Ordered::of(self.source?, settings, self.gauge);
        loop {
            match ordered.next().await? {
                Next::Chunk(chunk) => {
                    ordered.in_time(async { writer.write_all(&chunk).await.map_err(refused_by_writer) }).await?;
                }
                Next::Void => return Err(cannot_take_back()),
                Next::End => break,
            }
        }
        ordered.in_time(async { writer.flush().await.map_err(refused_by_writer) }).await?;
        Ok(Receipt { elapsed: begun.elapsed(), ..ordered.receipt() })
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
        DownloadStream::new(Box::new(|| {
            let (settings, _) = self.settings.begin();
            Ok(Ordered::of(self.source?, settings, self.gauge))
        }))
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
        let (settings, _) = self.settings.begin();
        let mut ordered = Ordered::of(self.source?, settings, self.gauge);
        let mut held = BytesMut::new();
        loop {
            let chunk = match ordered.next().await? {
                Next::Chunk(chunk) => chunk,
                Next::Void => {
                    held.clear();
                    continue;
                }
                Next::End => return Ok(held.freeze()),
            };
            let stated = ordered.total().is_some_and(|total| total > limit as u64);
            if stated || held.len() + chunk.len() > limit {
                return Err(too_large());
            }
            held.extend_from_slice(&chunk);
        }
    }

    /// Reads the first answer, which names the file.
    async fn begin(self, names: &mut folder::Names) -> Result<Named, Error> {
        let (source, settings) = (self.source?, self.settings);
        in_runtime()?;
        let (settings, begun) = settings.begin();
        let (what, suggested) = match source {
            DownloadSource::Held(bytes) => (NamedSource::Held(bytes), None),
            DownloadSource::Linked(linked) => {
                let (source, received) = linked.into_source(&settings);
                let source = Arc::new(source);
                let path = source.url().url().path().to_owned();
                let suggested = |headers: &HeaderMap| file_name::suggested(headers, &path);
                let opening = async {
                    let permit = source.connection().await?;
                    let mut reader = Box::new(Reader::new(source.clone()).received(received));
                    reader.begin().await?;
                    Ok((permit, reader))
                };
                let opened = in_time(settings.until, opening, || too_late(&source, &self.gauge)).await;
                let (permit, reader) = match opened {
                    Ok(opened) => opened,
                    Err(error) => {
                        // The names of the other files do not depend on a failure that may pass.
                        names.take(suggested(&HeaderMap::new()).as_deref());
                        return Err(error);
                    }
                };
                let headers = reader.head().map(|head| head.headers.clone()).unwrap_or_default();
                let name = suggested(&headers);
                (NamedSource::Linked(source, Begun { permit, reader: Some(reader), received: None }), name)
            }
        };
        let name = names.take(suggested.as_deref());
        Ok(Named { what, name, settings, gauge: self.gauge, begun })
    }
}

/// A download whose name is known.
struct Named {
    what: NamedSource,
    name: String,
    settings: Settings,
    gauge: Gauge,
    begun: Instant,
}

enum NamedSource {
    Held(Bytes),
    Linked(Arc<Source>, Begun),
}

impl Named {
    async fn fetch_into(self, folder: &Path) -> Result<Receipt, Error> {
        let target = folder.join(&self.name);
        let receipt = match self.what {
            NamedSource::Held(bytes) => file::write_held(&target, bytes, &self.settings, &self.gauge).await?,
            NamedSource::Linked(source, begun) => {
                file::fetch(&target, source, begun, &self.settings, &self.gauge).await?
            }
        };
        Ok(Receipt { elapsed: self.begun.elapsed(), ..receipt })
    }
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Ok(DownloadSource::Held(bytes)) => write!(f, "Download({} bytes held)", bytes.len()),
            Ok(DownloadSource::Linked(linked)) => write!(f, "Download({})", linked.link),
            Err(error) => write!(f, "Download({error})"),
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
