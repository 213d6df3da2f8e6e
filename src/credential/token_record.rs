//! TokenRecord: a token, its generation and the lock of its refresh, as a store keeps them.
//!
//! The record is pure: the time is passed in. `redis/token.lua` decides in the same way, and a test compares the two.

use std::sync::Arc;
use std::time::Duration;

use super::exclusive::{RefreshLease, RefreshTurn, Replaced, StoredToken};
use super::token::Token;

/// The record of one token. Times are the microseconds of the store's clock.
#[derive(Debug, Default)]
pub(super) struct TokenRecord {
    generation: u64,
    token: Option<Token>,
    fence: u64,
    lock: Option<Lock>,
}

#[derive(Debug)]
struct Lock {
    owner: Arc<str>,
    until: u64,
    /// For how long the lock was taken or renewed last.
    length: u64,
}

impl TokenRecord {
    pub(super) fn stored(&self) -> StoredToken {
        StoredToken::new(self.generation, self.token.clone())
    }

    /// Stores a token in place of any other.
    pub(super) fn save(&mut self, token: Option<Token>, now: u64) -> u64 {
        // A record that was lost, and begins anew, repeats no generation.
        self.generation = (self.generation + 1).max(now);
        self.token = token;
        self.generation
    }

    pub(super) fn replace(&mut self, generation: u64, token: Option<Token>, now: u64) -> Replaced {
        if generation == self.generation {
            Replaced::Done(self.save(token, now))
        } else {
            Replaced::Outdated(self.stored())
        }
    }

    pub(super) fn lock(&mut self, owner: Arc<str>, time: Duration, now: u64) -> RefreshTurn {
        let length = micros(time);
        let mut is_takeover = false;
        if let Some(lock) = &mut self.lock {
            let left = lock.left(now);
            if left > 0 && lock.owner != owner {
                return RefreshTurn::Taken { left: Some(Duration::from_micros(left)) };
            }
            if left > 0 {
                (lock.until, lock.length) = (now + length, length);
                return RefreshTurn::Granted(RefreshLease::new(owner, self.fence));
            }
            is_takeover = lock.owner != owner;
        }
        self.fence += 1;
        self.lock = Some(Lock { owner: owner.clone(), until: now + length, length });
        let lease = RefreshLease::new(owner, self.fence);
        RefreshTurn::Granted(if is_takeover { lease.taken_over() } else { lease })
    }

    pub(super) fn renew(&mut self, lease: &RefreshLease, time: Duration, now: u64) -> bool {
        let (length, fence) = (micros(time), self.fence);
        let Some(lock) = self.lock.as_mut().filter(|lock| lock.is_of(lease, fence)) else { return false };
        (lock.until, lock.length) = (now + length, length);
        true
    }

    pub(super) fn release(&mut self, lease: &RefreshLease) {
        if self.lock.as_ref().is_some_and(|lock| lock.is_of(lease, self.fence)) {
            self.lock = None;
        }
    }
}

impl Lock {
    /// Returns the rest of the time. A clock that was set back makes it no longer.
    fn left(&mut self, now: u64) -> u64 {
        self.until = self.until.min(now + self.length);
        self.until.saturating_sub(now)
    }

    fn is_of(&self, lease: &RefreshLease, fence: u64) -> bool {
        self.owner == *lease.owner() && fence == lease.fence()
    }
}

pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(LONGEST).min(LONGEST)
}

/// Some 35 years: the script counts in floating-point numbers, which are exact up to eight times that.
const LONGEST: u64 = 1 << 50;

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Duration = Duration::from_secs(60);
    const SECOND: u64 = 1_000_000;

    fn granted(turn: RefreshTurn) -> RefreshLease {
        match turn {
            RefreshTurn::Granted(lease) => lease,
            RefreshTurn::Taken { left } => panic!("taken for {left:?}"),
        }
    }

    fn left(turn: RefreshTurn) -> u64 {
        match turn {
            RefreshTurn::Taken { left } => left.unwrap().as_secs(),
            RefreshTurn::Granted(lease) => panic!("{lease:?}"),
        }
    }

    #[test]
    fn one_owner_has_the_lock_until_its_time_is_over_or_it_is_released() {
        let mut record = TokenRecord::default();
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        let first = granted(record.lock(a.clone(), TIME, 0));
        assert_eq!((first.fence(), first.is_takeover()), (1, false));
        assert_eq!(left(record.lock(b.clone(), TIME, 10 * SECOND)), 50);
        // An answer that was lost, and a renewal.
        assert_eq!(granted(record.lock(a.clone(), TIME, 20 * SECOND)).fence(), 1);
        assert!(record.renew(&first, TIME, 30 * SECOND));
        assert_eq!(left(record.lock(b.clone(), TIME, 89 * SECOND)), 1);
        let second = granted(record.lock(b.clone(), TIME, 90 * SECOND));
        assert_eq!((second.fence(), second.is_takeover()), (2, true));
        // The first is late: neither its renewal nor its release touches the second.
        assert!(!record.renew(&first, TIME, 91 * SECOND));
        record.release(&first);
        assert_eq!(left(record.lock(a.clone(), TIME, 91 * SECOND)), 59);
        record.release(&second);
        let third = granted(record.lock(a, TIME, 92 * SECOND));
        assert_eq!((third.fence(), third.is_takeover()), (3, false));
    }

    #[test]
    fn a_clock_that_is_set_back_makes_no_lock_longer() {
        let mut record = TokenRecord::default();
        granted(record.lock("a".into(), TIME, 1_000 * SECOND));
        assert_eq!(left(record.lock("b".into(), TIME, 0)), 60);
        assert!(granted(record.lock("b".into(), TIME, 60 * SECOND)).is_takeover());
    }

    #[test]
    fn a_token_is_replaced_by_its_generation_whoever_has_the_lock() {
        let mut record = TokenRecord::default();
        assert_eq!(record.stored(), StoredToken::nothing());
        let (old, new) = (Token::new("OLD"), Token::new("NEW"));
        assert_eq!(record.replace(0, Some(old.clone()), 7), Replaced::Done(7));
        assert_eq!(record.replace(0, Some(new.clone()), 7), Replaced::Outdated(StoredToken::new(7, Some(old))));
        granted(record.lock("b".into(), TIME, 7));
        assert_eq!(record.replace(7, Some(new), 3), Replaced::Done(8));
        assert_eq!(record.save(None, 3), 9);
        assert_eq!(record.stored(), StoredToken::new(9, None));
        assert!(!record.stored().is_nothing());
    }
}
