//! Folder: a place for files, which are gone with it.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process;

use nix::sys::statfs::{TMPFS_MAGIC, statfs};

use crate::Failure;

/// A folder with room for what is to come. It ends with this.
pub(super) struct Folder(PathBuf);

impl Folder {
    /// In memory.
    pub(super) fn on_tmpfs(room: u64) -> Result<Self, Failure> {
        Self::make(Path::new("/dev/shm"), room, true)
    }

    /// Where temporary files are; `TMPDIR` changes that.
    pub(super) fn on_disk(room: u64) -> Result<Self, Failure> {
        Self::make(&env::temp_dir(), room, false)
    }

    fn make(above: &Path, room: u64, tmpfs: bool) -> Result<Self, Failure> {
        let shown = above.display();
        let seen = statfs(above).map_err(|error| format!("{shown}: {error}"))?;
        if (seen.filesystem_type() == TMPFS_MAGIC) != tmpfs {
            return Err(
                format!("{shown} is {} tmpfs; TMPDIR names another place", if tmpfs { "no" } else { "a" }).into()
            );
        }
        let free = seen.blocks_available() * u64::try_from(seen.block_size())?;
        if free < room {
            return Err(format!("{shown} has room for {} MiB, and {} are needed", free >> 20, room >> 20).into());
        }
        let folder = Self(above.join(format!("longhaul-peers-{}", process::id())));
        fs::create_dir_all(folder.path())?;
        // nginx drops its rights, and reads here.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// An empty folder below, for one run: some subjects leave files beside their target.
    pub(super) fn afresh(&self) -> Result<PathBuf, Failure> {
        let below = self.0.join("run");
        if below.exists() {
            fs::remove_dir_all(&below)?;
        }
        fs::create_dir(&below)?;
        Ok(below)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
