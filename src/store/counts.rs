//! StoredCounts: how many tasks a store has.

/// How many tasks a [`TaskStore`](super::TaskStore) has, by state, whoever holds them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredCounts {
    /// Tasks whose submit may have been sent.
    pub intended: u64,
    /// Tasks that the service accepted.
    pub submitted: u64,
    /// Tasks that ended, and are not acknowledged.
    pub finished: u64,
    /// Tasks whose submit must not be repeated, and that are not acknowledged.
    pub uncertain: u64,
    /// Tasks that were acknowledged a short while ago.
    pub acknowledged: u64,
    /// The tasks that nobody holds, of all that are not acknowledged: [`claim`](super::TaskStore::claim) gives them.
    pub free: u64,
    /// The bytes that the names and the data of all tasks take.
    pub bytes: u64,
}

impl StoredCounts {
    /// Returns how many tasks are not acknowledged.
    #[must_use]
    pub const fn open(&self) -> u64 {
        self.intended + self.submitted + self.finished + self.uncertain
    }
}
