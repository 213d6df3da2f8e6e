//! Journal: what a part file holds, so that another process can go on with it. It never holds a URL.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::range::Pin;

/// The journal of one part file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Journal {
    version: u32,
    pub(super) pin: Pin,
    /// So many bytes are on the disk for certain.
    pub(super) synced: u64,
}

impl Journal {
    pub(super) const fn new(pin: Pin, synced: u64) -> Self {
        Self { version: VERSION, pin, synced }
    }

    /// The journal of a part, if it can be gone on with. Anything unreadable counts as none: the download begins anew.
    pub(super) fn of(part: &Path) -> Option<Self> {
        let journal: Self = serde_json::from_slice(&fs::read(path(part)).ok()?).ok()?;
        // Without a strong ETag nothing proves that the rest would fit.
        (journal.version == VERSION && journal.pin.etag.is_some() && journal.synced > 0).then_some(journal)
    }

    /// Replaces what was written before, at once or not at all.
    pub(super) fn write(&self, part: &Path) -> io::Result<()> {
        let path = path(part);
        let fresh = super::file::beside(&path, ".new");
        let mut file = fs::File::create(&fresh)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()?;
        fs::rename(fresh, path)
    }

    pub(super) fn remove(part: &Path) -> io::Result<()> {
        match fs::remove_file(path(part)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

fn path(part: &Path) -> PathBuf {
    super::file::beside(part, ".json")
}

const VERSION: u32 = 1;
