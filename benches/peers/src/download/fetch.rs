//! Fetch: one download by one library, as this program does nothing else.

#[cfg(feature = "download")]
mod peers;
mod raw;

use std::ffi::OsString;
use std::path::Path;

use futures::TryStreamExt;
use tokio::fs::File;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::runtime::Runtime;

use crate::Failure;

/// The target of bytes that nobody keeps.
pub(super) const NOWHERE: &str = "-";

pub(super) const RAW: &str = "raw TCP reader";
pub(super) const REQWEST: &str = "reqwest";
pub(super) const LONGHAUL: &str = "longhaul";

/// The names of the other libraries, their connections, and whether their bytes can go elsewhere than to a file.
pub(super) const PEERS: [(&str, u32, bool); 4] =
    [("object_store", 1, true), ("fast-down", 8, false), ("gosh-dl", 8, false), ("rusty-cat", 8, false)];

/// `SUBJECT URL TARGET`.
pub(super) fn fetch(arguments: &[OsString]) -> Result<(), Failure> {
    let [subject, url, target] = arguments else { return Err("not a subject, a URL and a target".into()) };
    let (subject, url) = (subject.to_str().ok_or("no name")?, url.to_str().ok_or("no URL")?);
    let target = Some(Path::new(target)).filter(|target| *target != Path::new(NOWHERE));
    if subject == RAW {
        return raw::fetch(url, target);
    }
    // Two or more threads, as `#[tokio::main]` makes it.
    Runtime::new()?.block_on(async {
        match (subject, target) {
            (REQWEST, _) => reqwest(url, target).await,
            #[cfg(feature = "longhaul")]
            (LONGHAUL, _) => longhaul(url, target).await,
            #[cfg(feature = "download")]
            ("object_store", _) => peers::object_store(url, target).await,
            #[cfg(feature = "download")]
            ("fast-down", Some(target)) => peers::fast_down(url, target).await,
            #[cfg(feature = "download")]
            ("gosh-dl", Some(target)) => peers::gosh_dl(url, target).await,
            #[cfg(feature = "download")]
            ("rusty-cat", Some(target)) => peers::rusty_cat(url, target).await,
            _ => Err(format!("no such subject: {subject}").into()),
        }
    })
}

async fn sink(target: Option<&Path>) -> Result<Box<dyn AsyncWrite + Unpin + Send>, Failure> {
    Ok(match target {
        Some(path) => Box::new(File::create(path).await?),
        None => Box::new(tokio::io::sink()),
    })
}

async fn reqwest(url: &str, target: Option<&Path>) -> Result<(), Failure> {
    let response = reqwest::Client::new().get(url).send().await?.error_for_status()?;
    let mut chunks = response.bytes_stream();
    let mut sink = sink(target).await?;
    while let Some(chunk) = chunks.try_next().await? {
        sink.write_all(&chunk).await?;
    }
    Ok(sink.flush().await?)
}

#[cfg(feature = "longhaul")]
async fn longhaul(url: &str, target: Option<&Path>) -> Result<(), Failure> {
    // The link is of another origin than the API, as that of a storage.
    let client = longhaul::Client::builder("http://127.0.0.1:9").no_proxy().build()?;
    let download = client.download(url);
    match target {
        Some(path) => download.to_file(path).await?,
        None => download.to_writer(&mut tokio::io::sink()).await?,
    };
    Ok(())
}

/// How a download was going.
#[cfg(feature = "longhaul")]
pub(super) struct Sample {
    pub(super) seconds: f64,
    pub(super) connections: usize,
    /// Bytes of a second, since the sample before.
    pub(super) rate: f64,
}

/// Downloads, and looks at it ten times a second.
#[cfg(feature = "longhaul")]
pub(super) fn log_connections(url: &str, target: &Path) -> Result<Vec<Sample>, Failure> {
    use std::time::{Duration, Instant};

    Runtime::new()?.block_on(async {
        let client = longhaul::Client::builder("http://127.0.0.1:9").no_proxy().build()?;
        let download = client.download(url);
        let watch = download.progress();
        let begun = Instant::now();
        let look = async {
            let (mut samples, mut bytes, mut at) = (Vec::new(), 0, 0.0);
            let mut tick = tokio::time::interval(Duration::from_millis(100));
            tick.tick().await;
            loop {
                tick.tick().await;
                let (progress, seconds) = (watch.now(), begun.elapsed().as_secs_f64());
                let rate = (progress.bytes() - bytes) as f64 / (seconds - at);
                samples.push(Sample { seconds, connections: progress.connections(), rate });
                (bytes, at) = (progress.bytes(), seconds);
                if progress.total() == Some(bytes) {
                    return samples;
                }
            }
        };
        let (receipt, samples) = tokio::join!(download.to_file(target), look);
        receipt?;
        Ok(samples)
    })
}
