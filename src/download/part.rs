//! Part: the file beside the target, which takes the final name only when it is complete.

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::beside::{self, FoundPart, Maker};
use super::checksum::{Algorithm, Crcs, Expected, Hasher};
use super::identity::Identity;
use super::journal::{self, Journal};
use super::names::Names;
use super::record::{Record, nanos};
use super::runs::{Run, Runs};
use super::space;

/// A part file, locked for as long as it is open. Every method blocks, and several threads may write at a time.
///
/// A part that is dropped before its end makes its contents resumable; an empty part is removed.
pub(super) struct Part {
    file: File,
    names: Names,
    object: u64,
    _opened: OpenPart,
    /// Whether a later call finds the part by its name. A part beside a file that can neither be used nor removed has a
    /// random name, and is removed with this call.
    lasts: bool,
    state: Mutex<State>,
    /// Held while the journal is written, so that an older one never replaces a newer one.
    saving: Mutex<()>,
}

struct State {
    identity: Option<Identity>,
    runs: Runs,
    /// The checksums of the whole that the storage stated.
    expected: Vec<Expected>,
    /// The runs of the last journal.
    saved: Vec<Run>,
    /// The checksums that every write computes.
    also: Vec<Algorithm>,
    /// The hashes of the bytes from the first one on, while they arrive in order.
    hashed: Option<Hashed>,
    /// Whether the part is unfinished and the disk refused nothing: otherwise its contents are unknown.
    is_sound: bool,
    /// What the disk refused with, for the errors of what is tried afterwards.
    refused: Option<String>,
    /// Whether the caller has dropped the download: the file does not take its name.
    is_given_up: bool,
}

struct Hashed {
    next: u64,
    hashers: Vec<(Algorithm, Hasher)>,
}

/// What an earlier call left.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) identity: Identity,
    pub(super) bytes: u64,
    pub(super) expected: Vec<Expected>,
}

impl Part {
    /// Opens the part of `target`. If its journal is of this object, the part holds what the journal confirms and the
    /// disk still has; else it begins empty. `None` while another download holds the part.
    ///
    /// A part of an earlier call is used only if it is a regular file of our own under one name. Anything else under
    /// that name, such as a link to a file elsewhere, is removed; if the removal is refused, the part gets a random
    /// name.
    ///
    /// `resumes`: whether what an earlier call wrote is used.
    pub(super) fn open(target: &Path, object: u64, resumes: bool) -> io::Result<Option<Self>> {
        beside::check_target(target)?;
        let names = Names::of(target);
        let Some(opened) = OpenPart::claim(&names.part) else { return Ok(None) };
        let Some((file, was_there)) = claim(&names.part)? else { return Self::apart(names, object, opened).map(Some) };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) if has_no_locks(&error) => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
        if !is_at(&file, &names.part)? {
            return Ok(None);
        }
        let found = file.metadata()?;
        let journal = resumes.then(|| Journal::of(&names.journal, object, &found)).flatten();
        if was_there {
            beside::sweep(&names.part);
        }
        let part = Self::of(file, names, object, opened);
        match journal {
            Some(journal) => part.take_up(journal)?,
            None => match part.discard() {
                // A foreign journal that cannot be removed would describe our part.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    tracing::warn!(%error, "the journal of a download is not ours: it begins under another name");
                    let names = part.names.clone();
                    drop(part);
                    let Some(opened) = OpenPart::claim(&names.part) else { return Ok(None) };
                    return Self::apart(names, object, opened).map(Some);
                }
                done => done?,
            },
        }
        Ok(Some(part))
    }

    /// Opens a part under a random name, which no later call finds.
    fn apart(names: Names, object: u64, opened: OpenPart) -> io::Result<Self> {
        let (file, path) = beside::create(&names.part, APART)?;
        let mut part = Self::of(file, Names { part: path, ..names }, object, opened);
        part.lasts = false;
        Ok(part)
    }

    fn of(file: File, names: Names, object: u64, opened: OpenPart) -> Self {
        let state = State {
            identity: None,
            runs: Runs::new(None),
            expected: Vec::new(),
            saved: Vec::new(),
            also: Vec::new(),
            hashed: None,
            is_sound: true,
            refused: None,
            is_given_up: false,
        };
        Self { file, names, object, _opened: opened, lasts: true, state: Mutex::new(state), saving: Mutex::default() }
    }

    /// Code that panics while it holds the lock leaves the state as it was.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes up what an earlier call wrote, as far as its checksums hold: a machine that lost its power may have lost
    /// bytes that the journal confirms.
    fn take_up(&self, journal: Journal) -> io::Result<()> {
        let mut runs = Runs::new(journal.identity.total);
        let mut damaged = 0;
        for run in &journal.runs {
            let mut crcs = Crcs::new(&EVERY_CRC);
            // What cannot be read is damaged.
            let read = self.read(run.range(), |bytes| crcs.update(bytes));
            if read.is_ok() && run.crc.is_none_or(|crc| crc == crcs.crc64()) {
                runs.add_known(run, crcs);
            } else {
                damaged += run.end - run.start;
            }
        }
        if damaged > 0 {
            tracing::warn!(damaged, "bytes of a part are not what its journal says: they are fetched again");
        }
        let mut state = self.state();
        state.saved = runs.to_list();
        (state.runs, state.identity, state.expected) = (runs, Some(journal.identity), journal.expected);
        Ok(())
    }

    /// Returns what is kept from an earlier call.
    pub(super) fn kept(&self) -> Option<Kept> {
        let state = self.state();
        let identity = state.identity.clone()?;
        Some(Kept { identity, bytes: state.runs.bytes(), expected: state.expected.clone() })
            .filter(|kept| kept.bytes > 0)
    }

    /// Returns where the bytes end, if none is missing before.
    pub(super) fn end_of_beginning(&self) -> Option<u64> {
        let state = self.state();
        let bytes = state.runs.bytes();
        state.runs.gaps(bytes).is_empty().then_some(bytes)
    }

    pub(super) fn gaps(&self, total: u64) -> Vec<std::ops::Range<u64>> {
        self.state().runs.gaps(total)
    }

    /// Discards all bytes so far. No write may be under way.
    pub(super) fn begin_anew(&self) -> io::Result<()> {
        let done = self.discard();
        self.state().is_sound &= done.is_ok();
        done
    }

    fn discard(&self) -> io::Result<()> {
        if self.lasts && journal::remove(&self.names)? {
            // Must precede any other bytes under this name.
            match sync_folder(&self.names.part) {
                // Not every file system can sync a folder.
                Err(error) if !is_unable(&error) => return Err(error),
                _ => {}
            }
        }
        {
            let mut state = self.state();
            (state.identity, state.runs, state.saved, state.hashed) = (None, Runs::new(None), Vec::new(), None);
            state.expected.clear();
        }
        self.file.set_len(0)
    }

    /// Prepares for the bytes of an object: computes these checksums on the way, and reserves the space, so that a full
    /// disk shows before the first byte.
    pub(super) fn begin(&self, identity: Identity, expected: &[Expected]) -> io::Result<()> {
        let total = identity.total;
        let algorithms: Vec<_> = expected.iter().map(|expected| expected.algorithm).collect();
        {
            let mut state = self.state();
            state.expected = expected.to_vec();
            if state.runs.bytes() == 0 {
                state.runs = Runs::new(total);
                state.also = algorithms.iter().copied().filter(|algorithm| algorithm.is_crc()).collect();
                let hashers = algorithms.iter().filter(|algorithm| !algorithm.is_crc());
                let hashers: Vec<_> = hashers.map(|algorithm| (*algorithm, Hasher::new(*algorithm))).collect();
                state.hashed = (!hashers.is_empty()).then_some(Hashed { next: 0, hashers });
            } else {
                state.also = EVERY_CRC.to_vec();
            }
            state.identity = Some(identity);
        }
        let Some(total) = total else { return Ok(()) };
        space::reserve(&self.file, total, &self.gaps(total))
    }

    /// Writes bytes at an offset, where none were written before.
    pub(super) fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.check()?;
        if let Err(error) = space::write_all_at(&self.file, bytes, at) {
            // What was written before stays good where there is only no room for more.
            let mut state = self.state();
            state.is_sound &= is_full(&error);
            state.refused.get_or_insert_with(|| error.to_string());
            let total = state.identity.as_ref().and_then(|identity| identity.total);
            let missing = total.map_or(bytes.len() as u64, |total| total.saturating_sub(state.runs.bytes()));
            return Err(space::with_room(error, &self.file, missing));
        }
        let length = bytes.len() as u64;
        let mut state = self.state();
        let State { runs, also, .. } = &mut *state;
        runs.add(at, bytes, also);
        match &mut state.hashed {
            Some(hashed) if hashed.next == at => {
                hashed.next += length;
                hashed.hashers.iter_mut().for_each(|(_, hasher)| hasher.update(bytes));
            }
            // Out of order: the whole is read once it is there.
            _ => state.hashed = None,
        }
        Ok(())
    }

    /// Refuses what would build on contents that are unknown.
    fn check(&self) -> io::Result<()> {
        let state = self.state();
        if state.is_sound {
            return Ok(());
        }
        let cause = state.refused.as_deref().unwrap_or("it was finished before");
        Err(io::Error::other(format!("the disk refused before: {cause}")))
    }

    /// Keeps the file from taking its name, because the caller has dropped the download.
    pub(super) fn give_up(&self) {
        self.state().is_given_up = true;
    }

    /// Makes the bytes so far resumable: the data first, then the journal.
    pub(super) fn keep(&self) -> io::Result<()> {
        let _saving = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        let (identity, runs, expected) = {
            let state = self.state();
            let runs = state.runs.to_list();
            if runs == state.saved || !state.is_sound {
                return Ok(());
            }
            (state.identity.clone(), runs, state.expected.clone())
        };
        // What proves nothing is not resumed.
        let Some(identity) = identity.filter(|identity| self.lasts && identity.has_proof(true)) else { return Ok(()) };
        if let Err(error) = self.file.sync_data() {
            // A system reports this once, and what it could not write is lost: a later sync would succeed.
            let mut state = self.state();
            state.is_sound = false;
            state.refused.get_or_insert_with(|| error.to_string());
            return Err(error);
        }
        match Journal::new(self.object, identity, runs.clone(), expected).write(&self.names) {
            Ok(()) => self.state().saved = runs,
            // The previous journal confirms fewer bytes, and stays true.
            Err(error) => {
                tracing::warn!(%error, "the journal of a download cannot be written: what came since will come again");
            }
        }
        Ok(())
    }

    /// Returns whether some bytes are resumable, or would be if a later answer could prove anything.
    pub(super) fn has_kept(&self) -> bool {
        !self.state().saved.is_empty()
    }

    /// Returns the checksum of the whole file, which must be complete: as it was computed on the way, or from the disk.
    pub(super) fn checksums(&self, total: u64, algorithms: &[Algorithm]) -> io::Result<Vec<(Algorithm, Vec<u8>)>> {
        let mut found = Vec::new();
        {
            let mut state = self.state();
            let crcs = state.runs.whole(total);
            let crcs = algorithms.iter().filter_map(|algorithm| Some((*algorithm, crcs.as_ref()?.value(*algorithm)?)));
            found.extend(crcs);
            let hashed = state.hashed.take().filter(|hashed| hashed.next == total);
            let hashers = hashed.into_iter().flat_map(|hashed| hashed.hashers);
            found.extend(hashers.map(|(algorithm, hasher)| (algorithm, hasher.finish())));
        }
        let missing = algorithms.iter().filter(|algorithm| found.iter().all(|(known, _)| known != *algorithm));
        let mut hashers: Vec<_> = missing.map(|algorithm| (*algorithm, Hasher::new(*algorithm))).collect();
        if !hashers.is_empty() {
            self.read(0..total, |bytes| hashers.iter_mut().for_each(|(_, hasher)| hasher.update(bytes)))?;
            found.extend(hashers.into_iter().map(|(algorithm, hasher)| (algorithm, hasher.finish())));
        }
        found.retain(|(algorithm, _)| algorithms.contains(algorithm));
        Ok(found)
    }

    fn read(&self, range: std::ops::Range<u64>, mut take: impl FnMut(&[u8])) -> io::Result<()> {
        let mut buffer = vec![0; READ];
        let mut at = range.start;
        while at < range.end {
            let most = usize::try_from(range.end - at).map_or(READ, |left| left.min(READ));
            let Some(space) = buffer.get_mut(..most) else { break };
            let read = space::read_at(&self.file, space, at)?;
            if read == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the part is shorter than its journal says"));
            }
            take(space.get(..read).unwrap_or_default());
            at += read as u64;
        }
        Ok(())
    }

    /// Gives the complete part its final name. `replaces`: whether a file of that name may be there.
    pub(super) fn finish(&self, total: u64, replaces: bool) -> io::Result<()> {
        self.check()?;
        if !self.gaps(total).is_empty() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "fewer bytes were written than were stated"));
        }
        // A journal that is being written is removed below, and none is written later.
        let _saving = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        // A file that was longer before, or whose space was reserved.
        self.file.set_len(total)?;
        if let Some(record) = self.to_record(total) {
            space::set_attribute(&self.file, &record);
        }
        self.file.sync_all()?;
        if self.state().is_given_up {
            return Err(io::Error::other("the download was given up before the file had its name"));
        }
        self.place(replaces)?;
        self.state().is_sound = false;
        // From this point on, no failure is an error: the file is complete and has its name.
        let tidied = if self.lasts { journal::remove(&self.names).map(drop) } else { Ok(()) };
        if let Err(error) = tidied.and_then(|()| sync_folder(&self.names.target)) {
            tracing::debug!(%error, "the folder of a finished download could not be tidied or synced");
        }
        Ok(())
    }

    /// Returns the record of the finished file; `None` if the object has no strong ETag.
    fn to_record(&self, length: u64) -> Option<Vec<u8>> {
        let etag = self.state().identity.as_ref()?.to_strong_etag()?;
        let modified = nanos(self.file.metadata().ok()?.modified().ok()?)?;
        Record { object: self.object, etag, length, modified }.to_bytes()
    }

    /// Renames the part to the target. Hours may have passed since both were inspected.
    fn place(&self, replaces: bool) -> io::Result<()> {
        if !is_at(&self.file, &self.names.part)? {
            let why = format!("{} is another file than the one that was written", self.names.part.display());
            return Err(io::Error::other(why));
        }
        beside::check_target(&self.names.target)?;
        if replaces {
            return fs::rename(&self.names.part, &self.names.target);
        }
        space::rename_to_free(&self.names.part, &self.names.target)
    }

    fn let_go(&self) -> io::Result<()> {
        let (is_sound, is_resumable) = {
            let state = self.state();
            let is_provable = state.identity.as_ref().is_some_and(|identity| identity.has_proof(true));
            (state.is_sound, is_provable && state.runs.bytes() > 0)
        };
        if !is_sound {
            return Ok(());
        }
        if self.lasts && is_resumable { self.keep() } else { beside::remove(&self.names.part).map(drop) }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if let Err(error) = self.let_go() {
            tracing::debug!(%error, "what came of a download could not be kept");
        }
    }
}

/// A part that this process has open. Where a file system has no locks, it keeps a later call off the file that a dropped
/// one still writes.
struct OpenPart(PathBuf);

impl OpenPart {
    /// Claims a path; `None` while another part has it.
    fn claim(path: &Path) -> Option<Self> {
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        open.insert(path.to_owned()).then(|| Self(path.to_owned()))
    }
}

impl Drop for OpenPart {
    fn drop(&mut self) {
        OPEN.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}

static OPEN: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Returns whether a file system cannot do what it was asked for.
fn is_unable(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput)
}

/// Returns whether a file system refused for want of room.
pub(super) fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};

    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

/// Some file systems have no locks: a network file system without its lock daemon, some in user space.
fn has_no_locks(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Unsupported || space::lacks_locks(error)
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

/// The end of the random name of a part that no later call finds.
const APART: &str = ".part";
const READ: usize = 1 << 20;
/// What an earlier call read is read once more on a resume: then all that may be stated is computed.
const EVERY_CRC: [Algorithm; 2] = [Algorithm::Crc32c, Algorithm::Crc32];
/// An attacker who plants files as fast as they are removed gets no further turn.
const MOST_TRIES: u32 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten bytes in a part of `7` in a folder of this name.
    fn written(folder: &str) -> (PathBuf, Part) {
        let folder = std::env::temp_dir().join(format!("longhaul-{folder}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let part = Part::open(&folder.join("7"), 7, true).unwrap().unwrap();
        part.begin(Identity::of_length(10), &[]).unwrap();
        part.write(0, b"0123456789").unwrap();
        (folder, part)
    }

    #[test]
    fn a_disk_that_refused_once_gets_no_further_trust() {
        let (folder, part) = written("refused");
        // A failed sync is reported once, and the next one succeeds.
        part.state().is_sound = false;
        part.state().refused = Some("an EIO".into());
        for error in [part.finish(10, true).unwrap_err(), part.write(10, b"0").unwrap_err()] {
            assert!(error.to_string().contains("an EIO"), "{error}");
        }
        assert!(!folder.join("7").exists());
        drop(part);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_dropped_download_does_not_give_its_file_the_name() {
        let (folder, part) = written("given-up");
        part.give_up();
        part.finish(10, true).unwrap_err();
        assert!(!folder.join("7").exists());
        drop(part);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_process_opens_a_part_once() {
        let path = Path::new("/no/such/7.part");
        let open = OpenPart::claim(path);
        assert!(open.is_some() && OpenPart::claim(path).is_none());
        drop(open);
        assert!(OpenPart::claim(path).is_some());
    }

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

    #[test]
    fn a_journal_that_is_being_written_does_not_outlive_the_part() {
        let folder = std::env::temp_dir().join(format!("longhaul-finish-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let target = folder.join("7");
        let headers = [(http::header::ETAG, http::HeaderValue::from_static("\"a\""))].into_iter().collect();
        for round in 0..100 {
            let part = Part::open(&target, 7, true).unwrap().unwrap();
            part.begin(Identity::of(&headers, Some(10)), &[]).unwrap();
            part.write(0, b"0123456789").unwrap();
            std::thread::scope(|scope| {
                scope.spawn(|| part.keep().unwrap());
                part.finish(10, true).unwrap();
            });
            drop(part);
            assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "round {round}");
        }
        fs::remove_dir_all(folder).unwrap();
    }
}
