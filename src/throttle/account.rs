//! Account: one account at a service, or a foreign host that is asked for one, and its limits.

pub(super) mod budgets;
pub(super) mod gates;
pub(super) mod known;
pub(super) mod rule;
pub(super) mod rules;

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::board::BudgetWord;
use super::feedback::{LimiterView, Target, View};
use super::ids::{AccountId, LimiterId, SetId};
use super::limiters::{Editing, Limiters};
use super::request::Attribution;
use super::slots::micros;
use super::time::{Tick, nanos};
use crate::hint::Budget;

use budgets::Budgets;
use gates::Gates;
use known::KnownSets;
use rules::AccountRules;

/// How the names of limiters begin by which processes know them.
const ACCOUNT: &str = "account";
const GATE: &str = "gate ";
const LIMIT: &str = "limit ";

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

    /// Returns the name by which other processes know a limiter of the account that pauses.
    pub(super) fn subject_of(&self, id: LimiterId, limiters: &Limiters) -> Option<String> {
        match self.gates.name_of(id) {
            _ if self.home.is_some() => None,
            _ if id == self.gate => Some(ACCOUNT.to_owned()),
            Some(name) => Some(format!("{GATE}{name}")),
            None if self.rules.ids().contains(&id) => {
                limiters.of(id).lent().map(|lent| format!("{LIMIT}{}", lent.domain()))
            }
            None => self.budgets.subject_of_pause(id),
        }
    }

    /// Returns the limiter that other processes know by a name, created if it is the gate of a route; `None` if there is
    /// none here yet.
    pub(super) fn limiter_of_subject(&mut self, subject: &str, limiters: &mut Limiters) -> Option<LimiterId> {
        if subject == ACCOUNT {
            return Some(self.gate);
        }
        if let Some(name) = subject.strip_prefix(GATE) {
            return self.gates.make(&name.into(), limiters);
        }
        let Some(domain) = subject.strip_prefix(LIMIT) else { return self.budgets.limiter_of_subject(subject) };
        let is_it = |id: &LimiterId| limiters.of(*id).lent().is_some_and(|lent| **lent.domain() == *domain);
        self.rules.ids().into_iter().find(is_it)
    }

    /// Returns what other processes are told of a budget that a response stated.
    pub(super) fn budget_word(
        &self,
        id: LimiterId,
        budget: &Budget,
        attribution: &Attribution,
        limiters: &Limiters,
    ) -> Option<BudgetWord> {
        let (remaining, reset) = (budget.remaining()?, budget.reset()?);
        let route = attribution.route.as_deref();
        let subject = match self.budgets.subject_of(id, route) {
            _ if self.home.is_some() => return None,
            Some(subject) => subject,
            None => self.subject_of(id, limiters)?,
        };
        Some(BudgetWord {
            subject,
            credential: attribution.credential,
            route: route.map(str::to_owned),
            name: budget.name().map(str::to_owned),
            limit: budget.limit(),
            remaining,
            window: budget.window().map(micros),
            reset: micros(reset),
        })
    }

    /// Keeps a budget that the service stated to another process.
    pub(super) fn hear_budget(&mut self, word: &BudgetWord, editing: &mut Editing<'_>) {
        let (now, reset) = (editing.now, Duration::from_micros(word.reset));
        let is_declared = word.subject.starts_with(LIMIT);
        let declared = is_declared.then(|| self.limiter_of_subject(&word.subject, editing.limiters)).flatten();
        let id = declared.or_else(|| {
            let window = word.window.map(Duration::from_micros);
            let budget = Budget::of_requests(word.name.clone(), word.limit, word.remaining, window, reset);
            let route = word.route.as_deref().map(Arc::from);
            let attribution = Attribution { credential: word.credential, route, ..Attribution::default() };
            (!is_declared).then(|| self.budgets.record(&attribution, &budget, 0, editing)).flatten()
        });
        let Some(id) = id else { return };
        let resets_at = now.saturating_add(nanos(reset));
        if editing.limiters.of_mut(id).hear_rest(word.limit, word.remaining, resets_at, now) {
            editing.changed.push(id);
        }
    }

    /// Records the budgets that a response states. `sent`: when its request was sent. Returns those that are news, with
    /// their limiters.
    pub(super) fn record_budgets(
        &mut self,
        attribution: &Attribution,
        set: SetId,
        budgets: &[Budget],
        sent: Tick,
        editing: &mut Editing<'_>,
    ) -> Vec<(LimiterId, Budget)> {
        let mut news = Vec::new();
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
                    if editing.limiters.terms().is_some() {
                        news.push((limiter, budget.clone()));
                    }
                }
            }
        }
        news
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
