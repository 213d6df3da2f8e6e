//! Sink: a file beside its target, which takes the target's name when it is complete.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf, absolute};

use bytes::Bytes;

/// A file that is removed if it is dropped before it has its name.
pub(super) struct Sink {
    file: File,
    path: PathBuf,
    target: PathBuf,
    placed: bool,
}

impl Sink {
    pub(super) async fn beside(target: &Path) -> io::Result<Self> {
        // A later change of the process' working directory does not change the file's location.
        let target = absolute(target)?;
        blocking(move || {
            let name = target.file_name().ok_or_else(|| io::Error::other("the path names no file"))?;
            let mut beside = name.to_owned();
            beside.push(format!(".{:016x}.part", fastrand::u64(..)));
            let path = target.with_file_name(beside);
            let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
            Ok(Self { file, path, target, placed: false })
        })
        .await
    }

    pub(super) async fn write(mut self, bytes: Bytes) -> io::Result<Self> {
        blocking(move || {
            self.file.write_all(&bytes)?;
            Ok(self)
        })
        .await
    }

    /// Renames the file to the target: first the contents are synced to the disk, then the name is set.
    pub(super) async fn place(mut self) -> io::Result<()> {
        blocking(move || self.rename()).await
    }

    fn rename(&mut self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, &self.target)?;
        self.placed = true;
        Ok(())
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if !self.placed
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::debug!(%error, "an unfinished file of pages could not be removed");
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|crash| Err(io::Error::other(crash)))
}
