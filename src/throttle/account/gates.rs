//! Gates: routes and hosts of an account whose refusals no declared limit explains, and that pause on their own.

use std::collections::HashMap;
use std::sync::Arc;

use crate::throttle::ids::LimiterId;
use crate::throttle::limiter::Limiter;
use crate::throttle::limiters::Limiters;
use crate::throttle::request::host_of;
use crate::throttle::time::Tick;

/// The gates of routes and hosts, and the last refusals among them.
#[derive(Debug, Default)]
pub(in crate::throttle) struct Gates {
    gates: HashMap<Arc<str>, LimiterId>,
    /// The last route that was refused without a declared limit, and the time.
    pub(in crate::throttle) refused: Option<(Arc<str>, Tick)>,
    /// The last route that was unavailable, and the time.
    pub(in crate::throttle) unavailable: Option<(Arc<str>, Tick)>,
}

impl Gates {
    pub(in crate::throttle) fn is_empty(&self) -> bool {
        self.gates.is_empty()
    }

    /// Returns the gate of a route or a host, created if there is none; `None` if there are too many.
    pub(in crate::throttle) fn make(&mut self, name: &Arc<str>, limiters: &mut Limiters) -> Option<LimiterId> {
        if self.gates.contains_key(name) || self.gates.len() >= MOST_ROUTES {
            return self.gates.get(name).copied();
        }
        let kind = if name.contains(' ') { "route" } else { "host" };
        let gate = limiters.add(Limiter::gate(format!("the {kind} {name}").into()));
        self.gates.insert(name.clone(), gate);
        Some(gate)
    }

    /// Returns the route or the host whose gate this is.
    pub(in crate::throttle) fn name_of(&self, gate: LimiterId) -> Option<&Arc<str>> {
        self.gates.iter().find(|(_, id)| **id == gate).map(|(name, _)| name)
    }

    pub(in crate::throttle) fn has(&self, name: &str) -> bool {
        self.gates.contains_key(name)
    }

    /// Returns the gates for requests of a route: its own, and its host's.
    pub(in crate::throttle) fn of_route(&self, route: &str) -> impl Iterator<Item = LimiterId> {
        [route, host_of(route)].into_iter().filter_map(|name| self.gates.get(name).copied())
    }

    /// Returns all gates, in the order of their names.
    pub(in crate::throttle) fn ids(&self) -> Vec<LimiterId> {
        let mut gates: Vec<_> = self.gates.iter().collect();
        gates.sort_unstable();
        gates.into_iter().map(|(_, gate)| *gate).collect()
    }

    pub(in crate::throttle) fn retain(&mut self, mut is_kept: impl FnMut(LimiterId) -> bool) {
        self.gates.retain(|_, gate| is_kept(*gate));
    }
}

/// An API has some hundred routes.
pub(in crate::throttle) const MOST_ROUTES: usize = 1024;
