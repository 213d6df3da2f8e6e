//! Log: a table in a file that several processes append to.
//!
//! ```text
//! file  = "longhaul tasks 1" | generation u64 | frame*
//! frame = "\xf5lhF" | length u32 | crc32 of the length and the record u32 | record
//! record = lease clock u64 | wall clock u64 | entry*
//! ```
//!
//! Numbers are little-endian. A frame is one change, appended by one write, under a lock beside the file: a frame that
//! was cut by the end of a process or of the machine is the last one, was never acknowledged, and is removed by the next
//! user. Any other damage is an error, and the file is left as it is. A compaction writes the file anew, with another
//! generation, and renames it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::entry::{Entry, Now, Place, Reader};
use super::lease::Claimed;
use super::table::{Bounds, Change, Full, Table};
use crate::credential::{AtomicFile, folder, sweep};

/// A table in a file.
pub(super) struct Log {
    path: PathBuf,
    /// The part of the file that was read already.
    read: Mutex<Known>,
    /// Takes the lock of a file: replaced in tests.
    pub(super) lock: fn(&File) -> Result<(), TryLockError>,
}

#[derive(Debug)]
struct Known {
    table: Table<Place>,
    generation: u64,
    /// The end of the last whole frame.
    end: u64,
    /// No compaction is tried before the file has this length.
    compacts_at: u64,
}

impl Known {
    fn nothing() -> Self {
        Self { table: Table::new(), generation: 0, end: 0, compacts_at: 0 }
    }
}

impl Log {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, read: Mutex::new(Known::nothing()), lock: File::try_lock }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Decides a change over all that any process wrote so far, and appends it.
    pub(super) fn change<A>(
        &self,
        wall: u64,
        bounds: &Bounds,
        decide: impl FnOnce(&Table<Place>, Now) -> Result<Change<A>, Full>,
    ) -> Result<A, Why> {
        self.locked(|known, file| {
            let now = known.table.time(wall, bounds);
            let Change { now, entries, is_durable, answer } = decide(&known.table, now)?;
            self.append(known, file, now, entries, is_durable)?;
            self.compact(known, file);
            Ok(answer)
        })
    }

    /// As [`change`](Self::change), and returns the data of the claimed tasks.
    pub(super) fn claim(&self, wall: u64, bounds: &Bounds, owner: &Arc<str>, most: usize) -> Result<Vec<Claimed>, Why> {
        self.locked(|known, file| {
            let now = known.table.time(wall, bounds);
            let Change { now, entries, is_durable, answer } = known.table.claim(owner, most, now, bounds);
            let mut claimed = Vec::new();
            // Read before the tasks change hands: a task whose data cannot be read stays where it is.
            for (lease, state) in answer {
                let data = known.table.data(lease.name()).map(|place| read_at(file, *place)).transpose();
                let data = data.map_err(|error| Why::Io("read", error))?;
                claimed.push(Claimed::new(lease, state, data.unwrap_or_default()));
            }
            self.append(known, file, now, entries, is_durable)?;
            self.compact(known, file);
            Ok(claimed)
        })
    }

    /// Looks at all that any process wrote so far.
    pub(super) fn look<A>(&self, look: impl FnOnce(&Table<Place>) -> A) -> Result<A, Why> {
        self.locked(|known, _| Ok(look(&known.table)))
    }

    fn locked<A>(&self, work: impl FnOnce(&mut Known, &mut File) -> Result<A, Why>) -> Result<A, Why> {
        let mut known = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if self.path.file_name().is_none() {
            return Err(Why::NoFile);
        }
        if !folder(&self.path).is_dir() {
            return Err(Why::NoFolder);
        }
        // The lock ends with this file, also if the process is killed.
        let _lock = self.take_lock()?;
        let mut file = self.open()?;
        let ended = catch_up(&mut known, &mut file).and_then(|()| work(&mut known, &mut file));
        if matches!(ended, Err(Why::Io(..) | Why::Damaged(_))) {
            // The next call reads the file from its start.
            *known = Known::nothing();
        }
        ended
    }

    fn take_lock(&self) -> Result<File, Why> {
        let mut path = self.path.clone().into_os_string();
        path.push(LOCK);
        let failed = |error| Why::Io("locked", error);
        let file =
            OpenOptions::new().write(true).create(true).truncate(false).open(PathBuf::from(path)).map_err(failed)?;
        let (begun, mut pause) = (Instant::now(), Duration::from_micros(200));
        loop {
            match (self.lock)(&file) {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if begun.elapsed() > PATIENCE => return Err(Why::Busy),
                Err(TryLockError::WouldBlock) => thread::sleep(pause),
                Err(TryLockError::Error(error)) if has_no_locks(&error) => return Err(Why::NoLocks(error)),
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Opens the file; creates it whole if there is none.
    fn open(&self) -> Result<File, Why> {
        let open = || OpenOptions::new().read(true).write(true).open(&self.path);
        match open() {
            Ok(file) if file.metadata().is_ok_and(|about| about.is_file()) => Ok(file),
            Ok(_) => Err(Why::NoFile),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let failed = |error| Why::Io("created", error);
                let mut fresh = AtomicFile::beside(&self.path).map_err(failed)?;
                fresh.write(&header(fastrand::u64(1..))).map_err(failed)?;
                fresh.place().map_err(failed)?;
                open().map_err(failed)
            }
            Err(_) if self.path.is_dir() => Err(Why::NoFile),
            Err(error) => Err(Why::Io("opened", error)),
        }
    }

    fn append(
        &self,
        known: &mut Known,
        file: &mut File,
        now: Now,
        entries: Vec<Entry<Vec<u8>>>,
        is_durable: bool,
    ) -> Result<(), Why> {
        if entries.is_empty() {
            return Ok(());
        }
        let (bytes, entries) = frame(known.end, now, entries).ok_or(Why::TooLong)?;
        let written = file.seek(SeekFrom::Start(known.end)).and_then(|_| file.write_all(&bytes));
        let written = written.and_then(|()| if is_durable { file.sync_data() } else { Ok(()) });
        if let Err(error) = written {
            // A change that failed must not come true later. A part that cannot be removed is a torn frame.
            if let Err(error) = file.set_len(known.end) {
                tracing::debug!(%error, "a part of a change stays in the task store");
            }
            return Err(Why::Io("written", error));
        }
        known.end += bytes.len() as u64;
        entries.into_iter().for_each(|entry| known.table.apply(now, entry));
        Ok(())
    }

    /// Writes the file anew if most of it is out of date. A failure is no failure of the change: the file stays as it is.
    fn compact(&self, known: &mut Known, file: &mut File) {
        let worth = known.table.bytes().saturating_mul(2).saturating_add(COMPACTS_FROM).max(known.compacts_at);
        if known.end < worth {
            return;
        }
        match self.compacted(known, file) {
            Ok(fresh) => *known = fresh,
            Err(why) => {
                known.compacts_at = known.end.saturating_mul(2);
                tracing::warn!(path = %self.path.display(), %why, "a task store could not be compacted");
            }
        }
    }

    fn compacted(&self, known: &Known, file: &mut File) -> Result<Known, Why> {
        let failed = |error| Why::Io("written", error);
        let generation = fastrand::u64(1..);
        let mut fresh = AtomicFile::beside(&self.path).map_err(failed)?;
        let mut end = HEADER;
        fresh.write(&header(generation)).map_err(failed)?;
        let (mut table, now) = (Table::new(), known.table.now());
        let mut entries = known.table.entries().into_iter().peekable();
        while entries.peek().is_some() {
            let (mut batch, mut size) = (Vec::new(), 0);
            while size < BATCH
                && let Some(entry) = entries.next()
            {
                let entry = match entry {
                    Entry::Put { head, data } => {
                        let data = read_at(file, data).map_err(|error| Why::Io("read", error))?;
                        size += data.len();
                        Entry::Put { head, data }
                    }
                    Entry::Turn(head) => Entry::Turn(head),
                    Entry::Beat { owner, until } => Entry::Beat { owner, until },
                    Entry::Forget { name } => Entry::Forget { name },
                };
                size += SMALL;
                batch.push(entry);
            }
            let (bytes, batch) = frame(end, now, batch).ok_or(Why::TooLong)?;
            fresh.write(&bytes).map_err(failed)?;
            end += bytes.len() as u64;
            batch.into_iter().for_each(|entry| table.apply(now, entry));
        }
        fresh.place().map_err(failed)?;
        sweep(&self.path);
        Ok(Known { table, generation, end, compacts_at: 0 })
    }
}

/// Reads the frames that were appended since the last call.
fn catch_up(known: &mut Known, file: &mut File) -> Result<(), Why> {
    let failed = |error| Why::Io("read", error);
    let length = file.metadata().map_err(failed)?.len();
    let generation = read_header(file, length)?;
    if generation != known.generation || length < known.end {
        *known = Known { generation, end: HEADER, ..Known::nothing() };
    }
    file.seek(SeekFrom::Start(known.end)).map_err(failed)?;
    let mut from = io::BufReader::with_capacity(BATCH, &mut *file);
    while known.end < length {
        let Some(record) = next_frame(&mut from, length - known.end).map_err(failed)? else {
            return mend(known, file, length);
        };
        let at = known.end + FRAME;
        let (now, entries) = decode(&record, at).ok_or(Why::Damaged(known.end))?;
        entries.into_iter().for_each(|entry| known.table.apply(now, entry));
        known.end += FRAME + record.len() as u64;
    }
    Ok(())
}

/// Reads a frame of at most this length; `None` if there is no whole one.
fn next_frame(from: &mut impl Read, left: u64) -> io::Result<Option<Vec<u8>>> {
    if left < FRAME {
        return Ok(None);
    }
    let mut head = [0; HEAD];
    from.read_exact(&mut head)?;
    let Some((length, crc)) = parse_head(&head).filter(|(length, _)| FRAME + u64::from(*length) <= left) else {
        return Ok(None);
    };
    let mut record = vec![0; length as usize];
    from.read_exact(&mut record)?;
    Ok((checksum(length, &record) == crc).then_some(record))
}

/// Removes a frame that was cut. Anything but a cut is an error: a whole frame after it, or bytes after its end.
fn mend(known: &Known, file: &mut File, length: u64) -> Result<(), Why> {
    let failed = |error| Why::Io("read", error);
    let mut rest = Vec::new();
    file.seek(SeekFrom::Start(known.end)).map_err(failed)?;
    file.take(length - known.end).read_to_end(&mut rest).map_err(failed)?;
    let head = rest.first_chunk::<HEAD>();
    let ends = head.and_then(parse_head).map(|(length, _)| FRAME + u64::from(length));
    // A machine that lost its power may leave zeros in place of what was written last.
    let is_zero = || rest.iter().all(|byte| *byte == 0);
    let is_cut = match (head, ends) {
        (None, _) => rest.iter().zip(MARK).all(|(byte, mark)| *byte == *mark) || is_zero(),
        (Some(_), Some(ends)) => ends >= rest.len() as u64,
        (Some(_), None) => is_zero(),
    };
    if !is_cut || holds_frame(rest.get(1..).unwrap_or_default()) {
        return Err(Why::Damaged(known.end));
    }
    file.set_len(known.end).and_then(|()| file.sync_all()).map_err(|error| Why::Io("written", error))?;
    tracing::warn!(
        bytes = rest.len(),
        "a change that a process began to write to the task store, and that it did not \
                                        end, is removed"
    );
    Ok(())
}

/// Returns whether the bytes hold a whole frame anywhere.
fn holds_frame(bytes: &[u8]) -> bool {
    bytes.windows(MARK.len()).enumerate().filter(|(_, window)| *window == MARK).any(|(at, _)| {
        let mut rest = bytes.get(at..).unwrap_or_default();
        let left = rest.len() as u64;
        next_frame(&mut rest, left).is_ok_and(|record| record.is_some())
    })
}

fn frame(at: u64, now: Now, entries: Vec<Entry<Vec<u8>>>) -> Option<(Vec<u8>, Vec<Entry<Place>>)> {
    let mut record = Vec::new();
    record.extend_from_slice(&now.lease.to_le_bytes());
    record.extend_from_slice(&now.wall.to_le_bytes());
    let mut placed = Vec::with_capacity(entries.len());
    for entry in entries {
        placed.push(match entry.encode(&mut record)? {
            Entry::Put { head, data } => {
                Entry::Put { head, data: Place { at: data.at + at + FRAME, length: data.length } }
            }
            entry => entry,
        });
    }
    let length = u32::try_from(record.len()).ok()?;
    let mut bytes = Vec::with_capacity(record.len() + HEAD);
    bytes.extend_from_slice(MARK);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&checksum(length, &record).to_le_bytes());
    bytes.extend_from_slice(&record);
    Some((bytes, placed))
}

fn decode(record: &[u8], at: u64) -> Option<(Now, Vec<Entry<Place>>)> {
    let mut from = Reader { bytes: record, at };
    let now = Now { lease: from.u64()?, wall: from.u64()? };
    let mut entries = Vec::new();
    while !from.is_empty() {
        entries.push(Entry::decode(&mut from)?);
    }
    Some((now, entries))
}

fn parse_head(head: &[u8; HEAD]) -> Option<(u32, u32)> {
    let rest = head.strip_prefix(MARK)?;
    let (length, crc) = rest.split_first_chunk::<4>()?;
    Some((u32::from_le_bytes(*length), u32::from_le_bytes(crc.try_into().ok()?)))
}

fn checksum(length: u32, record: &[u8]) -> u32 {
    let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi);
    digest.update(&length.to_le_bytes());
    digest.update(record);
    // The algorithm has 32 bits.
    u32::try_from(digest.finalize()).unwrap_or_default()
}

fn header(generation: u64) -> Vec<u8> {
    [MAGIC, VERSION, &generation.to_le_bytes()].concat()
}

fn read_header(file: &mut File, length: u64) -> Result<u64, Why> {
    let mut bytes = Vec::new();
    let read = file.seek(SeekFrom::Start(0)).and_then(|_| file.take(HEADER).read_to_end(&mut bytes));
    read.map_err(|error| Why::Io("read", error))?;
    let Some(rest) = bytes.strip_prefix(MAGIC) else {
        return Err(if MAGIC.starts_with(&bytes) { Why::Cut(length) } else { Why::Foreign });
    };
    match rest.strip_prefix(VERSION) {
        Some(generation) => generation.try_into().map(u64::from_le_bytes).map_err(|_| Why::Cut(length)),
        None if rest.is_empty() => Err(Why::Cut(length)),
        None => Err(Why::OtherVersion),
    }
}

fn read_at(file: &mut File, place: Place) -> io::Result<Vec<u8>> {
    let mut data = vec![0; place.length as usize];
    file.seek(SeekFrom::Start(place.at))?;
    file.read_exact(&mut data)?;
    Ok(data)
}

/// Returns whether the error means that this file system has no locks.
fn has_no_locks(error: &io::Error) -> bool {
    // ENOLCK, ENOSYS and EOPNOTSUPP of Linux; of macOS, where they differ.
    let codes: &[i32] = if cfg!(target_os = "linux") { &[37, 38, 95] } else { &[77, 78, 45, 102] };
    error.kind() == io::ErrorKind::Unsupported
        || (cfg!(unix) && error.raw_os_error().is_some_and(|code| codes.contains(&code)))
}

/// The fault of the file, in one line: the causes add no words of their own.
#[derive(Debug, thiserror::Error)]
pub(super) enum Why {
    #[error("cannot be {0}: {1}")]
    Io(&'static str, io::Error),
    #[error("{0}")]
    Full(#[from] Full),
    #[error("is in a folder that does not exist: create it first, with access for this user alone")]
    NoFolder,
    #[error("is no ordinary file: name another path")]
    NoFile,
    #[error("was held by another process for 10 seconds, and was not changed: is one stopped, or the disk stuck?")]
    Busy,
    #[error("is on a file system without locks ({0}), and is not shared safely there: name a path on a local disk")]
    NoLocks(io::Error),
    #[error("is cut off inside its header, after {0} bytes: restore it, or remove it if no task was stored in it")]
    Cut(u64),
    #[error("is of another version of longhaul, and was not changed: update this program, or name another path")]
    OtherVersion,
    #[error("is no task store, and was not changed: name another path")]
    Foreign,
    #[error("is damaged at byte {0}, and was not changed: restore it, or move it away and submit anew what is missing")]
    Damaged(u64),
    #[error("cannot hold a task of this size: its name may have 65,535 bytes, and its data 4 GiB")]
    TooLong,
    #[error("can only be used within a tokio runtime")]
    NoRuntime,
    #[error("was left as it is: the runtime ended first")]
    Unfinished,
}

const MAGIC: &[u8] = b"longhaul tasks ";
const VERSION: &[u8] = b"1";
const HEADER: u64 = 24;
/// Begins each frame, so that a search finds one.
const MARK: &[u8] = b"\xf5lhF";
/// The length of a frame around its record.
const HEAD: usize = 12;
const FRAME: u64 = HEAD as u64;
const LOCK: &str = ".lock";
/// A change takes microseconds, and a compaction of the whole store a second.
const PATIENCE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(5);
/// A smaller file is not worth a compaction.
const COMPACTS_FROM: u64 = 1 << 20;
const BATCH: usize = 256 << 10;
/// About the bytes of an entry without data.
const SMALL: usize = 64;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    use super::*;

    const BOUNDS: Bounds = Bounds::STANDARD;

    fn intend(log: &Log, name: &str) -> Result<(), Why> {
        log.change(1, &BOUNDS, |table, now| table.intend(name.into(), "o".into(), vec![1], now, &BOUNDS)).map(drop)
    }

    #[test]
    fn a_file_system_without_locks_is_an_error_and_writes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tasks");
        for code in if cfg!(target_os = "linux") { &[37, 38, 95][..] } else { &[] } {
            let mut log = Log::new(path.clone());
            log.lock = match code {
                37 => |_| Err(TryLockError::Error(io::Error::from_raw_os_error(37))),
                38 => |_| Err(TryLockError::Error(io::Error::from_raw_os_error(38))),
                _ => |_| Err(TryLockError::Error(io::Error::from_raw_os_error(95))),
            };
            let why = intend(&log, "a").unwrap_err().to_string();
            assert!(why.contains("is on a file system without locks"), "{why}");
            assert!(!path.exists());
        }
        let mut log = Log::new(path.clone());
        log.lock = |_| Err(TryLockError::Error(io::ErrorKind::PermissionDenied.into()));
        assert!(intend(&log, "a").unwrap_err().to_string().contains("cannot be locked"));
    }

    #[test]
    fn a_lock_of_another_process_is_waited_for() {
        static TRIES: AtomicU32 = AtomicU32::new(0);
        let folder = tempfile::tempdir().unwrap();
        let mut log = Log::new(folder.path().join("tasks"));
        log.lock = |_| if TRIES.fetch_add(1, Relaxed) < 3 { Err(TryLockError::WouldBlock) } else { Ok(()) };
        intend(&log, "a").unwrap();
        assert_eq!(TRIES.load(Relaxed), 4);
    }
}
