//! TaskLease: the right to write a stored task.

use std::sync::Arc;

use super::StoredState;

/// The right of one owner to write a task in a [`TaskStore`](super::TaskStore). A lease with an older fence than the
/// task's is lost: another owner has taken the task over.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TaskLease {
    name: Arc<str>,
    owner: Arc<str>,
    fence: u64,
}

impl TaskLease {
    /// Creates a lease: for implementations of a store.
    #[must_use]
    pub const fn new(name: Arc<str>, owner: Arc<str>, fence: u64) -> Self {
        Self { name, owner, fence }
    }

    /// Returns the name of the task in the store.
    #[must_use]
    pub const fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Returns the owner: a random name for each client.
    #[must_use]
    pub const fn owner(&self) -> &Arc<str> {
        &self.owner
    }

    /// Returns the fence, a number that grows whenever the task changes hands.
    #[must_use]
    pub const fn fence(&self) -> u64 {
        self.fence
    }
}

/// A task that an owner has taken over from a [`TaskStore`](super::TaskStore).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    lease: TaskLease,
    state: StoredState,
    data: Vec<u8>,
}

impl Claimed {
    /// Creates a claimed task: for implementations of a store.
    #[must_use]
    pub const fn new(lease: TaskLease, state: StoredState, data: Vec<u8>) -> Self {
        Self { lease, state, data }
    }

    /// Returns the new lease.
    #[must_use]
    pub const fn lease(&self) -> &TaskLease {
        &self.lease
    }

    /// Returns how far the task has come.
    #[must_use]
    pub const fn state(&self) -> StoredState {
        self.state
    }

    /// Returns the data that was written last.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.data
    }
}
