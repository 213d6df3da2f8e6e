//! Directory: the accounts of a throttle by number and by name.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::throttle::account::Account;
use crate::throttle::ids::{AccountId, LimiterId};

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

    /// Discards unused accounts, except the first, and returns their limiters.
    pub(super) fn give_up(&mut self, mut is_used: impl FnMut(&Account) -> bool) -> Vec<LimiterId> {
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
