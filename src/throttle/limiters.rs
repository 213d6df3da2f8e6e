//! Limiters: all limiters of a throttle, and the sets that count requests.
//!
//! A request is admitted by all limiters of its set or by none; that rule is implemented here. Sets are named by
//! numbers, so that a permit, a waiter and a lane carry four bytes. Each holder of a number [holds](Limiters::hold) the
//! set. A limiter that is in no held set may be discarded once it is idle.

pub(super) mod set;

use std::collections::HashMap;
use std::sync::Arc;

use super::effects::Effects;
use super::ids::{LimiterId, SetId, Slots};
use super::limiter::window::Counter;
use super::limiter::window::lent::Terms;
use super::limiter::{Limiter, Reports};
use super::time::{Opening, Tick, elapsed};
use crate::event::Event;
use crate::hint::Budget;
use crate::message::Priority;

use set::LimiterSet;

/// All limiters of a throttle.
#[derive(Debug)]
pub(super) struct Limiters {
    limiters: Slots<LimiterId, Limiter>,
    sets: Slots<SetId, SetEntry>,
    numbers: HashMap<LimiterSet, SetId>,
    /// Sets without a holder are forgotten once there are this many sets in all.
    forget_at: usize,
    /// The terms of the store, if the windows are shared with other processes.
    terms: Option<Arc<Terms>>,
    /// The limiters with shared windows whose slots or waiters changed.
    stirred: Vec<LimiterId>,
}

impl Default for Limiters {
    fn default() -> Self {
        Self {
            limiters: Slots::default(),
            sets: Slots::default(),
            numbers: HashMap::new(),
            forget_at: FORGET_FROM,
            terms: None,
            stirred: Vec::new(),
        }
    }
}

/// The limiters, as one call lends them to a part that creates and changes some.
pub(super) struct Editing<'a> {
    pub(super) limiters: &'a mut Limiters,
    pub(super) effects: &'a mut Effects,
    /// The limiters that changed: their waiters are checked.
    pub(super) changed: Vec<LimiterId>,
    pub(super) now: Tick,
}

/// A set, and the number of its holders.
#[derive(Debug)]
struct SetEntry {
    set: LimiterSet,
    holders: u32,
}

impl Limiters {
    pub(super) fn add(&mut self, limiter: Limiter) -> LimiterId {
        self.limiters.insert(limiter)
    }

    #[inline]
    pub(super) fn of(&self, id: LimiterId) -> &Limiter {
        &self.limiters[id]
    }

    #[inline]
    pub(super) fn of_mut(&mut self, id: LimiterId) -> &mut Limiter {
        &mut self.limiters[id]
    }

    pub(super) fn len(&self) -> usize {
        self.limiters.len()
    }

    pub(super) fn has(&self, id: LimiterId) -> bool {
        self.limiters.has(id)
    }

    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = (LimiterId, &Limiter)> {
        self.limiters.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (LimiterId, &mut Limiter)> {
        self.limiters.iter_mut()
    }

    /// Removes limiters. Sets without a holder are forgotten first, because the number of a limiter may be reused.
    pub(super) fn remove(&mut self, ids: impl IntoIterator<Item = LimiterId>) {
        self.forget_unheld_sets();
        for id in ids {
            let limiter = self.limiters.remove(id);
            debug_assert_eq!(limiter.holders, 0, "`{}` is in a set that is still held", limiter.label);
        }
    }

    /// Returns the number of a set, which the caller holds from now on.
    pub(super) fn number(&mut self, set: LimiterSet) -> SetId {
        if let Some(id) = self.numbers.get(&set).copied() {
            self.hold(id);
            return id;
        }
        if self.sets.len() >= self.forget_at {
            self.forget_unheld_sets();
            self.forget_at = (self.sets.len() * 2).max(FORGET_FROM);
        }
        let id = self.sets.insert(SetEntry { set: set.clone(), holders: 0 });
        self.numbers.insert(set, id);
        self.hold(id);
        id
    }

    #[inline]
    pub(super) fn set(&self, id: SetId) -> &LimiterSet {
        &self.sets[id].set
    }

    #[inline]
    pub(super) fn hold(&mut self, id: SetId) {
        let entry = &mut self.sets[id];
        entry.holders += 1;
        if entry.holders == 1 {
            for limiter in entry.set.ids() {
                self.limiters[*limiter].holders += 1;
            }
        }
    }

    #[inline]
    pub(super) fn release(&mut self, id: SetId) {
        let entry = &mut self.sets[id];
        debug_assert!(entry.holders > 0, "{id:?} is released once too often");
        entry.holders -= 1;
        if entry.holders == 0 {
            for limiter in entry.set.ids() {
                self.limiters[*limiter].holders -= 1;
            }
        }
    }

    /// Returns whether all limiters of a set admit one more request of a class now.
    #[inline]
    pub(super) fn admit(&mut self, set: SetId, class: Priority, now: Tick) -> bool {
        let limiters = &mut self.limiters;
        self.sets[set].set.ids().iter().all(|id| limiters[*id].admits(class, now))
    }

    /// Returns how many requests in a row all limiters of a set admit, if that is known without a check of each;
    /// otherwise 0.
    pub(super) fn room(&mut self, set: SetId, now: Tick) -> u32 {
        let limiters = &mut self.limiters;
        let room = self.sets[set].set.ids().iter().map(|id| limiters[*id].room(now)).min();
        // Gates alone hold no request back: then another waiter does.
        room.filter(|room| *room < u32::MAX).unwrap_or(0)
    }

    /// Returns the limiter of a set that admits a class last, if one does not admit it now. A limiter in `held` is
    /// open, except for a pause.
    pub(super) fn binding(
        &mut self,
        set: SetId,
        class: Priority,
        held: &LimiterSet,
        now: Tick,
    ) -> Option<(LimiterId, Opening)> {
        let mut binding: Option<(LimiterId, Opening)> = None;
        for id in self.sets[set].set.ids() {
            let limiter = &mut self.limiters[*id];
            let opening = match held.contains(*id) {
                true if limiter.is_paused(now) => Opening::At(limiter.paused_until()),
                true => Opening::Open,
                false => limiter.opening(class, now),
            };
            if opening > binding.map_or(Opening::Open, |(_, latest)| latest) {
                binding = Some((*id, opening));
            }
        }
        binding
    }

    /// Returns the limiter of a set that admits a request of a class last, behind `ahead` others, and a time before
    /// which the limiter certainly does not admit it.
    pub(super) fn not_before(
        &mut self,
        set: SetId,
        class: Priority,
        ahead: u32,
        now: Tick,
    ) -> Option<(LimiterId, Tick)> {
        let mut last: Option<(LimiterId, (Tick, Opening))> = None;
        for id in self.sets[set].set.ids() {
            let limiter = &mut self.limiters[*id];
            let opens = (limiter.not_before(class, ahead, now), limiter.opening(class, now));
            if last.is_none_or(|(_, latest)| opens > latest) {
                last = Some((*id, opens));
            }
        }
        last.map(|(id, (opens, _))| (id, opens))
    }

    /// Takes a slot of every limiter of a set, and returns the events that they want reported.
    #[inline]
    pub(super) fn take(&mut self, set: SetId, effects: &mut Effects, now: Tick) -> Reports {
        let mut reports = Reports::default();
        for id in self.sets[set].set.ids() {
            let limiter = &mut self.limiters[*id];
            reports = reports.and(limiter.reports());
            if !limiter.take_plainly() {
                take_with_care(limiter, effects, now);
                if limiter.is_lent() {
                    self.stirred.push(*id);
                }
            }
        }
        reports
    }

    /// Takes a slot of each limiter of a set that is open and not yet `held`; returns the limiters.
    pub(super) fn take_open(&mut self, set: SetId, class: Priority, held: &LimiterSet, now: Tick) -> Vec<LimiterId> {
        let mut taken = Vec::new();
        for id in self.sets[set].set.ids() {
            let limiter = &mut self.limiters[*id];
            if !held.contains(*id) && limiter.opening(class, now) == Opening::Open {
                limiter.take(now);
                taken.push(*id);
            }
        }
        taken
    }

    /// Calls a function on each limiter of a set.
    #[inline]
    pub(super) fn each(&mut self, set: SetId, mut act: impl FnMut(&mut Limiter)) {
        for id in self.sets[set].set.ids() {
            act(&mut self.limiters[*id]);
        }
        self.stir(set);
    }

    /// Shares the windows of all limiters that are created from now on.
    pub(super) fn share(&mut self, terms: Arc<Terms>) {
        self.terms = Some(terms);
    }

    /// Returns the terms of the store, if the windows are shared.
    pub(super) const fn terms(&self) -> Option<&Arc<Terms>> {
        self.terms.as_ref()
    }

    /// Records that slots or waiters of a set changed: the store of shared windows may have to be asked.
    #[inline]
    pub(super) fn stir(&mut self, set: SetId) {
        if self.terms.is_some() {
            let lent = self.sets[set].set.ids().iter().filter(|id| self.limiters[**id].is_lent());
            self.stirred.extend(lent);
        }
    }

    pub(super) const fn is_stirred(&self) -> bool {
        !self.stirred.is_empty()
    }

    /// Returns the limiters whose slots or waiters changed since the last call.
    pub(super) fn take_stirred(&mut self) -> Vec<LimiterId> {
        let mut stirred = std::mem::take(&mut self.stirred);
        stirred.sort_unstable();
        stirred.dedup();
        stirred.retain(|id| self.limiters.has(*id));
        stirred
    }

    /// Returns the limiters with shared windows.
    pub(super) fn lent(&self) -> Vec<LimiterId> {
        self.limiters.iter().filter(|(_, limiter)| limiter.is_lent()).map(|(id, _)| id).collect()
    }

    /// Returns the events that the limiters of a set want reported.
    pub(super) fn reports(&self, set: SetId) -> Reports {
        self.sets[set].set.ids().iter().fold(Reports::default(), |all, id| all.and(self.limiters[*id].reports()))
    }

    /// Stops all requests under a limiter, until then; returns whether the limiter was open.
    pub(super) fn pause(&mut self, id: LimiterId, until: Tick, effects: &mut Effects, now: Tick) -> bool {
        let limiter = &mut self.limiters[id];
        let (was_going, before) = (!limiter.is_paused(now), limiter.paused_until());
        limiter.stop(until, now);
        let until = limiter.paused_until();
        if was_going || until >= before.saturating_add(WORTH_REPORTING) {
            effects.report(|| Event::Paused { limit: limiter.label.clone(), during: elapsed(now, until) });
        }
        was_going
    }

    /// As [`each`](Self::each), with the numbers of the limiters.
    pub(super) fn each_with_id(&mut self, set: SetId, mut act: impl FnMut(LimiterId, &mut Limiter)) {
        for id in self.sets[set].set.ids() {
            act(*id, &mut self.limiters[*id]);
        }
    }

    /// Returns the declared limit of a set that a stated budget refers to.
    pub(super) fn declared_for(&self, set: SetId, budget: &Budget) -> Option<LimiterId> {
        let find = |fits: &dyn Fn(&Limiter) -> bool| {
            self.sets[set].set.ids().iter().copied().find(|id| fits(&self.limiters[*id]))
        };
        let is_named = |limiter: &Limiter| limiter.name.is_some() && limiter.name.as_deref() == budget.name();
        let named = find(&|limiter| limiter.declared && is_named(limiter));
        named.or_else(|| find(&|limiter| limiter.declared && limiter.counter().counts_as(budget)))
    }

    /// Returns whether a limiter of a set searches for an unknown limit.
    pub(super) fn learn(&self, set: SetId) -> bool {
        self.sets[set].set.ids().iter().any(|id| matches!(self.limiters[*id].counter(), Counter::Learner(_)))
    }

    /// Reports a response to the limiter of a set that searches for an unknown limit; returns the limiter.
    pub(super) fn teach(
        &mut self,
        set: SetId,
        sent: Tick,
        is_refused: bool,
        effects: &mut Effects,
        now: Tick,
    ) -> Option<LimiterId> {
        let searches = |id: &&LimiterId| matches!(self.limiters[**id].counter(), Counter::Learner(_));
        let id = self.sets[set].set.ids().iter().find(searches).copied()?;
        let limiter = &mut self.limiters[id];
        let Counter::Learner(learner) = limiter.counter_mut() else { return None };
        let has_changed = if is_refused { learner.refused(sent, now) } else { learner.accepted(sent, now) };
        if has_changed {
            let is_found = learner.found().is_some();
            limiter.label = learner.label().into();
            let limit = || limiter.label.clone();
            effects.report(|| {
                if is_found { Event::Learned { limit: limit() } } else { Event::Unlearned { limit: limit() } }
            });
        }
        Some(id)
    }

    /// Returns whether any limiter of a set pauses.
    pub(super) fn is_paused(&self, set: SetId, now: Tick) -> bool {
        self.sets[set].set.ids().iter().any(|id| self.limiters[*id].is_paused(now))
    }

    fn forget_unheld_sets(&mut self) {
        let numbers = &mut self.numbers;
        self.sets.retain(|_, entry| {
            if entry.holders == 0 {
                numbers.remove(&entry.set);
            }
            entry.holders > 0
        });
    }
}

/// Takes a slot if more than a window counts. A soft limit admits every request, and reports when it is first exceeded.
fn take_with_care(limiter: &mut Limiter, effects: &mut Effects, now: Tick) {
    let was_within = limiter.soft() && limiter.counter_mut().use_of(now) <= 1.0;
    limiter.take(now);
    if was_within && limiter.counter_mut().use_of(now) > 1.0 {
        effects.report(|| Event::Exceeded { limit: limiter.label.clone() });
    }
    if limiter.counter_mut().jumped() {
        effects.report(|| Event::ClockSetBack);
    }
}

/// Sets without a holder are kept for reuse, up to this many in all, or twice the number of held sets.
const FORGET_FROM: usize = 1024;
/// A pause that becomes longer by a second is reported again.
const WORTH_REPORTING: Tick = 1_000_000_000;
