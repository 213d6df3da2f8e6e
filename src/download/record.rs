//! Record: what is kept with a finished file, so that a later call knows which result it is.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

/// The result that a file is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// The hash of the link, without its signature: ETags of different objects may be equal.
    pub(super) object: u64,
    /// A strong ETag.
    pub(super) etag: String,
    pub(super) length: u64,
    /// When the file was written, in nanoseconds since 1970.
    pub(super) modified: u64,
}

impl Record {
    pub(super) fn to_bytes(&self) -> Option<Vec<u8>> {
        serde_json::to_vec(self).ok()
    }

    pub(super) fn of_bytes(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

/// Returns a time as nanoseconds, for the comparison with a record.
pub(super) fn nanos(time: SystemTime) -> Option<u64> {
    u64::try_from(time.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_nanos()).ok()
}
