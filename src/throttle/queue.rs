//! The queue: who goes next.

use std::task::Waker;

use tokio::runtime::Id;

use super::flight::Tells;
use super::meter::{Opening, Tick};
use super::set::Set;
use super::state::{Standing, State, Waiter};
use crate::event::Event;
use crate::message::Class;

/// Who asks to go.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) set: Set,
    pub(super) class: Class,
    pub(super) task: u64,
    pub(super) deadline: Tick,
    pub(super) home: Option<Id>,
}

/// What came of asking.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// A permit, by its flight and serial, and how long it waited.
    Granted(u32, u64, Tick),
    Waiting(u32),
    TooLate {
        gauge: u32,
        opens: Tick,
    },
}

impl State {
    /// Goes at once, if all its gauges admit it and nobody stands before it there.
    pub(super) fn try_go(&mut self, set: &Set, class: Class, now: Tick) -> Option<(u32, u64)> {
        for gauge in set.gauges() {
            let gauge = self.gauges.get_mut(*gauge as usize)?;
            if gauge.opening(class, now) != Opening::Open || gauge.has_parked_before(class) {
                return None;
            }
        }
        Some(self.take(set.clone(), now))
    }

    /// Goes at once, or joins the queue.
    pub(super) fn ask(&mut self, ask: Ask, waker: &Waker, now: Tick) -> Answer {
        if let Some((flight, serial)) = self.try_go(&ask.set, ask.class, now) {
            return Answer::Granted(flight, serial, 0);
        }
        if ask.deadline != Tick::MAX
            && let Some((gauge, opens)) = self.not_before(&ask.set, ask.class, ask.task, now)
            && opens >= ask.deadline
        {
            let class = ask.class;
            self.tell(|state| Event::TooLate { class, limit: state.label(gauge) });
            self.release(&ask.set);
            return Answer::TooLate { gauge, opens };
        }
        let Ask { set, class, task, deadline, home } = ask;
        let place = self.turns.give(class, task);
        let standing = Standing::Passed;
        let waiter =
            Waiter { set, class, task, place, waker: Some(waker.clone()), home, joined: now, deadline, standing };
        let id = u32::try_from(self.waiters.insert(waiter)).unwrap_or(u32::MAX);
        if deadline != Tick::MAX {
            self.deadlines.insert((deadline, id));
            self.is_sooner = true;
        }
        self.enqueue(id, now);
        self.tell_waiting(id, now);
        // A waiter of a more urgent class may have found its turn.
        self.claim(id, now).unwrap_or(Answer::Waiting(id))
    }

    /// A waiter is polled, and has nothing to [claim](Self::claim): it waits on, from this runtime.
    pub(super) fn look(&mut self, id: u32, waker: &Waker, home: Option<Id>, now: Tick) -> Answer {
        let Some(waiter) = self.waiters.get_mut(id as usize) else { return Answer::Waiting(id) };
        if !waiter.waker.as_ref().is_some_and(|own| own.will_wake(waker)) {
            self.spent.extend(waiter.waker.replace(waker.clone()));
        }
        waiter.home = home;
        if waiter.standing == Standing::Passed {
            self.enqueue(id, now);
        }
        self.claim(id, now).unwrap_or(Answer::Waiting(id))
    }

    /// What a waiter was granted, or why it never is.
    pub(super) fn claim(&mut self, id: u32, now: Tick) -> Option<Answer> {
        let waiter = self.waiters.get(id as usize)?;
        match waiter.standing {
            Standing::Granted { flight, serial } => {
                // A pause that came since stops it too.
                let paused = |gauge: &u32| self.gauges.get(*gauge as usize).is_some_and(|g| g.is_paused(now));
                if waiter.set.gauges().iter().any(paused) {
                    self.take_back(id, now);
                    return None;
                }
                let waited = now.saturating_sub(waiter.joined);
                self.quiet();
                self.forget(id);
                Some(Answer::Granted(flight, serial, waited))
            }
            Standing::TooLate { gauge, opens } => {
                self.forget(id);
                Some(Answer::TooLate { gauge, opens })
            }
            Standing::Parked { .. } | Standing::Passed => None,
        }
    }

    /// Answers have made gauges since that a waiter should meet: when it is looked at next, it joins those who do, its
    /// place kept.
    pub(super) fn meet_too(&mut self, id: u32, unmet: &[u32], now: Tick) {
        match self.waiters.get(id as usize).map(|waiter| waiter.standing) {
            Some(Standing::Parked { .. }) => self.unpark(id, now),
            Some(Standing::Granted { .. }) => self.take_back(id, now),
            Some(Standing::Passed) => {}
            Some(Standing::TooLate { .. }) | None => return,
        }
        let Some(waiter) = self.waiters.get_mut(id as usize) else { return };
        let before = waiter.set.clone();
        unmet.iter().for_each(|gauge| waiter.set.add_keyed(*gauge));
        let set = waiter.set.clone();
        self.hold(&set);
        self.release(&before);
    }

    /// A waiter gives up.
    pub(super) fn leave(&mut self, id: u32, now: Tick) {
        let Some(waiter) = self.waiters.get(id as usize) else { return };
        let set = waiter.set.clone();
        match waiter.standing {
            Standing::Parked { .. } => self.unpark(id, now),
            Standing::Granted { flight, serial } => {
                self.quiet();
                self.forget(id);
                return self.refund(flight, serial, now);
            }
            Standing::Passed => {}
            Standing::TooLate { .. } => return self.forget(id),
        }
        self.forget(id);
        self.release(&set);
    }

    /// The waiter did not come for its grant.
    pub(super) fn pass_over(&mut self, id: u32, now: Tick) {
        if let Some(class) = self.waiters.get(id as usize).map(|waiter| waiter.class) {
            self.tell(|_| Event::PassedOver { class });
        }
        self.take_back(id, now);
    }

    /// The waiter's grant goes to the next; its place is kept until it is polled again.
    fn take_back(&mut self, id: u32, now: Tick) {
        let Some(waiter) = self.waiters.get_mut(id as usize) else { return };
        let Standing::Granted { flight, serial } = waiter.standing else { return };
        waiter.standing = Standing::Passed;
        let (set, deadline) = (waiter.set.clone(), waiter.deadline);
        self.quiet();
        self.hold(&set);
        if deadline != Tick::MAX {
            self.deadlines.insert((deadline, id));
            self.is_sooner = true;
        }
        self.refund(flight, serial, now);
    }

    /// A waiter's deadline has come, or lies before its time.
    pub(super) fn refuse(&mut self, id: u32, now: Tick) {
        let Some(waiter) = self.waiters.get(id as usize) else { return };
        let (class, task, set, deadline) = (waiter.class, waiter.task, waiter.set.clone(), waiter.deadline);
        self.deadlines.remove(&(deadline, id));
        if !matches!(waiter.standing, Standing::Parked { .. } | Standing::Passed) {
            return;
        }
        self.unpark(id, now);
        let (gauge, opens) = self.not_before(&set, class, task, now).unwrap_or_default();
        self.tell(|state| Event::TooLate { class, limit: state.label(gauge) });
        if let Some(waiter) = self.waiters.get_mut(id as usize) {
            waiter.standing = Standing::TooLate { gauge, opens: opens.max(deadline) };
            self.wakes.extend(waiter.waker.take());
        }
    }

    /// The gauge that admits one who comes now last, and before when it certainly does not: those count who stand before
    /// it and meet the same.
    pub(super) fn not_before(&mut self, set: &Set, class: Class, task: u64, now: Tick) -> Option<(u32, Tick)> {
        let place = self.turns.next(class, task);
        let lane = self.lane_of.get(&(set.clone(), class)).and_then(|lane| self.lanes.get(*lane as usize));
        let ahead = lane.map_or(0, |lane| lane.line.before(place));
        let mut last: Option<(u32, (Tick, Opening))> = None;
        for id in set.gauges() {
            let Some(gauge) = self.gauges.get_mut(*id as usize) else { continue };
            let opens = (gauge.not_before(class, ahead, now), gauge.opening(class, now));
            if last.is_none_or(|(_, latest)| opens > latest) {
                last = Some((*id, opens));
            }
        }
        last.map(|(id, (opens, _))| (id, opens))
    }

    /// Takes a slot of every gauge.
    pub(super) fn take(&mut self, set: Set, now: Tick) -> (u32, u64) {
        let mut tells = Tells::default();
        for id in set.gauges() {
            let Some(gauge) = self.gauges.get_mut(*id as usize) else { continue };
            tells.send |= gauge.sees_sends();
            tells.body |= gauge.meter.sees_bodies();
            let was_within = gauge.soft && gauge.meter.use_of(now) <= 1.0;
            gauge.take(now);
            if was_within && gauge.meter.use_of(now) > 1.0 {
                let limit = gauge.label.clone();
                self.tell(|_| Event::Exceeded { limit });
            } else if gauge.meter.jumped() {
                self.tell(|_| Event::ClockSetBack);
            }
        }
        self.flights.grant(set, tells, now)
    }

    /// One less is parked or granted.
    pub(super) const fn quiet(&mut self) {
        self.active -= 1;
        // The timers end with the last.
        self.is_sooner |= self.active == 0;
    }

    fn forget(&mut self, id: u32) {
        if let Some(mut waiter) = self.waiters.try_remove(id as usize) {
            self.spent.extend(waiter.waker.take());
            self.turns.left(waiter.class, waiter.task);
            if waiter.deadline != Tick::MAX {
                self.deadlines.remove(&(waiter.deadline, id));
            }
            if let Standing::Granted { .. } = waiter.standing {
                let (class, waited) = (waiter.class, super::elapsed(waiter.joined, self.latest()));
                self.tell(|_| Event::Granted { class, waited });
            }
            if let Standing::TooLate { .. } = waiter.standing {
                self.release(&waiter.set);
            }
        }
    }

    fn tell_waiting(&mut self, id: u32, now: Tick) {
        if !self.has_listeners {
            return;
        }
        let Some(waiter) = self.waiters.get(id as usize) else { return };
        let (set, class, task) = (waiter.set.clone(), waiter.class, waiter.task);
        let Some((gauge, opens)) = self.not_before(&set, class, task, now) else { return };
        let ahead = self.gauges.get(gauge as usize).map_or(0, |gauge| gauge.ahead(class)).saturating_sub(1);
        let at_least = super::elapsed(now, opens);
        self.tell(|state| Event::Waiting { class, limit: state.label(gauge), ahead, at_least });
    }
}
