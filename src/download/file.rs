//! The file sink: writes the reader's bytes into a part, which becomes the target when it is complete.

use std::io;
use std::path::{Path, PathBuf, absolute};
use std::time::Duration;

use bytes::Bytes;

use super::Receipt;
use super::beside::beside;
use super::journal;
use super::part::{Order, Part};
use super::progress::Gauge;
use super::reader::{Piece, Reader};
use super::writer::Writer;
use crate::error::{Error, ErrorKind};

/// Writes a result that is already held.
pub(super) async fn write_held(target: &Path, bytes: Bytes, gauge: &Gauge) -> Result<Receipt, Error> {
    let length = bytes.len() as u64;
    gauge.set(0, Some(length));
    let mut part = open(target, None).await?;
    blocking(target, move || {
        part.obey(Order::Write(bytes))?;
        part.obey(Order::Finish)
    })
    .await?;
    gauge.set(length, Some(length));
    Ok(Receipt { bytes: length, ..Receipt::default() })
}

/// Fetches into a file, resuming the part of an earlier call.
pub(super) async fn fetch(target: &Path, mut reader: Reader, gauge: &Gauge) -> Result<Receipt, Error> {
    let part = open(target, Some(journal::object(reader.link()))).await?;
    let kept = part.kept();
    let resumed = kept.is_some();
    if let Some((pin, offset)) = kept {
        gauge.set(offset, pin.total);
        reader.resume(pin, offset);
    }
    let mut writer = Writer::new(part);
    let refused = |error| io_error(target, error);

    let fed = feed(&mut reader, &mut writer, gauge, resumed, &refused).await;
    let ended = writer.end(if fed.is_ok() { Order::Finish } else { Order::Keep }).await;
    if let (Err(_), Err(error)) = (&fed, &ended) {
        tracing::debug!(%error, "what came of a download could not be kept");
    }
    fed?;
    ended.map_err(refused)?;
    Ok(reader.receipt())
}

/// Passes the reader's pieces to the writer.
async fn feed(
    reader: &mut Reader,
    writer: &mut Writer,
    gauge: &Gauge,
    resumed: bool,
    refused: &(impl Fn(io::Error) -> Error + Sync),
) -> Result<(), Error> {
    let mut pinned = None;
    let mut untouched = resumed;
    loop {
        match reader.next().await {
            Ok(Piece::Chunk(chunk)) => {
                gauge.set(reader.offset(), reader.total());
                if pinned.as_ref() != reader.pin() {
                    pinned = reader.pin().cloned();
                    if let Some(pin) = pinned.clone() {
                        writer.take(Order::Pin(pin)).await.map_err(refused)?;
                    }
                }
                writer.take(Order::Write(chunk)).await.map_err(refused)?;
            }
            Ok(Piece::End) => {
                gauge.set(reader.offset(), reader.total());
                return Ok(());
            }
            Ok(Piece::Restart) => {
                pinned = None;
                writer.take(Order::BeginAnew).await.map_err(refused)?;
            }
            // The part of an earlier call belongs to an older result: none of it is used.
            Err(error) if untouched && error.kind() == ErrorKind::ResultChanged => {
                reader.start_over();
                writer.take(Order::BeginAnew).await.map_err(refused)?;
            }
            Err(error) => return Err(error),
        }
        untouched = false;
    }
}

/// Opens the part, after a short wait for the writer of a call that was just dropped.
async fn open(target: &Path, object: Option<u64>) -> Result<Part, Error> {
    // A later change of the process' working directory does not change the file's location.
    let whole_path = absolute(target).map_err(|error| io_error(target, error))?;
    for _ in 0..LOCK_TRIES {
        let path = whole_path.clone();
        if let Some(part) = blocking(target, move || Part::open(&path, object)).await? {
            return Ok(part);
        }
        tokio::time::sleep(LOCK_PAUSE).await;
    }
    let path: PathBuf = beside(target, ".part");
    Err(Error::new(ErrorKind::Io, format!("another download holds {}", path.display())))
}

async fn blocking<T: Send + 'static>(
    target: &Path,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|crash| Err(io::Error::other(crash))).map_err(|error| io_error(target, error))
}

fn io_error(target: &Path, error: io::Error) -> Error {
    let mut why = if target.as_os_str().is_empty() {
        "the path of the target is empty: give a file to write to".to_owned()
    } else {
        missing_folder(&error, target).unwrap_or_else(|| format!("{}: {error}", target.display()))
    };
    if let Some(advice) = crate::error::out_of_files(&error) {
        why = format!("{why}: {advice}");
    }
    Error::new(ErrorKind::Io, why).with_source(error)
}

/// Names the missing folder. A download creates no folder, because a typo in a path would then go unnoticed.
fn missing_folder(error: &io::Error, target: &Path) -> Option<String> {
    if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) {
        return None;
    }
    let whole_path = absolute(target).ok()?;
    let folder = whole_path.parent()?;
    let shown = folder.display();
    if folder.is_dir() {
        return None;
    }
    Some(match folder.ancestors().find(|above| above.exists()) {
        Some(file) if file.is_file() => format!("{}: {} is a file, and no folder", target.display(), file.display()),
        _ => format!("{}: the folder {shown} does not exist: make it before the download", target.display()),
    })
}

const LOCK_TRIES: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(50);
