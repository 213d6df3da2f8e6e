//! Account: one account at a service, or a foreign host that is asked for one, and its limits.

pub(super) mod budgets;
pub(super) mod gates;
pub(super) mod known;
mod rule;
pub(super) mod rules;

use std::sync::Weak;

use super::ids::{AccountId, LimiterId};
use super::time::Tick;

use budgets::Budgets;
use gates::Gates;
use known::KnownSets;
use rules::Rules;

/// An account at a service. The first of a throttle stands for all of them.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) origin: String,
    pub(super) name: String,
    /// The account that asks this foreign host.
    pub(super) home: Option<AccountId>,
    /// Until when its user stopped it: hosts that are first asked meanwhile are stopped too.
    pub(super) held_until: Tick,
    /// The handles of it.
    pub(super) lease: Weak<()>,
    /// The limits that were declared.
    pub(super) rules: Rules,
    /// All its requests go through this gate, and it pauses when the account does.
    pub(super) gate: LimiterId,
    /// The gates of routes and hosts that were refused by no declared limit.
    pub(super) gates: Gates,
    /// The budgets that answers stated.
    pub(super) budgets: Budgets,
    /// Searches for its unknown limit.
    pub(super) learner: Option<LimiterId>,
    pub(super) known: KnownSets,
}

impl Account {
    pub(super) fn new(origin: &str, name: &str, rules: Rules, gate: LimiterId) -> Self {
        Self {
            origin: origin.to_owned(),
            name: name.to_owned(),
            home: None,
            held_until: 0,
            lease: Weak::new(),
            rules,
            gate,
            gates: Gates::default(),
            budgets: Budgets::default(),
            learner: None,
            known: KnownSets::default(),
        }
    }

    pub(super) fn foreign(home: AccountId, gate: LimiterId) -> Self {
        Self { home: Some(home), ..Self::new("", "", Rules::default(), gate) }
    }

    /// All its limiters, in the order in which they are shown.
    pub(super) fn limiters(&self) -> Vec<LimiterId> {
        let mut ids = self.rules.ids();
        ids.extend(self.budgets.ids());
        ids.extend(self.learner);
        ids.extend(self.gates.ids());
        ids.push(self.gate);
        ids
    }
}
