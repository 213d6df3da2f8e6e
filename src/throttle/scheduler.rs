//! How a waiter is woken: the queue of a throttle, and the order of its waiters.
//!
//! Waiters of one class with the same limiters form a [lane](lanes). The first of a lane represents the lane: the lane
//! is *parked* at the limiter that admits it last. A waiter is woken in only one way:
//!
//! 1. A limiter changes: a slot is freed ([`set_changed`](Scheduler::set_changed)), a response arrives
//!    ([`answered`](Scheduler::answered)), its time has come ([`catch_up`](Scheduler::catch_up)), or a pause ends.
//! 2. [`limiter_changed`](Scheduler::limiter_changed) checks the lanes that are parked at the limiter, the most urgent
//!    class first ([`parked`]); within a class the tasks take turns ([`fair_queue`]).
//! 3. A lane that all its limiters admit takes a slot of each, and its first waiter is *granted* a permit: its waker
//!    goes to the [effects](super::effects). A lane that another limiter blocks is parked at that limiter instead, and
//!    keeps its place.
//! 4. The waiter is polled and [claims](Scheduler::claim) the permit. If the waiter is alive and not polled, the grant
//!    passes on to the next waiter ([`grants`]); its place is kept until it is polled again.
//!
//! A lane that bounces between limiters starves, and may hold slots for a while ([`starvation`]). All wakes at a time
//! come from one timer per runtime ([`timers`](super::timers)), which asks [`next_due`](Scheduler::next_due).

mod ask;
mod blocked;
mod fair_queue;
mod grants;
mod lanes;
mod parked;
mod rank;
mod starvation;
mod wait_queue;
mod waiters;

use std::task::Waker;
use std::time::Duration;

use tokio::runtime::Id;

use super::effects::Effects;
use super::ids::{InFlightId, LaneId, LimiterId, SetId, WaiterId};
use super::in_flight::{InFlight, PermitReport};
use super::limiters::Limiters;
use super::time::{Opening, Tick, elapsed};
use super::timers::Timers;
use crate::event::Event;
use crate::message::Priority;

pub(super) use ask::{Answer, Ask, TooLate};

use blocked::Blocked;
use fair_queue::FairQueue;
use grants::Grants;
use lanes::{Lane, Lanes};
use rank::rank;
use starvation::Starvation;
use waiters::{Waiter, WaiterStanding, Waiters};

/// The queue.
#[derive(Debug, Default)]
pub(super) struct Scheduler {
    waiters: Waiters,
    lanes: Lanes,
    blocked: Blocked,
    grants: Grants,
    starvation: Starvation,
    turns: FairQueue,
    /// The number of waiters that are parked or granted: a timer runs for them.
    active: usize,
}

/// The other parts, as one call lends them to the scheduler.
pub(super) struct Parts<'a> {
    pub(super) limiters: &'a mut Limiters,
    pub(super) in_flight: &'a mut InFlight,
    pub(super) timers: &'a Timers,
    pub(super) effects: &'a mut Effects,
    pub(super) now: Tick,
}

impl Scheduler {
    /// Returns whether a request of this class, or of a more urgent one, is ahead of a request with this set.
    #[inline]
    pub(super) fn anybody_before(&self, set: SetId, class: Priority, limiters: &Limiters) -> bool {
        self.active > 0 && limiters.set(set).ids().iter().any(|id| self.blocked.has_parked_before(*id, class))
    }

    /// Joins the queue, unless the deadline certainly comes first.
    pub(super) fn ask(&mut self, ask: &Ask, waker: &Waker, parts: &mut Parts<'_>) -> Answer {
        let Ask { set, class, task, deadline, runtime } = *ask;
        let now = parts.now;
        if deadline != Tick::MAX
            && let Some((limiter, opens)) = self.not_before(set, class, task, parts.limiters, now)
            && opens >= deadline
        {
            let too_late = TooLate::new(parts.limiters.of(limiter), opens, parts.now);
            parts.effects.report(|| Event::TooLate { class, limit: too_late.limit.clone() });
            parts.limiters.release(set);
            return Answer::TooLate(too_late);
        }
        let position = self.turns.give(class, task);
        let (waker, standing) = (Some(waker.clone()), WaiterStanding::Passed);
        let waiter = Waiter { set, class, task, position, waker, runtime, joined: now, deadline, standing };
        let id = self.waiters.add(waiter);
        parts.effects.rearm |= deadline != Tick::MAX;
        self.enqueue(id, parts);
        self.report_waiting(id, parts);
        // A waiter of a more urgent class may be granted a permit at once.
        self.claim(id, parts).unwrap_or(Answer::Waiting(id))
    }

    /// Returns the grant of a waiter, or the reason why it fails; `None` while it waits.
    pub(super) fn claim(&mut self, id: WaiterId, parts: &mut Parts<'_>) -> Option<Answer> {
        let waiter = self.waiters.of(id);
        match waiter.standing {
            // A pause that began since the grant stops the waiter too.
            WaiterStanding::Granted(_) if parts.limiters.is_paused(waiter.set, parts.now) => {
                self.take_back(id, parts);
                None
            }
            WaiterStanding::Granted(in_flight) => {
                let (class, waited) = (waiter.class, parts.now.saturating_sub(waiter.joined));
                parts.effects.report(|| Event::Granted { class, waited: Duration::from_nanos(waited) });
                self.deactivate(parts.effects);
                self.forget(id, parts);
                Some(Answer::Granted(in_flight, waited))
            }
            WaiterStanding::TooLate { limiter, opens } => {
                let too_late = TooLate::new(parts.limiters.of(limiter), opens, parts.now);
                self.forget(id, parts);
                Some(Answer::TooLate(too_late))
            }
            WaiterStanding::Parked(_) | WaiterStanding::Passed => None,
        }
    }

    /// Lets a waiter that was polled and had nothing to [claim](Self::claim) wait on, in this runtime.
    pub(super) fn wait_on(
        &mut self,
        id: WaiterId,
        waker: &Waker,
        runtime: Option<Id>,
        parts: &mut Parts<'_>,
    ) -> Answer {
        let waiter = self.waiters.of_mut(id);
        if !waiter.waker.as_ref().is_some_and(|own| own.will_wake(waker)) {
            parts.effects.dropped.extend(waiter.waker.replace(waker.clone()));
        }
        waiter.runtime = runtime;
        if waiter.standing == WaiterStanding::Passed {
            self.enqueue(id, parts);
        }
        self.claim(id, parts).unwrap_or(Answer::Waiting(id))
    }

    /// Returns the set of a waiter.
    pub(super) fn set_of(&self, id: WaiterId) -> SetId {
        self.waiters.of(id).set
    }

    /// Changes the set of a waiter; the caller has already made the waiter hold the new set. Its place is kept: it
    /// joins the lane of that set at its next check.
    pub(super) fn change_set(&mut self, id: WaiterId, set: SetId, parts: &mut Parts<'_>) {
        match self.waiters.of(id).standing {
            WaiterStanding::Parked(lane) => self.unpark(id, lane, parts),
            WaiterStanding::Granted(_) => self.take_back(id, parts),
            WaiterStanding::Passed | WaiterStanding::TooLate { .. } => {}
        }
        let before = std::mem::replace(&mut self.waiters.of_mut(id).set, set);
        parts.limiters.release(before);
    }

    /// Removes a waiter that gives up.
    pub(super) fn leave(&mut self, id: WaiterId, parts: &mut Parts<'_>) {
        match self.waiters.of(id).standing {
            WaiterStanding::Parked(lane) => self.unpark(id, lane, parts),
            WaiterStanding::Granted(in_flight) => {
                self.deactivate(parts.effects);
                self.forget(id, parts);
                return self.give_back(in_flight, parts);
            }
            WaiterStanding::Passed | WaiterStanding::TooLate { .. } => {}
        }
        self.forget(id, parts);
    }

    /// Checks the waiters after the limiters of a set have changed.
    pub(super) fn set_changed(&mut self, set: SetId, parts: &mut Parts<'_>) {
        if self.active > 0 {
            let ids = parts.limiters.set(set).clone();
            ids.ids().iter().for_each(|id| self.limiter_changed(*id, parts));
        }
    }

    /// As [`set_changed`](Self::set_changed), after a response. A limiter that opens by time alone is checked at that
    /// time, because a response cannot open it earlier.
    pub(super) fn answered(&mut self, set: SetId, parts: &mut Parts<'_>) {
        if self.active > 0 {
            let ids = parts.limiters.set(set).clone();
            for id in ids.ids() {
                // A response holds a slot for one length at most: a check that is due later has another cause.
                let opens_by_time = parts.limiters.of(*id).opens_by_time_alone();
                let latest = opens_by_time.map(|length| parts.now.saturating_add(length));
                let is_due_anyway = self.blocked.due(*id).zip(latest).is_some_and(|(due, latest)| due <= latest);
                if !is_due_anyway {
                    self.limiter_changed(*id, parts);
                }
            }
        }
    }

    /// Lets the waiters go that a changed limiter admits now.
    pub(super) fn limiter_changed(&mut self, id: LimiterId, parts: &mut Parts<'_>) {
        if self.blocked.parked(id).is_some() {
            self.dispatch(id, parts);
        } else {
            // No waiter is left to check; later waiters must not wait for this check.
            self.blocked.set_due(id, None);
        }
    }

    /// Refuses the waiters whose deadlines come before the end of a limiter's pause.
    pub(super) fn limiter_paused(&mut self, id: LimiterId, parts: &mut Parts<'_>) {
        let until = parts.limiters.of(id).paused_until();
        for waiter in self.waiters.hopeless(until, |set| parts.limiters.set(set).contains(id)) {
            self.refuse(waiter, parts);
        }
        self.limiter_changed(id, parts);
    }

    /// Carries out the work that is due: unclaimed grants, deadlines, limiters that open.
    #[inline]
    pub(super) fn catch_up(&mut self, parts: &mut Parts<'_>) {
        if self.active > 0 || self.waiters.next_deadline().is_some() {
            self.catch_up_now(parts);
        }
    }

    fn catch_up_now(&mut self, parts: &mut Parts<'_>) {
        let now = parts.now;
        while let Some(waiter) = self.grants.take_overdue(&self.waiters, parts.timers, now) {
            let class = self.waiters.of(waiter).class;
            parts.effects.report(|| Event::PassedOver { class });
            self.take_back(waiter, parts);
        }
        while let Some((deadline, waiter)) = self.waiters.next_deadline()
            && deadline <= now
        {
            self.refuse(waiter, parts);
        }
        while let Some(limiter) = self.blocked.take_due(now) {
            self.dispatch(limiter, parts);
        }
        // After the limiters that open: the starving lane may have found its last slot.
        if self.starvation.until().is_some_and(|until| until <= now) {
            self.let_go(parts);
        }
    }

    /// Returns whether a timer has to run, because a waiter is parked or granted.
    #[inline]
    pub(super) const fn is_active(&self) -> bool {
        self.active > 0
    }

    /// Returns when to catch up next, for the timer of a runtime or for all; `None` if no request waits.
    pub(super) fn next_due(&self, timers: &Timers, in_flight: &InFlight, asking: Option<Id>) -> Option<Tick> {
        if self.active == 0 {
            return None;
        }
        let grant = self.grants.next_due(&self.waiters, timers, asking);
        let deadline = self.waiters.next_deadline().map(|(deadline, _)| deadline);
        let expiry = in_flight.next_expiry().map(|(over, _)| over);
        let dues = [self.blocked.next_due(), grant, deadline, expiry, self.starvation.until()];
        Some(dues.into_iter().flatten().min().unwrap_or(Tick::MAX))
    }

    /// The limiter that would admit a new request last, and the earliest time at which it could, counting the requests
    /// that already wait in the same lane.
    pub(super) fn not_before(
        &self,
        set: SetId,
        class: Priority,
        task: u64,
        limiters: &mut Limiters,
        now: Tick,
    ) -> Option<(LimiterId, Tick)> {
        let ahead = self.lanes.before(set, class, self.turns.next(class, task));
        limiters.not_before(set, class, ahead, now)
    }

    /// Returns how many waiters a limiter counts.
    pub(super) fn waiting(&self, limiter: LimiterId) -> u32 {
        self.blocked.waiting(limiter)
    }

    /// Returns how many waiters a limiter holds back: those of the lanes that are parked there.
    pub(super) fn held_back(&self, limiter: LimiterId) -> u32 {
        let lanes = self.blocked.parked(limiter).into_iter().flat_map(parked::Parked::ids);
        u32::try_from(lanes.map(|lane| self.lanes.waiting(lane)).sum::<usize>()).unwrap_or(u32::MAX)
    }

    /// Returns how many waiters of this class and of more urgent ones a limiter counts.
    pub(super) fn ahead(&self, limiter: LimiterId, class: Priority) -> u32 {
        self.blocked.ahead(limiter, class)
    }

    pub(super) fn len(&self) -> usize {
        self.waiters.len()
    }

    /// Returns whether each limiter that is due for a check blocks a waiter.
    #[cfg(test)]
    pub(super) fn looks_for_somebody(&self) -> bool {
        self.blocked.looks_for_somebody()
    }

    /// Returns whether no trace of any waiter is left.
    #[cfg(test)]
    pub(super) fn is_clean(&self) -> bool {
        self.waiters.len() == 0 && self.lanes.len() == 0 && self.active == 0 && self.starvation.is_none()
    }

    /// Lets the waiters go that a limiter admits now.
    fn dispatch(&mut self, id: LimiterId, parts: &mut Parts<'_>) {
        let now = parts.now;
        let (mut skipped, mut due) = (0_u16, None::<Tick>);
        while let Some((rank, lane)) = self.blocked.next(id, skipped) {
            if self.grant_in_a_row(lane, id, parts) {
                continue;
            }
            let entry = self.lanes.of(lane);
            let held = self.starvation.held_by(lane);
            match parts.limiters.binding(entry.set, entry.class, &held, now) {
                None => match self.stands_before(lane, id, parts.limiters) {
                    None => self.grant_first(lane, parts),
                    // The lane would overtake others, which are checked first.
                    Some(other) => {
                        self.park(lane, other, Opening::Open, parts);
                        self.set_due(other, Some(now), parts);
                    }
                },
                Some((binding, opening)) if binding == id => {
                    skipped |= 1 << rank;
                    if let Opening::At(at) = opening {
                        due = Some(due.map_or(at, |due| due.min(at)));
                    }
                }
                Some((binding, opening)) => {
                    self.park(lane, binding, opening, parts);
                    parts.effects.rearm |= self.starvation.hold(lane, opening, &self.lanes, parts.limiters, now);
                }
            }
        }
        self.set_due(id, due, parts);
    }

    /// Grants as many permits of a lane as all its limiters have room for, if the lane is alone and only the windows
    /// count: each grant takes one slot, and changes nothing else. Returns whether any permit was granted.
    fn grant_in_a_row(&mut self, lane: LaneId, at: LimiterId, parts: &mut Parts<'_>) -> bool {
        let set = self.lanes.of(lane).set;
        let lanes_at = |id: &LimiterId| self.blocked.parked(*id).map_or(0, parked::Parked::len);
        let is_alone = |id: &LimiterId| lanes_at(id) == usize::from(*id == at);
        if !self.starvation.is_none() || !parts.limiters.set(set).ids().iter().all(is_alone) {
            return false;
        }
        let room = parts.limiters.room(set, parts.now);
        for _ in 0..room {
            if !self.lanes.has(lane) {
                break;
            }
            self.grant_first(lane, parts);
        }
        room > 0
    }

    /// Returns another limiter of the lane's set at which an earlier waiter of the same class is parked.
    fn stands_before(&self, lane: LaneId, at: LimiterId, limiters: &Limiters) -> Option<LimiterId> {
        let entry = self.lanes.of(lane);
        let is_earlier = |id: &&LimiterId| {
            **id != at && self.blocked.first(**id, entry.class).is_some_and(|first| first < entry.head)
        };
        limiters.set(entry.set).ids().iter().find(is_earlier).copied()
    }

    /// Grants a permit to the first of a lane, whose limiters all admit it, and wakes it.
    fn grant_first(&mut self, lane: LaneId, parts: &mut Parts<'_>) {
        let entry = self.lanes.of(lane);
        let (set, class, at) = (entry.set, entry.class, entry.at);
        if self.starvation.is(lane) {
            // The slots that the lane holds are taken again at once.
            self.let_go(parts);
        }
        let first = self.lanes.pop(lane, &self.waiters);
        self.advance(lane, parts);
        let Some(id) = first else { return };
        if let Some(at) = at {
            self.blocked.parked_mut(at).went(rank(class));
        }
        self.turns.went(class);
        self.blocked.count_out(parts.limiters.set(set).ids(), class);
        parts.limiters.take(set, parts.effects, parts.now);
        parts.limiters.hold(set);
        let in_flight = parts.in_flight.grant(set, parts.now);
        let waiter = self.waiters.of_mut(id);
        waiter.standing = WaiterStanding::Granted(in_flight);
        parts.effects.wakes.extend(waiter.waker.take());
        let (ticket, runtime) = (waiter.position.ticket, waiter.runtime);
        parts.effects.rearm |= self.grants.add(id, ticket, runtime, parts.timers, parts.now);
    }

    /// Lets a waiter join the lane of its set, and grants it a permit at once if it is its turn.
    fn enqueue(&mut self, id: WaiterId, parts: &mut Parts<'_>) {
        let waiter = self.waiters.of(id);
        let (set, class, position) = (waiter.set, waiter.class, waiter.position);
        let (lane, is_first) = self.lanes.join(set, class, position, id);
        let before = self.lanes.of(lane).at.filter(|_| is_first);
        self.waiters.of_mut(id).standing = WaiterStanding::Parked(lane);
        self.active += 1;
        let ids = parts.limiters.set(set).clone();
        self.blocked.count_in(ids.ids(), class);
        parts.limiters.stir(set);
        if !is_first {
            return;
        }
        // The waiter's own lane is not ahead of it.
        self.lanes.lift(lane, &mut self.blocked);
        let binding = parts.limiters.binding(set, class, &self.starvation.held_by(lane), parts.now);
        let (limiter, opening) = binding.unwrap_or_else(|| {
            // Only other lanes that are parked here count.
            let stands = |id: &&LimiterId| self.blocked.has_parked_before(**id, class);
            let limiter = ids.ids().iter().find(stands).or(ids.ids().first()).copied();
            debug_assert!(limiter.is_some(), "each request meets the gate of its account");
            (limiter.unwrap_or_default(), Opening::Open)
        });
        self.lanes.park(lane, limiter, position, &mut self.blocked);
        self.note_opening(limiter, opening, parts);
        before.filter(|before| *before != limiter).into_iter().for_each(|before| self.limiter_changed(before, parts));
        self.dispatch(limiter, parts);
    }

    fn park(&mut self, lane: LaneId, limiter: LimiterId, opening: Opening, parts: &mut Parts<'_>) {
        let Lane { head, set, .. } = *self.lanes.of(lane);
        self.lanes.park(lane, limiter, head, &mut self.blocked);
        parts.limiters.stir(set);
        self.note_opening(limiter, opening, parts);
    }

    /// Schedules a check of a limiter that opens by time.
    fn note_opening(&mut self, limiter: LimiterId, opening: Opening, parts: &mut Parts<'_>) {
        if let Opening::At(at) = opening {
            let due = self.blocked.due(limiter).map_or(at, |due| due.min(at));
            self.set_due(limiter, Some(due), parts);
        }
    }

    fn set_due(&mut self, limiter: LimiterId, due: Option<Tick>, parts: &mut Parts<'_>) {
        let due = due.map(|due| parts.limiters.of(limiter).look_again_at(due, parts.now));
        parts.effects.rearm |= self.blocked.set_due(limiter, due);
    }

    /// Takes a waiter out of its lane.
    fn unpark(&mut self, id: WaiterId, lane: LaneId, parts: &mut Parts<'_>) {
        let waiter = self.waiters.of_mut(id);
        waiter.standing = WaiterStanding::Passed;
        let (set, class, position) = (waiter.set, waiter.class, waiter.position);
        self.deactivate(parts.effects);
        self.blocked.count_out(parts.limiters.set(set).ids(), class);
        if self.lanes.left(lane, position, &self.waiters) {
            let at = self.lanes.of(lane).at;
            self.advance(lane, parts);
            at.into_iter().for_each(|at| self.limiter_changed(at, parts));
        }
    }

    /// Moves the next waiter of a lane to the front.
    fn advance(&mut self, lane: LaneId, parts: &mut Parts<'_>) {
        if self.starvation.is(lane) {
            self.let_go(parts);
        }
        self.lanes.advance(lane, &self.waiters, &mut self.blocked);
    }

    /// Releases the slots of the starving lane; the timer checks their limiters at once.
    fn let_go(&mut self, parts: &mut Parts<'_>) {
        for id in self.starvation.let_go(&mut self.lanes, parts.limiters, parts.now) {
            if self.blocked.parked(id).is_some() {
                self.set_due(id, Some(parts.now), parts);
            }
        }
    }

    /// Passes the grant of a waiter on; its place is kept until it is polled again.
    fn take_back(&mut self, id: WaiterId, parts: &mut Parts<'_>) {
        let waiter = self.waiters.of_mut(id);
        let WaiterStanding::Granted(in_flight) = waiter.standing else { return };
        waiter.standing = WaiterStanding::Passed;
        let deadline = waiter.deadline;
        self.deactivate(parts.effects);
        parts.effects.rearm |= self.waiters.watch_deadline(deadline, id);
        self.give_back(in_flight, parts);
    }

    /// Returns an unused permit.
    fn give_back(&mut self, in_flight: InFlightId, parts: &mut Parts<'_>) {
        if let Some(set) = parts.in_flight.report(in_flight, PermitReport::Unsent, parts.limiters, parts.now) {
            self.set_changed(set, parts);
        }
    }

    /// Refuses a waiter whose deadline has come, or lies before its turn.
    fn refuse(&mut self, id: WaiterId, parts: &mut Parts<'_>) {
        self.waiters.drop_deadline(id);
        let waiter = self.waiters.of(id);
        let (set, class, task, deadline) = (waiter.set, waiter.class, waiter.task, waiter.deadline);
        match waiter.standing {
            WaiterStanding::Parked(lane) => self.unpark(id, lane, parts),
            WaiterStanding::Passed => {}
            WaiterStanding::Granted(_) | WaiterStanding::TooLate { .. } => return,
        }
        let (limiter, opens) = self.not_before(set, class, task, parts.limiters, parts.now).unwrap_or_default();
        parts.effects.report(|| Event::TooLate { class, limit: parts.limiters.of(limiter).label.clone() });
        let waiter = self.waiters.of_mut(id);
        waiter.standing = WaiterStanding::TooLate { limiter, opens: opens.max(deadline) };
        parts.effects.wakes.extend(waiter.waker.take());
    }

    /// Decrements the number of parked or granted waiters.
    const fn deactivate(&mut self, effects: &mut Effects) {
        self.active -= 1;
        // The timers end with the last waiter.
        effects.rearm |= self.active == 0;
    }

    fn forget(&mut self, id: WaiterId, parts: &mut Parts<'_>) {
        let mut waiter = self.waiters.remove(id);
        parts.effects.dropped.extend(waiter.waker.take());
        self.turns.left(waiter.class, waiter.task);
        parts.limiters.release(waiter.set);
    }

    fn report_waiting(&self, id: WaiterId, parts: &mut Parts<'_>) {
        if !parts.effects.has_watchers {
            return;
        }
        let waiter = self.waiters.of(id);
        let class = waiter.class;
        let bound = self.not_before(waiter.set, class, waiter.task, parts.limiters, parts.now);
        let Some((limiter, opens)) = bound else { return };
        let ahead = self.ahead(limiter, class).saturating_sub(1);
        let at_least = elapsed(parts.now, opens);
        let limit = parts.limiters.of(limiter).label.clone();
        parts.effects.report(|| Event::Waiting { class, limit, ahead, at_least });
    }
}
