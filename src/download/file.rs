//! The file sink: a part beside the target, which takes the final name only when it is whole.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::Receipt;
use super::journal::Journal;
use super::progress::Gauge;
use super::range::Pin;
use super::reader::{Piece, Reader};
use crate::error::{Error, ErrorKind};

/// Writes a result that is held already.
pub(super) async fn write_held(target: PathBuf, bytes: Bytes, gauge: &Gauge) -> Result<Receipt, Error> {
    let length = bytes.len() as u64;
    gauge.begin(0, Some(length));
    let mut part = open(&target).await?;
    blocking(&target, move || {
        part.begin_anew()?;
        part.write(&bytes)?;
        part.finish()
    })
    .await?;
    gauge.begin(length, Some(length));
    Ok(Receipt { bytes: length, ..Receipt::default() })
}

/// Fetches into a file, going on with a part of an earlier call.
pub(super) async fn fetch(target: PathBuf, mut reader: Reader, gauge: &Gauge) -> Result<Receipt, Error> {
    let mut part = open(&target).await?;
    let resumed = part.journal.take();
    if let Some(Journal { pin, synced, .. }) = &resumed {
        reader.resume(pin.clone(), *synced);
    }
    // The writer has a thread of its own, and at most this many chunks before it.
    let (orders, queue) = mpsc::channel(CHUNKS_IN_FLIGHT);
    let writer = tokio::task::spawn_blocking(move || obey(part, queue));

    let fetched = feed(&mut reader, &orders, gauge, resumed.is_some()).await;
    let finished = match &fetched {
        Ok(()) => orders.send(Order::Finish).await.is_ok(),
        Err(_) => false,
    };
    drop(orders);
    let written = writer.await.unwrap_or_else(|crash| Err(io::Error::other(crash)));
    // A disk that refuses is the cause, and a broken feed its effect.
    written.map_err(|error| io_error(&target, error))?;
    fetched?;
    if !finished {
        return Err(io_error(&target, io::Error::other("the writer ended early")));
    }
    Ok(reader.receipt())
}

/// Hands what the reader gives to the writer.
async fn feed(reader: &mut Reader, orders: &mpsc::Sender<Order>, gauge: &Gauge, resumed: bool) -> Result<(), Error> {
    let mut pinned = None;
    let mut untouched = resumed;
    if !resumed && orders.send(Order::BeginAnew).await.is_err() {
        return Ok(());
    }
    loop {
        let order = match reader.next().await {
            Ok(Piece::Chunk(chunk)) => {
                if pinned.as_ref() != reader.pin() {
                    pinned = reader.pin().cloned();
                    gauge.begin(reader.offset() - chunk.len() as u64, reader.total());
                    if let Some(pin) = pinned.clone()
                        && orders.send(Order::Pin(pin)).await.is_err()
                    {
                        return Ok(());
                    }
                }
                gauge.add(chunk.len());
                Order::Write(chunk)
            }
            Ok(Piece::End) => return Ok(()),
            Ok(Piece::Restart) => Order::BeginAnew,
            // The part of an earlier call is of an older result: nothing of it is used.
            Err(error) if untouched && error.kind() == ErrorKind::ResultChanged => {
                reader.start_over();
                Order::BeginAnew
            }
            Err(error) => return Err(error),
        };
        untouched = false;
        if orders.send(order).await.is_err() {
            // The writer's own error is reported instead.
            return Ok(());
        }
    }
}

enum Order {
    BeginAnew,
    Pin(Pin),
    Write(Bytes),
    Finish,
}

/// The writer's loop, on a thread that may block. Without a `Finish` it leaves a part that can be resumed.
fn obey(mut part: Part, mut queue: mpsc::Receiver<Order>) -> io::Result<()> {
    while let Some(order) = queue.blocking_recv() {
        match order {
            Order::BeginAnew => part.begin_anew()?,
            Order::Pin(pin) => part.pin = Some(pin),
            Order::Write(chunk) => part.write(&chunk)?,
            Order::Finish => return part.finish(),
        }
    }
    part.keep()
}

/// The part file, locked for as long as it is open.
struct Part {
    file: File,
    path: PathBuf,
    target: PathBuf,
    pin: Option<Pin>,
    length: u64,
    synced: u64,
    journal: Option<Journal>,
}

impl Part {
    /// Opens the part of `target`, at the end of what its journal vouches for; `None` while another holds it.
    fn open(target: &Path) -> io::Result<Option<Self>> {
        let path = beside(target, ".part");
        let mut file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let journal =
            Journal::of(&path).filter(|journal| file.metadata().is_ok_and(|part| part.len() >= journal.synced));
        let synced = journal.as_ref().map_or(0, |journal| journal.synced);
        if synced > 0 {
            file.set_len(synced)?;
        }
        file.seek(SeekFrom::Start(synced))?;
        let pin = journal.as_ref().map(|journal| journal.pin.clone());
        Ok(Some(Self { file, path, target: target.to_owned(), pin, length: synced, synced, journal }))
    }

    fn begin_anew(&mut self) -> io::Result<()> {
        Journal::remove(&self.path)?;
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        (self.pin, self.length, self.synced) = (None, 0, 0);
        Ok(())
    }

    fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.file.write_all(chunk)?;
        self.length += chunk.len() as u64;
        if self.length - self.synced >= SYNC_EVERY { self.keep() } else { Ok(()) }
    }

    /// Makes what is there resumable: the data first, then the word of it.
    fn keep(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        self.synced = self.length;
        match &self.pin {
            Some(pin) if self.synced > 0 => Journal::new(pin.clone(), self.synced).write(&self.path),
            _ => Ok(()),
        }
    }

    /// The whole is there: it takes its final name.
    fn finish(mut self) -> io::Result<()> {
        let stated = self.pin.as_ref().and_then(|pin| pin.total);
        if stated.is_some_and(|total| total != self.length) {
            self.keep()?;
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "fewer bytes were written than were stated"));
        }
        self.file.flush()?;
        self.file.sync_all()?;
        fs::rename(&self.path, &self.target)?;
        Journal::remove(&self.path)?;
        sync_folder(&self.target)
    }
}

/// Opens the part, with a little patience for the writer of a call that was dropped just now.
async fn open(target: &Path) -> Result<Part, Error> {
    for _ in 0..LOCK_TRIES {
        let path = target.to_owned();
        if let Some(part) = blocking(target, move || Part::open(&path)).await? {
            return Ok(part);
        }
        tokio::time::sleep(LOCK_PAUSE).await;
    }
    let path = beside(target, ".part");
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
    Error::new(ErrorKind::Io, format!("{}: {error}", target.display())).with_source(error)
}

/// The rename itself must survive a power cut. Windows cannot open a folder for that, and needs not.
fn sync_folder(target: &Path) -> io::Result<()> {
    if cfg!(windows) {
        return Ok(());
    }
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    File::open(folder)?.sync_all()
}

/// The path with something at its end.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// A kill costs at most this much; a sync of it takes well below a second on common disks.
const SYNC_EVERY: u64 = 32 << 20;
/// Chunks of a TLS or TCP read, 8 KiB to 400 KiB each: some 3 MiB at most.
const CHUNKS_IN_FLIGHT: usize = 8;
const LOCK_TRIES: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(50);
