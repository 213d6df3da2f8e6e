//! Part: the file beside the target, which takes the final name only when it is complete.

use std::fs::{self, File, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::beside::{self, FoundPart, Maker, beside};
use super::journal::Journal;
use super::range::Pin;

/// A part file, locked for as long as it is open. Every method blocks.
///
/// A part that is dropped before its end makes its contents resumable; an empty part is removed.
pub(super) struct Part {
    file: File,
    path: PathBuf,
    target: PathBuf,
    object: u64,
    pin: Option<Pin>,
    length: u64,
    synced: u64,
    /// Whether the part is unfinished and the disk refused nothing: otherwise its contents are unknown.
    sound: bool,
    /// Whether a later call finds the part by its name. A part beside a file that can neither be used nor removed has a
    /// random name, and is removed with this call.
    lasts: bool,
}

/// An order to a part.
pub(super) enum Order {
    /// Discard all bytes so far.
    BeginAnew,
    /// The bytes that follow belong to this object.
    Pin(Pin),
    Write(Bytes),
    /// Make the bytes so far resumable.
    Keep,
    /// The part is complete.
    Finish,
}

impl Part {
    /// Opens the part of `target`. The part begins at the end of the bytes that its journal confirms for this object,
    /// else empty; `None` while another download holds the part.
    ///
    /// A part of an earlier call is used only if it is a regular file of our own under one name. Anything else under
    /// that name, such as a link to a file elsewhere, is removed; if the removal is refused, the part gets a random
    /// name.
    pub(super) fn open(target: &Path, object: Option<u64>) -> io::Result<Option<Self>> {
        beside::check_target(target)?;
        let path = beside(target, ".part");
        let Some((file, was_there)) = claim(&path)? else { return Self::apart(target).map(Some) };
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
        let found = file.metadata()?;
        let journal = object.and_then(|object| Journal::of(&path, object, &found));
        let journal = journal.filter(|journal| journal.synced <= found.len());
        let mut part = Self::of(file, path, target, object.unwrap_or_default());
        (part.length, part.synced) = (found.len(), found.len());
        if was_there {
            beside::sweep(&part.path);
        }
        match journal {
            Some(Journal { pin, synced, .. }) => {
                part.cut(synced)?;
                part.pin = Some(pin);
            }
            None => match part.begin_anew() {
                // A foreign journal that cannot be removed would describe our part.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    tracing::warn!(%error, "the journal of a download is not ours: it begins under another name");
                    (part.length, part.synced) = (0, 0);
                    drop(part);
                    return Self::apart(target).map(Some);
                }
                done => done?,
            },
        }
        Ok(Some(part))
    }

    /// Opens a part under a random name, which no later call finds.
    fn apart(target: &Path) -> io::Result<Self> {
        let (file, path) = beside::create(target, ".part")?;
        let mut part = Self::of(file, path, target, 0);
        part.lasts = false;
        Ok(part)
    }

    fn of(file: File, path: PathBuf, target: &Path, object: u64) -> Self {
        let target = target.to_owned();
        Self { file, path, target, object, pin: None, length: 0, synced: 0, sound: true, lasts: true }
    }

    /// Returns the bytes kept from an earlier call.
    pub(super) fn kept(&self) -> Option<(Pin, u64)> {
        self.pin.clone().map(|pin| (pin, self.synced))
    }

    /// Carries out an order, until the disk refuses once.
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
        if self.lasts && Journal::remove(&self.path)? {
            // Must precede any other bytes under this name.
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

    /// Makes the bytes so far resumable: the data first, then the journal.
    fn keep(&mut self) -> io::Result<()> {
        if self.synced == self.length {
            return Ok(());
        }
        self.file.sync_data()?;
        self.synced = self.length;
        if let Some(pin) = self.pin.as_ref().filter(|pin| self.lasts && pin.etag.is_some())
            && let Err(error) = Journal::new(self.object, pin.clone(), self.synced).write(&self.path)
        {
            // The previous journal confirms fewer bytes, and stays true.
            tracing::warn!(%error, "the journal of a download cannot be written: what came since will come again");
        }
        Ok(())
    }

    /// Gives the complete part its final name.
    fn finish(&mut self) -> io::Result<()> {
        let stated = self.pin.as_ref().and_then(|pin| pin.total);
        if stated.is_some_and(|total| total != self.length) {
            self.keep().ok();
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "fewer bytes were written than were stated"));
        }
        self.file.sync_all()?;
        if let Err(error) = self.place() {
            self.keep().ok();
            return Err(error);
        }
        self.sound = false;
        // From this point on, no failure is an error: the file is complete and has its name.
        let tidied = if self.lasts { Journal::remove(&self.path).map(drop) } else { Ok(()) };
        if let Err(error) = tidied.and_then(|()| sync_folder(&self.target)) {
            tracing::debug!(%error, "the folder of a finished download could not be tidied or synced");
        }
        Ok(())
    }

    /// Renames the part to the target. Hours may have passed since both were inspected.
    fn place(&self) -> io::Result<()> {
        if !is_at(&self.file, &self.path)? {
            let why = format!("{} is another file than the one that was written", self.path.display());
            return Err(io::Error::other(why));
        }
        beside::check_target(&self.target)?;
        fs::rename(&self.path, &self.target)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.sound {
            return;
        }
        let kept = match self.lasts && self.length > 0 {
            true => self.keep(),
            false => beside::remove(&self.path).map(drop),
        };
        if let Err(error) = kept {
            tracing::debug!(%error, "what came of a download could not be kept");
        }
    }
}

/// Returns our own file under this name, and whether it existed before; `None` if the name can neither be used nor
/// freed.
fn claim(path: &Path) -> io::Result<Option<(File, bool)>> {
    for _ in 0..MOST_TRIES {
        match beside::create_new(path) {
            Ok(file) => return Ok(Some((file, false))),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        let maker = Maker::beside(path)?;
        match maker.find(path)? {
            FoundPart::Own(file) => {
                maker.set_mode(&file)?;
                return Ok(Some((file, true)));
            }
            FoundPart::Nothing => {}
            FoundPart::Busy => {
                let why = format!("a download of another user holds {}", path.display());
                return Err(io::Error::new(io::ErrorKind::ResourceBusy, why));
            }
            FoundPart::Folder => {
                let why = format!("{} is a folder", path.display());
                return Err(io::Error::new(io::ErrorKind::IsADirectory, why));
            }
            FoundPart::Foreign(what) => {
                tracing::warn!(path = %path.display(), what, "what stands beside the target is not ours: it is not used");
                if let Err(error) = beside::remove(path) {
                    tracing::warn!(%error, "it cannot be removed: the part gets another name, and cannot be resumed");
                    return Ok(None);
                }
            }
        }
    }
    Ok(None)
}

/// Returns whether the file still has this name: another download may have finished it between our opening and our
/// lock, and then it is the target.
///
/// Outside Unix, std cannot compare two files: a third download that created a new part meanwhile goes undetected.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(named) => Ok(named.is_file() && beside::is_same(&ours, &named)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Makes a rename or a removal survive a power failure. Windows cannot open a folder for that, and has no need to.
fn sync_folder(file: &Path) -> io::Result<()> {
    let folder = file.parent().filter(|folder| !cfg!(windows) && !folder.as_os_str().is_empty());
    folder.map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// A kill loses at most this much; a sync of this size takes well below a second on common disks.
const SYNC_EVERY: u64 = 32 << 20;
/// An attacker who plants files as fast as they are removed gets no further turn.
const MOST_TRIES: u32 = 8;

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
