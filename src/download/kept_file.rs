//! Kept file: a file that has the name of the target already, and may be the result.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use super::checksum::{Expected, Hasher};
use super::identity::Identity;
use super::record::{Record, nanos};
use super::space;
use super::verification::Verification;

/// A regular file under the name of the target.
pub(super) struct KeptFile {
    file: Arc<File>,
    length: u64,
    /// What an earlier call kept with it, if the file is of this object.
    record: Option<Record>,
}

impl KeptFile {
    pub(super) async fn at(path: &Path, object: u64) -> Option<Self> {
        let path = path.to_owned();
        tokio::task::spawn_blocking(move || Self::open(&path, object)).await.ok()?
    }

    fn open(path: &Path, object: u64) -> Option<Self> {
        if !std::fs::symlink_metadata(path).ok()?.is_file() {
            return None;
        }
        let file = File::open(path).ok()?;
        let found = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
        let record = space::attribute(&file).and_then(|bytes| Record::of_bytes(&bytes));
        let record = record.filter(|record| record.object == object && record.length == found.len());
        // A file that was written to after its record is another one.
        let record = record.filter(|record| found.modified().ok().and_then(nanos) == Some(record.modified));
        Some(Self { file: Arc::new(file), length: found.len(), record })
    }

    pub(super) const fn length(&self) -> u64 {
        self.length
    }

    /// Returns the ETag of the result that the file is.
    pub(super) fn etag(&self) -> Option<&str> {
        self.record.as_ref().map(|record| &*record.etag)
    }

    /// Returns whether the first answer of a download is of this very file, and how that was found.
    pub(super) async fn is_same(
        &self,
        identity: Option<Identity>,
        verification: &Verification,
    ) -> Option<Vec<&'static str>> {
        let identity = identity.filter(|identity| identity.total == Some(self.length))?;
        // A storage that knows no If-None-Match sends it again: the ETag says the same.
        if self.etag().is_some() && identity.to_strong_etag().as_deref() == self.etag() {
            return Some(vec!["length", "etag"]);
        }
        let expected = verification.expected();
        let names = std::iter::once("length").chain(expected.iter().map(|one| one.algorithm.name())).collect();
        (!expected.is_empty() && self.has(expected).await).then_some(names)
    }

    /// Returns whether the file has these checksums.
    pub(super) async fn has(&self, expected: &[Expected]) -> bool {
        let (file, expected) = (self.file.clone(), expected.to_vec());
        tokio::task::spawn_blocking(move || has(&file, &expected)).await.unwrap_or(false)
    }
}

fn has(mut file: &File, expected: &[Expected]) -> bool {
    use std::io::Seek;

    let mut hashers: Vec<_> = expected.iter().map(|one| Hasher::new(one.algorithm)).collect();
    let mut buffer = vec![0; 1 << 20];
    if file.rewind().is_err() {
        return false;
    }
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => {
                hashers.iter_mut().for_each(|hasher| hasher.update(buffer.get(..read).unwrap_or_default()));
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return false,
        }
    }
    hashers.into_iter().zip(expected).all(|(hasher, expected)| hasher.finish() == expected.value)
}
