//! Beside: the files next to a target, opened so that no file of another user or place is followed, filled or kept.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::names::with;

/// Refuses a target that a finished download must not replace: a folder, a device, a FIFO, a socket.
pub(super) fn check_target(target: &Path) -> io::Result<()> {
    let refused = |what: &str| {
        let why = format!(
            "it is {what}, and a download to a file replaces a regular file alone: use `Download::to_writer` for it"
        );
        Err(io::Error::new(io::ErrorKind::InvalidInput, why))
    };
    // This call follows links: `/dev/stdout` is one.
    match fs::metadata(target) {
        Ok(found) if found.is_dir() => {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "there is a folder of that name"));
        }
        Ok(found) if !found.is_file() => return refused(what_is(&found)),
        // The part has a shorter name: only the end of the download would show it.
        Err(error) if error.kind() == io::ErrorKind::InvalidFilename => return Err(error),
        _ => {}
    }
    if lies_among_devices(target) { refused("a name in a folder of devices") } else { Ok(()) }
}

/// The file under a name beside the target.
pub(super) enum FoundPart {
    Nothing,
    /// A regular file under one name, of the user that owns new files here.
    Own(File),
    Folder,
    /// Any other file, with its description.
    Foreign(&'static str),
    /// A regular file that another user's download has locked.
    Busy,
}

/// The properties of files that this process creates in a folder: their owner, and their mode.
///
/// A file created for the purpose shows them, because file systems may map users, and the mask of a process cannot be
/// read without being set.
pub(super) struct Maker {
    #[cfg(unix)]
    owner: u32,
    #[cfg(unix)]
    mode: u32,
}

impl Maker {
    #[cfg(unix)]
    pub(super) fn beside(target: &Path) -> io::Result<Self> {
        use std::os::unix::fs::MetadataExt;

        let (file, path) = create(target, SCRATCH)?;
        let made = file.metadata();
        fs::remove_file(path)?;
        let made = made?;
        Ok(Self { owner: made.uid(), mode: made.mode() & 0o777 })
    }

    #[cfg(not(unix))]
    pub(super) fn beside(_: &Path) -> io::Result<Self> {
        Ok(Self {})
    }

    /// Inspects a path, and opens the file if it is ours. No link is followed, and a FIFO does not block.
    pub(super) fn find(&self, path: &Path) -> io::Result<FoundPart> {
        let named = match fs::symlink_metadata(path) {
            Ok(named) => named,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(FoundPart::Nothing),
            Err(error) => return Err(error),
        };
        if named.is_dir() {
            return Ok(FoundPart::Folder);
        }
        if !named.is_file() {
            return Ok(FoundPart::Foreign(what_is(&named)));
        }
        if let Some(what) = self.is_foreign(&named) {
            // The file may be the part of a download that another user is running.
            let is_busy =
                open_plain(path, false).is_ok_and(|file| matches!(file.try_lock(), Err(fs::TryLockError::WouldBlock)));
            return Ok(if is_busy { FoundPart::Busy } else { FoundPart::Foreign(what) });
        }
        let file = match open_plain(path, true) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(FoundPart::Nothing),
            Err(_) => return Ok(FoundPart::Foreign("a file that cannot be opened")),
        };
        // The file may have been exchanged between the inspection and the opening.
        let opened = file.metadata()?;
        if !opened.is_file() || !is_same(&named, &opened) {
            return Ok(FoundPart::Foreign("a file that was exchanged while it was opened"));
        }
        match self.is_foreign(&opened) {
            Some(what) => Ok(FoundPart::Foreign(what)),
            None => Ok(FoundPart::Own(file)),
        }
    }

    #[cfg(unix)]
    fn is_foreign(&self, found: &Metadata) -> Option<&'static str> {
        use std::os::unix::fs::MetadataExt;

        match found {
            found if found.nlink() != 1 => Some("a file with several names (hard links)"),
            found if found.uid() != self.owner => Some("a file of another user"),
            _ => None,
        }
    }

    #[cfg(not(unix))]
    fn is_foreign(&self, _: &Metadata) -> Option<&'static str> {
        None
    }

    /// Gives a file the mode of a new file.
    #[cfg(unix)]
    pub(super) fn set_mode(&self, file: &File) -> io::Result<()> {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};

        if file.metadata()?.mode() & 0o7777 == self.mode {
            return Ok(());
        }
        file.set_permissions(fs::Permissions::from_mode(self.mode))
    }

    #[cfg(not(unix))]
    pub(super) fn set_mode(&self, _: &File) -> io::Result<()> {
        Ok(())
    }
}

/// Creates a file under this name, which must be free.
pub(super) fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).open(path)
}

/// Creates a file beside another, under a random name with this suffix.
pub(super) fn create(beside_of: &Path, end: &str) -> io::Result<(File, PathBuf)> {
    let mut taken = 0;
    loop {
        let path = with(beside_of, &format!(".{:016x}{end}", fastrand::u64(..)));
        match create_new(&path) {
            Ok(file) => return Ok((file, path)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && taken < MOST_TAKEN => taken += 1,
            Err(error) => return Err(error),
        }
    }
}

/// Removes the entry under a name; a link itself is removed, never its target. Returns whether there was an entry.
pub(super) fn remove(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(io::Error::new(error.kind(), format!("{}: {error}", path.display()))),
    }
}

/// Removes the leftovers of killed processes that were writing a journal. A file younger than an hour may belong to a
/// living process.
pub(super) fn sweep(part: &Path) {
    let (Some(folder), Some(name)) = (part.parent(), part.file_name()) else { return };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten().filter(|entry| is_scratch(name, &entry.file_name())) {
        let age =
            entry.metadata().ok().filter(Metadata::is_file).and_then(|found| found.modified().ok()?.elapsed().ok());
        if age.is_some_and(|age| age > LEFT_OVER) {
            // Only tidying: the next sweep finds the file again.
            fs::remove_file(entry.path()).ok();
        }
    }
}

/// Returns whether [`create`] produces this name for a scratch file beside `name`.
fn is_scratch(name: &std::ffi::OsStr, found: &OsString) -> bool {
    let middle = found.as_encoded_bytes().strip_prefix(name.as_encoded_bytes());
    let middle = middle.and_then(|rest| rest.strip_prefix(b".")?.strip_suffix(SCRATCH.as_bytes()));
    middle.is_some_and(|middle| middle.len() == 16 && middle.iter().all(u8::is_ascii_hexdigit))
}

/// Opens an existing file, without following a link and without waiting for the other end of a FIFO.
#[cfg(unix)]
pub(super) fn open_plain(path: &Path, writes: bool) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;

    use rustix::fs::OFlags;

    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    OpenOptions::new().read(true).write(writes).custom_flags(flags.bits().cast_signed()).open(path)
}

#[cfg(not(unix))]
pub(super) fn open_plain(path: &Path, writes: bool) -> io::Result<File> {
    OpenOptions::new().read(true).write(writes).open(path)
}

#[cfg(unix)]
pub(super) fn is_same(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;

    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(not(unix))]
pub(super) fn is_same(_: &Metadata, _: &Metadata) -> bool {
    true
}

/// Returns whether both files belong to the same user.
#[cfg(unix)]
pub(super) fn is_of_same_user(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;

    one.uid() == other.uid() && other.nlink() == 1
}

#[cfg(not(unix))]
pub(super) fn is_of_same_user(_: &Metadata, _: &Metadata) -> bool {
    true
}

#[cfg(unix)]
fn what_is(found: &Metadata) -> &'static str {
    use std::os::unix::fs::FileTypeExt;

    match found.file_type() {
        kind if kind.is_symlink() => "a symbolic link",
        kind if kind.is_dir() => "a folder",
        kind if kind.is_fifo() => "a FIFO",
        kind if kind.is_socket() => "a socket",
        kind if kind.is_block_device() || kind.is_char_device() => "a device",
        _ => "no regular file",
    }
}

#[cfg(not(unix))]
fn what_is(found: &Metadata) -> &'static str {
    match found.file_type() {
        kind if kind.is_symlink() => "a symbolic link",
        kind if kind.is_dir() => "a folder",
        _ => "no regular file",
    }
}

/// Returns whether the target lies among the devices: `/dev/stdout` may lead to a regular file, and is none.
#[cfg(unix)]
fn lies_among_devices(target: &Path) -> bool {
    let folder = target.parent().and_then(|folder| fs::canonicalize(folder).ok());
    folder.is_some_and(|folder| folder == Path::new("/dev") || folder.starts_with("/proc"))
}

#[cfg(not(unix))]
fn lies_among_devices(_: &Path) -> bool {
    false
}

/// The suffix of the names of short-lived files.
pub(super) const SCRATCH: &str = ".new";
/// Names of 64 random bits are never taken; a folder where they are must not block a download forever.
const MOST_TAKEN: u32 = 8;
/// No write of some hundred bytes takes this long.
const LEFT_OVER: Duration = Duration::from_secs(3_600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_its_own_scratch_names() {
        for (name, known) in [
            ("7.part.0123456789abcdef.new", true),
            ("7.part.0123456789abcdeg.new", false),
            ("7.part.0123.new", false),
            ("8.part.0123456789abcdef.new", false),
            ("7.part.new", false),
            ("7.part", false),
        ] {
            assert_eq!(is_scratch("7.part".as_ref(), &name.into()), known, "{name}");
        }
    }
}
