//! Feedback: what answers say of limits, and what follows.

use std::sync::Arc;

use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::gauge::Gauge;
use super::learner::Learner;
use super::meter::{Meter, Tick, nanos};
use super::owners::{About, MOST_ROUTES, host_of};
use super::quota::Quota;
use super::set::Set;
use super::state::State;
use crate::event::{Blame, Event};
use crate::hint::{Budget, Hints};
use crate::limit::Anchor;

/// What a throttle makes of answers, beside the pause after a refusal, which is always kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Feedback {
    /// Nothing: declared limits alone.
    Off,
    /// What the service says of its budgets (`RateLimit`, `X-RateLimit-…` and their kin): the rest of a budget is
    /// spread over the time to its reset once less than half is left, with a tenth kept for tokens, cancels and
    /// submits. A limit that nobody declared is kept as the service states it.
    #[default]
    Budgets,
    /// That, and where neither you nor the service states a limit, it is searched for: from 2 requests a second on,
    /// doubled each second until the first refusal, then by its count. A found limit is probed again from time to
    /// time, because limits move.
    Learn,
}

impl Feedback {
    pub(super) const fn reads_answers(self) -> bool {
        !matches!(self, Self::Off)
    }
}

/// An answer, for the throttle.
#[derive(Debug)]
pub(super) struct Heard<'a> {
    pub(super) about: &'a About,
    pub(super) status: StatusCode,
    pub(super) hints: &'a Hints,
    /// When its request was sent.
    pub(super) sent: Tick,
}

impl State {
    /// Takes in what an answer says; tells which gauge now pauses, and whether it did not before.
    pub(super) fn hear(&mut self, set: &Set, heard: &Heard<'_>, now: Tick) -> Option<Paused> {
        for what in heard.hints.ignored() {
            self.tell(|_| Event::Ignored { what: what.as_str().into() });
        }
        let refused = matches!(heard.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        let budgets = if self.feedback.reads_answers() { heard.hints.budgets() } else { &[] };
        // Some services say a limit of 0 for none at all.
        for budget in budgets.iter().filter(|budget| budget.counts_requests() && budget.limit() != Some(0)) {
            self.budget(set, heard, budget, now);
        }
        let learns = self.teach(set, heard, refused, now);
        if !refused {
            for id in set.gauges() {
                if let Some(gauge) = self.gauges.get_mut(*id as usize) {
                    gauge.refusals = 0;
                }
            }
            return None;
        }
        let (gauge, blame) = self.refusing(set, heard, now);
        let entry = self.gauges.get_mut(gauge as usize)?;
        let kept = entry.declared && !entry.soft;
        // Those of one burst count once.
        let is_first = !entry.is_paused(now);
        if is_first {
            entry.refusals = entry.refusals.saturating_add(1);
        }
        let refusals = entry.refusals;
        let until = match heard.hints.wait_after(heard.status) {
            Some(delay) => {
                let until = now.saturating_add(nanos(delay));
                entry.ask(until);
                until
            }
            // What searches for the limit slows down by itself.
            None if learns => return Some(Paused { gauge, blame, is_new: false, kept }),
            None => {
                let own = set.gauges().iter().filter_map(|id| self.gauges.get(*id as usize)?.unasked_pause).max();
                now.saturating_add(own.unwrap_or(PAUSE << refusals.saturating_sub(1).min(LONGEST_SHIFT)))
            }
        };
        let is_new = self.pause(gauge, until, now);
        Some(Paused { gauge, blame, is_new, kept })
    }

    /// Stops everybody who meets a gauge, also those who wait elsewhere; tells whether they were going.
    pub(super) fn pause(&mut self, id: u32, until: Tick, now: Tick) -> bool {
        let Some(gauge) = self.gauges.get_mut(id as usize) else { return false };
        let (was_open, before) = (!gauge.is_paused(now), gauge.paused_until());
        gauge.pause(until, now);
        let until = gauge.paused_until();
        if was_open || until >= before.saturating_add(WORTH_TELLING) {
            let during = super::elapsed(now, until);
            self.tell(|state| Event::Paused { limit: state.label(id), during });
        }
        let hopeless: Vec<u32> = self
            .deadlines
            .iter()
            .take_while(|(deadline, _)| *deadline <= until)
            .filter(|(_, waiter)| {
                self.waiters.get(*waiter as usize).is_some_and(|waiter| waiter.set.gauges().contains(&id))
            })
            .map(|(_, waiter)| *waiter)
            .collect();
        for waiter in hopeless {
            self.refuse(waiter, now);
        }
        self.touch(id, now);
        was_open
    }

    /// Ends the pauses of an account, as after a refusal: by a ramp.
    pub(super) fn resume(&mut self, owner: u32, now: Tick) {
        let Some(owner) = self.owner_of(owner) else { return };
        let rules = owner.rules.iter().flat_map(|rule| rule.gauges.all());
        let stated = owner.stated.iter().flat_map(super::stated::Stated::all);
        let others = owner.doors().chain(owner.learner).chain([owner.door]);
        let gauges: Vec<u32> = rules.chain(stated).chain(others).collect();
        for id in gauges {
            if let Some(gauge) = self.gauges.get_mut(id as usize) {
                gauge.resume(now);
            }
            self.touch(id, now);
        }
    }

    /// The account goes as after a pause.
    pub(super) fn start_slowly(&mut self, owner: u32, now: Tick) {
        let Some(door) = self.owner_of(owner).map(|owner| owner.door) else { return };
        if let Some(gauge) = self.gauges.get_mut(door as usize) {
            gauge.begin_slowly(now);
        }
        self.touch(door, now);
    }

    /// Whether no request of the account has gone as yet.
    pub(super) fn is_fresh(&self, owner: u32) -> bool {
        let door = self.owner_of(owner).and_then(|owner| self.gauges.get(owner.door as usize));
        door.is_some_and(|door| !door.used)
    }

    /// The gauge that refuses, and whose fault it is.
    fn refusing(&mut self, set: &Set, heard: &Heard<'_>, now: Tick) -> (u32, Blame) {
        let find = |fits: &dyn Fn(&Gauge) -> bool| {
            set.gauges().iter().copied().find(|id| self.gauges.get(*id as usize).is_some_and(fits))
        };
        let spent = heard.hints.budgets().iter().filter(|budget| budget.remaining() == Some(0));
        let named = spent.filter_map(Budget::name).find_map(|name| find(&|gauge| gauge.name.as_deref() == Some(name)));
        let is_spent =
            |gauge: &Gauge| gauge.quota.as_ref().is_some_and(|quota| quota.is_spent() && !quota.is_over(now));
        let above = |gauge: &mut Gauge| heard.hints.budgets().iter().any(|budget| gauge.is_above(budget, now));
        if let Some(gauge) = named.or_else(|| find(&is_spent)) {
            let declared = self.gauges.get_mut(gauge as usize).filter(|gauge| gauge.declared && !gauge.soft);
            return (gauge, if declared.is_some_and(above) { Blame::Ours } else { Blame::Foreign });
        }
        let declared = |id: &u32| self.gauges.get(*id as usize).filter(|gauge| gauge.declared && !gauge.soft);
        let declared = || set.gauges().iter().filter_map(|id| Some((declared(id)?.width, *id)));
        let widest = declared().min_by_key(|(width, _)| *width).map(|(_, id)| id);
        let own = declared().filter(|(width, _)| *width >= OWN).max_by_key(|(width, _)| *width).map(|(_, id)| id);
        let blame = if widest.is_some() { Blame::Foreign } else { Blame::Ours };
        let is_unavailable = heard.status == StatusCode::SERVICE_UNAVAILABLE;
        let gauge = match (&heard.about.route, widest) {
            (Some(route), _) if is_unavailable => self.unavailable(heard, route, now),
            (Some(route), Some(widest)) if own.is_some() => {
                if self.is_second(heard, route, now) {
                    widest
                } else {
                    own.unwrap_or(widest)
                }
            }
            (_, Some(widest)) => widest,
            (Some(route), None) => self.undeclared(heard, route, now),
            (None, None) => self.owner_of(heard.about.owner).map_or(0, |owner| owner.door),
        };
        let declared = self.gauges.get_mut(gauge as usize).filter(|gauge| gauge.declared && !gauge.soft);
        (gauge, if declared.is_some_and(above) { Blame::Ours } else { blame })
    }

    /// Without a declared limit the route is refused; where another one was within a round trip, the account.
    fn undeclared(&mut self, heard: &Heard<'_>, route: &Arc<str>, now: Tick) -> u32 {
        let door = self.owner_of(heard.about.owner).map_or(0, |owner| owner.door);
        if self.is_second(heard, route, now) { door } else { self.door_of(heard.about.owner, route).unwrap_or(door) }
    }

    /// A 503 says that something is out of order, and seldom that the account asks too much: its route pauses, or its
    /// host, where another route of it was unavailable within a round trip.
    fn unavailable(&mut self, heard: &Heard<'_>, route: &Arc<str>, now: Tick) -> u32 {
        let Some(owner) = self.owner_mut(heard.about.owner) else { return 0 };
        let door = owner.door;
        let before = owner.unavailable.replace((route.clone(), now));
        let host = host_of(route);
        let of_host = before.filter(|(other, _)| host_of(other) == host);
        let name: Arc<str> = if are_together(of_host, route, heard, now) { host.into() } else { route.clone() };
        self.door_of(heard.about.owner, &name).unwrap_or(door)
    }

    /// Whether another route was refused within a round trip before this one.
    fn is_second(&mut self, heard: &Heard<'_>, route: &Arc<str>, now: Tick) -> bool {
        let owner = self.owner_mut(heard.about.owner);
        let before = owner.and_then(|owner| owner.refused.replace((route.clone(), now)));
        are_together(before, route, heard, now)
    }

    /// The door of a route or a host, made where there is none; none where there are too many.
    pub(super) fn door_of(&mut self, owner: u32, name: &Arc<str>) -> Option<u32> {
        let doors = &self.owner_of(owner)?.doors;
        if doors.contains_key(name) || doors.len() >= MOST_ROUTES {
            return doors.get(name).copied();
        }
        let what = if name.contains(' ') { "route" } else { "host" };
        let gauge = self.insert(Gauge::door(format!("the {what} {name}").into()));
        self.owner_mut(owner)?.doors.insert(name.clone(), gauge);
        Some(gauge)
    }

    /// A service says what is left of a budget.
    fn budget(&mut self, set: &Set, heard: &Heard<'_>, budget: &Budget, now: Tick) {
        let door = self.owner_of(heard.about.owner).and_then(|owner| self.gauges.get(owner.door as usize));
        let out = door.map_or(0, |door| door.flying);
        let gauge = match self.declared(set, budget) {
            Some(gauge) => gauge,
            None => {
                let Some(gauge) = self.stated(heard.about, budget, out, now) else { return };
                self.restate(gauge, budget);
                gauge
            }
        };
        let (Some(remaining), Some(reset)) = (budget.remaining(), budget.reset()) else { return };
        // Those that were out before it was known are not counted by it.
        let others = if set.gauges().contains(&gauge) { 0 } else { out };
        if let Some(entry) = self.gauges.get_mut(gauge as usize) {
            let before = entry.quota.as_deref().filter(|quota| !quota.is_over(now));
            // Answers may overtake each other: what was sent later knows more.
            let is_newer = before.is_none_or(|before| before.seen() <= heard.sent);
            if is_newer {
                let resets_at = now.saturating_add(nanos(reset));
                let flying = entry.flying.max(others);
                let quota = Quota::new(budget.limit(), remaining, flying, resets_at, heard.sent).after(before);
                entry.quota = Some(Box::new(quota));
                self.touch(gauge, now);
            }
        }
    }

    /// The declared limit that a budget speaks of.
    fn declared(&self, set: &Set, budget: &Budget) -> Option<u32> {
        let length = budget.window().map(nanos);
        let find = |fits: &dyn Fn(&Gauge) -> bool| {
            set.gauges().iter().copied().find(|id| self.gauges.get(*id as usize).is_some_and(fits))
        };
        let counted = |gauge: &Gauge| match &gauge.meter {
            Meter::Sliding(sliding) if gauge.declared => {
                let count = u64::from(sliding.count());
                let same_length = length.is_none_or(|length| length == sliding.length());
                same_length && budget.limit().map_or(length.is_some(), |limit| limit == count)
            }
            _ => false,
        };
        let named = find(&|gauge| gauge.declared && gauge.name.is_some() && gauge.name.as_deref() == budget.name());
        named.or_else(|| find(&counted))
    }

    /// Lets what searches for an unknown limit know; tells whether there is one.
    fn teach(&mut self, set: &Set, heard: &Heard<'_>, refused: bool, now: Tick) -> bool {
        let is_learner =
            |id: &u32| self.gauges.get(*id as usize).is_some_and(|gauge| matches!(gauge.meter, Meter::Learner(_)));
        let Some(id) = set.gauges().iter().copied().find(is_learner) else { return false };
        let Some(gauge) = self.gauges.get_mut(id as usize) else { return false };
        let Meter::Learner(learner) = &mut gauge.meter else { return false };
        let changed = if refused { learner.refused(heard.sent, now) } else { learner.accepted(heard.sent, now) };
        if changed {
            gauge.label = label_of(learner).into();
            let found = learner.found().is_some();
            let limit = gauge.label.clone();
            self.tell(|_| if found { Event::Learned { limit } } else { Event::Unlearned { limit } });
        }
        self.touch(id, now);
        true
    }

    /// From now on, the limit of an account is searched for, from what is known of it.
    pub(super) fn search(&mut self, owner: u32) {
        if self.owner_of(owner).is_some_and(|owner| owner.learner.is_none() && owner.home.is_none()) {
            self.learn(owner, Learner::new());
        }
    }

    /// Makes what searches for an account's limit, in place of what did before.
    pub(super) fn learn(&mut self, owner: u32, learner: Learner) {
        let label = label_of(&learner).into();
        let meter = Meter::Learner(Box::new(learner));
        let known = self.owner_of(owner).and_then(|owner| owner.learner);
        if let Some(gauge) = known.and_then(|id| self.gauges.get_mut(id as usize)) {
            (gauge.label, gauge.meter) = (label, meter);
            return;
        }
        let id = self.insert(Gauge::new(label, meter, Anchor::ResponseLessRoundTrip));
        if let Some(owner) = self.owner_mut(owner) {
            owner.learner = Some(id);
        }
    }

    /// Forgets all that answers told.
    pub(super) fn forget_answers(&mut self, now: Tick) {
        for owner in self.owners.iter_mut() {
            owner.stated.clear();
        }
        let all: Vec<u32> = self.gauges.iter().filter_map(|(id, _)| u32::try_from(id).ok()).collect();
        for (_, gauge) in &mut self.gauges {
            gauge.quota = None;
            if !gauge.declared && !matches!(gauge.meter, Meter::Learner(_)) {
                gauge.meter = Meter::Door;
            }
        }
        for id in all {
            self.touch(id, now);
        }
    }
}

/// Whether what was refused before is another route, and about as long ago as a round trip.
fn are_together(before: Option<(Arc<str>, Tick)>, route: &Arc<str>, heard: &Heard<'_>, now: Tick) -> bool {
    let together = now.saturating_sub(heard.sent).max(TOGETHER);
    before.is_some_and(|(other, at)| other != *route && now <= at.saturating_add(together))
}

fn label_of(learner: &Learner) -> String {
    match learner.found() {
        Some((count, window)) => format!("learned: {count} per {window:?} of the account"),
        None => "an unknown limit of the account".to_owned(),
    }
}

/// What pauses after a refusal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paused {
    pub(super) gauge: u32,
    pub(super) blame: Blame,
    pub(super) is_new: bool,
    /// The gauge is of a declared limit.
    pub(super) kept: bool,
}

/// A refusal without a word of how long: a second, doubled while refusals follow each other, to a minute.
const PAUSE: Tick = 1_000_000_000;
const LONGEST_SHIFT: u8 = 6;
/// A pause that is longer by a second is told again.
const WORTH_TELLING: Tick = 1_000_000_000;
/// Routes that are refused within a second, or a round trip, are refused for the same reason.
const TOGETHER: Tick = 1_000_000_000;
/// From this width on a scope is of some requests of the account alone: a kind of task, a route.
const OWN: u8 = 3;
