//! Journal: the record of a part file's contents, so that another process can resume it. A journal never contains a
//! URL.

use std::fs::{self, Metadata};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use http::HeaderValue;
use serde::{Deserialize, Serialize};

use super::beside::{self, SCRATCH, beside};
use super::range::Pin;
use crate::redact::SecretUrl;

/// The journal of one part file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Journal {
    version: u32,
    /// The hash of the linked object ([`object`]).
    object: u64,
    pub(super) pin: Pin,
    /// The number of bytes that are certainly on the disk.
    pub(super) synced: u64,
}

impl Journal {
    pub(super) const fn new(object: u64, pin: Pin, synced: u64) -> Self {
        Self { version: VERSION, object, pin, synced }
    }

    /// Returns the journal of a part that can be resumed: a regular file of the part's own user, of some hundred bytes.
    /// Any other file counts as none, and the download starts anew.
    pub(super) fn of(part: &Path, object: u64, of_part: &Metadata) -> Option<Self> {
        let path = path(part);
        let is_plain = |found: &Metadata| found.is_file() && beside::is_of_same_user(of_part, found);
        let named = fs::symlink_metadata(&path).ok().filter(is_plain)?;
        let file = beside::open_plain(&path, false).ok()?;
        file.metadata().ok().filter(|opened| is_plain(opened) && beside::is_same(&named, opened))?;
        let mut text = Vec::new();
        file.take(LONGEST + 1).read_to_end(&mut text).ok()?;
        if text.len() as u64 > LONGEST {
            return None;
        }
        let journal: Self = serde_json::from_slice(&text).ok()?;
        // Without a strong ETag that can be sent, nothing proves that the rest would fit.
        let etag = journal.pin.etag.as_deref().is_some_and(|etag| HeaderValue::from_str(etag).is_ok());
        (journal.version == VERSION && journal.object == object && etag && journal.synced > 0).then_some(journal)
    }

    /// Replaces the previous journal, atomically.
    pub(super) fn write(&self, part: &Path) -> io::Result<()> {
        let (mut file, fresh) = beside::create(part, SCRATCH)?;
        let text = serde_json::to_vec(self)?;
        let written =
            file.write_all(&text).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&fresh, path(part)));
        if written.is_err() {
            fs::remove_file(fresh).ok();
        }
        written
    }

    /// Removes the journal. Returns whether there was one.
    pub(super) fn remove(part: &Path) -> io::Result<bool> {
        // An earlier version wrote its journals to this path first.
        if let Err(error) = beside::remove(&beside(part, SCRATCH)) {
            tracing::debug!(%error, "what an earlier version left beside a part cannot be removed");
        }
        beside::remove(&path(part))
    }
}

/// Hashes the object of a link, because ETags of different objects may be equal; the hash names no object: FNV-1a of
/// the URL. The query of a signed link is left out, because each renewal changes it.
pub(super) fn object(link: &SecretUrl) -> u64 {
    let (url, query) = link.split_sas();
    let query = if link.is_signed() { "" } else { query };
    let bytes = url.bytes().chain([b'?']).chain(query.bytes());
    bytes.fold(FNV_OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME))
}

fn path(part: &Path) -> PathBuf {
    beside(part, ".json")
}

/// A journal is some hundred bytes; its ETag was sent in a header.
const LONGEST: u64 = 16 * 1024;
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
