//! Directory: the accounts of a throttle by number and by name, and the sweep of those without a use.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::throttle::account::Account;
use crate::throttle::ids::{AccountId, LimiterId};
use crate::throttle::limiter::window::Counter;
use crate::throttle::limiters::Limiters;
use crate::throttle::time::Tick;

/// The accounts by number and by name. No number is assigned twice.
#[derive(Debug, Default)]
pub(super) struct Directory {
    accounts: BTreeMap<AccountId, Account>,
    /// By origin and account, or by the account that asks a foreign host.
    numbers: HashMap<String, AccountId>,
    next: AccountId,
}

impl Directory {
    pub(super) fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }

    #[inline]
    pub(super) fn get(&self, id: AccountId) -> Option<&Account> {
        self.accounts.get(&id)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, id: AccountId) -> Option<&mut Account> {
        self.accounts.get_mut(&id)
    }

    pub(super) fn find(&self, name: &str) -> Option<AccountId> {
        self.numbers.get(name).copied()
    }

    /// Returns the accounts in the order in which they were made.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Account> {
        self.accounts.values_mut()
    }

    /// Returns an account and the foreign hosts that are asked for it; for the first account, all.
    pub(super) fn with_hosts(&self, id: AccountId) -> Vec<AccountId> {
        let belongs =
            |(at, account): &(&AccountId, &Account)| id == AccountId::ALL || **at == id || account.home == Some(id);
        self.accounts.iter().filter(belongs).map(|(at, _)| *at).collect()
    }

    pub(super) fn add(&mut self, name: String, account: Account) -> AccountId {
        let id = self.next;
        self.next = id.next();
        self.accounts.insert(id, account);
        self.numbers.insert(name, id);
        id
    }

    /// Keeps an account from being discarded, for as long as the lease is held. The first account has no lease.
    pub(super) fn lease(&mut self, id: AccountId) -> Option<Arc<()>> {
        let account = self.accounts.get_mut(&id).filter(|_| id != AccountId::ALL)?;
        Some(account.lease.upgrade().unwrap_or_else(|| {
            let lease = Arc::new(());
            account.lease = Arc::downgrade(&lease);
            lease
        }))
    }

    /// Discards the limiters of keys that hold nothing back, and the accounts without a use.
    pub(super) fn sweep(&mut self, limiters: &mut Limiters, now: Tick) {
        let mut gone = Vec::new();
        for account in self.iter_mut() {
            // Known sets hold sets, and leases of accounts.
            account.known.clear(limiters);
            account.rules.note_use(limiters);
        }
        let mut is_kept = |id: LimiterId| {
            let is_idle = limiters.of_mut(id).is_idle(now);
            if is_idle {
                gone.push(id);
            }
            !is_idle
        };
        for account in self.iter_mut() {
            account.rules.retain(&mut is_kept);
            account.gates.retain(&mut is_kept);
            account.budgets.retain(&mut is_kept);
        }
        limiters.remove(gone);
        self.give_up_unused(limiters, now);
    }

    /// Discards accounts and hosts that have no handle, and of which nothing is counted, paused or known.
    pub(super) fn give_up_unused(&mut self, limiters: &mut Limiters, now: Tick) {
        let mut is_used = |account: &Account| {
            account.lease.strong_count() > 0
                || account.limiters().into_iter().any(|id| {
                    let limiter = limiters.of_mut(id);
                    match limiter.counter() {
                        // A search without a result holds no knowledge that is worth a place.
                        Counter::Learner(learner) => learner.found().is_some(),
                        _ => !limiter.is_idle(now),
                    }
                })
        };
        let gone = self.give_up(|account| is_used(account));
        limiters.remove(gone);
    }

    /// Discards unused accounts, except the first, and returns their limiters.
    fn give_up(&mut self, mut is_used: impl FnMut(&Account) -> bool) -> Vec<LimiterId> {
        let mut gone = Vec::new();
        self.accounts.retain(|id, account| {
            let is_kept = *id == AccountId::ALL || is_used(account);
            if !is_kept {
                gone.extend(account.limiters());
            }
            is_kept
        });
        if !gone.is_empty() {
            let accounts = &self.accounts;
            self.numbers.retain(|_, id| accounts.contains_key(id));
        }
        gone
    }
}
