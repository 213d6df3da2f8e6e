//! TaskWrite: a change of a stored task.

use super::TaskLease;
use super::state::StoredState;

/// The answer to an [`intend`](super::TaskStore::intend).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Intent {
    /// The task is stored as [`Intended`](StoredState::Intended), and the owner holds it.
    Stored(TaskLease),
    /// The store has a task of this name already, in this state. Nothing was changed.
    Known(StoredState),
}

/// A change of a task, by the owner that holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskWrite {
    /// The task becomes [`Submitted`](StoredState::Submitted), and this data replaces its data.
    Submitted(Vec<u8>),
    /// The task becomes [`Finished`](StoredState::Finished).
    Finished,
    /// The task becomes [`Uncertain`](StoredState::Uncertain).
    Uncertain,
    /// The task becomes [`Acknowledged`](StoredState::Acknowledged): its data is removed, and nobody holds it.
    Acknowledged,
    /// The service refused the submit: the task is removed, and its name is free.
    Withdrawn,
    /// Nobody holds the task from now on; otherwise it is unchanged.
    Released,
}

impl TaskWrite {
    /// Returns whether the change must be durable when the write returns.
    pub(super) const fn is_durable(&self) -> bool {
        match self {
            Self::Submitted(_) | Self::Finished | Self::Uncertain | Self::Acknowledged => true,
            Self::Withdrawn | Self::Released => false,
        }
    }
}

/// The answer to a [`write`](super::TaskStore::write).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub enum Written {
    /// The change is stored.
    Done,
    /// The lease is lost: nothing was changed.
    Lost,
}
