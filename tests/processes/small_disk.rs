//! A small file system, to be full.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::folder::Folder;

/// A file system in memory of its own.
pub(crate) struct Small {
    pub(crate) at: PathBuf,
    _folder: Folder,
}

impl Small {
    /// `None` where this process may not mount.
    pub(crate) fn new(mebibytes: usize) -> Option<Self> {
        let folder = Folder::new();
        let at = folder.at("small");
        fs::create_dir(&at).unwrap();
        let size = format!("size={mebibytes}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&at).status();
        if !mounted.is_ok_and(|status| status.success()) {
            eprintln!("skipped: this process may not mount a small file system");
            return None;
        }
        Some(Self { at, _folder: folder })
    }

    pub(crate) fn grow(&self, mebibytes: usize) {
        let size = format!("remount,size={mebibytes}m");
        assert!(Command::new("mount").args(["-o", &size]).arg(&self.at).status().unwrap().success());
    }

    pub(crate) fn target(&self) -> PathBuf {
        self.at.join("7")
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.at).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        Command::new("umount").arg(&self.at).status().ok();
    }
}
