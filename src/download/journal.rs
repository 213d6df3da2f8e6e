//! Journal: the record of a part file's contents, so that another process can resume it. A journal never contains a
//! URL.

use std::fs::{self, Metadata};
use std::io::{self, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::beside::{self, SCRATCH};
use super::checksum::Expected;
use super::identity::Identity;
use super::names::{Names, with};
use super::runs::Run;

/// The journal of one part file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Journal {
    version: u32,
    /// The hash of the linked object ([`object`](super::object)).
    object: u64,
    /// Called a pin by version 1.
    #[serde(alias = "pin")]
    pub(super) identity: Identity,
    /// The bytes that are certainly on the disk.
    #[serde(default)]
    pub(super) runs: Vec<Run>,
    /// The checksums of the whole that the storage stated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) expected: Vec<Expected>,
    /// Of version 1: the number of bytes from the start on.
    #[serde(default, skip_serializing)]
    synced: u64,
}

impl Journal {
    pub(super) const fn new(object: u64, identity: Identity, runs: Vec<Run>, expected: Vec<Expected>) -> Self {
        Self { version: VERSION, object, identity, runs, expected, synced: 0 }
    }

    /// Returns the journal of a part that can be resumed: a regular file of the part's own user. Any other file counts
    /// as none, and the download starts anew.
    pub(super) fn of(path: &Path, object: u64, of_part: &Metadata) -> Option<Self> {
        let is_plain = |found: &Metadata| found.is_file() && beside::is_of_same_user(of_part, found);
        let named = fs::symlink_metadata(path).ok().filter(is_plain)?;
        let file = beside::open_plain(path, false).ok()?;
        file.metadata().ok().filter(|opened| is_plain(opened) && beside::is_same(&named, opened))?;
        let mut text = Vec::new();
        file.take(LONGEST + 1).read_to_end(&mut text).ok()?;
        if text.len() as u64 > LONGEST {
            return None;
        }
        Self::read(&text, object, of_part.len())
    }

    fn read(text: &[u8], object: u64, length: u64) -> Option<Self> {
        let mut journal: Self = serde_json::from_slice(text).ok()?;
        if journal.version == 1 && journal.synced > 0 {
            journal.runs = vec![Run::unchecked(journal.synced)];
        }
        let is_known = matches!(journal.version, 1 | VERSION) && journal.object == object;
        // Nothing but a strong validator proves that the rest would fit; who trusts weak ones set it for this call.
        let is_provable = journal.identity.has_proof(true);
        let most = journal.identity.total.map_or(length, |total| total.min(length));
        let is_sound = journal.runs.windows(2).all(|pair| matches!(pair, [one, next] if one.end <= next.start))
            && journal.runs.iter().all(|run| run.start < run.end && run.end <= most);
        (is_known && is_provable && is_sound && !journal.runs.is_empty()).then_some(journal)
    }

    /// Replaces the previous journal, atomically.
    pub(super) fn write(&self, names: &Names) -> io::Result<()> {
        let (mut file, fresh) = beside::create(&names.part, SCRATCH)?;
        let text = serde_json::to_vec(self)?;
        let written =
            file.write_all(&text).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&fresh, &names.journal));
        if written.is_err() {
            fs::remove_file(fresh).ok();
        }
        written
    }
}

/// Removes the journal. Returns whether there was one.
pub(super) fn remove(names: &Names) -> io::Result<bool> {
    // Version 0.1 wrote its journals to this path first.
    if let Err(error) = beside::remove(&with(&names.part, SCRATCH)) {
        tracing::debug!(%error, "what an earlier version left beside a part cannot be removed");
    }
    beside::remove(&names.journal)
}

/// Some thousand runs of some fifty bytes each.
const LONGEST: u64 = 1 << 20;
const VERSION: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_wrote_and_what_version_1_wrote_and_nothing_that_does_not_add_up() {
        let of = |runs: &str| {
            let text = format!(r#"{{"version":2,"object":7,"identity":{{"etag":"\"a\"","total":100}},"runs":{runs}}}"#);
            Journal::read(text.as_bytes(), 7, 100)
        };
        let journal = of(r#"[{"start":0,"end":10,"crc":"00000000000000ff"},{"start":20,"end":30}]"#).unwrap();
        assert_eq!(Journal::read(&serde_json::to_vec(&journal).unwrap(), 7, 100), Some(journal));
        for wrong in [
            "[]",
            r#"[{"start":10,"end":10}]"#,
            r#"[{"start":0,"end":101}]"#,
            r#"[{"start":20,"end":30},{"start":0,"end":10}]"#,
            r#"[{"start":0,"end":20},{"start":10,"end":30}]"#,
            r#"[{"start":0,"end":20,"crc":"xyz"}]"#,
        ] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
        let old = br#"{"version":1,"object":7,"pin":{"etag":"\"a\"","total":100},"synced":40}"#;
        assert_eq!(Journal::read(old, 7, 100).unwrap().runs, [Run::unchecked(40)]);
        assert_eq!(Journal::read(old, 8, 100), None);
        assert_eq!(Journal::read(old, 7, 39), None);
        let weak =
            br#"{"version":2,"object":7,"identity":{"etag":"W/\"a\"","total":100},"runs":[{"start":0,"end":10}]}"#;
        assert_eq!(Journal::read(weak, 7, 100), None);
        let newer = br#"{"version":3,"object":7,"identity":{"etag":"\"a\""},"runs":[{"start":0,"end":10}]}"#;
        assert_eq!(Journal::read(newer, 7, 100), None);
    }
}
