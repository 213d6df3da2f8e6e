//! Account: one account at a service, or a foreign host that is asked for one, and its limits.

pub(super) mod budgets;
pub(super) mod gates;
pub(super) mod known;
pub(super) mod rule;
pub(super) mod rules;

use std::sync::Weak;

use super::feedback::{LimiterView, Target, View};
use super::ids::{AccountId, LimiterId, SetId};
use super::limiters::{Editing, Limiters};
use super::request::Attribution;
use super::time::Tick;
use crate::hint::Budget;

use budgets::Budgets;
use gates::Gates;
use known::KnownSets;
use rules::AccountRules;

/// An account at a service. The first account of a throttle stands for all of them.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) origin: String,
    pub(super) name: String,
    /// The account that asks this foreign host.
    pub(super) home: Option<AccountId>,
    /// Until when its user stopped it: hosts that are first asked before then are stopped too.
    pub(super) held_until: Tick,
    /// The handles of the account.
    pub(super) lease: Weak<()>,
    /// The declared limits.
    pub(super) rules: AccountRules,
    /// The gate for all requests of the account, which pauses when the account does.
    pub(super) gate: LimiterId,
    /// The gates of routes and hosts whose refusals no declared limit explains.
    pub(super) gates: Gates,
    /// The budgets that responses stated.
    pub(super) budgets: Budgets,
    /// The limiter that searches for the account's unknown limit.
    pub(super) learner: Option<LimiterId>,
    pub(super) known: KnownSets,
}

impl Account {
    pub(super) fn new(origin: &str, name: &str, rules: AccountRules, gate: LimiterId) -> Self {
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
        Self { home: Some(home), ..Self::new("", "", AccountRules::default(), gate) }
    }

    /// Returns all its limiters, in the order in which they are shown.
    pub(super) fn limiters(&self) -> Vec<LimiterId> {
        let mut ids = self.rules.ids();
        ids.extend(self.budgets.ids());
        ids.extend(self.learner);
        ids.extend(self.gates.ids());
        ids.push(self.gate);
        ids
    }

    /// Records the budgets that a response states. `sent`: when its request was sent.
    pub(super) fn record_budgets(
        &mut self,
        attribution: &Attribution,
        set: SetId,
        budgets: &[Budget],
        sent: Tick,
        editing: &mut Editing<'_>,
    ) {
        // Some services state a limit of 0 for no limit.
        for budget in budgets.iter().filter(|budget| budget.counts_requests() && budget.limit() != Some(0)) {
            let out = editing.limiters.of(self.gate).in_flight;
            let declared = editing.limiters.declared_for(set, budget);
            let found = declared.or_else(|| self.budgets.record(attribution, budget, out, editing));
            if let Some(limiter) = found {
                // Requests that were sent before the budget was known are not counted by its limiter.
                let others = if editing.limiters.set(set).contains(limiter) { 0 } else { out };
                if editing.limiters.of_mut(limiter).advertise(budget, others, sent, editing.now) {
                    editing.changed.push(limiter);
                }
            }
        }
    }

    /// Returns the limiters that counted a refused request, and the refusals before it.
    pub(super) fn view(&self, set: SetId, budgets: &[Budget], editing: &mut Editing<'_>) -> View {
        let (mut limiters, now) = (Vec::new(), editing.now);
        editing.limiters.each_with_id(set, |id, limiter| {
            limiters.push(LimiterView::of_limiter(id, limiter, budgets, now));
        });
        View { limiters, refused: self.gates.refused.clone(), unavailable: self.gates.unavailable.clone() }
    }

    /// Returns the limiter that a refusal stops.
    pub(super) fn limiter_of(&mut self, target: Target, limiters: &mut Limiters) -> LimiterId {
        match target {
            Target::Limiter(id) => id,
            // The account stops if there are too many gates.
            Target::Gate(name) => self.gates.make(&name, limiters).unwrap_or(self.gate),
            Target::Account => self.gate,
        }
    }
}
