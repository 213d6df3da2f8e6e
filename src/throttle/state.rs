//! The state under the throttle's lock: gauges, the permits that are out, and those who wait.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use slab::Slab;
use tokio::runtime::Id;
use tokio::time::Instant;

use super::accounts::Accounts;
use super::feedback::Feedback;
use super::flight::Flights;
use super::gauge::{Gauge, rank};
use super::homes::{Granted, Homes};
use super::line::{Line, Place};
use super::meter::{Meter, Tick};
use super::set::Set;
use super::turns::Turns;
use crate::clock::Clock;
use crate::event::Event;
use crate::message::Class;

#[derive(Debug)]
pub(super) struct State {
    began: Instant,
    latest: Tick,
    pub(super) clock: Clock,
    pub(super) feedback: Feedback,
    pub(super) owners: Accounts,
    pub(super) gauges: Slab<Gauge>,
    /// Keyed gauges are swept when there are more than so many.
    pub(super) sweep_at: usize,
    pub(super) flights: Flights,
    pub(super) waiters: Slab<Waiter>,
    pub(super) lanes: Slab<Lane>,
    pub(super) lane_of: HashMap<(Set, Class), u32>,
    /// The lane that has been passed to and fro between gauges, and now holds what it finds free.
    pub(super) starving: Option<Starving>,
    /// All accounts pause until then, those that come later too.
    pub(super) all_paused_until: Tick,
    /// When gauges with somebody parked are looked at next.
    pub(super) agenda: BTreeSet<(Tick, u32)>,
    /// Grants that wait for their waiters, by their tickets.
    pub(super) claims: VecDeque<(Granted, u32, u64)>,
    /// Waiters that must go by a time.
    pub(super) deadlines: BTreeSet<(Tick, u32)>,
    pub(super) turns: Turns,
    /// Waiters that are parked or granted: those for whom a timer runs.
    pub(super) active: usize,
    /// The runtimes in which a timer runs.
    pub(super) homes: Homes,
    /// Something is due that the timers may not know of.
    pub(super) is_sooner: bool,
    /// The lane that was joined last.
    pub(super) last_lane: u32,
    /// A route is written here, to be compared with the last.
    pub(super) text: String,
    pub(super) last_route: Arc<str>,
    /// To be woken once the lock is gone.
    pub(super) wakes: Vec<Waker>,
    /// To be dropped once the lock is gone: they may be the last to hold a permit.
    pub(super) spent: Vec<Waker>,
    /// To be told once the lock is gone, if anybody listens.
    pub(super) told: Vec<Event>,
    pub(super) has_listeners: bool,
}

/// One who waits: a ticket, not a built request.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) set: Set,
    pub(super) class: Class,
    pub(super) task: u64,
    pub(super) place: Place,
    /// Taken when it is granted.
    pub(super) waker: Option<Waker>,
    /// The runtime that it was last polled in.
    pub(super) home: Option<Id>,
    pub(super) joined: Tick,
    pub(super) deadline: Tick,
    pub(super) standing: Standing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Parked {
        lane: u32,
    },
    Granted {
        flight: u32,
        serial: u64,
    },
    /// It did not come for its grant: not before it is polled again.
    Passed,
    /// It cannot go before its deadline.
    TooLate {
        gauge: u32,
        opens: Tick,
    },
}

/// Those of one class who meet the same gauges: what admits one admits the next.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) set: Set,
    pub(super) class: Class,
    pub(super) line: Line,
    /// Its first, as its gauge knows it.
    pub(super) head: Place,
    pub(super) gauge: u32,
    /// How often it found its gauge open and another closed since it last went.
    pub(super) bounces: u8,
}

/// A lane that starves: it holds slots while it waits for others, for a while.
#[derive(Debug)]
pub(super) struct Starving {
    pub(super) lane: u32,
    /// The gauges of which it holds a slot.
    pub(super) held: Set,
    pub(super) since: Tick,
    pub(super) until: Tick,
}

impl State {
    pub(super) fn new(now: Instant) -> Self {
        let mut state = Self {
            began: now,
            latest: 0,
            clock: Clock::system(),
            feedback: Feedback::default(),
            owners: Accounts::default(),
            gauges: Slab::new(),
            sweep_at: super::rules::SWEEP_FROM,
            flights: Flights::default(),
            waiters: Slab::new(),
            lanes: Slab::new(),
            lane_of: HashMap::new(),
            starving: None,
            all_paused_until: 0,
            agenda: BTreeSet::new(),
            claims: VecDeque::new(),
            deadlines: BTreeSet::new(),
            turns: Turns::default(),
            active: 0,
            homes: Homes::default(),
            is_sooner: false,
            last_lane: u32::MAX,
            text: String::new(),
            last_route: Arc::default(),
            wakes: Vec::new(),
            spent: Vec::new(),
            told: Vec::new(),
            has_listeners: false,
        };
        // Those without an account.
        state.owner("", "");
        state
    }

    /// The time, which never runs back, also where several runtimes with clocks of their own share a throttle.
    pub(super) fn now(&mut self, now: Instant) -> Tick {
        self.latest = self.latest.max(self.tick(now));
        self.latest
    }

    pub(super) const fn latest(&self) -> Tick {
        self.latest
    }

    pub(super) fn tick(&self, at: Instant) -> Tick {
        let since = at.saturating_duration_since(self.began);
        // A u64 of nanoseconds is 584 years.
        since.as_secs().saturating_mul(1_000_000_000).saturating_add(u64::from(since.subsec_nanos()))
    }

    pub(super) fn instant(&self, tick: Tick) -> Option<Instant> {
        self.began.checked_add(Duration::from_nanos(tick))
    }

    /// Does what is due: flights that are over, grants that nobody claims, deadlines, gauges that open.
    pub(super) fn catch_up(&mut self, now: Tick) {
        while let Some((over, flight, serial)) = self.flights.next_over()
            && over <= now
        {
            self.lose(flight, serial, over, now);
        }
        while let Some(&(granted, waiter, ticket)) = self.claims.front() {
            match self.waits_for_claim(waiter, ticket) {
                Some(home) if !self.homes.is_overdue(granted, home, now) => break,
                Some(_) => self.pass_over(waiter, now),
                None => {}
            }
            self.claims.pop_front();
        }
        while let Some(&(deadline, waiter)) = self.deadlines.first()
            && deadline <= now
        {
            self.refuse(waiter, now);
        }
        while let Some(&(due, gauge)) = self.agenda.first()
            && due <= now
        {
            self.agenda.pop_first();
            if let Some(gauge) = self.gauges.get_mut(gauge as usize) {
                gauge.due = None;
            }
            self.dispatch(gauge, now);
        }
        // After those who open: it may have found its last.
        if self.starving.as_ref().is_some_and(|starving| starving.until <= now) {
            self.let_go(now);
        }
    }

    /// When to catch up next, for the timer of a runtime or for all; `None` where nobody waits.
    pub(super) fn next_due(&self, asking: Option<Id>) -> Option<Tick> {
        if self.active == 0 {
            return None;
        }
        let agenda = self.agenda.first().map(|(due, _)| *due);
        let claim = self.claims.front().map(|(granted, waiter, _)| {
            let home = self.waiters.get(*waiter as usize).and_then(|waiter| waiter.home);
            self.homes.overdue_at(*granted, home, asking)
        });
        let deadline = self.deadlines.first().map(|(deadline, _)| *deadline);
        let flight = self.flights.next_over().map(|(over, ..)| over);
        let starving = self.starving.as_ref().map(|starving| starving.until);
        Some([agenda, claim, deadline, flight, starving].into_iter().flatten().min().unwrap_or(Tick::MAX))
    }

    /// Sets when a gauge is looked at next.
    pub(super) fn set_due(&mut self, id: u32, due: Option<Tick>, now: Tick) {
        let Some(gauge) = self.gauges.get_mut(id as usize) else { return };
        // A wall clock can be set anew while somebody waits for its midnight.
        let due = match gauge.meter {
            Meter::Daily(_) => due.map(|due| due.min(now + LOOK_AT_THE_WALL)),
            _ => due,
        };
        if gauge.due != due {
            if let Some(old) = std::mem::replace(&mut gauge.due, due) {
                self.agenda.remove(&(old, id));
            }
            if let Some(due) = due {
                self.agenda.insert((due, id));
                self.is_sooner = true;
            }
        }
    }

    pub(super) fn label(&self, gauge: u32) -> Arc<str> {
        self.gauges.get(gauge as usize).map_or_else(|| Arc::from("a limit"), |gauge| gauge.label.clone())
    }

    pub(super) fn tell(&mut self, event: impl FnOnce(&Self) -> Event) {
        if self.has_listeners {
            let event = event(self);
            self.told.push(event);
        }
    }

    /// The home of a waiter whose grant nobody has come for yet.
    fn waits_for_claim(&self, waiter: u32, ticket: u64) -> Option<Option<Id>> {
        let waiter = self.waiters.get(waiter as usize)?;
        let granted = matches!(waiter.standing, Standing::Granted { .. });
        (granted && waiter.place.ticket == ticket).then_some(waiter.home)
    }

    pub(super) fn remove_parked(&mut self, lane: u32) {
        let Some(lane) = self.lanes.get(lane as usize) else { return };
        if let Some(parked) = self.gauges.get_mut(lane.gauge as usize).and_then(|gauge| gauge.parked.as_mut()) {
            parked.leave(rank(lane.class), lane.head);
        }
    }
}

/// A minute.
const LOOK_AT_THE_WALL: Tick = 60 * 1_000_000_000;
