//! Learned: the limits that were learned, as data.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::accounts::Accounts;
use super::limiter::window::Counter;
use super::limiter::window::learner::Learner;
use super::limiters::{Editing, Limiters};
use crate::clock::seconds;

/// The limits that a throttle has learned, as returned by [`Throttle::learned`](super::Throttle::learned). The value is
/// Serde data. It holds no secrets unless the name of an account is one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Learned(Vec<LearnedLimit>);

/// A limit that a throttle has found out: [`Learned::limits`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LearnedLimit {
    origin: String,
    account: String,
    count: u32,
    #[serde(with = "seconds")]
    seconds: Duration,
}

impl LearnedLimit {
    /// The origin of the service; empty for a throttle without an account.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The name of the account.
    #[must_use]
    pub fn account(&self) -> &str {
        &self.account
    }

    /// How many requests the service admits in a window.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// The length of the window.
    #[must_use]
    pub const fn window(&self) -> Duration {
        self.seconds
    }
}

impl Learned {
    /// Returns whether no limit was learned.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The limits, in the order in which their accounts were made.
    pub fn limits(&self) -> impl Iterator<Item = &LearnedLimit> {
        self.0.iter()
    }

    /// Returns the limits that the learners of all accounts have found.
    pub(super) fn found(accounts: &Accounts, limiters: &Limiters) -> Self {
        let entries = accounts.iter().filter_map(|account| {
            let Counter::Learner(learner) = limiters.of(account.learner?).counter() else { return None };
            let (count, seconds) = learner.found()?;
            Some(LearnedLimit { origin: account.origin.clone(), account: account.name.clone(), count, seconds })
        });
        Self(entries.collect())
    }

    /// Hands the limits to learners of their accounts.
    pub(super) fn give(&self, accounts: &mut Accounts, editing: &mut Editing<'_>) {
        if self.0.len() > MOST_ENTRIES {
            tracing::warn!(entries = self.0.len(), "more learned limits than a throttle keeps: the rest is ignored");
        }
        for LearnedLimit { origin, account, count, seconds } in self.0.iter().take(MOST_ENTRIES) {
            if *count == 0 || seconds.is_zero() || *seconds > LONGEST {
                tracing::warn!(%origin, count, ?seconds, "a learned limit is ignored: no throttle can have learned it");
                continue;
            }
            let id = accounts.account(origin, account, editing);
            accounts.learn(id, Learner::knowing(*count, *seconds), editing.limiters);
        }
    }
}

/// The search finds windows of a day at most; a longer window would stall requests on the word of a file.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// A throttle with more accounts than this is not a throttle of one service.
const MOST_ENTRIES: usize = 1024;
