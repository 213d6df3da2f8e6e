//! Journal: what a part file holds, so that another process can go on with it. It never holds a URL.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use http::HeaderValue;
use serde::{Deserialize, Serialize};

use super::range::Pin;
use crate::redact::SecretUrl;

/// The journal of one part file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Journal {
    version: u32,
    /// What the link was to ([`object`]).
    object: u64,
    pub(super) pin: Pin,
    /// So many bytes are on the disk for certain.
    pub(super) synced: u64,
}

impl Journal {
    pub(super) const fn new(object: u64, pin: Pin, synced: u64) -> Self {
        Self { version: VERSION, object, pin, synced }
    }

    /// The journal of a part, if it can be gone on with. Anything unreadable counts as none: the download begins anew.
    pub(super) fn of(part: &Path, object: u64) -> Option<Self> {
        let journal: Self = serde_json::from_slice(&fs::read(path(part)).ok()?).ok()?;
        // Without a strong ETag that can be sent, nothing proves that the rest would fit.
        let etag = journal.pin.etag.as_deref().is_some_and(|etag| HeaderValue::from_str(etag).is_ok());
        (journal.version == VERSION && journal.object == object && etag && journal.synced > 0).then_some(journal)
    }

    /// Replaces what was written before, at once or not at all.
    pub(super) fn write(&self, part: &Path) -> io::Result<()> {
        let fresh = fresh(part);
        let mut file = fs::File::create(&fresh)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()?;
        fs::rename(fresh, path(part))
    }

    /// Removes it, and what a kill may have left of writing it. Says whether there was one.
    pub(super) fn remove(part: &Path) -> io::Result<bool> {
        remove(&fresh(part))?;
        remove(&path(part))
    }
}

/// Tells the objects of links apart, because ETags of different objects may be alike, and names none: FNV-1a of the
/// URL. The query of a signed link is left out, because each renewal has another.
pub(super) fn object(link: &SecretUrl) -> u64 {
    let (url, query) = link.split_sas();
    let query = if link.is_signed() { "" } else { query };
    let bytes = url.bytes().chain([b'?']).chain(query.bytes());
    bytes.fold(FNV_OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME))
}

fn path(part: &Path) -> PathBuf {
    super::part::beside(part, ".json")
}

fn fresh(part: &Path) -> PathBuf {
    super::part::beside(part, ".new")
}

fn remove(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

const VERSION: u32 = 1;
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_objects_apart_and_not_their_signatures() {
        let object = |text: &str| object(&SecretUrl::parse(text).unwrap());
        let one = object("https://a.example/7?se=2030&sig=1");
        assert_eq!(one, object("https://a.example/7?se=2031&sig=2"));
        assert_ne!(one, object("https://a.example/8?se=2030&sig=1"));
        assert_ne!(one, object("https://b.example/7?se=2030&sig=1"));
        assert_ne!(object("https://a.example/file?id=7"), object("https://a.example/file?id=8"));
    }
}
