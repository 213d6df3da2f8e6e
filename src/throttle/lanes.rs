//! Lanes: those who meet the same gauges, and where each stands.

use super::gauge::{Gauge, rank};
use super::homes::Granted;
use super::line::{Line, Place};
use super::meter::{Opening, Tick};
use super::set::Set;
use super::state::{Lane, Standing, Starving, State};
use crate::message::Class;

impl State {
    /// Lets those go whom a gauge admits now.
    pub(super) fn dispatch(&mut self, id: u32, now: Tick) {
        let mut skipped = 0;
        let mut due: Option<Tick> = None;
        loop {
            let parked = self.gauges.get(id as usize).and_then(|gauge| gauge.parked.as_deref());
            let Some((class, lane)) = parked.and_then(|parked| parked.next(skipped)) else { break };
            match self.binding(lane, now) {
                None => match self.stands_before(lane, id) {
                    None => self.grant_first(lane, now),
                    // It would overtake: they are looked at first.
                    Some(other) => {
                        self.park(lane, other, Opening::Open, now);
                        self.set_due(other, Some(now), now);
                    }
                },
                Some((binding, opening)) if binding == id => {
                    skipped |= 1 << class;
                    if let Opening::At(at) = opening {
                        due = Some(due.map_or(at, |due| due.min(at)));
                    }
                }
                Some((binding, opening)) => {
                    self.park(lane, binding, opening, now);
                    self.starve(lane, opening, now);
                }
            }
        }
        self.set_due(id, due, now);
    }

    /// Something about a gauge has changed.
    pub(super) fn touch(&mut self, id: u32, now: Tick) {
        if self.gauges.get(id as usize).is_some_and(Gauge::has_parked) {
            self.dispatch(id, now);
        }
    }

    pub(super) fn touch_all(&mut self, set: &Set, now: Tick) {
        if self.active > 0 {
            set.gauges().iter().for_each(|gauge| self.touch(*gauge, now));
        }
    }

    /// The gauge that admits the first of a lane last, if any does not now. What it holds is open to it, but for a pause.
    fn binding(&mut self, lane: u32, now: Tick) -> Option<(u32, Opening)> {
        let (set, class) = self.lanes.get(lane as usize).map(|lane| (lane.set.clone(), lane.class))?;
        let starving = self.starving.as_ref().filter(|starving| starving.lane == lane);
        let held = starving.map(|starving| starving.held.clone()).unwrap_or_default();
        let mut binding: Option<(u32, Opening)> = None;
        for id in set.gauges() {
            let Some(gauge) = self.gauges.get_mut(*id as usize) else { continue };
            let opening = match held.gauges().contains(id) {
                true if gauge.is_paused(now) => Opening::At(gauge.paused_until()),
                true => Opening::Open,
                false => gauge.opening(class, now),
            };
            if opening > binding.map_or(Opening::Open, |(_, latest)| latest) {
                binding = Some((*id, opening));
            }
        }
        binding
    }

    /// Another of its gauges where somebody of its class stands who came before.
    fn stands_before(&self, lane: u32, at: u32) -> Option<u32> {
        let lane = self.lanes.get(lane as usize)?;
        let earlier = |id: &&u32| {
            let parked = self.gauges.get(**id as usize).and_then(|gauge| gauge.parked.as_deref());
            **id != at
                && parked.and_then(|parked| parked.first(rank(lane.class))).is_some_and(|first| first < lane.head)
        };
        lane.set.gauges().iter().find(earlier).copied()
    }

    /// A lane starves, and the gauge that binds it may open soon: it holds a slot of those that are open until then.
    fn starve(&mut self, id: u32, opening: Opening, now: Tick) {
        let opens = match opening {
            Opening::At(at) if at <= now.saturating_add(PATIENCE) => at,
            Opening::Closed => now.saturating_add(PATIENCE),
            Opening::At(_) | Opening::Open => return,
        };
        let Some(lane) = self.lanes.get(id as usize) else { return };
        let (set, class) = (lane.set.clone(), lane.class);
        let is_it = self.starving.as_ref().is_some_and(|starving| starving.lane == id);
        if lane.bounces < STARVES || self.starving.is_some() && !is_it {
            return;
        }
        let (mut held, since) = match self.starving.take() {
            Some(starving) => (starving.held, starving.since),
            None => (Set::default(), now),
        };
        // A timer is late, and so may be those who stand before it.
        let until = opens.saturating_add(LATE).min(since.saturating_add(PATIENCE));
        for id in set.gauges() {
            let Some(gauge) = self.gauges.get_mut(*id as usize) else { continue };
            if !held.gauges().contains(id) && gauge.opening(class, now) == Opening::Open {
                gauge.take(now);
                held.add(*id);
            }
        }
        self.starving = Some(Starving { lane: id, held, since, until });
        self.is_sooner = true;
    }

    /// The lane that starves holds nothing any more.
    pub(super) fn let_go(&mut self, now: Tick) {
        let Some(starving) = self.starving.take() else { return };
        for id in starving.held.gauges() {
            if let Some(gauge) = self.gauges.get_mut(*id as usize) {
                // A probe too many after a pause is better than a place that is never free again.
                gauge.refund(now);
            }
        }
        if let Some(lane) = self.lanes.get_mut(starving.lane as usize) {
            lane.bounces = 0;
        }
        // They are looked at at once, by the timer.
        for id in starving.held.gauges() {
            if self.gauges.get(*id as usize).is_some_and(Gauge::has_parked) {
                self.set_due(*id, Some(now), now);
            }
        }
    }

    pub(super) fn enqueue(&mut self, id: u32, now: Tick) {
        let Some(waiter) = self.waiters.get_mut(id as usize) else { return };
        let (set, class, place) = (waiter.set.clone(), waiter.class, waiter.place);
        let same = |lane: &&Lane| lane.set == set && lane.class == class;
        let lane = match self.lanes.get(self.last_lane as usize).filter(same) {
            Some(_) => self.last_lane,
            None => *self.lane_of.entry((set.clone(), class)).or_insert_with(|| {
                let line = Line::default();
                let lane = Lane { set: set.clone(), class, line, head: place, gauge: u32::MAX, bounces: 0 };
                u32::try_from(self.lanes.insert(lane)).unwrap_or(u32::MAX)
            }),
        };
        self.last_lane = lane;
        waiter.standing = Standing::Parked { lane };
        self.active += 1;
        for gauge in set.gauges() {
            if let Some(waiting) =
                self.gauges.get_mut(*gauge as usize).and_then(|gauge| gauge.waiting.get_mut(rank(class)))
            {
                *waiting += 1;
            }
        }
        let Some(entry) = self.lanes.get_mut(lane as usize) else { return };
        entry.line.join(place, id);
        if entry.gauge != u32::MAX && entry.head < place {
            return;
        }
        // It is the first of its lane.
        self.remove_parked(lane);
        if let Some(entry) = self.lanes.get_mut(lane as usize) {
            entry.head = place;
        }
        let (gauge, opening) = match self.binding(lane, now) {
            Some(binding) => binding,
            // Nothing but others who stand there.
            None => {
                let stands = |gauge: &&u32| {
                    self.gauges.get(**gauge as usize).is_some_and(|gauge| gauge.has_parked_before(class))
                };
                let gauge = set.gauges().iter().find(stands).or(set.gauges().first()).copied();
                (gauge.unwrap_or_default(), Opening::Open)
            }
        };
        self.park(lane, gauge, opening, now);
        self.dispatch(gauge, now);
    }

    fn park(&mut self, id: u32, gauge: u32, opening: Opening, now: Tick) {
        self.remove_parked(id);
        let Some(lane) = self.lanes.get_mut(id as usize) else { return };
        if lane.gauge != u32::MAX && lane.gauge != gauge {
            lane.bounces = lane.bounces.saturating_add(1);
        }
        lane.gauge = gauge;
        if let Some(gauge) = self.gauges.get_mut(gauge as usize) {
            gauge.parked.get_or_insert_default().park(rank(lane.class), lane.head, id);
        }
        if let Opening::At(at) = opening {
            let due = self.gauges.get(gauge as usize).and_then(|gauge| gauge.due);
            self.set_due(gauge, Some(due.map_or(at, |due| due.min(at))), now);
        }
    }

    fn grant_first(&mut self, lane: u32, now: Tick) {
        let Some(entry) = self.lanes.get(lane as usize) else { return };
        let (gauge, class, set) = (entry.gauge, entry.class, entry.set.clone());
        let first = self.first_of(lane).map(|(_, id)| id);
        if self.starving.as_ref().is_some_and(|starving| starving.lane == lane) {
            // What it holds is taken again at once.
            self.let_go(now);
        }
        if let Some(entry) = self.lanes.get_mut(lane as usize) {
            entry.line.pop();
            entry.bounces = 0;
        }
        self.next_in(lane, now);
        let Some(id) = first else { return };
        if let Some(parked) = self.gauges.get_mut(gauge as usize).and_then(|gauge| gauge.parked.as_mut()) {
            parked.went(rank(class));
        }
        self.turns.went(class);
        self.count_out(&set, class);
        let (flight, serial) = self.take(set, now);
        if let Some(waiter) = self.waiters.get_mut(id as usize) {
            waiter.standing = Standing::Granted { flight, serial };
            self.wakes.extend(waiter.waker.take());
            let granted = Granted { at: now, round: self.homes.round(waiter.home) };
            self.is_sooner |= self.claims.is_empty();
            self.claims.push_back((granted, id, waiter.place.ticket));
        }
    }

    /// The first waiter of a lane.
    fn first_of(&mut self, lane: u32) -> Option<(Place, u32)> {
        let waiters = &self.waiters;
        let line = &mut self.lanes.get_mut(lane as usize)?.line;
        line.first(|place, id| {
            waiters
                .get(id as usize)
                .is_some_and(|waiter| waiter.place == place && waiter.standing == Standing::Parked { lane })
        })
    }

    /// Puts a lane's next waiter in the place of its first, or ends the lane.
    fn next_in(&mut self, id: u32, now: Tick) {
        let next = self.first_of(id).map(|(place, _)| place);
        if self.starving.as_ref().is_some_and(|starving| starving.lane == id) {
            self.let_go(now);
        }
        match (next, self.lanes.get_mut(id as usize)) {
            (Some(place), Some(lane)) => {
                let first = std::mem::replace(&mut lane.head, place);
                let (gauge, class) = (lane.gauge, rank(lane.class));
                if let Some(parked) = self.gauges.get_mut(gauge as usize).and_then(|gauge| gauge.parked.as_mut()) {
                    parked.follow(class, first, place, id);
                }
            }
            _ => {
                self.remove_parked(id);
                if let Some(lane) = self.lanes.try_remove(id as usize) {
                    self.lane_of.remove(&(lane.set, lane.class));
                }
            }
        }
    }

    pub(super) fn unpark(&mut self, id: u32, now: Tick) {
        let Some(waiter) = self.waiters.get_mut(id as usize) else { return };
        let Standing::Parked { lane } = waiter.standing else { return };
        waiter.standing = Standing::Passed;
        let (set, class, place) = (waiter.set.clone(), waiter.class, waiter.place);
        self.quiet();
        self.count_out(&set, class);
        let waiters = &self.waiters;
        let Some(entry) = self.lanes.get_mut(lane as usize) else { return };
        entry.line.left(|place, id| {
            waiters
                .get(id as usize)
                .is_some_and(|waiter| waiter.place == place && waiter.standing == Standing::Parked { lane })
        });
        if entry.head == place {
            let gauge = entry.gauge;
            self.next_in(lane, now);
            self.touch(gauge, now);
        }
    }

    pub(super) fn count_out(&mut self, set: &Set, class: Class) {
        for gauge in set.gauges() {
            if let Some(waiting) =
                self.gauges.get_mut(*gauge as usize).and_then(|gauge| gauge.waiting.get_mut(rank(class)))
            {
                *waiting -= 1;
            }
        }
    }
}

/// A lane that was passed on so often between gauges starves.
const STARVES: u8 = 8;
/// For so long it holds what others could use: 10 seconds.
const PATIENCE: Tick = 10_000_000_000;
/// And for so long past the moment when the last gauge should open: half a second.
const LATE: Tick = 500_000_000;
