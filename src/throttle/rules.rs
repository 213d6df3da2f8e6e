//! Rules: limits that are installed, changed and dropped.

use std::sync::Arc;

use slab::Slab;

use super::gauge::Gauge;
use super::meter::{Meter, Tick};
use super::rule::{Counted, Gauges, Rule};
use super::state::State;
use crate::error::{Error, ErrorKind};
use crate::limit::{Limit, Window};

impl State {
    /// Installs limits, all or none. A window that is there already is shared, and one that contradicts it is an error.
    pub(super) fn install(&mut self, owner: u32, base: &str, limits: &[Limit]) -> Result<(), Error> {
        let wrong = |why: String| Err(Error::new(ErrorKind::Config, why));
        let mut new: Vec<Rule> = Vec::new();
        for limit in limits {
            limit.check()?;
            if let Some(window) = limit.repeated() {
                return wrong(format!("the limit `{limit}` has two windows as long as `{window}`: which counts?"));
            }
            for window in limit.windows() {
                let counted = Counted::of(limit, base)?;
                let kept = self.owner_of(owner).map_or(&[][..], |owner| &owner.rules);
                match kept.iter().chain(&new).find(|rule| rule.is_of(&counted, window)) {
                    None => new.push(Rule::new(counted, limit, window)),
                    Some(rule) if rule.agrees(limit, window) => {}
                    Some(rule) => {
                        return wrong(format!(
                            "the limit `{limit}` contradicts `{}`, which is kept already for the same requests: give \
                             all clients of an account the same limits, or change one with `Throttle::change`; a \
                             profile's own are left out with `Profile::without_limits`",
                            rule.limit
                        ));
                    }
                }
            }
        }
        for mut rule in new {
            if !rule.is_keyed() {
                let gauge = self.gauge_for(owner, &rule, "");
                rule.gauges = Gauges::One(self.insert(gauge));
            }
            if let Some(owner) = self.owner_mut(owner) {
                owner.rules.push(rule);
            }
        }
        Ok(())
    }

    /// Gives the windows of a limit other amounts, what was counted kept; everybody who waits is looked at again.
    pub(super) fn change(&mut self, owner: u32, base: &str, limit: &Limit, now: Tick) -> Result<(), Error> {
        limit.check()?;
        let counted = Counted::of(limit, base)?;
        let rules = self.owner_of(owner).map_or(&[][..], |owner| &owner.rules);
        let find = |window: &Window| rules.iter().position(|rule| rule.is_of(&counted, window));
        let Some(found) = limit.windows().iter().map(find).collect::<Option<Vec<_>>>() else {
            let kept: Vec<_> = self.limits(owner).iter().map(ToString::to_string).collect();
            let why = format!(
                "`{limit}` changes none that is kept here, which are [{}]: the scope and the lengths of the windows must \
                 be the same, and `Client::throttle` is the handle for a client's own",
                kept.join(", ")
            );
            return Err(Error::new(ErrorKind::Config, why));
        };
        for (at, window) in found.into_iter().zip(limit.windows()) {
            let (account, clock) = (self.account_of(owner), self.clock);
            let Some(rule) = self.owner_mut(owner).and_then(|owner| owner.rules.get_mut(at)) else { continue };
            rule.window.clone_from(window);
            rule.limit.set(window);
            let (ids, limit) = (rule.gauges.all(), rule.limit.clone());
            for id in ids {
                let Some(gauge) = self.gauges.get_mut(id as usize) else { continue };
                gauge.meter.change(window, &limit, clock);
                let key = gauge.key.clone();
                let rule = self.owner_of(owner).and_then(|owner| owner.rules.get(at));
                let label = rule.map(|rule| rule.label(&key, account.as_deref()));
                if let (Some(gauge), Some(label)) = (self.gauges.get_mut(id as usize), label) {
                    gauge.label = label;
                }
                self.touch(id, now);
            }
        }
        Ok(())
    }

    /// Keeps the windows of a limit no longer; tells whether there were any. Who waited for them goes.
    pub(super) fn drop_limit(&mut self, owner: u32, base: &str, limit: &Limit, now: Tick) -> bool {
        let (Ok(counted), Some(owner)) = (Counted::of(limit, base), self.owner_mut(owner)) else { return false };
        let is_it = |rule: &Rule| limit.windows().iter().any(|window| rule.is_of(&counted, window));
        let gone: Vec<Rule> = owner.rules.extract_if(.., |rule| is_it(rule)).collect();
        for id in gone.iter().flat_map(|rule| rule.gauges.all()) {
            if let Some(gauge) = self.gauges.get_mut(id as usize) {
                // Those who hold it meet a door that is open.
                (gauge.meter, gauge.declared, gauge.quota) = (Meter::Door, false, None);
            }
            self.touch(id, now);
        }
        !gone.is_empty()
    }

    /// The limits of an account, each window for itself.
    pub(super) fn limits(&self, owner: u32) -> Vec<Limit> {
        let rules = self.owner_of(owner).map_or(&[][..], |owner| &owner.rules);
        rules.iter().map(|rule| rule.limit.only(&rule.window)).collect()
    }

    pub(super) fn add_key(&mut self, owner: u32, at: usize, key: String) -> u32 {
        let rule = self.owner_of(owner).and_then(|owner| owner.rules.get(at));
        let Some(gauge) = rule.map(|rule| self.gauge_for(owner, rule, &key)) else { return 0 };
        let id = self.insert(gauge);
        let rule = self.owner_mut(owner).and_then(|owner| owner.rules.get_mut(at));
        if let Some(Gauges::ByKey(gauges)) = rule.map(|rule| &mut rule.gauges) {
            gauges.insert(key, id);
        }
        id
    }

    /// Forgets keys that nobody uses, once there are many.
    pub(super) fn sweep(&mut self) {
        if self.gauges.len() < self.sweep_at {
            return;
        }
        let (now, gauges) = (self.latest(), &mut self.gauges);
        for rule in self.owners.iter_mut().flat_map(|owner| &mut owner.rules) {
            rule.used = rule.used || is_used(rule, gauges);
        }
        let mut is_kept = |id: &mut u32| {
            let is_idle = gauges.get_mut(*id as usize).is_none_or(|gauge| gauge.is_idle(now));
            if is_idle {
                gauges.try_remove(*id as usize);
            }
            !is_idle
        };
        for owner in self.owners.iter_mut() {
            for rule in &mut owner.rules {
                if let Gauges::ByKey(gauges) = &mut rule.gauges {
                    gauges.retain(|_, id| is_kept(id));
                }
            }
            owner.doors.retain(|_, id| is_kept(id));
            owner.stated.iter_mut().for_each(|stated| stated.retain(&mut is_kept));
            owner.stated.retain(|stated| !stated.is_empty());
        }
        self.give_up_unused();
        self.sweep_at = (self.gauges.len() * 2).max(SWEEP_FROM);
    }

    /// The declared limits of an account, and of all accounts, that no request was counted by so far.
    pub(super) fn unmatched(&self, owner: u32) -> Vec<Arc<str>> {
        let owners = [0, owner];
        let owners = owners.iter().take(if owner == 0 { 1 } else { 2 });
        let rules = owners.filter_map(|owner| Some((*owner, &self.owner_of(*owner)?.rules)));
        let rules = rules.flat_map(|(owner, rules)| rules.iter().map(move |rule| (owner, rule)));
        let unused = rules.filter(|(_, rule)| rule.is_of_the_api() && !rule.used && !is_used(rule, &self.gauges));
        unused.map(|(owner, rule)| rule.label("", self.account_of(owner).as_deref())).collect()
    }

    fn gauge_for(&self, owner: u32, rule: &Rule, key: &str) -> Gauge {
        rule.gauge(key, self.account_of(owner).as_deref(), self.clock)
    }

    /// The name of an account; none for what counts for all.
    fn account_of(&self, owner: u32) -> Option<String> {
        self.owner_of(owner).filter(|_| owner != 0).map(|owner| owner.account.clone())
    }
}

/// Whether a request went by one of a rule's gauges.
fn is_used(rule: &Rule, gauges: &Slab<Gauge>) -> bool {
    let used = |id: &u32| gauges.get(*id as usize).is_some_and(|gauge| gauge.used);
    match &rule.gauges {
        Gauges::One(gauge) => used(gauge),
        Gauges::ByKey(gauges) => gauges.values().any(used),
    }
}

/// So many gauges are kept without a look.
pub(super) const SWEEP_FROM: usize = 256;
