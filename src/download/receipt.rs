//! Receipt: the report of a finished download.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// The report of a finished download.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    pub(super) bytes: u64,
    pub(super) elapsed: Duration,
    pub(super) connections: usize,
    pub(super) resumed_at: u64,
    pub(super) reopened: u32,
    pub(super) renewed: u32,
    pub(super) verified: Vec<&'static str>,
    pub(super) path: Option<PathBuf>,
    pub(super) is_unchanged: bool,
    pub(super) warnings: Vec<String>,
}

impl Receipt {
    /// Returns the length of the whole result.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns how long the call took, from its first poll on.
    #[must_use]
    pub const fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// Returns the largest number of connections at once; 0 if there was no request.
    #[must_use]
    pub const fn connections(&self) -> usize {
        self.connections
    }

    /// Returns how many of these bytes an earlier call had fetched.
    #[must_use]
    pub const fn resumed_at(&self) -> u64 {
        self.resumed_at
    }

    /// Returns how often the transfer broke off and was resumed.
    #[must_use]
    pub const fn reopened(&self) -> u32 {
        self.reopened
    }

    /// Returns how often the link was renewed.
    #[must_use]
    pub const fn renewed(&self) -> u32 {
        self.renewed
    }

    /// Returns what was compared and agreed: `length`, and the names of checksums, such as `md5` or `crc64nvme`.
    #[must_use]
    pub fn verified(&self) -> &[&'static str] {
        &self.verified
    }

    /// Returns the path of the file, if the download went into one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Returns whether the file was there before, and the result is the same
    /// ([`Overwrite::IfDifferent`](super::Overwrite::IfDifferent)).
    #[must_use]
    pub const fn is_unchanged(&self) -> bool {
        self.is_unchanged
    }

    /// Returns what a person should know: a page of HTML under the name of another format, a checksum that could not be
    /// read.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}
