//! Accounts: how the owners of a throttle are found, made and given up.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::sync::{Arc, Weak};

use super::feedback::Feedback;
use super::gauge::Gauge;
use super::meter::Meter;
use super::owners::Owner;
use super::state::State;

/// The owners of a throttle by their numbers, and by their names. No number is given twice.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    owners: BTreeMap<u32, Owner>,
    /// By what names them: origin and account, or the account that asks a foreign host.
    numbers: HashMap<String, u32>,
    next: u32,
}

impl Accounts {
    pub(super) fn get(&self, number: u32) -> Option<&Owner> {
        self.owners.get(&number)
    }

    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut Owner> {
        self.owners.get_mut(&number)
    }

    /// In the order in which they were made.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Owner> {
        self.owners.values()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Owner> {
        self.owners.values_mut()
    }

    pub(super) fn numbers(&self) -> Vec<u32> {
        self.owners.keys().copied().collect()
    }

    /// An account, and the foreign hosts that are asked for it; of the first, all.
    pub(super) fn with_hosts(&self, number: u32) -> Vec<u32> {
        let belongs = |(at, owner): &(&u32, &Owner)| number == 0 || **at == number || owner.home == Some(number);
        self.owners.iter().filter(belongs).map(|(at, _)| *at).collect()
    }

    fn add(&mut self, name: &str, owner: Owner) -> u32 {
        let number = self.next;
        self.next = self.next.saturating_add(1);
        self.owners.insert(number, owner);
        self.numbers.insert(name.to_owned(), number);
        number
    }

    /// Gives up those that are not `kept`, and returns their owners.
    fn give_up(&mut self, is_kept: impl FnMut(u32, &Owner) -> bool) -> Vec<Owner> {
        let mut is_kept = is_kept;
        let gone: Vec<u32> =
            self.owners.iter().filter(|(number, owner)| !is_kept(**number, owner)).map(|(number, _)| *number).collect();
        if !gone.is_empty() {
            self.numbers.retain(|_, number| !gone.contains(number));
        }
        gone.iter().filter_map(|number| self.owners.remove(number)).collect()
    }
}

impl State {
    /// The number of an account at a service.
    pub(super) fn owner(&mut self, origin: &str, account: &str) -> u32 {
        let name = format!("account {origin} {account}");
        if let Some(number) = self.owners.numbers.get(&name) {
            return *number;
        }
        let label = match account {
            "" => "the account".to_owned(),
            account => format!("the account {}", account.escape_debug()),
        };
        let number = self.new_owner(&name, label, |door| Owner::new(origin, account, door));
        if self.feedback == Feedback::Learn {
            self.search(number);
        }
        number
    }

    /// What keeps an account from being given up, for as long as somebody has it.
    pub(super) fn lease(&mut self, number: u32) -> Option<Arc<()>> {
        let owner = self.owner_mut(number).filter(|_| number != 0)?;
        Some(owner.lease.upgrade().unwrap_or_else(|| {
            let lease = Arc::new(());
            owner.lease = Arc::downgrade(&lease);
            lease
        }))
    }

    /// The number of a foreign host, for the account that is led there. What such a host answers counts for it alone.
    pub(super) fn foreign(&mut self, home: u32, host: &str) -> u32 {
        let mut name = std::mem::take(&mut self.text);
        name.clear();
        // Into a text: it does not fail.
        let _ = write!(name, "host {home} {host}");
        let number = match self.owners.numbers.get(&name) {
            Some(number) => *number,
            None if self.owners.owners.values().filter(|owner| owner.home == Some(home)).count() >= MOST_HOSTS => {
                name.clear();
                let _ = write!(name, "host {home}");
                match self.owners.numbers.get(&name) {
                    Some(number) => *number,
                    None => self.new_host(&name, "further foreign hosts".into(), home),
                }
            }
            None => self.new_host(&name, format!("the host {}", host.escape_debug()), home),
        };
        self.text = name;
        number
    }

    fn new_host(&mut self, name: &str, label: String, home: u32) -> u32 {
        let number = self.new_owner(name, label, |door| Owner::foreign(home, door));
        let (now, held_until) = (self.latest(), self.owner_of(home).map_or(0, |home| home.held_until));
        if let Some(door) = self.owner_of(number).map(|owner| owner.door).filter(|_| held_until > now) {
            self.pause(door, held_until, now);
        }
        number
    }

    fn new_owner(&mut self, name: &str, label: String, make: impl FnOnce(u32) -> Owner) -> u32 {
        let mut door = Gauge::door(label.into());
        if self.all_paused_until > self.latest() {
            door.pause(self.all_paused_until, self.latest());
        }
        let door = self.insert(door);
        self.owners.add(name, make(door))
    }

    /// Gives up accounts and hosts that nobody has a handle of, and of which nothing is counted, paused or known.
    pub(super) fn give_up_unused(&mut self) {
        let now = self.latest();
        let gauges = &mut self.gauges;
        let mut is_used = |owner: &Owner| {
            let knows = |id: u32, gauges: &slab::Slab<Gauge>| {
                let meter = gauges.get(id as usize).map(|gauge| &gauge.meter);
                matches!(meter, Some(Meter::Learner(learner)) if learner.found().is_some())
            };
            owner.lease.strong_count() > 0
                || owner.learner.is_some_and(|id| knows(id, gauges))
                || owner.gauges().into_iter().any(|id| {
                    // What searches for a limit and has found none knows nothing that is worth a place.
                    Some(id) != owner.learner && gauges.get_mut(id as usize).is_some_and(|gauge| !gauge.is_idle(now))
                })
        };
        let gone = self.owners.give_up(|number, owner| number == 0 || is_used(owner));
        for id in gone.iter().flat_map(Owner::gauges) {
            gauges.try_remove(id as usize);
        }
    }
}

impl Owner {
    pub(super) fn foreign(home: u32, door: u32) -> Self {
        Self { home: Some(home), lease: Weak::new(), ..Self::new("", "", door) }
    }
}

/// A task is led to a handful of hosts; further ones share one place.
const MOST_HOSTS: usize = 256;

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[test]
    fn accounts_that_nobody_has_are_given_up_and_no_number_is_given_twice() {
        let mut state = State::new(Instant::now());
        let first = state.owner("https://a.example", "one");
        assert_eq!(state.owner("https://a.example", "one"), first);
        let lease = state.lease(first);
        for at in 0..10_000 {
            state.owner("https://a.example", &at.to_string());
            state.sweep();
        }
        assert!(state.owners.owners.len() < 600, "{}", state.owners.owners.len());
        assert!(state.gauges.len() < 600, "{}", state.gauges.len());
        assert!(state.owner_of(first).is_some(), "somebody has it");
        drop(lease);
        state.give_up_unused();
        assert!(state.owner_of(first).is_none() && state.owner_of(0).is_some());
        assert!(state.owner("https://a.example", "one") > 10_000);
    }

    #[test]
    fn an_account_that_pauses_or_knows_its_limit_is_kept() {
        let mut state = State::new(Instant::now());
        let (paused, learned) =
            (state.owner("https://a.example", "paused"), state.owner("https://a.example", "learned"));
        let door = state.owner_of(paused).unwrap().door;
        state.pause(door, 1_000_000_000, 0);
        state.learn(learned, super::super::learner::Learner::knowing(4, std::time::Duration::from_secs(1)));
        state.owner("https://a.example", "neither");
        state.give_up_unused();
        assert_eq!(state.owners.numbers(), [0, paused, learned]);
    }

    #[test]
    fn foreign_hosts_beyond_a_bound_share_one_place() {
        let mut state = State::new(Instant::now());
        let home = state.owner("https://a.example", "");
        let numbers: std::collections::HashSet<_> =
            (0..1000).map(|at| state.foreign(home, &format!("h{at}"))).collect();
        assert_eq!(numbers.len(), MOST_HOSTS + 1);
        assert_eq!(state.owners.with_hosts(home).len(), MOST_HOSTS + 2);
    }
}
