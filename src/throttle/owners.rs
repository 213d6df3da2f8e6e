//! Owners: the accounts of a throttle, and what a request of one meets.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use http::Method;

use super::feedback::Feedback;
use super::gauge::Gauge;
use super::meter::Tick;
use super::rule::{Gauges, Rule};
use super::set::Set;
use super::state::State;
use super::stated::Stated;
use crate::message::{Class, write_route};

/// What a request is, for the rules.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker<'a> {
    pub(crate) owner: u32,
    /// It goes to an origin that is neither the account's own nor allowed.
    pub(crate) is_foreign: bool,
    pub(crate) credential: &'a str,
    pub(crate) host: &'a str,
    pub(crate) method: Option<&'a Method>,
    pub(crate) path: &'a str,
    pub(crate) kind: Option<&'a str>,
    pub(crate) task: u64,
}

/// What answers are attached to: whose request it was, by which credential, on which route.
#[derive(Clone, Debug, Default)]
pub(super) struct About {
    pub(super) owner: u32,
    /// A hash; 0 for none.
    pub(super) credential: u64,
    /// Its method and path, with what looks like an id left out, where answers may teach of it.
    pub(super) route: Option<Arc<str>>,
    /// Keeps the owner, for as long as an answer may come.
    _lease: Option<Arc<()>>,
}

/// An account at a service. The first stands for all of them.
#[derive(Debug)]
pub(super) struct Owner {
    pub(super) origin: String,
    pub(super) account: String,
    /// Of a foreign host, the account that asks it.
    pub(super) home: Option<u32>,
    /// Until when its user stopped it: hosts that are first asked meanwhile are stopped too.
    pub(super) held_until: Tick,
    /// Who has a handle of it.
    pub(super) lease: Weak<()>,
    pub(super) rules: Vec<Rule>,
    /// Its door: everybody of it goes through, and it pauses when the account does.
    pub(super) door: u32,
    /// The doors of routes and of hosts that were refused by no declared limit.
    pub(super) doors: HashMap<Arc<str>, u32>,
    /// Budgets that answers told of.
    pub(super) stated: Vec<Stated>,
    /// What looks for its unknown limit.
    pub(super) learner: Option<u32>,
    /// The last route that was refused so, and when.
    pub(super) refused: Option<(Arc<str>, u64)>,
    /// The last route that was unavailable, and when.
    pub(super) unavailable: Option<(Arc<str>, u64)>,
}

impl Owner {
    pub(super) fn new(origin: &str, account: &str, door: u32) -> Self {
        Self {
            origin: origin.to_owned(),
            account: account.to_owned(),
            home: None,
            held_until: 0,
            lease: Weak::new(),
            rules: Vec::new(),
            door,
            doors: HashMap::new(),
            stated: Vec::new(),
            learner: None,
            refused: None,
            unavailable: None,
        }
    }

    pub(super) fn doors(&self) -> impl Iterator<Item = u32> + use<'_> {
        self.doors.values().copied()
    }
}

impl State {
    pub(super) fn owner_of(&self, owner: u32) -> Option<&Owner> {
        self.owners.get(owner)
    }

    pub(super) fn owner_mut(&mut self, owner: u32) -> Option<&mut Owner> {
        self.owners.get_mut(owner)
    }

    /// Finds the gauges that a request meets.
    pub(super) fn meet(&mut self, asker: &Asker<'_>, class: Class) -> (Set, About) {
        // Before any is looked up.
        self.sweep();
        let mut set = Set::default();
        // Its limits per host count a foreign request too, each host for itself; nothing else of the account does.
        let owner = if asker.is_foreign { self.foreign(asker.owner, asker.host) } else { asker.owner };
        set.add(self.owner_of(owner).map_or(0, |owner| owner.door));
        let mut declared = false;
        let mut unknown: Vec<(u32, usize, String)> = Vec::new();
        let both = [0, asker.owner];
        for owner in both.iter().take(if asker.owner == 0 { 1 } else { 2 }) {
            let Some(rules) = self.owner_of(*owner).map(|owner| &owner.rules) else { continue };
            for (at, rule) in rules.iter().enumerate() {
                let Some(key) = rule.matches(asker, class).filter(|_| !asker.is_foreign || rule.counts_foreign())
                else {
                    continue;
                };
                declared |= !rule.limit.is_soft();
                match &rule.gauges {
                    Gauges::One(gauge) => set.add(*gauge),
                    Gauges::ByKey(gauges) => match gauges.get(key.as_ref()) {
                        Some(gauge) => set.add_keyed(*gauge),
                        None => unknown.push((*owner, at, key.into_owned())),
                    },
                }
            }
        }
        for (owner, rule, key) in unknown {
            let gauge = self.add_key(owner, rule, key);
            set.add_keyed(gauge);
        }
        let learns = self.feedback.reads_answers();
        let about = About {
            owner,
            _lease: self.lease(owner),
            credential: if learns { hash(asker.credential) } else { 0 },
            route: asker.method.is_some().then(|| self.route_of(asker)),
        };
        self.probe_unseen(&about);
        self.unmet(&about, &set).into_iter().for_each(|gauge| set.add_keyed(gauge));
        if !declared
            && self.feedback == Feedback::Learn
            && let Some(learner) = self.owner_of(owner).and_then(|owner| owner.learner)
        {
            set.add(learner);
        }
        (set, about)
    }

    /// The gauges that answers have made, and that a request should meet and does not.
    pub(super) fn unmet(&self, about: &About, set: &Set) -> Vec<u32> {
        let Some(owner) = self.owner_of(about.owner) else { return Vec::new() };
        if owner.doors.is_empty() && owner.stated.is_empty() {
            return Vec::new();
        }
        let names = about.route.as_deref().map(|route| [route, host_of(route)]);
        let doors = names.into_iter().flatten().filter_map(|name| owner.doors.get(name).copied());
        let stated = owner.stated.iter().filter_map(|stated| stated.gauge(about));
        let mut unmet: Vec<u32> = doors.chain(stated).filter(|id| !set.gauges().contains(id)).collect();
        unmet.dedup();
        unmet
    }

    /// The route of a request, which its answers are attached to. Most requests go where the one before went.
    fn route_of(&mut self, asker: &Asker<'_>) -> Arc<str> {
        self.text.clear();
        write_route(&mut self.text, asker.method, asker.host, asker.path);
        if *self.last_route != *self.text {
            self.last_route = self.text.as_str().into();
        }
        self.last_route.clone()
    }

    pub(super) fn insert(&mut self, gauge: Gauge) -> u32 {
        u32::try_from(self.gauges.insert(gauge)).unwrap_or(u32::MAX)
    }
}

/// The host of a route, as [`write_route`] writes it.
pub(super) fn host_of(route: &str) -> &str {
    let behind = route.split_once(' ').map_or(route, |(_, behind)| behind);
    behind.split_once('/').map_or(behind, |(host, _)| host)
}

/// FNV-1a: it tells credentials apart, whose names are no secrets.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// An API has some hundred routes.
pub(super) const MOST_ROUTES: usize = 1024;
