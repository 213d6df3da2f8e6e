//! StoredState: how far a stored task has come.

use std::fmt;

/// How far a task in a [`TaskStore`](super::TaskStore) has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoredState {
    /// The submit may have been sent: its answer is not stored.
    Intended,
    /// The service accepted the task: its token is stored.
    Submitted,
    /// The service reported the end of the task. The application has not acknowledged it yet.
    Finished,
    /// The submit may have reached the service, and must not be repeated. The application has not acknowledged it yet.
    Uncertain,
    /// The application acknowledged the task. Only its name is kept, for a while.
    Acknowledged,
}

impl StoredState {
    /// Returns the state in snake case, for logs and labels: it does not change.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Intended => "intended",
            Self::Submitted => "submitted",
            Self::Finished => "finished",
            Self::Uncertain => "uncertain",
            Self::Acknowledged => "acknowledged",
        }
    }

    pub(super) const fn to_byte(self) -> u8 {
        match self {
            Self::Intended => 0,
            Self::Submitted => 1,
            Self::Finished => 2,
            Self::Uncertain => 3,
            Self::Acknowledged => 4,
        }
    }

    pub(super) const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::Intended,
            1 => Self::Submitted,
            2 => Self::Finished,
            3 => Self::Uncertain,
            4 => Self::Acknowledged,
            _ => return None,
        })
    }

    /// Returns whether the task may be forgotten after a while.
    pub(super) const fn is_over(self) -> bool {
        matches!(self, Self::Finished | Self::Acknowledged)
    }
}

impl fmt::Display for StoredState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
