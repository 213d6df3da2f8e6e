//! Settings: how a download runs.

use std::num::NonZeroU64;
use std::time::Duration;

use tokio::time::Instant;

use super::checksum::Checksum;

/// What is done about a file that has the name of the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Overwrite {
    /// The file stays, and the download fails with [`ErrorKind::Io`](crate::ErrorKind::Io): before its first request,
    /// unless the first answer has to name the file.
    Never,
    /// The file stays if it is the same as the result: by the checksum that the application or the storage states, or
    /// by the ETag that an earlier download kept in an extended attribute of the file. Else it is replaced.
    IfDifferent,
    /// The file is replaced once the download is whole.
    #[default]
    Always,
}

/// Which checksums a download compares. Its length is always compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verify {
    /// None but the one that the application gave ([`Download::checksum`](crate::Download::checksum)).
    Length,
    /// Each one that the storage states.
    #[default]
    Stated,
    /// As `Stated`, and a result without any checksum is an error.
    Required,
}

/// The settings of one download.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// `None`: as many as gain something, but one for a link that counts against the limits of the API.
    pub(super) connections: Option<usize>,
    pub(super) part_size: u64,
    pub(super) verify: Verify,
    pub(super) checksum: Option<Checksum>,
    pub(super) overwrite: Overwrite,
    pub(super) bandwidth: Option<NonZeroU64>,
    pub(super) timeout: Option<Duration>,
    /// The deadline; once the download has begun, also that of its timeout.
    pub(super) until: Option<Instant>,
    pub(super) resumes: bool,
    pub(super) trusts_weak: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connections: None,
            part_size: PART_SIZE,
            verify: Verify::default(),
            checksum: None,
            overwrite: Overwrite::default(),
            bandwidth: None,
            timeout: None,
            until: None,
            resumes: true,
            trusts_weak: false,
        }
    }
}

impl Settings {
    /// Begins the download: from now on its deadline counts.
    pub(super) fn begin(mut self) -> (Self, Instant) {
        let now = Instant::now();
        // A time beyond the clock's end is no deadline.
        let timeout = self.timeout.and_then(|timeout| now.checked_add(timeout));
        self.until = [self.until, timeout].into_iter().flatten().min();
        (self, now)
    }
}

/// As many as browsers and storages are used to from one peer; more were seen to gain nothing.
pub(super) const MOST_CONNECTIONS: usize = 8;
/// Some tenths of a second of a fast connection: less is not worth a request.
const PART_SIZE: u64 = 4 << 20;
pub(super) const SMALLEST_PART: u64 = 64 << 10;
