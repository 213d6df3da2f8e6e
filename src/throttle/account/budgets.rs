//! Budgets: the limits that a service states in its responses, and that are not declared.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::gates::MOST_ROUTES;
use crate::event::Event;
use crate::hint::Budget;
use crate::limit::Anchor;
use crate::throttle::ids::LimiterId;
use crate::throttle::limiter::Limiter;
use crate::throttle::limiter::window::Counter;
use crate::throttle::limiter::window::sliding::Sliding;
use crate::throttle::limiters::{Editing, Limiters};
use crate::throttle::request::Attribution;
use crate::throttle::time::{Tick, nanos};

/// The budgets that a service states to one account.
#[derive(Debug, Default)]
pub(in crate::throttle) struct Budgets(Vec<StatedBudget>);

/// A budget that a service states, by its name, to one credential.
///
/// The budget is assumed to be shared by all routes of the method that stated it (GET and HEAD count as one), and by
/// other methods once one of them states the same: many services count requests that begin work separately from those
/// that read, and a poll must not wait for an hour because a submit has spent its own budget. If a route states a
/// budget that cannot be the same, each route has its own from then on. A wrong guess that lasted would hold back a
/// route that is free.
#[derive(Debug)]
struct StatedBudget {
    name: Box<str>,
    credential: u64,
    shares: Shares,
}

/// The routes that share a budget.
#[derive(Debug)]
enum Shares {
    All {
        limiter: LimiterId,
        /// The route that last stated the budget.
        stated_by: Option<Arc<str>>,
        /// Whether routes of several methods have stated the budget, or requests whose route is unknown.
        by_several: bool,
    },
    Each(HashMap<Arc<str>, LimiterId>),
}

impl StatedBudget {
    /// Returns the limiter that counts a request.
    fn limiter(&self, attribution: &Attribution) -> Option<LimiterId> {
        match &self.shares {
            _ if self.credential != attribution.credential => None,
            Shares::All { .. } if self.is_unseen(attribution) => None,
            Shares::All { limiter, .. } => Some(*limiter),
            Shares::Each(limiters) => limiters.get(attribution.route.as_ref()?).copied(),
        }
    }

    /// Returns whether only routes of another method have stated the budget so far.
    fn is_unseen(&self, attribution: &Attribution) -> bool {
        match (&self.shares, &attribution.route) {
            (Shares::All { stated_by: Some(stated_by), by_several: false, .. }, Some(route)) => {
                method_of(stated_by) != method_of(route)
            }
            _ => false,
        }
    }

    fn ids(&self) -> Vec<LimiterId> {
        match &self.shares {
            Shares::All { limiter, .. } => vec![*limiter],
            Shares::Each(limiters) => limiters.values().copied().collect(),
        }
    }

    /// Returns the limiter of a response's route, created if there is none; `None` if there are too many. A limiter
    /// whose budget turns out to be another counts as changed.
    fn limiter_for(
        &mut self,
        attribution: &Attribution,
        budget: &Budget,
        others: u32,
        editing: &mut Editing<'_>,
    ) -> Option<LimiterId> {
        let now = editing.now;
        if let Shares::All { limiter, stated_by, by_several } = &mut self.shares {
            let id = *limiter;
            let is_unnamed = stated_by.is_none() || attribution.route.is_none();
            let is_same_method = stated_by.as_deref().map(method_of) == attribution.route.as_deref().map(method_of);
            let is_contradicted =
                *stated_by != attribution.route && contradicts(editing.limiters.of(id), budget, others, now);
            if !is_contradicted {
                *by_several |= is_unnamed || is_known(editing.limiters.of(id), now) && !is_same_method;
                stated_by.clone_from(&attribution.route);
                return Some(id);
            }
            // Requests of other routes wait there too, unless only another method is separated: they restart by a ramp,
            // and the next responses state what they have left.
            if *by_several || is_same_method {
                editing.limiters.of_mut(id).doubt(now);
            }
            editing.changed.push(id);
            self.shares = Shares::Each(stated_by.take().map(|route| (route, id)).into_iter().collect());
        }
        let route = attribution.route.as_ref()?;
        let Shares::Each(by_route) = &mut self.shares else { return None };
        if by_route.contains_key(route) || by_route.len() >= MOST_ROUTES {
            return by_route.get(route).copied();
        }
        let id = new_limiter(budget, editing);
        by_route.insert(route.clone(), id);
        Some(id)
    }
}

impl Budgets {
    pub(in crate::throttle) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the limiters that count a request.
    pub(in crate::throttle) fn limiters(&self, attribution: &Attribution) -> impl Iterator<Item = LimiterId> {
        self.0.iter().filter_map(|stated| stated.limiter(attribution))
    }

    /// Returns whether little is left of a budget that the route of a request was never seen to share, and may.
    pub(in crate::throttle) fn is_doubtful(&self, attribution: &Attribution, limiters: &Limiters, now: Tick) -> bool {
        let holds_back = |id: &LimiterId| {
            let rest = limiters.of(*id).advertised();
            rest.is_some_and(|rest| !rest.is_over(now) && rest.holds_back())
        };
        self.0.iter().any(|stated| {
            stated.credential == attribution.credential
                && stated.is_unseen(attribution)
                && stated.ids().iter().any(holds_back)
        })
    }

    /// Returns the limiter of an undeclared budget, created if there is none; `None` if there are too many.
    /// `others` requests of the account are in flight.
    pub(in crate::throttle) fn record(
        &mut self,
        attribution: &Attribution,
        budget: &Budget,
        others: u32,
        editing: &mut Editing<'_>,
    ) -> Option<LimiterId> {
        // Budgets without a name are distinguished by their windows.
        let by_window = || budget.window().map(|window| format!("{window:?}"));
        let name = budget.name().map(str::to_owned).or_else(by_window).unwrap_or_default();
        let is_it = |stated: &StatedBudget| *stated.name == *name && stated.credential == attribution.credential;
        let known = self.0.iter().position(is_it);
        let count = self.0.len();
        let id = match known.and_then(|at| self.0.get_mut(at)) {
            Some(stated) => stated.limiter_for(attribution, budget, others, editing)?,
            None if count >= MOST_BUDGETS => return None,
            None => {
                let limiter = new_limiter(budget, editing);
                let stated_by = attribution.route.clone();
                let by_several = stated_by.is_none();
                let shares = Shares::All { limiter, stated_by, by_several };
                self.0.push(StatedBudget { name: name.into(), credential: attribution.credential, shares });
                limiter
            }
        };
        restate(id, budget, editing);
        Some(id)
    }

    /// Returns the name by which other processes know a budget; `None` if the limiter is not one of a budget.
    pub(in crate::throttle) fn subject_of(&self, id: LimiterId, route: Option<&str>) -> Option<String> {
        let stated = self.0.iter().find(|stated| stated.ids().contains(&id))?;
        // Budgets that are shared by a method are known by it until a response shows otherwise.
        let of = match &stated.shares {
            Shares::All { .. } => route.map_or("", method_of),
            Shares::Each(_) => route.unwrap_or_default(),
        };
        Some(format!("budget {:x} {of} {}", stated.credential, stated.name))
    }

    /// Returns the name by which other processes know a budget that pauses.
    pub(in crate::throttle) fn subject_of_pause(&self, id: LimiterId) -> Option<String> {
        let route = self.0.iter().find_map(|stated| match &stated.shares {
            Shares::All { limiter, stated_by, .. } if *limiter == id => Some(stated_by.clone()),
            Shares::Each(limiters) => {
                limiters.iter().find(|(_, own)| **own == id).map(|(route, _)| Some(route.clone()))
            }
            Shares::All { .. } => None,
        })?;
        self.subject_of(id, route.as_deref())
    }

    /// Returns the limiter of a budget that other processes know by a name.
    pub(in crate::throttle) fn limiter_of_subject(&self, subject: &str) -> Option<LimiterId> {
        self.0.iter().find_map(|stated| {
            let start = format!("budget {:x} ", stated.credential);
            let of = subject.strip_prefix(&start)?.strip_suffix(&*stated.name)?.strip_suffix(' ')?;
            match &stated.shares {
                Shares::All { limiter, .. } => Some(*limiter),
                Shares::Each(limiters) => limiters.get(of).copied(),
            }
        })
    }

    /// Forgets all budgets.
    pub(in crate::throttle) fn clear(&mut self) {
        self.0.clear();
    }

    /// Returns all limiters, in the order in which they were made.
    pub(in crate::throttle) fn ids(&self) -> Vec<LimiterId> {
        let mut ids: Vec<_> = self.0.iter().flat_map(StatedBudget::ids).collect();
        ids.sort_unstable();
        ids
    }

    pub(in crate::throttle) fn retain(&mut self, mut is_kept: impl FnMut(LimiterId) -> bool) {
        self.0.retain_mut(|stated| match &mut stated.shares {
            Shares::All { limiter, .. } => is_kept(*limiter),
            Shares::Each(limiters) => {
                limiters.retain(|_, limiter| is_kept(*limiter));
                !limiters.is_empty()
            }
        });
    }
}

fn new_limiter(budget: &Budget, editing: &mut Editing<'_>) -> LimiterId {
    let name = budget.name().unwrap_or("budget");
    let label: Arc<str> = match budget.limit() {
        Some(limit) => format!("learned {}: {limit}", name.escape_debug()).into(),
        None => format!("learned {}", name.escape_debug()).into(),
    };
    if budget.remaining().is_some() && budget.reset().is_some() {
        editing.effects.report(|| Event::Learned { limit: label.clone() });
    }
    editing.limiters.add(Limiter::new(label, Counter::Unlimited, Anchor::Response))
}

/// Keeps a count over the length that a service states, in place of the length that it stated before.
fn restate(id: LimiterId, budget: &Budget, editing: &mut Editing<'_>) {
    let limiter = editing.limiters.of_mut(id);
    let count = budget.limit().and_then(|limit| u32::try_from(limit).ok()).filter(|count| *count > 0);
    let window = budget.window().filter(|window| *window <= LONGEST_STATED);
    // A rest that the service states takes precedence over our own count.
    let has_rest = budget.remaining().is_some() && budget.reset().is_some();
    let (Some(count), Some(window), false) = (count, window, has_rest) else { return };
    let name = budget.name().unwrap_or("budget");
    let label = format!("learned {}: {count} per {window:?}", name.escape_debug());
    if *limiter.label == *label {
        return;
    }
    match limiter.counter_mut() {
        Counter::Sliding(sliding) if sliding.length() == nanos(window) => sliding.change(count),
        _ => limiter.set_counter(Counter::Sliding(Sliding::new(count, window))),
    }
    limiter.label = label.into();
    editing.effects.report(|| Event::Learned { limit: limiter.label.clone() });
}

/// Returns whether there is a value that a budget can be compared with.
fn is_known(limiter: &Limiter, now: Tick) -> bool {
    let counts = !matches!(limiter.counter(), Counter::Unlimited);
    limiter.advertised().map_or(counts, |rest| rest.is_told(now))
}

/// Returns whether a budget cannot be the budget that a limiter knows: it has another limit, another end, or a rest
/// that is far from the expected rest.
fn contradicts(limiter: &Limiter, budget: &Budget, others: u32, now: Tick) -> bool {
    let Some(rest) = limiter.advertised().filter(|rest| rest.is_told(now)) else { return false };
    let resets_at = budget.reset().map(|reset| now.saturating_add(nanos(reset)));
    rest.contradicts(budget.limit(), budget.remaining(), resets_at, limiter.in_flight.max(others), now)
}

/// Returns the method of a route; methods that only read count as one.
fn method_of(route: &str) -> &str {
    match route.split_once(' ').map_or(route, |(method, _)| method) {
        "HEAD" | "OPTIONS" => "GET",
        method => method,
    }
}

/// An API states a handful of budgets.
const MOST_BUDGETS: usize = 64;
/// A longer window is not kept on a service's word alone: no service has one, and a mistake would hold requests back
/// for a year.
const LONGEST_STATED: Duration = Duration::from_secs(31 * 24 * 60 * 60);
