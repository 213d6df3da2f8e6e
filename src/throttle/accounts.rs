//! Accounts: all accounts of a throttle, and the limiters that count a request.

mod directory;
mod route_names;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use super::account::Account;
use super::account::rule::AccountName;
use super::account::rules::{AccountRules, Matched};
use super::board::BudgetWord;
use super::feedback::Feedback;
use super::ids::{AccountId, LimiterId, SetId};
use super::limiter::Limiter;
use super::limiter::advertised::Among;
use super::limiter::window::Counter;
use super::limiter::window::learner::Learner;
use super::limiters::set::LimiterSet;
use super::limiters::{Editing, Limiters};
use super::request::{Attribution, RequestFacts, hash};
use super::time::Tick;
use crate::clock::Clock;
use crate::error::Error;
use crate::limit::{Anchor, Limit};
use crate::message::Priority;

use directory::Directory;
use route_names::RouteNames;

/// The accounts of a throttle, and their common state.
#[derive(Debug)]
pub(super) struct Accounts {
    accounts: Directory,
    /// Changes with every rule, learner and key: known sets are valid for one version.
    version: u64,
    /// Changes with every limiter that responses make.
    answers: u64,
    clock: Clock,
    feedback: Feedback,
    /// All accounts pause until then, including accounts that are created later.
    all_paused_until: Tick,
    /// Limiters of keys are swept when their number exceeds this.
    sweep_at: usize,
    routes: RouteNames,
}

impl Default for Accounts {
    fn default() -> Self {
        Self {
            accounts: Directory::default(),
            version: 1,
            answers: 0,
            clock: Clock::system(),
            feedback: Feedback::default(),
            all_paused_until: 0,
            sweep_at: SWEEP_FROM,
            routes: RouteNames::default(),
        }
    }
}

impl Accounts {
    pub(super) fn get(&self, id: AccountId) -> Option<&Account> {
        self.accounts.get(id)
    }

    /// Returns the accounts in the order in which they were made.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Account> {
        self.accounts.iter()
    }

    /// Returns an account and the foreign hosts that are asked for it; for the first account, all.
    pub(super) fn with_hosts(&self, id: AccountId) -> Vec<AccountId> {
        self.accounts.with_hosts(id)
    }

    /// Returns the number of an account at a service.
    pub(super) fn account(&mut self, origin: &str, name: &str, editing: &mut Editing<'_>) -> AccountId {
        let key = format!("account {origin} {name}");
        if let Some(id) = self.accounts.find(&key) {
            return id;
        }
        self.sweep_if_many(editing.limiters, editing.now);
        let label = match name {
            "" => "the account".to_owned(),
            name => format!("the account {}", name.escape_debug()),
        };
        let name_of = (!self.accounts.is_empty()).then(|| name.to_owned());
        let rules = AccountRules::new(AccountName { origin: origin.to_owned(), name: name_of });
        let gate = self.gate(label, editing);
        let id = self.accounts.add(key, Account::new(origin, name, rules, gate));
        if self.feedback == Feedback::Learn {
            self.search(id, editing.limiters);
        }
        id
    }

    /// Keeps an account from being discarded, for as long as the lease is held.
    pub(super) fn lease(&mut self, id: AccountId) -> Option<Arc<()>> {
        self.accounts.lease(id)
    }

    /// Returns the limiters that count a request, as a set that the caller holds, and the attribution of its response.
    #[inline]
    pub(super) fn limiters_for(
        &mut self,
        request: &RequestFacts<'_>,
        class: Priority,
        editing: &mut Editing<'_>,
    ) -> (SetId, Arc<Attribution>) {
        if let Some((set, attribution)) = self.known(request, class) {
            editing.limiters.hold(set);
            // The exact guarantee: a known set equals the set that a full lookup finds.
            #[cfg(debug_assertions)]
            {
                let (found, found_for) = self.look_up(request, class, editing);
                assert_eq!(editing.limiters.set(set), &found, "a known set is out of date");
                assert_eq!((attribution.account, attribution.credential), (found_for.account, found_for.credential));
                assert_eq!(attribution.route, found_for.route, "a known attribution is out of date");
            }
            return (set, attribution);
        }
        self.find(request, class, editing)
    }

    #[inline]
    fn known(&mut self, request: &RequestFacts<'_>, class: Priority) -> Option<(SetId, Arc<Attribution>)> {
        let version = self.version;
        let account = self.accounts.get_mut(request.account).filter(|_| !request.is_foreign)?;
        // Limiters from responses are looked up each time.
        if !account.gates.is_empty() || !account.budgets.is_empty() {
            return None;
        }
        let known = account.known.find(request, class, version);
        known.or_else(|| account.known.find_route(request, class, version))
    }

    /// Looks up the limiters of a request, and caches the result.
    fn find(
        &mut self,
        request: &RequestFacts<'_>,
        class: Priority,
        editing: &mut Editing<'_>,
    ) -> (SetId, Arc<Attribution>) {
        // The sweep comes before the lookup.
        self.sweep_if_many(editing.limiters, editing.now);
        let (set, attribution) = self.look_up(request, class, editing);
        let (set, attribution) = (editing.limiters.number(set), Arc::new(attribution));
        if !request.is_foreign {
            let all = self.accounts.get(AccountId::ALL).is_some_and(|all| all.rules.look_at_routes());
            let version = self.version;
            let account = self.accounts.get_mut(request.account);
            if let Some(account) = account.filter(|account| account.gates.is_empty() && account.budgets.is_empty()) {
                account.known.begin(version, all || account.rules.look_at_routes(), editing.limiters);
                account.known.keep(request, class, set, &attribution, editing.limiters);
            }
        }
        (set, attribution)
    }

    fn look_up(
        &mut self,
        request: &RequestFacts<'_>,
        class: Priority,
        editing: &mut Editing<'_>,
    ) -> (LimiterSet, Attribution) {
        let id = if request.is_foreign { self.foreign(request, editing) } else { request.account };
        let mut matched = Matched::default();
        if let Some(account) = self.accounts.get(id).or_else(|| self.accounts.get(AccountId::ALL)) {
            matched.set.add(account.gate);
        }
        let both = [AccountId::ALL, request.account];
        for account in both.iter().take(if request.account == AccountId::ALL { 1 } else { 2 }) {
            if let Some(account) = self.accounts.get_mut(*account) {
                account.rules.collect(request, class, self.clock, editing.limiters, &mut matched);
            }
        }
        let credential = if self.feedback.reads_answers() { hash(request.credential) } else { 0 };
        let route = request.method.is_some().then(|| self.routes.name(request));
        let attribution = Attribution { account: id, credential, route, _lease: self.lease(id) };
        self.probe_unseen(&attribution, editing);
        for limiter in self.unmet(&attribution, &matched.set) {
            matched.set.add(limiter);
        }
        let learner = self.accounts.get(id).and_then(|account| account.learner);
        if let Some(learner) = learner.filter(|_| !matched.declared && self.feedback == Feedback::Learn) {
            matched.set.add(learner);
        }
        (matched.set, attribution)
    }

    /// Returns the limiters from responses that should count a request and do not yet.
    pub(super) fn unmet(&self, attribution: &Attribution, set: &LimiterSet) -> Vec<LimiterId> {
        let Some(account) = self.accounts.get(attribution.account) else { return Vec::new() };
        if account.gates.is_empty() && account.budgets.is_empty() {
            return Vec::new();
        }
        let gates = attribution.route.iter().flat_map(|route| account.gates.of_route(route));
        let all = gates.chain(account.budgets.limiters(attribution));
        let mut unmet: Vec<LimiterId> = all.filter(|id| !set.contains(*id)).collect();
        unmet.dedup();
        unmet
    }

    /// Returns a version that changes with every limiter that responses make: while it is unchanged, no limiter has
    /// become [`unmet`](Self::unmet).
    pub(super) const fn answers(&self) -> u64 {
        self.answers
    }

    /// Starts a route with a single request if little is left of a budget that the route was never seen to share. The
    /// response shows whether the route shares it.
    fn probe_unseen(&mut self, attribution: &Attribution, editing: &mut Editing<'_>) {
        let (Some(account), Some(route)) = (self.accounts.get_mut(attribution.account), &attribution.route) else {
            return;
        };
        let now = editing.now;
        if account.gates.has(route) || !account.budgets.is_doubtful(attribution, editing.limiters, now) {
            return;
        }
        if let Some(gate) = account.gates.make(route, editing.limiters) {
            editing.limiters.of_mut(gate).begin_slowly(now);
            self.answers += 1;
        }
    }

    /// Returns the gate of an account.
    pub(super) fn gate_of_account(&self, id: AccountId) -> LimiterId {
        self.accounts.get(id).map_or_else(LimiterId::default, |account| account.gate)
    }

    /// Returns the account that a response is attributed to, which may turn the response into limiters.
    pub(super) fn answering(&mut self, attribution: &Attribution) -> Option<&mut Account> {
        self.answers += 1;
        self.accounts.get_mut(attribution.account)
    }

    /// Returns the limiter of an account that other processes know by a name: see [`Account::limiter_of_subject`].
    pub(super) fn limiter_of_subject(
        &mut self,
        id: AccountId,
        subject: &str,
        limiters: &mut Limiters,
    ) -> Option<LimiterId> {
        let before = limiters.len();
        let found = self.accounts.get_mut(id)?.limiter_of_subject(subject, limiters);
        self.answers += u64::from(limiters.len() != before);
        found
    }

    /// Keeps budgets that the service stated to other processes.
    pub(super) fn hear_budgets(&mut self, id: AccountId, words: &[BudgetWord], editing: &mut Editing<'_>) {
        let reads_answers = self.feedback.reads_answers();
        if let Some(account) = self.accounts.get_mut(id).filter(|_| reads_answers && !words.is_empty()) {
            self.answers += 1;
            words.iter().for_each(|word| account.hear_budget(word, editing));
        }
    }

    /// Divides what the service states among the processes that use an account.
    pub(super) fn divide_rests(&self, id: AccountId, among: Among, editing: &mut Editing<'_>) {
        for id in self.accounts.get(id).map_or_else(Vec::new, Account::limiters) {
            if editing.limiters.of_mut(id).divide_rest(among) {
                editing.changed.push(id);
            }
        }
    }

    /// Returns whether the account has not sent any request yet.
    pub(super) fn is_fresh(&self, id: AccountId, limiters: &Limiters) -> bool {
        self.accounts.get(id).is_some_and(|account| !limiters.of(account.gate).used)
    }

    /// Installs limits of an account, all or none.
    pub(super) fn install(
        &mut self,
        id: AccountId,
        base: &str,
        limits: &[Limit],
        limiters: &mut Limiters,
    ) -> Result<(), Error> {
        self.version += 1;
        let clock = self.clock;
        match self.accounts.get_mut(id) {
            Some(account) => account.rules.install(base, limits, clock, limiters),
            None => Ok(()),
        }
    }

    /// Changes the amounts of a limit's windows.
    pub(super) fn change(
        &mut self,
        id: AccountId,
        base: &str,
        limit: &Limit,
        editing: &mut Editing<'_>,
    ) -> Result<(), Error> {
        self.version += 1;
        let clock = self.clock;
        if let Some(account) = self.accounts.get_mut(id) {
            editing.changed = account.rules.change(base, limit, clock, editing.limiters)?;
        }
        Ok(())
    }

    /// Removes the windows of a limit; returns whether there were any.
    pub(super) fn remove(&mut self, id: AccountId, base: &str, limit: &Limit, editing: &mut Editing<'_>) -> bool {
        self.version += 1;
        let rules = self.accounts.get_mut(id).map(|account| &mut account.rules);
        match rules.and_then(|rules| rules.remove(base, limit, editing.limiters)) {
            Some(retired) => {
                editing.changed = retired;
                true
            }
            None => false,
        }
    }

    /// Returns the declared limits of an account, and of all accounts, that have not counted any request so far.
    pub(super) fn unmatched(&self, id: AccountId, limiters: &Limiters) -> Vec<Arc<str>> {
        let both = [AccountId::ALL, id];
        let both = both.iter().take(if id == AccountId::ALL { 1 } else { 2 });
        both.filter_map(|id| self.accounts.get(*id)).flat_map(|account| account.rules.unmatched(limiters)).collect()
    }

    pub(super) const fn feedback(&self) -> Feedback {
        self.feedback
    }

    /// Sets how responses are used.
    pub(super) fn set_feedback(&mut self, feedback: Feedback, editing: &mut Editing<'_>) {
        self.version += 1;
        self.feedback = feedback;
        match feedback {
            Feedback::Off => self.forget_answers(editing),
            Feedback::Budgets => {}
            Feedback::Learn => {
                let ids = self.with_hosts(AccountId::ALL);
                ids.into_iter().for_each(|id| self.search(id, editing.limiters));
            }
        }
    }

    pub(super) const fn clock(&self) -> Clock {
        self.clock
    }

    /// Sets the wall clock that determines calendar days.
    pub(super) fn set_clock(&mut self, clock: Clock, limiters: &mut Limiters) {
        self.clock = clock;
        limiters.iter_mut().for_each(|(_, limiter)| limiter.counter_mut().set_clock(clock));
    }

    /// Stops the accounts that belong to one, including hosts that are added later; returns their gates.
    pub(super) fn hold(&mut self, id: AccountId, until: Tick) -> Vec<LimiterId> {
        if id == AccountId::ALL {
            self.all_paused_until = self.all_paused_until.max(until);
        }
        if let Some(account) = self.accounts.get_mut(id) {
            account.held_until = account.held_until.max(until);
        }
        self.with_hosts(id).into_iter().map(|id| self.gate_of_account(id)).collect()
    }

    /// Ends the pauses of the accounts that belong to one.
    pub(super) fn resume(&mut self, id: AccountId, editing: &mut Editing<'_>) {
        if id == AccountId::ALL {
            self.all_paused_until = 0;
        }
        for id in self.with_hosts(id) {
            let Some(account) = self.accounts.get_mut(id) else { continue };
            account.held_until = 0;
            for limiter in account.limiters() {
                editing.limiters.of_mut(limiter).resume(editing.now);
                editing.changed.push(limiter);
            }
        }
    }

    /// Starts the accounts that belong to one as after a pause.
    pub(super) fn start_slowly(&mut self, id: AccountId, editing: &mut Editing<'_>) {
        for id in self.with_hosts(id) {
            let gate = self.gate_of_account(id);
            editing.limiters.of_mut(gate).begin_slowly(editing.now);
            editing.changed.push(gate);
        }
    }

    /// Returns the limit that the search for an account's limit found.
    pub(super) fn found(&self, id: AccountId, limiters: &Limiters) -> Option<(u32, Duration)> {
        match limiters.of(self.accounts.get(id)?.learner?).counter() {
            Counter::Learner(learner) => learner.found(),
            _ => None,
        }
    }

    /// Creates a limiter that searches for an account's limit, in place of the one before.
    pub(super) fn learn(&mut self, id: AccountId, learner: Learner, limiters: &mut Limiters) {
        self.version += 1;
        let Some(account) = self.accounts.get_mut(id) else { return };
        let (label, counter) = (learner.label().into(), Counter::Learner(Box::new(learner)));
        match account.learner {
            Some(known) => {
                let limiter = limiters.of_mut(known);
                limiter.label = label;
                limiter.set_counter(counter);
            }
            None => {
                account.learner = Some(limiters.add(Limiter::new(label, counter, Anchor::ResponseLessRoundTrip)));
            }
        }
    }

    /// Searches for the limit of an account from now on, starting from what is known of it.
    fn search(&mut self, id: AccountId, limiters: &mut Limiters) {
        if self.accounts.get(id).is_some_and(|account| account.learner.is_none() && account.home.is_none()) {
            self.learn(id, Learner::new(), limiters);
        }
    }

    /// Forgets everything that responses stated.
    fn forget_answers(&mut self, editing: &mut Editing<'_>) {
        self.answers += 1;
        self.accounts.iter_mut().for_each(|account| account.budgets.clear());
        for (id, limiter) in editing.limiters.iter_mut() {
            limiter.forget_advertised();
            editing.changed.push(id);
        }
    }

    /// Returns the number of a foreign host, for the account that is led there. The responses of such a host count for
    /// the host alone.
    fn foreign(&mut self, request: &RequestFacts<'_>, editing: &mut Editing<'_>) -> AccountId {
        let (home, host) = (request.account, request.host);
        let mut key = format!("host {home:?} {host}");
        let is_one_too_many = self.accounts.find(&key).is_none() && self.accounts.with_hosts(home).len() > MOST_HOSTS;
        if is_one_too_many {
            key = format!("host {home:?}");
        }
        if let Some(id) = self.accounts.find(&key) {
            return id;
        }
        let label = match is_one_too_many {
            true => "further foreign hosts".to_owned(),
            false => format!("the host {}", host.escape_debug()),
        };
        let gate = self.gate(label, editing);
        let held_until = self.accounts.get(home).map_or(0, |home| home.held_until);
        if held_until > editing.now {
            editing.limiters.pause(gate, held_until, editing.effects, editing.now);
        }
        self.accounts.add(key, Account::foreign(home, gate))
    }

    /// Creates the gate of a new account, which pauses if all accounts do.
    fn gate(&self, label: String, editing: &mut Editing<'_>) -> LimiterId {
        let mut gate = Limiter::gate(label.into());
        if self.all_paused_until > editing.now {
            gate.stop(self.all_paused_until, editing.now);
        }
        editing.limiters.add(gate)
    }

    /// Discards unused keys, and accounts without a handle, once there are many.
    fn sweep_if_many(&mut self, limiters: &mut Limiters, now: Tick) {
        if limiters.len() >= self.sweep_at {
            self.sweep(limiters, now);
            self.sweep_at = (limiters.len() * 2).max(SWEEP_FROM);
        }
    }

    fn sweep(&mut self, limiters: &mut Limiters, now: Tick) {
        (self.version, self.answers) = (self.version + 1, self.answers + 1);
        self.accounts.sweep(limiters, now);
    }

    /// Drops all known sets.
    #[cfg(test)]
    pub(super) fn forget_known(&mut self, limiters: &mut Limiters) {
        self.accounts.iter_mut().for_each(|account| account.known.clear(limiters));
    }
}

/// A task is led to a handful of hosts; further ones share one place.
const MOST_HOSTS: usize = 256;
/// Up to this many limiters are kept without a sweep.
const SWEEP_FROM: usize = 256;
