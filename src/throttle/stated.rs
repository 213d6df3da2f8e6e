//! Stated: a budget that a service tells of in its answers, and nobody declared.

use std::collections::HashMap;
use std::sync::Arc;

use super::gauge::Gauge;
use super::meter::{Meter, Sliding, Tick, nanos};
use super::owners::{About, MOST_ROUTES};
use super::quota::Quota;
use super::state::State;
use crate::event::Event;
use crate::hint::Budget;
use crate::limit::Anchor;

/// A budget that a service tells of, by its name, to one credential.
///
/// It is taken to be one for all routes of the method that told of it (GET and HEAD are one), and for the others once
/// one of them tells of the same: many services count what begins work apart from what reads, and a poll is not to stand
/// for an hour because a submit has spent its own budget. Where a route tells what cannot be of the same, each has its own
/// from then on. Wrong too long it would let a route stand that is free.
#[derive(Debug)]
pub(super) struct Stated {
    name: Box<str>,
    credential: u64,
    whose: Whose,
}

#[derive(Debug)]
enum Whose {
    All {
        gauge: u32,
        told: Option<Arc<str>>,
        /// Routes of several methods have told of it, or requests of which no route is known.
        shared: bool,
    },
    Each(HashMap<Arc<str>, u32>),
}

impl Stated {
    /// The gauge that a request meets.
    pub(super) fn gauge(&self, about: &About) -> Option<u32> {
        match &self.whose {
            _ if self.credential != about.credential => None,
            Whose::All { .. } if self.is_unseen(about) => None,
            Whose::All { gauge, .. } => Some(*gauge),
            Whose::Each(gauges) => gauges.get(about.route.as_ref()?).copied(),
        }
    }

    /// Whether only routes of another method have told of it so far.
    fn is_unseen(&self, about: &About) -> bool {
        match (&self.whose, &about.route) {
            (Whose::All { told: Some(told), shared: false, .. }, Some(route)) => method_of(told) != method_of(route),
            _ => false,
        }
    }

    pub(super) fn all(&self) -> Vec<u32> {
        match &self.whose {
            Whose::All { gauge, .. } => vec![*gauge],
            Whose::Each(gauges) => gauges.values().copied().collect(),
        }
    }

    pub(super) fn retain(&mut self, is_kept: &mut impl FnMut(&mut u32) -> bool) {
        match &mut self.whose {
            Whose::All { gauge, .. } => {
                if !is_kept(gauge) {
                    self.whose = Whose::Each(HashMap::new());
                }
            }
            Whose::Each(gauges) => gauges.retain(|_, gauge| is_kept(gauge)),
        }
    }

    /// Whether nothing is known of it any more.
    pub(super) fn is_empty(&self) -> bool {
        matches!(&self.whose, Whose::Each(gauges) if gauges.is_empty())
    }
}

impl State {
    /// A route that was never seen to share a budget of which little is left begins with one request, whose answer says
    /// whether it does.
    pub(super) fn probe_unseen(&mut self, about: &About) {
        let (Some(owner), Some(route)) = (self.owner_of(about.owner), &about.route) else { return };
        let now = self.latest();
        let holds_back = |gauge: &u32| {
            let quota = self.gauges.get(*gauge as usize).and_then(|gauge| gauge.quota.as_deref());
            quota.is_some_and(|quota| !quota.is_over(now) && quota.holds_back())
        };
        let is_doubtful = |stated: &Stated| {
            stated.credential == about.credential && stated.is_unseen(about) && stated.all().iter().any(holds_back)
        };
        if owner.doors.contains_key(route) || !owner.stated.iter().any(is_doubtful) {
            return;
        }
        if let Some(door) = self.door_of(about.owner, route).and_then(|door| self.gauges.get_mut(door as usize)) {
            door.begin_slowly(now);
        }
    }

    /// The gauge of a budget that nobody declared, made where there is none.
    pub(super) fn stated(&mut self, about: &About, budget: &Budget, others: u32, now: Tick) -> Option<u32> {
        // Several without a name are told apart by their windows.
        let window = || budget.window().map(|window| format!("{window:?}"));
        let name = budget.name().map(str::to_owned).or_else(window).unwrap_or_default();
        let name = name.as_str();
        let found = self
            .owner_of(about.owner)?
            .stated
            .iter()
            .position(|stated| &*stated.name == name && stated.credential == about.credential);
        let Some(at) = found else {
            if self.owner_of(about.owner)?.stated.len() >= MOST_BUDGETS {
                return None;
            }
            let gauge = self.new_stated(budget);
            let whose = Whose::All { gauge, told: about.route.clone(), shared: about.route.is_none() };
            let stated = Stated { name: name.into(), credential: about.credential, whose };
            self.owner_mut(about.owner)?.stated.push(stated);
            return Some(gauge);
        };
        let shared = match &self.owner_of(about.owner)?.stated.get(at)?.whose {
            Whose::All { gauge, told, shared } => Some((*gauge, told.clone(), *shared)),
            Whose::Each(_) => None,
        };
        if let Some((gauge, told, was_shared)) = shared {
            let is_known = self.knows(gauge, now);
            let is_unnamed = told.is_none() || about.route.is_none();
            let is_same_method = told.as_deref().map(method_of) == about.route.as_deref().map(method_of);
            let contradicts = told != about.route && self.contradicts(gauge, budget, others, now);
            let stated = self.owner_mut(about.owner)?.stated.get_mut(at)?;
            if !contradicts {
                let shared = was_shared || is_unnamed || is_known && !is_same_method;
                stated.whose = Whose::All { gauge, told: about.route.clone(), shared };
                return Some(gauge);
            }
            stated.whose = Whose::Each(told.map(|told| (told, gauge)).into_iter().collect());
            // Those of other routes stand there too, unless only another method is told apart: they go by a ramp, and the
            // next answers tell.
            if let Some(gauge) = self.gauges.get_mut(gauge as usize).filter(|_| was_shared || is_same_method) {
                gauge.doubt(now);
            }
            self.touch(gauge, now);
        }
        let route = about.route.as_ref()?;
        match &self.owner_of(about.owner)?.stated.get(at)?.whose {
            Whose::Each(gauges) if gauges.contains_key(route) => return gauges.get(route).copied(),
            Whose::Each(gauges) if gauges.len() >= MOST_ROUTES => return None,
            _ => {}
        }
        let gauge = self.new_stated(budget);
        if let Whose::Each(gauges) = &mut self.owner_mut(about.owner)?.stated.get_mut(at)?.whose {
            gauges.insert(route.clone(), gauge);
        }
        Some(gauge)
    }

    /// Keeps a count over a length that a service states, in place of what it stated before.
    pub(super) fn restate(&mut self, gauge: u32, budget: &Budget) {
        let count = budget.limit().and_then(|limit| u32::try_from(limit).ok()).filter(|count| *count > 0);
        let window = budget.window().filter(|window| *window <= LONGEST_STATED);
        // Where the rest of it is told, that counts more than what we counted.
        let is_told = budget.remaining().is_some() && budget.reset().is_some();
        let (Some(count), Some(window), false) = (count, window, is_told) else { return };
        let name = budget.name().unwrap_or("budget");
        let label = format!("learned {}: {count} per {window:?}", name.escape_debug());
        let Some(gauge) = self.gauges.get_mut(gauge as usize) else { return };
        if *gauge.label == *label {
            return;
        }
        match &mut gauge.meter {
            Meter::Sliding(sliding) if sliding.length() == nanos(window) => sliding.change(count),
            meter => *meter = Meter::Sliding(Sliding::new(count, window)),
        }
        gauge.label = label.into();
        let limit = gauge.label.clone();
        self.tell(|_| Event::Learned { limit });
    }

    /// Whether there is something that a budget can be compared with.
    fn knows(&self, gauge: u32, now: Tick) -> bool {
        let Some(gauge) = self.gauges.get(gauge as usize) else { return false };
        gauge.quota.as_deref().map_or(!matches!(gauge.meter, Meter::Door), |quota| quota.is_told(now))
    }

    /// Whether a budget cannot be the one that this gauge knows: another limit, another end, or a rest that is far from
    /// what it should be.
    fn contradicts(&self, gauge: u32, budget: &Budget, others: u32, now: Tick) -> bool {
        let Some(gauge) = self.gauges.get(gauge as usize) else { return true };
        let Some(quota) = gauge.quota.as_deref().filter(|quota| quota.is_told(now)) else { return false };
        let resets_at = budget.reset().map(|reset| now.saturating_add(nanos(reset)));
        quota.contradicts(budget.limit(), budget.remaining(), resets_at, gauge.flying.max(others), now)
    }

    fn new_stated(&mut self, budget: &Budget) -> u32 {
        let name = budget.name().unwrap_or("budget");
        let label = match budget.limit() {
            Some(limit) => format!("learned {}: {limit}", name.escape_debug()),
            None => format!("learned {}", name.escape_debug()),
        };
        let counts = budget.remaining().is_some() && budget.reset().is_some();
        let gauge = Gauge::new(label.into(), Meter::Door, Anchor::Response);
        if counts {
            let limit = gauge.label.clone();
            self.tell(|_| Event::Learned { limit });
        }
        self.insert(gauge)
    }
}

impl Quota {
    fn is_told(&self, now: Tick) -> bool {
        !self.is_over(now) && !self.is_guess()
    }

    /// Whether these numbers cannot be of the same budget, but for `flying` requests and a tenth.
    fn contradicts(
        &self,
        limit: Option<u64>,
        remaining: Option<u64>,
        resets_at: Option<Tick>,
        flying: u32,
        now: Tick,
    ) -> bool {
        let other_limit = limit.is_some_and(|limit| limit != self.limit());
        let slack = u64::from(flying) + (self.limit() / 10).max(3);
        let other_rest = remaining.is_some_and(|remaining| remaining.abs_diff(self.remaining()) > slack);
        // A sliding reset moves on with the time.
        let elapsed = now.saturating_sub(self.seen());
        let other_end = resets_at.is_some_and(|at| {
            at.saturating_add(SLACK) < self.resets_at()
                || at > self.resets_at().saturating_add(elapsed).saturating_add(SLACK)
        });
        other_limit || other_rest || other_end
    }
}

/// The method of a route; one for all that only read.
fn method_of(route: &str) -> &str {
    match route.split_once(' ').map_or(route, |(method, _)| method) {
        "HEAD" | "OPTIONS" => "GET",
        method => method,
    }
}

/// An API tells of a handful of budgets.
const MOST_BUDGETS: usize = 64;
/// A longer window is not kept on a service's word alone: no service has one, and a mistake would stand for a year.
const LONGEST_STATED: std::time::Duration = std::time::Duration::from_secs(31 * 24 * 60 * 60);
/// Clocks and rounding: 5 seconds.
const SLACK: Tick = 5_000_000_000;
