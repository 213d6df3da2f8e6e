//! SharedUsage: the part of this process in a window that several processes share.

use std::fmt;
use std::time::Duration;

use super::limiter::window::lent::Lent;
use super::time::{Tick, elapsed};
use crate::limit::Outage;

/// The part of this process in a limit that several processes share, as returned by
/// [`LimitUsage::shared`](super::LimitUsage::shared). `Display` is "shared by 4: 3 held here, 2 with nobody, lease
/// 2.1s".
///
/// The numbers of the other processes are those of the store's last answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedUsage {
    members: u64,
    held: u64,
    free: u64,
    owed: u64,
    count: u64,
    lease: Duration,
    outage: Option<Outage>,
}

impl SharedUsage {
    /// Returns how many processes use or want slots of the window, this one too; 0 before the store's first answer.
    #[must_use]
    pub const fn members(&self) -> u64 {
        self.members
    }

    /// Returns how many slots of the window this process holds: those in flight, those that are not yet free, and those
    /// that it may use now.
    #[must_use]
    pub const fn held(&self) -> u64 {
        self.held
    }

    /// Returns how many slots no process holds. Some of them may have been used, and become free only later.
    #[must_use]
    pub const fn unheld(&self) -> u64 {
        self.free
    }

    /// Returns how many slots too many are lent, because the store lost data or the limit became smaller.
    #[must_use]
    pub const fn owed(&self) -> u64 {
        self.owed
    }

    /// Returns how many requests the window admits: the smallest number that a process declares.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Returns how long this process may use its slots without another answer of the store.
    #[must_use]
    pub const fn lease(&self) -> Duration {
        self.lease
    }

    /// Returns the policy by which this process uses slots although its lease is over: [`Outage::Share`] or
    /// [`Outage::Open`] while the store cannot be reached; otherwise none.
    #[must_use]
    pub const fn outage(&self) -> Option<Outage> {
        self.outage
    }
}

impl SharedUsage {
    pub(super) fn of(lent: &Lent, now: Tick) -> Self {
        let (said, ends_at) = lent.loan();
        Self {
            members: said.map_or(0, |said| said.members),
            held: lent.held(),
            free: said.map_or(0, |said| said.free),
            owed: said.map_or(0, |said| said.debt),
            count: said.map_or(lent.count().into(), |said| said.count),
            lease: elapsed(now, ends_at),
            outage: lent.outage(now),
        }
    }
}

impl fmt::Display for SharedUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.members == 0 {
            return f.write_str("shared, and the store has not answered yet");
        }
        write!(f, "shared by {}: {} held here, {} with nobody, ", self.members, self.held, self.free)?;
        if self.owed > 0 {
            write!(f, "{} owed, ", self.owed)?;
        }
        match self.outage {
            _ if !self.lease.is_zero() => write!(f, "lease {:.1?}", self.lease),
            Some(Outage::Share) => f.write_str("lease over, on its share"),
            Some(_) => f.write_str("lease over, open"),
            None => f.write_str("lease over"),
        }
    }
}
