//! Rules: which limits are installed, for whom, and which of them a request meets.

use std::collections::HashMap;
use std::sync::Arc;

use http::Method;

use super::feedback::Feedback;
use super::gauge::Gauge;
use super::learner::Learner;
use super::meter::{Meter, Tick};
use super::set::Set;
use super::state::State;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind};
use crate::limit::{Limit, Route, Scope, Window};
use crate::message::Class;

/// What a request is, for the rules.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker<'a> {
    pub(crate) owner: u32,
    pub(crate) credential: &'a str,
    pub(crate) host: &'a str,
    pub(crate) method: Option<&'a Method>,
    pub(crate) path: &'a str,
    pub(crate) kind: Option<&'a str>,
    pub(crate) task: u64,
}

/// An account at a service.
#[derive(Debug)]
pub(super) struct Owner {
    origin: String,
    account: String,
    /// Its door: everybody of it goes through, and it pauses when the account does.
    pub(super) door: u32,
    /// Routes that are known from answers alone, and the gauges that stand for them.
    pub(super) routes: HashMap<Arc<str>, Vec<u32>>,
    /// Budgets that answers told of, by name and limit.
    pub(super) budgets: Vec<(Box<str>, Option<u64>, u32)>,
    /// Those among them that all its requests meet.
    pub(super) everywhere: Vec<u32>,
    /// What looks for its unknown limit.
    pub(super) learner: Option<u32>,
}

/// One window of a limit, for an account, or for all.
#[derive(Debug)]
pub(super) struct Rule {
    owner: u32,
    scope: Scope,
    route: Option<Route>,
    pub(super) limit: Limit,
    pub(super) window: Window,
    gauges: Gauges,
}

/// The gauges of a rule.
#[derive(Debug)]
enum Gauges {
    One(u32),
    /// One for each host, credential or named segment.
    ByKey(HashMap<String, u32>),
}

/// What a request meets.
#[derive(Debug)]
pub(super) struct Met {
    pub(super) set: Set,
    /// Its method and path, with what looks like an id left out, where no declared limit counts it.
    pub(super) route: Option<Arc<str>>,
}

impl State {
    /// The number of an account at a service.
    pub(super) fn owner(&mut self, origin: &str, account: &str) -> u32 {
        let known = self.owners.iter().position(|owner| owner.origin == origin && owner.account == account);
        let at = known.unwrap_or_else(|| {
            let label = match account {
                "" => "the account".to_owned(),
                account => format!("the account {}", account.escape_debug()),
            };
            let door = self.insert(Gauge::door(label.into()));
            let (origin, account) = (origin.to_owned(), account.to_owned());
            self.owners.push(Owner {
                origin,
                account,
                door,
                routes: HashMap::new(),
                budgets: Vec::new(),
                everywhere: Vec::new(),
                learner: None,
            });
            self.owners.len() - 1
        });
        let at = u32::try_from(at).unwrap_or(0);
        if known.is_none() && self.feedback == Feedback::Learn {
            self.learner_of(at, Learner::new());
        }
        at
    }

    /// Installs a limit; a window that is there already is shared, and one that contradicts it is an error.
    pub(super) fn install(&mut self, owner: u32, base: &str, limit: &Limit) -> Result<(), Error> {
        limit.check()?;
        if let Some(window) = limit.repeated() {
            let why = format!("the limit `{limit}` has two windows as long as `{window}`: which counts?");
            return Err(Error::new(ErrorKind::Config, why));
        }
        for window in limit.windows() {
            let same = self.rules.iter().find(|rule| rule.is_of(owner, limit, window));
            if let Some(rule) = same.filter(|rule| rule.window != *window || !rule.agrees(limit)) {
                let why = format!(
                    "the limit `{limit}` contradicts `{}`, which is kept already for the same requests: give all \
                     clients of an account the same limits, or change one with `Throttle::change`; a profile's own \
                     are left out with `Profile::without_limits`",
                    rule.limit
                );
                return Err(Error::new(ErrorKind::Config, why));
            }
        }
        for window in limit.windows() {
            if !self.rules.iter().any(|rule| rule.is_of(owner, limit, window)) {
                self.add_rule(owner, base, limit, window)?;
            }
        }
        Ok(())
    }

    /// Gives the windows of limits other amounts, what was counted kept; everybody who waits is looked at again.
    pub(super) fn change(&mut self, owner: u32, limit: &Limit, now: Tick) -> Result<(), Error> {
        limit.check()?;
        let find = |window: &Window| self.rules.iter().position(|rule| rule.is_of(owner, limit, window));
        let Some(found) = limit.windows().iter().map(find).collect::<Option<Vec<_>>>() else {
            let kept: Vec<_> = self.limits(owner).iter().map(ToString::to_string).collect();
            let why = format!(
                "`{limit}` changes none that is kept here, which are [{}]: the scope and the lengths of the windows must \
                 be the same, and `Client::throttle` is the handle for a client's own",
                kept.join(", ")
            );
            return Err(Error::new(ErrorKind::Config, why));
        };
        for (at, window) in found.into_iter().zip(limit.windows()) {
            let Some(rule) = self.rules.get_mut(at) else { continue };
            rule.window.clone_from(window);
            rule.limit.set(window);
            let Some(rule) = self.rules.get(at) else { continue };
            for id in rule.gauges.all() {
                let label =
                    rule.label(self.gauges.get(id as usize).and_then(|gauge| key_of(&gauge.label)), &self.owners);
                if let Some(gauge) = self.gauges.get_mut(id as usize) {
                    gauge.meter.change(window, &rule.limit, self.clock);
                    gauge.label = label;
                }
            }
            for id in rule.gauges.all() {
                self.touch(id, now);
            }
        }
        Ok(())
    }

    /// Keeps the windows of a limit no longer; tells whether there were any. Who waited for them goes.
    pub(super) fn drop_limit(&mut self, owner: u32, limit: &Limit, now: Tick) -> bool {
        let is_it = |rule: &Rule| limit.windows().iter().any(|window| rule.is_of(owner, limit, window));
        let gone: Vec<Rule> = self.rules.extract_if(.., |rule| is_it(rule)).collect();
        for id in gone.iter().flat_map(|rule| rule.gauges.all()) {
            if let Some(gauge) = self.gauges.get_mut(id as usize) {
                // Those who hold it meet a door that is open.
                (gauge.meter, gauge.declared) = (Meter::Door, false);
            }
            self.touch(id, now);
        }
        !gone.is_empty()
    }

    /// The limits of an account, each window for itself.
    pub(super) fn limits(&self, owner: u32) -> Vec<Limit> {
        self.rules.iter().filter(|rule| rule.owner == owner).map(|rule| rule.limit.only(&rule.window)).collect()
    }

    /// Finds the gauges that a request meets.
    pub(super) fn meet(&mut self, asker: &Asker<'_>, class: Class) -> Met {
        let mut set = Set::default();
        let door = usize::try_from(asker.owner).ok().and_then(|owner| self.owners.get(owner)).map(|owner| owner.door);
        set.add(door.unwrap_or_default());
        let mut declared = false;
        let mut unknown: Vec<(usize, String)> = Vec::new();
        for (at, rule) in self.rules.iter().enumerate() {
            if rule.owner != asker.owner && rule.owner != 0 {
                continue;
            }
            let Some(key) = rule.matches(asker, class) else { continue };
            declared |= !rule.limit.is_soft();
            match &rule.gauges {
                Gauges::One(gauge) => set.add(*gauge),
                Gauges::ByKey(gauges) => match gauges.get(key.as_ref()) {
                    Some(gauge) => set.add_keyed(*gauge),
                    None => unknown.push((at, key.into_owned())),
                },
            }
        }
        for (rule, key) in unknown {
            let gauge = self.add_key(rule, key);
            set.add_keyed(gauge);
        }
        let learns = self.feedback.reads_answers();
        let route = ((!declared || learns) && asker.method.is_some()).then(|| route_of(asker));
        if let Some(owner) = usize::try_from(asker.owner).ok().and_then(|owner| self.owners.get(owner)) {
            if let Some(known) = route.as_ref().and_then(|route| owner.routes.get(route)) {
                known.iter().for_each(|gauge| set.add_keyed(*gauge));
            }
            owner.everywhere.iter().for_each(|gauge| set.add(*gauge));
            if !declared && let Some(learner) = owner.learner {
                set.add(learner);
            }
        }
        Met { set, route }
    }

    pub(super) fn insert(&mut self, gauge: Gauge) -> u32 {
        u32::try_from(self.gauges.insert(gauge)).unwrap_or(u32::MAX)
    }

    fn add_rule(&mut self, owner: u32, base: &str, limit: &Limit, window: &Window) -> Result<(), Error> {
        let scope = limit.scoped().clone();
        let route = match &scope {
            Scope::Route(pattern) => {
                Some(Route::parse(pattern, base).map_err(|why| Error::new(ErrorKind::Config, why))?)
            }
            _ => None,
        };
        let keyed = matches!(scope, Scope::Host | Scope::Credential) || route.as_ref().is_some_and(Route::is_keyed);
        let mut rule = Rule {
            owner,
            scope,
            route,
            limit: limit.clone(),
            window: window.clone(),
            gauges: Gauges::ByKey(HashMap::new()),
        };
        if !keyed {
            rule.gauges = Gauges::One(self.insert(rule.gauge(None, self.clock, &self.owners)));
        }
        self.rules.push(rule);
        Ok(())
    }

    fn add_key(&mut self, rule: usize, key: String) -> u32 {
        let now = self.latest();
        self.sweep(now);
        let gauge = self.rules.get(rule).map(|rule| rule.gauge(Some(&key), self.clock, &self.owners));
        let Some(gauge) = gauge else { return 0 };
        let id = self.insert(gauge);
        if let Some(Gauges::ByKey(gauges)) = self.rules.get_mut(rule).map(|rule| &mut rule.gauges) {
            gauges.insert(key, id);
        }
        id
    }

    /// Forgets keys that nobody uses, once there are many.
    fn sweep(&mut self, now: Tick) {
        if self.gauges.len() < self.sweep_at {
            return;
        }
        for rule in &mut self.rules {
            if let Gauges::ByKey(gauges) = &mut rule.gauges {
                gauges.retain(|_, id| {
                    let is_idle = self.gauges.get_mut(*id as usize).is_none_or(|gauge| gauge.is_idle(now));
                    if is_idle {
                        self.gauges.try_remove(*id as usize);
                    }
                    !is_idle
                });
            }
        }
        self.sweep_at = (self.gauges.len() * 2).max(self.sweep_at);
    }
}

impl Owner {
    pub(super) fn is(&self) -> (&str, &str) {
        (&self.origin, &self.account)
    }
}

impl Rule {
    /// Whether it counts the same as this window of a limit would.
    fn is_of(&self, owner: u32, limit: &Limit, window: &Window) -> bool {
        self.owner == owner && self.scope == *limit.scoped() && self.window.is_like(window)
    }

    fn agrees(&self, limit: &Limit) -> bool {
        let other = &self.limit;
        (other.anchored(), other.queue(), other.is_soft()) == (limit.anchored(), limit.queue(), limit.is_soft())
    }

    /// The key of the gauge that counts this request; `None` where none does.
    fn matches<'a>(&self, asker: &Asker<'a>, class: Class) -> Option<std::borrow::Cow<'a, str>> {
        let is_token = class == Class::Token;
        match (&self.scope, &self.route) {
            (Scope::TokenEndpoint, _) => is_token.then(|| "".into()),
            (Scope::Host, _) => Some(asker.host.into()),
            _ if is_token => None,
            (Scope::Account, _) => Some("".into()),
            (Scope::Credential, _) => Some(asker.credential.into()),
            (Scope::Kind(kind), _) => asker.kind.is_some_and(|asked| asked == kind).then(|| "".into()),
            (Scope::Route(_), Some(route)) => route.matches(asker.method?, asker.path).map(Into::into),
            (Scope::Route(_), None) => None,
        }
    }

    fn gauge(&self, key: Option<&str>, clock: Clock, owners: &[Owner]) -> Gauge {
        let meter = Meter::new(&self.window, &self.limit, clock);
        let mut gauge = Gauge::new(self.label(key, owners), meter, self.limit.anchored());
        gauge.name = self.limit.name().map(Arc::from);
        gauge.soft = self.limit.is_soft();
        gauge.declared = true;
        gauge.width = match self.scope {
            Scope::Account | Scope::TokenEndpoint => 0,
            Scope::Host => 1,
            Scope::Credential => 2,
            Scope::Kind(_) => 3,
            Scope::Route(_) => 4,
        };
        gauge
    }

    fn label(&self, key: Option<&str>, owners: &[Owner]) -> Arc<str> {
        let name = self.limit.name().map_or_else(String::new, |name| format!("{}: ", name.escape_debug()));
        let queued = match self.limit.queue() {
            Some(queue) if matches!(self.window, Window::Sliding { .. }) => format!(" with {queue} queued"),
            _ => String::new(),
        };
        let key =
            key.filter(|key| !key.is_empty()).map_or_else(String::new, |key| format!("{KEY}{}", key.escape_debug()));
        let account =
            usize::try_from(self.owner).ok().and_then(|owner| owners.get(owner)).map_or("", |owner| &owner.account);
        let of = match (&self.scope, self.owner, account) {
            (Scope::Account, 0, _) => "all accounts".to_owned(),
            (scope, _, "") => scope.to_string(),
            (Scope::Account, _, account) => format!("the account {}", account.escape_debug()),
            (scope, _, account) => format!("{scope} of the account {}", account.escape_debug()),
        };
        format!("{name}{}{queued} of {of}{key}", self.window).into()
    }
}

impl Gauges {
    fn all(&self) -> Vec<u32> {
        match self {
            Self::One(gauge) => vec![*gauge],
            Self::ByKey(gauges) => gauges.values().copied().collect(),
        }
    }
}

/// What stands before the key in a label.
const KEY: &str = " at ";

fn key_of(label: &str) -> Option<&str> {
    label.rsplit_once(KEY).map(|(_, key)| key)
}

/// Method, host and path of a request, with `*` for what looks like an id: digits in it, or long.
fn route_of(asker: &Asker<'_>) -> Arc<str> {
    let mut text = String::with_capacity(asker.host.len() + asker.path.len() + 8);
    text.push_str(asker.method.map_or("", Method::as_str));
    text.push(' ');
    text.push_str(asker.host);
    for part in asker.path.split('/').filter(|part| !part.is_empty()) {
        text.push('/');
        // `v1` is no id.
        let is_version = part.len() <= 3 && part.starts_with(['v', 'V']);
        let is_id = part.len() > LONGEST_NAME || (!is_version && part.bytes().any(|byte| byte.is_ascii_digit()));
        text.push_str(if is_id { "*" } else { part });
    }
    text.into()
}

/// Names of resources are shorter than their ids.
const LONGEST_NAME: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_the_path_without_its_ids() {
        for (path, route) in [
            ("/v1/tasks/0f8fad5b-d9cb-469f-a165-70867728950e", "GET a.example/v1/tasks/*"),
            ("/v1/tasks/7/", "GET a.example/v1/tasks/*"),
            ("/exports", "GET a.example/exports"),
            ("/x/abcdefghijklmnopqrstuvwxyzabcdefghijkl", "GET a.example/x/*"),
            ("", "GET a.example"),
        ] {
            let asker = Asker {
                owner: 0,
                credential: "",
                host: "a.example",
                method: Some(&Method::GET),
                path,
                kind: None,
                task: 0,
            };
            assert_eq!(&*route_of(&asker), route);
        }
    }
}
