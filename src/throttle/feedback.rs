//! Feedback: what answers say of limits, and what follows.

use std::sync::Arc;

use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::gauge::Gauge;
use super::learner::Learner;
use super::meter::{Meter, Tick};
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
    pub(super) owner: u32,
    pub(super) route: Option<&'a Arc<str>>,
    pub(super) status: StatusCode,
    pub(super) hints: &'a Hints,
    /// When its request was sent.
    pub(super) sent: Tick,
}

impl State {
    /// Takes in what an answer says; tells which gauge now pauses that did not before, and until when.
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
        let delay = heard.hints.delay().map(|delay| Tick::try_from(delay.as_nanos()).unwrap_or(Tick::MAX / 4));
        let delay = match delay {
            Some(delay) => delay,
            // What searches for the limit slows down by itself.
            None if learns => return Some(Paused { gauge, blame, is_new: false }),
            None => {
                let refusals = self.gauges.get(gauge as usize).map_or(0, |gauge| gauge.refusals);
                PAUSE << refusals.min(LONGEST_SHIFT)
            }
        };
        let is_new = self.pause(gauge, now.saturating_add(delay), now);
        Some(Paused { gauge, blame, is_new })
    }

    /// Stops everybody who meets a gauge, also those who wait elsewhere; tells whether they were going.
    pub(super) fn pause(&mut self, id: u32, until: Tick, now: Tick) -> bool {
        let Some(gauge) = self.gauges.get_mut(id as usize) else { return false };
        let was_open = gauge.pause(until, now);
        let until = gauge.paused_until();
        if was_open {
            gauge.refusals = gauge.refusals.saturating_add(1);
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

    /// The gauge that refuses, and whose fault it is.
    fn refusing(&mut self, set: &Set, heard: &Heard<'_>, now: Tick) -> (u32, Blame) {
        let spent = |budget: &&Budget| budget.remaining() == Some(0);
        let named = heard.hints.budgets().iter().filter(spent).find_map(|budget| {
            let named = |gauge: &Gauge| gauge.name.is_some() && gauge.name.as_deref() == budget.name();
            set.gauges().iter().copied().find(|id| self.gauges.get(*id as usize).is_some_and(named))
        });
        let is_spent =
            |gauge: &Gauge| gauge.quota.as_ref().is_some_and(|quota| quota.is_spent() && !quota.is_over(now));
        let spent = || set.gauges().iter().copied().find(|id| self.gauges.get(*id as usize).is_some_and(is_spent));
        let widest = || {
            let declared = |id: &u32| self.gauges.get(*id as usize).filter(|gauge| gauge.declared && !gauge.soft);
            let gauges = set.gauges().iter().filter_map(|id| Some((declared(id)?.width, *id)));
            gauges.min_by_key(|(width, _)| *width).map(|(_, id)| id)
        };
        if let Some(gauge) = named.or_else(spent).or_else(widest) {
            return (gauge, Blame::Foreign);
        }
        (self.undeclared(heard, now), Blame::Ours)
    }

    /// Without a declared limit the route is refused; where another one is too, the account.
    fn undeclared(&mut self, heard: &Heard<'_>, now: Tick) -> u32 {
        let owner = usize::try_from(heard.owner).unwrap_or_default();
        let Some((door, known)) = self.owners.get(owner).map(|owner| (owner.door, &owner.routes)) else { return 0 };
        let Some(route) = heard.route else { return door };
        let paused = |id: &u32| self.gauges.get(*id as usize).is_some_and(|gauge| gauge.is_paused(now));
        if paused(&door) || known.iter().any(|(other, gauges)| other != route && gauges.iter().any(paused)) {
            return door;
        }
        let door_of = |id: &u32| {
            self.gauges
                .get(*id as usize)
                .is_some_and(|gauge| matches!(gauge.meter, Meter::Door) && gauge.quota.is_none())
        };
        let known = known.get(route).and_then(|gauges| gauges.iter().copied().find(|id| door_of(id)));
        known.unwrap_or_else(|| {
            let label = format!("the route {route}").into();
            let gauge = self.insert(Gauge::door(label));
            self.on_route(owner, route, gauge, now);
            gauge
        })
    }

    /// From now on a route meets this gauge too.
    fn on_route(&mut self, owner: usize, route: &Arc<str>, gauge: u32, now: Tick) {
        let Some(owner) = self.owners.get_mut(owner) else { return };
        if owner.routes.len() >= MOST_ROUTES && !owner.routes.contains_key(route) {
            let gauges = &mut self.gauges;
            owner.routes.retain(|_, ids| {
                ids.retain(|id| {
                    let is_idle = gauges.get_mut(*id as usize).is_none_or(|gauge| gauge.is_idle(now));
                    if is_idle && gauges.get(*id as usize).is_some_and(|gauge| !gauge.shared) {
                        gauges.try_remove(*id as usize);
                    }
                    !is_idle
                });
                !ids.is_empty()
            });
        }
        let gauges = owner.routes.entry(route.clone()).or_default();
        if !gauges.contains(&gauge) {
            gauges.push(gauge);
        }
    }

    /// A service says what is left of a budget.
    fn budget(&mut self, set: &Set, heard: &Heard<'_>, budget: &Budget, now: Tick) {
        let Some(gauge) = self.gauge_of(set, heard, budget, now) else { return };
        if let (Some(remaining), Some(reset)) = (budget.remaining(), budget.reset())
            && let Some(entry) = self.gauges.get_mut(gauge as usize)
        {
            let resets_at = now.saturating_add(Tick::try_from(reset.as_nanos()).unwrap_or(Tick::MAX / 4));
            let before = entry.quota.as_deref().filter(|quota| !quota.is_over(now));
            // Answers may overtake each other: what was sent later knows more.
            let is_newer = before.is_none_or(|before| before.seen() <= heard.sent);
            if is_newer && reset <= FARTHEST_RESET {
                let quota = Quota::new(budget.limit(), remaining, entry.flying, resets_at, heard.sent).after(before);
                entry.quota = Some(Box::new(quota));
                self.touch(gauge, now);
            }
        }
    }

    /// The gauge that a budget speaks of; one that nobody declared is made.
    fn gauge_of(&mut self, set: &Set, heard: &Heard<'_>, budget: &Budget, now: Tick) -> Option<u32> {
        let length = budget.window().map(|window| Tick::try_from(window.as_nanos()).unwrap_or(Tick::MAX / 4));
        let find = |fits: &dyn Fn(&Gauge) -> bool| {
            set.gauges().iter().copied().find(|id| self.gauges.get(*id as usize).is_some_and(fits))
        };
        let named = find(&|gauge| gauge.name.is_some() && gauge.name.as_deref() == budget.name());
        let counted = |gauge: &Gauge| match &gauge.meter {
            Meter::Sliding(sliding) => {
                let count = u64::from(sliding.count());
                let same_length = length.is_none_or(|length| length == sliding.length());
                same_length && budget.limit().map_or(gauge.declared && length.is_some(), |limit| limit == count)
            }
            _ => false,
        };
        if let Some(gauge) = named.or_else(|| find(&counted)) {
            return Some(gauge);
        }
        let owner = usize::try_from(heard.owner).ok()?;
        let name = budget.name().unwrap_or_default();
        let known = &self.owners.get(owner)?.budgets;
        let known = known.iter().find(|(other, limit, _)| &**other == name && *limit == budget.limit());
        let gauge = match known {
            Some((_, _, gauge)) => *gauge,
            None if self.owners.get(owner).is_some_and(|owner| owner.budgets.len() >= MOST_BUDGETS) => return None,
            None => {
                let gauge = self.new_budget(name, budget);
                self.owners.get_mut(owner)?.budgets.push((name.into(), budget.limit(), gauge));
                self.tell(|state| Event::Learned { limit: state.label(gauge) });
                gauge
            }
        };
        if !set.gauges().contains(&gauge) {
            match heard.route {
                Some(route) => self.on_route(owner, route, gauge, now),
                None => {
                    let everywhere = &mut self.owners.get_mut(owner)?.everywhere;
                    if !everywhere.contains(&gauge) {
                        everywhere.push(gauge);
                    }
                }
            }
        }
        Some(gauge)
    }

    fn new_budget(&mut self, name: &str, budget: &Budget) -> u32 {
        let name = if name.is_empty() { "budget" } else { name };
        let count = budget.limit().and_then(|limit| u32::try_from(limit).ok()).filter(|limit| *limit > 0);
        let window = budget.window().filter(|window| !window.is_zero());
        let mut gauge = match (count, window) {
            (Some(count), Some(window)) => {
                let label = format!("learned {}: {count} per {window:?}", name.escape_debug());
                let meter = Meter::Sliding(super::meter::Sliding::new(count, window));
                Gauge::new(label.into(), meter, Anchor::Response)
            }
            (Some(count), None) => Gauge::door(format!("learned {}: {count}", name.escape_debug()).into()),
            (None, _) => Gauge::door(format!("learned {}", name.escape_debug()).into()),
        };
        gauge.shared = true;
        self.insert(gauge)
    }

    /// Lets what searches for an unknown limit know; tells whether there is one.
    fn teach(&mut self, set: &Set, heard: &Heard<'_>, refused: bool, now: Tick) -> bool {
        let is_learner =
            |id: &u32| self.gauges.get(*id as usize).is_some_and(|gauge| matches!(gauge.meter, Meter::Learner(_)));
        let Some(id) = set.gauges().iter().copied().find(is_learner) else { return false };
        let Some(gauge) = self.gauges.get_mut(id as usize) else { return false };
        let Meter::Learner(learner) = &mut gauge.meter else { return false };
        let change = if refused { learner.refused(heard.sent, now) } else { learner.accepted(heard.sent, now) };
        if change {
            let found = learner.found();
            if let Some(label) = found.map(|(count, window)| format!("learned: {count} per {window:?} of the account"))
            {
                gauge.label = label.into();
                self.tell(|state| Event::Learned { limit: state.label(id) });
            } else {
                self.tell(|state| Event::Unlearned { limit: state.label(id) });
                if let Some(gauge) = self.gauges.get_mut(id as usize) {
                    gauge.label = SEARCHED.into();
                }
            }
        }
        self.touch(id, now);
        true
    }

    /// Makes what searches for an account's limit, from what was found before if anything was.
    pub(super) fn learner_of(&mut self, owner: u32, learner: Learner) {
        let found = learner.found();
        let label = found.map_or_else(
            || SEARCHED.to_owned(),
            |(count, window)| format!("learned: {count} per {window:?} of the account"),
        );
        let mut gauge = Gauge::new(label.into(), Meter::Learner(Box::new(learner)), Anchor::ResponseLessRoundTrip);
        gauge.shared = true;
        let id = self.insert(gauge);
        if let Some(owner) = usize::try_from(owner).ok().and_then(|owner| self.owners.get_mut(owner)) {
            owner.learner = Some(id);
        }
    }
}

/// What pauses after a refusal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paused {
    pub(super) gauge: u32,
    pub(super) blame: Blame,
    pub(super) is_new: bool,
}

/// What a learner is called before it has found anything.
const SEARCHED: &str = "an unknown limit of the account";
/// A refusal without a word of how long: a second, doubled while refusals follow each other, to a minute.
const PAUSE: Tick = 1_000_000_000;
const LONGEST_SHIFT: u8 = 6;
/// A reset beyond a day is for people to act on.
const FARTHEST_RESET: std::time::Duration = std::time::Duration::from_secs(24 * 60 * 60);
/// An API has some hundred routes.
const MOST_ROUTES: usize = 1024;
/// And a handful of budgets.
const MOST_BUDGETS: usize = 64;
