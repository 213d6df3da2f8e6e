//! Memory: a store of shared windows in this process, for tests, with all that can go wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use super::{Ledger, LedgerError, Reply};
use crate::throttle::board::{Board, Post, Posted};
use crate::throttle::slots::{Ask, Domain, Micros};

/// The store, as all its members share it.
#[derive(Debug)]
pub(in crate::throttle) struct Memory {
    began: Instant,
    state: Mutex<State>,
    nudge: Notify,
}

#[derive(Debug, Default)]
struct State {
    domains: BTreeMap<Arc<str>, Domain>,
    boards: BTreeMap<Arc<str>, Board>,
    /// The windows about which a member is called, and when the call arrives.
    nudged: BTreeMap<String, (Instant, BTreeSet<Arc<str>>)>,
    run: u64,
    is_down: bool,
    calls: u64,
    posts: u64,
    /// Each so many answers, one is lost; 0 for none.
    loses: u64,
    wall_ahead: i64,
    trip: Duration,
}

/// One member's way to the store.
#[derive(Debug)]
pub(in crate::throttle) struct MemoryLedger {
    memory: Arc<Memory>,
    member: String,
    is_cut_off: Mutex<bool>,
}

impl Memory {
    pub(in crate::throttle) fn new(trip: Duration) -> Arc<Self> {
        let state = State { trip, ..State::default() };
        Arc::new(Self { began: Instant::now(), state: Mutex::new(state), nudge: Notify::new() })
    }

    pub(in crate::throttle) fn member(self: &Arc<Self>, member: &str) -> Arc<MemoryLedger> {
        Arc::new(MemoryLedger { memory: self.clone(), member: member.into(), is_cut_off: Mutex::new(false) })
    }

    pub(in crate::throttle) fn set_down(&self, is_down: bool) {
        self.state.lock().unwrap().is_down = is_down;
    }

    pub(in crate::throttle) fn lose_each(&self, loses: u64) {
        self.state.lock().unwrap().loses = loses;
    }

    /// All data is lost, and the store starts anew.
    pub(in crate::throttle) fn forget(&self) {
        let mut state = self.state.lock().unwrap();
        state.domains.clear();
        state.boards.clear();
        state.run += 1;
    }

    pub(in crate::throttle) fn calls(&self) -> u64 {
        self.state.lock().unwrap().calls
    }

    /// Checks that no slot is lost or doubled.
    pub(in crate::throttle) fn check(&self) {
        for domain in self.state.lock().unwrap().domains.values() {
            let (held, free, debt, count) = domain.balance();
            assert_eq!(held + free, count + debt, "{domain:?}");
        }
    }

    /// Returns how many slots of the only window are held.
    pub(in crate::throttle) fn held(&self) -> u64 {
        self.state.lock().unwrap().domains.values().map(|domain| domain.balance().0).sum()
    }

    fn now(&self) -> Micros {
        u64::try_from(self.began.elapsed().as_micros()).unwrap()
    }

    fn exchange(&self, asks: Vec<(Arc<str>, Ask)>) -> Result<Vec<Reply>, LedgerError> {
        let now = self.now();
        let mut state = self.state.lock().unwrap();
        if state.is_down {
            return Err(LedgerError("down".into()));
        }
        state.calls += 1;
        let run = state.run.to_string();
        let mut replies = Vec::new();
        for (name, mut ask) in asks {
            (ask.run, ask.uptime) = (run.clone(), if state.run == 0 { Micros::MAX } else { 0 });
            let done = state.domains.entry(name.clone()).or_default().exchange(&ask, now);
            let wall = WALL + state.wall_ahead + i64::try_from(now / 1000).unwrap();
            replies.push(Reply { answer: done.answer, wall });
            for member in done.nudged {
                let arrives = Instant::now() + state.trip / 2;
                state.nudged.entry(member).or_insert((arrives, BTreeSet::new())).1.insert(name.clone());
            }
        }
        let is_lost = state.loses > 0 && state.calls.is_multiple_of(state.loses);
        drop(state);
        self.nudge.notify_waiters();
        if is_lost { Err(LedgerError("lost".into())) } else { Ok(replies) }
    }
}

impl Memory {
    fn post(&self, posts: Vec<(Arc<str>, Post)>) -> Result<Vec<Posted>, LedgerError> {
        let now = self.now();
        let mut state = self.state.lock().unwrap();
        if state.is_down {
            return Err(LedgerError("down".into()));
        }
        state.posts += 1;
        let mut answers = Vec::new();
        let arrives = Instant::now() + state.trip / 2;
        for (name, post) in posts {
            let noted = state.boards.entry(name.clone()).or_default().post(&post, now);
            answers.push(noted.posted);
            for member in noted.nudged {
                state.nudged.entry(member).or_insert((arrives, BTreeSet::new())).1.insert(name.clone());
            }
        }
        let is_lost = state.loses > 0 && state.posts.is_multiple_of(state.loses);
        drop(state);
        self.nudge.notify_waiters();
        if is_lost { Err(LedgerError("lost".into())) } else { Ok(answers) }
    }
}

impl MemoryLedger {
    pub(in crate::throttle) fn cut_off(&self, is_cut_off: bool) {
        *self.is_cut_off.lock().unwrap() = is_cut_off;
    }
}

impl Ledger for MemoryLedger {
    fn exchange(&self, asks: Vec<(Arc<str>, Ask)>) -> BoxFuture<'_, Result<Vec<Reply>, LedgerError>> {
        async move {
            let trip = self.memory.state.lock().unwrap().trip;
            sleep(trip / 2).await;
            if *self.is_cut_off.lock().unwrap() {
                return Err(LedgerError("cut off".into()));
            }
            let replies = self.memory.exchange(asks);
            sleep(trip / 2).await;
            replies
        }
        .boxed()
    }

    fn post(&self, posts: Vec<(Arc<str>, Post)>) -> BoxFuture<'_, Result<Vec<Posted>, LedgerError>> {
        async move {
            let trip = self.memory.state.lock().unwrap().trip;
            sleep(trip / 2).await;
            if *self.is_cut_off.lock().unwrap() {
                return Err(LedgerError("cut off".into()));
            }
            let answers = self.memory.post(posts);
            sleep(trip / 2).await;
            answers
        }
        .boxed()
    }

    fn nudged(&self) -> BoxFuture<'_, Vec<Arc<str>>> {
        async move {
            loop {
                let notified = self.memory.nudge.notified();
                // Whoever stops waiting meanwhile has not heard it.
                let arrives = self.memory.state.lock().unwrap().nudged.get(&self.member).map(|(arrives, _)| *arrives);
                if let Some(arrives) = arrives {
                    sleep_until(arrives).await;
                }
                let nudged = self.memory.state.lock().unwrap().nudged.remove(&self.member);
                match nudged.map(|(_, nudged)| nudged).filter(|_| !*self.is_cut_off.lock().unwrap()) {
                    Some(nudged) => return nudged.into_iter().collect(),
                    None => notified.await,
                }
            }
        }
        .boxed()
    }
}

/// 2026-11-27T12:00:00Z.
const WALL: i64 = 1_795_780_800_000;
