//! Part: the file beside the target, which takes the final name only when it is whole.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::journal::Journal;
use super::range::Pin;

/// A part file, locked for as long as it is open. Every method blocks.
///
/// Dropped before its end, it makes what it holds resumable; an empty one it removes.
pub(super) struct Part {
    file: File,
    path: PathBuf,
    target: PathBuf,
    object: u64,
    pin: Option<Pin>,
    length: u64,
    synced: u64,
    /// It was neither finished, nor did the disk refuse anything: then nobody knows what is on it.
    sound: bool,
}

/// What a part is to do.
pub(super) enum Order {
    /// Forget all that came.
    BeginAnew,
    /// What comes now is of this.
    Pin(Pin),
    Write(Bytes),
    /// Make what is there resumable.
    Keep,
    /// All is there.
    Finish,
}

impl Part {
    /// Opens the part of `target`, at the end of what its journal vouches for of this object, else empty; `None` while
    /// another download holds it.
    pub(super) fn open(target: &Path, object: Option<u64>) -> io::Result<Option<Self>> {
        if target.is_dir() {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "there is a folder of that name"));
        }
        let path = beside(target, ".part");
        let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            // A file system without locks.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
        if !is_at(&file, &path)? {
            return Ok(None);
        }
        let present = file.metadata()?.len();
        let journal = object.and_then(|object| Journal::of(&path, object)).filter(|journal| journal.synced <= present);
        let (object, target) = (object.unwrap_or_default(), target.to_owned());
        let mut part = Self { file, path, target, object, pin: None, length: present, synced: present, sound: true };
        match journal {
            Some(Journal { pin, synced, .. }) => {
                part.cut(synced)?;
                part.pin = Some(pin);
            }
            None => part.begin_anew()?,
        }
        Ok(Some(part))
    }

    /// What is there of an earlier call.
    pub(super) fn kept(&self) -> Option<(Pin, u64)> {
        self.pin.clone().map(|pin| (pin, self.synced))
    }

    /// Obeys, until the disk refuses once.
    pub(super) fn obey(&mut self, order: Order) -> io::Result<()> {
        if !self.sound {
            return Err(io::Error::other("it was given up before"));
        }
        let done = match order {
            Order::BeginAnew => self.begin_anew(),
            Order::Pin(pin) => {
                self.pin = Some(pin);
                Ok(())
            }
            Order::Write(chunk) => self.write(&chunk),
            Order::Keep => self.keep(),
            Order::Finish => self.finish(),
        };
        self.sound &= done.is_ok();
        done
    }

    fn begin_anew(&mut self) -> io::Result<()> {
        if Journal::remove(&self.path)? {
            // Before other bytes come under it.
            sync_folder(&self.path)?;
        }
        self.pin = None;
        self.cut(0)
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length)?;
        self.file.seek(SeekFrom::Start(length))?;
        (self.length, self.synced) = (length, length);
        Ok(())
    }

    fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.file.write_all(chunk)?;
        self.length += chunk.len() as u64;
        if self.length - self.synced >= SYNC_EVERY { self.keep() } else { Ok(()) }
    }

    /// Makes what is there resumable: the data first, then the word of it.
    fn keep(&mut self) -> io::Result<()> {
        if self.synced == self.length {
            return Ok(());
        }
        self.file.sync_data()?;
        self.synced = self.length;
        match &self.pin {
            Some(pin) if pin.etag.is_some() => Journal::new(self.object, pin.clone(), self.synced).write(&self.path),
            _ => Ok(()),
        }
    }

    /// The whole is there: it takes its final name.
    fn finish(&mut self) -> io::Result<()> {
        let stated = self.pin.as_ref().and_then(|pin| pin.total);
        if stated.is_some_and(|total| total != self.length) {
            self.keep().ok();
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "fewer bytes were written than were stated"));
        }
        self.file.sync_all()?;
        if let Err(error) = fs::rename(&self.path, &self.target) {
            self.keep().ok();
            return Err(error);
        }
        self.sound = false;
        // From here on nothing is an error: the file is whole and has its name.
        if let Err(error) = Journal::remove(&self.path).and_then(|_| sync_folder(&self.target)) {
            tracing::debug!(%error, "the folder of a finished download could not be tidied or synced");
        }
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.sound {
            return;
        }
        let kept = if self.length > 0 { self.keep() } else { fs::remove_file(&self.path) };
        if let Err(error) = kept {
            tracing::debug!(%error, "what came of a download could not be kept");
        }
    }
}

/// The path with something at its end.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Whether the file still has this name: another download may have finished it between our opening and our lock, and
/// then it is the target.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;

    let ours = file.metadata()?;
    match fs::metadata(path) {
        Ok(named) => Ok((ours.dev(), ours.ino()) == (named.dev(), named.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// As on Unix, as far as std can tell: a third download that made a new part meanwhile goes unseen.
#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> io::Result<bool> {
    fs::exists(path)
}

/// A rename or a removal must survive a power cut. Windows cannot open a folder for that, and needs not.
fn sync_folder(file: &Path) -> io::Result<()> {
    let folder = file.parent().filter(|folder| !cfg!(windows) && !folder.as_os_str().is_empty());
    folder.map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// A kill costs at most this much; a sync of it takes well below a second on common disks.
const SYNC_EVERY: u64 = 32 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sees_that_a_file_lost_its_name_to_another() {
        let folder = std::env::temp_dir().join(format!("longhaul-part-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("7.part");
        let file = File::create(&path).unwrap();
        assert!(is_at(&file, &path).unwrap());
        fs::rename(&path, folder.join("7")).unwrap();
        assert!(!is_at(&file, &path).unwrap());
        File::create(&path).unwrap();
        assert!(!is_at(&file, &path).unwrap() || cfg!(not(unix)));
        fs::remove_dir_all(folder).unwrap();
    }
}
