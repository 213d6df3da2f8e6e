//! Loans: the dealings of a throttle with the store of its shared windows.

use std::sync::Arc;

use super::boards::DuePost;
use super::clerk::NamedAsks;
use super::effects::Effects;
use super::ids::LimiterId;
use super::ledger::Reply;
use super::limiter::window::lent::Demand;
use super::limiters::Limiters;
use super::scheduler::Scheduler;
use super::slots::Ask;
use super::time::{Tick, elapsed};
use crate::event::Event;

/// The state of the dealings; the borrowed slots are with their limiters.
#[derive(Debug, Default)]
pub(super) struct Loans {
    /// When the clerk looks again, on its own.
    armed: Tick,
    /// Since when the store does not answer, and why.
    down: Option<(Tick, Arc<str>)>,
}

/// The asks that are due, and the time at which the next are.
#[derive(Debug, Default)]
pub(super) struct Round {
    pub(super) asks: Vec<DueAsk>,
    /// What is told to other processes, before the slots are asked for.
    pub(super) posts: Vec<DuePost>,
    pub(super) next: Option<Tick>,
    pub(super) now: Tick,
}

/// An ask that is due.
#[derive(Debug)]
pub(super) struct DueAsk {
    pub(super) limiter: LimiterId,
    pub(super) domain: Arc<str>,
    pub(super) ask: Ask,
}

impl Loans {
    /// Returns why the store does not answer, if it does not.
    pub(super) fn trouble(&self) -> Option<&Arc<str>> {
        self.down.as_ref().map(|(_, why)| why)
    }

    /// Returns when the next ask is due because of the limiters that changed.
    pub(super) fn due(limiters: &mut Limiters, scheduler: &Scheduler, now: Tick) -> Option<Tick> {
        let stirred = limiters.take_stirred();
        let dues = stirred.into_iter().filter_map(|id| limiters.of(id).lent()?.due(demand(scheduler, id), now));
        dues.min()
    }

    /// Returns whether the clerk must look earlier than it expects, because something is due then.
    pub(super) fn oversleeps(&mut self, due: Option<Tick>) -> bool {
        let oversleeps = due.is_some_and(|due| due < self.armed);
        if oversleeps {
            self.armed = 0;
        }
        oversleeps
    }

    /// The clerk looks again then.
    pub(super) fn arm(&mut self, next: Option<Tick>) {
        self.armed = next.unwrap_or(Tick::MAX);
    }

    /// Returns the asks that are due now.
    pub(super) fn round(limiters: &mut Limiters, scheduler: &Scheduler, now: Tick) -> Round {
        limiters.take_stirred();
        let mut round = Round { now, ..Round::default() };
        for limiter in limiters.lent() {
            let demand = demand(scheduler, limiter);
            let Some(lent) = limiters.of_mut(limiter).lent_mut() else { continue };
            match lent.due(demand, now) {
                Some(due) if due > now => round.next = Some(round.next.map_or(due, |next| next.min(due))),
                None if !lent.is_pending() => {}
                _ => round.asks.push(DueAsk { limiter, domain: lent.domain().clone(), ask: lent.ask(demand, now) }),
            }
        }
        round
    }

    /// Takes the answers to the asks of a round. Returns the limiters that changed.
    pub(super) fn told(
        &mut self,
        round: &Round,
        replies: &[Reply],
        limiters: &mut Limiters,
        effects: &mut Effects,
        now: Tick,
    ) -> Vec<LimiterId> {
        if let Some((since, _)) = self.down.take() {
            effects.report(|| Event::StoreBack { after: elapsed(since, now) });
        }
        let mut changed = Vec::new();
        for (due, Reply { answer, wall }) in round.asks.iter().zip(replies) {
            if !limiters.has(due.limiter) {
                continue;
            }
            let limiter = limiters.of_mut(due.limiter);
            let label = limiter.label.clone();
            let Some(lent) = limiter.lent_mut().filter(|lent| *lent.domain() == due.domain) else { continue };
            let before = lent.loan().0;
            if lent.told(answer, *wall, round.now, now) {
                effects.report(|| Event::LeaseLost { limit: label.clone() });
            }
            if answer.debt > before.map_or(0, |before| before.debt) {
                effects.report(|| Event::SlotsOwed { limit: label.clone(), slots: answer.debt });
            }
            if answer.count < due.ask.count && before.is_none_or(|before| before.count != answer.count) {
                effects.report(|| Event::LimitsDiffer { limit: label.clone(), count: answer.count });
            }
            changed.push(due.limiter);
        }
        changed
    }

    /// Records that the store did not answer. Returns the limiters that may open at another time therefore.
    pub(super) fn failed(
        &mut self,
        why: &Arc<str>,
        limiters: &mut Limiters,
        effects: &mut Effects,
        now: Tick,
    ) -> Vec<LimiterId> {
        if self.down.is_none() {
            effects.report(|| Event::StoreDown { why: why.clone() });
        }
        let since = self.down.as_ref().map_or(now, |(since, _)| *since);
        self.down = Some((since, why.clone()));
        let mut lent = limiters.lent();
        lent.retain(|id| {
            limiters.of_mut(*id).lent_mut().is_some_and(|lent| lent.is_pending() && lent.store_failed(now))
        });
        lent
    }

    /// The store wants to hear about these windows.
    pub(super) fn nudged(&mut self, domains: &[Arc<str>], limiters: &mut Limiters) {
        for id in limiters.lent() {
            if let Some(lent) = limiters.of_mut(id).lent_mut().filter(|lent| domains.contains(lent.domain())) {
                lent.nudge();
            }
        }
    }

    /// Returns the asks that give everything back.
    pub(super) fn farewell(limiters: &mut Limiters, now: Tick) -> NamedAsks {
        let mut asks = Vec::new();
        for id in limiters.lent() {
            if let Some(lent) = limiters.of_mut(id).lent_mut() {
                asks.extend(lent.farewell(now).map(|ask| (lent.domain().clone(), ask)));
            }
        }
        asks
    }
}

fn demand(scheduler: &Scheduler, limiter: LimiterId) -> Demand {
    Demand { parked: scheduler.held_back(limiter), waiting: scheduler.waiting(limiter) }
}
