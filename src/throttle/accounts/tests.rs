//! Accounts that are created and discarded, and their known sets.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue, Method};
use proptest::prelude::*;

use super::*;
use crate::hint::Hints;
use crate::limit::Scope;
use crate::throttle::effects::Effects;
use crate::throttle::feedback::Target;

#[derive(Default)]
struct World {
    accounts: Accounts,
    limiters: Limiters,
    effects: Effects,
}

impl World {
    fn new() -> Self {
        let mut world = Self::default();
        world.account("", "");
        world
    }

    fn with<R>(&mut self, act: impl FnOnce(&mut Accounts, &mut Editing<'_>) -> R) -> R {
        let Self { accounts, limiters, effects } = self;
        act(accounts, &mut Editing { limiters, effects, changed: Vec::new(), now: 0 })
    }

    fn account(&mut self, origin: &str, name: &str) -> AccountId {
        self.with(|accounts, editing| accounts.account(origin, name, editing))
    }

    fn sweep(&mut self) {
        self.with(|accounts, editing| accounts.sweep_if_many(editing.limiters, 0));
    }
}

#[test]
fn accounts_that_nobody_has_are_given_up_and_no_number_is_given_twice() {
    let mut world = World::new();
    let first = world.account("https://a.example", "one");
    assert_eq!(world.account("https://a.example", "one"), first);
    let lease = world.accounts.lease(first);
    let mut last = first;
    for at in 0..10_000 {
        last = world.account("https://a.example", &at.to_string());
        world.sweep();
    }
    assert!(
        world.accounts.with_hosts(AccountId::ALL).len() < 600,
        "{}",
        world.accounts.with_hosts(AccountId::ALL).len()
    );
    assert!(world.limiters.len() < 600, "{}", world.limiters.len());
    assert!(world.accounts.get(first).is_some(), "somebody has it");
    drop(lease);
    world.with(|accounts, editing| accounts.accounts.give_up_unused(editing.limiters, 0));
    assert!(world.accounts.get(first).is_none() && world.accounts.get(AccountId::ALL).is_some());
    assert!(world.account("https://a.example", "one") > last);
}

#[test]
fn an_account_that_pauses_or_knows_its_limit_is_kept() {
    let mut world = World::new();
    let paused = world.account("https://a.example", "paused");
    let learned = world.account("https://a.example", "learned");
    let gate = world.accounts.gate_of_account(paused);
    world.limiters.of_mut(gate).stop(1_000_000_000, 0);
    let learner = Learner::knowing(4, Duration::from_secs(1));
    world.with(|accounts, editing| accounts.learn(learned, learner, editing.limiters));
    world.account("https://a.example", "neither");
    world.with(|accounts, editing| accounts.accounts.give_up_unused(editing.limiters, 0));
    assert_eq!(world.accounts.with_hosts(AccountId::ALL), [AccountId::ALL, paused, learned]);
}

#[test]
fn foreign_hosts_beyond_a_bound_share_one_place() {
    let mut world = World::new();
    let home = world.account("https://a.example", "");
    let hosts: HashSet<_> = (0..1000)
        .map(|at| {
            let host = format!("h{at}");
            let request = RequestFacts {
                account: home,
                is_foreign: true,
                credential: "",
                host: &host,
                method: None,
                path: "",
                kind: None,
                task: 0,
            };
            world.with(|accounts, editing| accounts.foreign(&request, editing))
        })
        .collect();
    assert_eq!(hosts.len(), MOST_HOSTS + 1);
    assert_eq!(world.accounts.with_hosts(home).len(), MOST_HOSTS + 2);
}

/// A change of the limiters that count requests, or a request.
#[derive(Clone, Debug)]
enum Step {
    Install(bool, Limit),
    Change(bool, Limit),
    Remove(bool, Limit),
    Feedback(Feedback),
    /// A response states a budget, or refuses.
    Budget(usize),
    Refused(usize),
    Sweep,
    Request(usize),
}

/// A request. Each case has a few, so that requests resemble each other.
#[derive(Clone, Debug)]
struct Wanted {
    is_account: bool,
    is_foreign: bool,
    class: Priority,
    credential: &'static str,
    host: &'static str,
    method: Option<Method>,
    path: &'static str,
    kind: Option<&'static str>,
}

const POOL: usize = 6;

fn wanted() -> impl Strategy<Value = Wanted> {
    let class = prop_oneof![8 => Just(Priority::Poll), 2 => Just(Priority::Submit), 1 => Just(Priority::Token)];
    let credential = prop::sample::select(vec!["", "one", "two"]);
    let host = prop::sample::select(vec!["a.example", "b.example"]);
    let method = prop::sample::select(vec![None, Some(Method::GET), Some(Method::POST)]);
    let path = prop::sample::select(vec!["/tasks/1", "/tasks/2", "/exports", "/farms/7/x"]);
    let kind = prop::sample::select(vec![None, Some("export")]);
    let rare = prop::bool::weighted(0.1);
    (any::<bool>(), rare, class, credential, host, method, path, kind).prop_map(
        |(is_account, is_foreign, class, credential, host, method, path, kind)| Wanted {
            is_account,
            is_foreign,
            class,
            credential,
            host,
            method,
            path,
            kind,
        },
    )
}

fn limit() -> impl Strategy<Value = Limit> {
    let scope = prop::sample::select(vec![
        Scope::Account,
        Scope::Credential,
        Scope::Host,
        Scope::TokenEndpoint,
        Scope::Kind("export".into()),
        Scope::route("/tasks/**"),
        Scope::route("GET /tasks/{id}"),
        Scope::route("POST /exports"),
    ]);
    let count = 1..3_u32;
    (scope, count, any::<bool>()).prop_map(|(scope, count, soft)| {
        let limit = Limit::per_second(count).scope(scope);
        if soft { limit.soft() } else { limit }
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let feedback = prop::sample::select(vec![Feedback::Off, Feedback::Budgets, Feedback::Learn]);
    let step = prop_oneof![
        3 => (any::<bool>(), limit()).prop_map(|(all, limit)| Step::Install(all, limit)),
        1 => (any::<bool>(), limit()).prop_map(|(all, limit)| Step::Change(all, limit)),
        3 => (any::<bool>(), limit()).prop_map(|(all, limit)| Step::Remove(all, limit)),
        1 => feedback.prop_map(Step::Feedback),
        1 => (0..POOL).prop_map(Step::Budget),
        1 => (0..POOL).prop_map(Step::Refused),
        1 => Just(Step::Sweep),
        12 => (0..POOL).prop_map(Step::Request),
    ];
    prop::collection::vec(step, 1..80)
}

impl World {
    /// Finds the limiters of a request as a request does, and compares them with those of the rules.
    fn meet(&mut self, account: AccountId, wanted: &Wanted) -> (SetId, Arc<Attribution>) {
        let request = RequestFacts {
            account: if wanted.is_account { account } else { AccountId::ALL },
            is_foreign: wanted.is_foreign,
            credential: wanted.credential,
            host: wanted.host,
            method: wanted.method.as_ref(),
            path: wanted.path,
            kind: wanted.kind,
            task: 0,
        };
        self.with(|accounts, editing| {
            let (set, attribution) = accounts.limiters_for(&request, wanted.class, editing);
            let (found, found_for) = accounts.look_up(&request, wanted.class, editing);
            assert_eq!(editing.limiters.set(set), &found);
            assert_eq!((attribution.account, attribution.credential), (found_for.account, found_for.credential));
            assert_eq!(attribution.route, found_for.route);
            assert!(found.ids().iter().all(|id| editing.limiters.of(*id).holders > 0), "the caller holds them");
            (set, attribution)
        })
    }
}

proptest! {
    /// A known set equals the set that a lookup finds, whatever changed in between.
    #[test]
    fn a_known_set_is_the_set_that_is_looked_up(
        pool in prop::collection::vec(wanted(), POOL),
        steps in steps(),
    ) {
        let mut world = World::new();
        let account = world.account("https://a.example", "one");
        let _lease = world.accounts.lease(account);
        let whose = |all: bool| if all { AccountId::ALL } else { account };
        let mut held = Vec::new();
        for step in steps {
            match step {
                Step::Install(all, limit) => {
                    // Contradictory limits are errors, and change nothing.
                    let _ = world.with(|accounts, editing| accounts.install(whose(all), "/", &[limit], editing.limiters));
                }
                Step::Change(all, limit) => {
                    let _ = world.with(|accounts, editing| accounts.change(whose(all), "/", &limit, editing));
                }
                Step::Remove(all, limit) => {
                    world.with(|accounts, editing| accounts.remove(whose(all), "/", &limit, editing));
                }
                Step::Feedback(feedback) => {
                    world.with(|accounts, editing| accounts.set_feedback(feedback, editing));
                }
                Step::Budget(at) => {
                    let (set, attribution) = world.meet(account, &pool[at]);
                    let mut headers = HeaderMap::new();
                    headers.insert("ratelimit", HeaderValue::from_static(r#""one";r=5;t=30"#));
                    let hints = Hints::from_headers(&headers, SystemTime::UNIX_EPOCH);
                    world.with(|accounts, editing| {
                        if let Some(account) = accounts.answering(&attribution) {
                            account.record_budgets(&attribution, set, hints.budgets(), 0, editing);
                        }
                    });
                    held.push(set);
                }
                Step::Refused(at) => {
                    let (set, attribution) = world.meet(account, &pool[at]);
                    if let Some(route) = &attribution.route {
                        world.with(|accounts, editing| {
                            let account = accounts.answering(&attribution).unwrap();
                            account.limiter_of(Target::Gate(route.clone()), editing.limiters);
                        });
                    }
                    held.push(set);
                }
                Step::Sweep => {
                    held.drain(..).for_each(|set| world.limiters.release(set));
                    // Budgets have expired by then.
                    world.with(|accounts, editing| accounts.sweep(editing.limiters, 3_600_000_000_000));
                    prop_assert!(world.limiters.iter().all(|(_, limiter)| limiter.holders == 0), "known sets hold on");
                }
                Step::Request(at) => held.push(world.meet(account, &pool[at]).0),
            }
        }
        held.drain(..).for_each(|set| world.limiters.release(set));
        world.with(|accounts, editing| accounts.forget_known(editing.limiters));
        prop_assert!(world.limiters.iter().all(|(_, limiter)| limiter.holders == 0), "something is held for ever");
    }
}
