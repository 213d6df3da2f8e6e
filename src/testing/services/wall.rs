//! The wall clock of a service, which need not agree with that of its clients.

use std::time::{Duration, SystemTime};

/// A clock that is this far ahead of the machine's, or behind it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wall {
    ahead: Duration,
    behind: Duration,
}

impl Wall {
    pub(super) const fn ahead(by: Duration) -> Self {
        Self { ahead: by, behind: Duration::ZERO }
    }

    pub(super) const fn behind(by: Duration) -> Self {
        Self { ahead: Duration::ZERO, behind: by }
    }

    pub(super) fn now(self) -> SystemTime {
        let now = SystemTime::now();
        now.checked_add(self.ahead).and_then(|ahead| ahead.checked_sub(self.behind)).unwrap_or(now)
    }
}
