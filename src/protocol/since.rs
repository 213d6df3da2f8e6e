//! Since: the time at which a condition began.

use std::num::NonZeroU64;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::clock::unix_millis;

/// The time at which a condition began, if it holds: in milliseconds since 1970 plus one, so that no time costs no
/// space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Since(Option<NonZeroU64>);

impl Since {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde wants")]
    pub(super) const fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// Returns how long the condition has lasted; it begins now, unless it has begun.
    pub(super) fn lasted(&mut self, now: SystemTime) -> Duration {
        let now = NonZeroU64::MIN.saturating_add(unix_millis(now));
        let began = *self.0.get_or_insert(now);
        Duration::from_millis(now.get().saturating_sub(began.get()))
    }

    /// Lets the condition begin later by this time.
    pub(super) fn put_off(&mut self, by: Duration) {
        let by = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.0 = self.0.map(|began| began.saturating_add(by));
    }
}
