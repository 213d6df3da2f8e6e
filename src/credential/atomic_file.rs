//! AtomicFile: a file that is written beside another, and then takes its name.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A file of a random name that only its owner may read. A file that is dropped before it has its final name is
/// removed.
///
/// The crate `tempfile` covers only the smaller half: the random name, and the removal on drop. It leaves the file with
/// the mode that the mask of the process makes of 0600, renames without making file and folder durable, and does not
/// remove the files of killed processes. So this crate does not depend on it.
pub(crate) struct AtomicFile {
    file: File,
    path: PathBuf,
    target: PathBuf,
    placed: bool,
}

impl AtomicFile {
    pub(crate) fn beside(target: &Path) -> io::Result<Self> {
        let mut taken = 0;
        loop {
            let path = named(target, &random());
            match create(&path) {
                Ok(file) => {
                    let fresh = Self { file, path, target: target.to_owned(), placed: false };
                    // The mask of the process may have removed the owner's rights, too.
                    restrict(&fresh.file)?;
                    return Ok(fresh);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && taken < MOST_TAKEN => taken += 1,
                Err(error) => return Err(error),
            }
        }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    /// Renames the file to the target, atomically. The content is synced to the disk before the rename: after a power
    /// failure, the target is the old file or the new one, complete.
    pub(crate) fn place(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, &self.target)?;
        self.placed = true;
        sync_folder(&self.target)
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if !self.placed
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::debug!(%error, "a temporary file could not be removed");
        }
    }
}

/// Removes the files that killed processes left beside this target. A file younger than an hour may belong to a living
/// process.
pub(crate) fn sweep(target: &Path) {
    let Ok(entries) = fs::read_dir(folder(target)) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let is_old = || entry.metadata().ok()?.modified().ok()?.elapsed().ok().map(|age| age > LEFT_OVER);
        if is_beside(target, &path) && is_old() == Some(true) {
            // Only tidying: the next sweep finds the file again.
            fs::remove_file(path).ok();
        }
    }
}

/// Returns the folder that contains a path.
pub(crate) fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes a rename or a removal survive a power failure. Windows cannot open a folder for that, and has no need to.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(windows) { Ok(()) } else { File::open(folder(path))?.sync_all() }
}

fn named(target: &Path, middle: &str) -> PathBuf {
    let mut name = target.as_os_str().to_owned();
    name.push(".");
    name.push(middle);
    name.push(END);
    PathBuf::from(name)
}

/// Returns whether [`named`] produces this name.
fn is_beside(target: &Path, path: &Path) -> bool {
    let (Some(target), Some(name)) = (target.file_name(), path.file_name()) else { return false };
    let middle = name.as_encoded_bytes().strip_prefix(target.as_encoded_bytes());
    let middle = middle.and_then(|rest| rest.strip_prefix(b".")).and_then(|rest| rest.strip_suffix(END.as_bytes()));
    middle.is_some_and(|middle| middle.len() == LENGTH && middle.iter().all(u8::is_ascii_hexdigit))
}

fn random() -> String {
    format!("{:016x}", fastrand::u64(..))
}

#[cfg(unix)]
fn create(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;

    OpenOptions::new().write(true).create_new(true).mode(OWNER_ONLY).open(path)
}

/// Creates a file with the rights of the folder.
#[cfg(not(unix))]
fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

#[cfg(unix)]
fn restrict(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;

    file.set_permissions(fs::Permissions::from_mode(OWNER_ONLY))
}

#[cfg(not(unix))]
fn restrict(_: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
const OWNER_ONLY: u32 = 0o600;
const END: &str = ".new";
/// The length of the part between the name and its suffix.
const LENGTH: usize = 16;
/// Names of 64 random bits are never taken; an attacker who takes them nevertheless must not block us forever.
const MOST_TAKEN: u32 = 8;
/// No write of some kilobytes takes this long.
const LEFT_OVER: Duration = Duration::from_secs(3_600);

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("longhaul-atomic-file-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn names(&self) -> Vec<String> {
            let names = fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let mut names: Vec<_> = names.collect();
            names.sort();
            names
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).ok();
        }
    }

    #[test]
    fn takes_the_name_whole_or_leaves_nothing() {
        let folder = Folder::new("place");
        let target = folder.0.join("token");
        fs::write(&target, "old").unwrap();
        let mut fresh = AtomicFile::beside(&target).unwrap();
        fresh.write(b"half").unwrap();
        assert_eq!(folder.names().len(), 2);
        drop(fresh);
        assert_eq!((folder.names(), fs::read(&target).unwrap()), (vec!["token".to_owned()], b"old".to_vec()));
        let mut fresh = AtomicFile::beside(&target).unwrap();
        fresh.write(b"new").unwrap();
        fresh.place().unwrap();
        assert_eq!((folder.names(), fs::read(&target).unwrap()), (vec!["token".to_owned()], b"new".to_vec()));
    }

    #[test]
    fn sweeps_old_leftovers_of_its_own_target_and_nothing_else() {
        let folder = Folder::new("sweep");
        let target = folder.0.join("token");
        let old = SystemTime::now() - LEFT_OVER - Duration::from_secs(1);
        for (name, modified) in [
            ("token.0123456789abcdef.new", Some(old)),
            ("token.1123456789abcdef.new", None),
            ("other.0123456789abcdef.new", Some(old)),
            ("token.backup.new", Some(old)),
            ("token", Some(old)),
        ] {
            let file = File::create(folder.0.join(name)).unwrap();
            modified.map_or(Ok(()), |moment| file.set_modified(moment)).unwrap();
        }
        sweep(&target);
        let kept = ["other.0123456789abcdef.new", "token", "token.1123456789abcdef.new", "token.backup.new"];
        assert_eq!(folder.names(), kept);
    }
}
