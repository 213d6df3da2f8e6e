//! Every order of asking, polling, giving up, sending, answering and waiting, over small throttles: no window is ever
//! exceeded, no waiter is forgotten, nothing leaks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Wake, Waker};
use std::time::Duration;

use http::{Method, StatusCode};
use tokio::time::Instant;

use super::core::{AskOutcome, Core, QueueRequest, Waiting};
use super::ids::{AccountId, InFlightId};
use super::in_flight::PermitReport;
use super::limiter::Limiter;
use super::request::{Attribution, RequestFacts};
use super::time::Tick;
use crate::hint::Hints;
use crate::limit::{Limit, Scope};
use crate::message::Priority;

/// A step of caller `0`, `1` or `2`, or of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Asks, or is polled again.
    Poll(usize),
    /// Its future is dropped, or its permit, in any phase.
    Drop(usize),
    Send(usize),
    Answer(usize),
    /// Time passes: the time of a claim, or of a window.
    Pass(Tick),
    /// A refusal pauses the account for half a window.
    Pause,
    /// The pause is ended manually.
    Resume,
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Relaxed);
    }
}

#[derive(Debug)]
enum Phase {
    New,
    Waiting(Waiting),
    Granted(InFlightId),
    Sent(InFlightId),
    /// Held for too long, and so expired.
    Expired(InFlightId),
    Over,
}

struct Caller {
    phase: Phase,
    /// When its permit expires.
    over: Tick,
    woken: Arc<Woken>,
    class: Priority,
    path: &'static str,
}

/// A window of the throttle: how many requests it allows, which callers it counts, and until when each counts.
type Counted = (usize, fn(&Caller) -> bool, Vec<Tick>);

struct World {
    core: Core,
    callers: Vec<Caller>,
    now: Tick,
    window: Tick,
    counted: Vec<Counted>,
    pauses: u32,
}

const WINDOW: Tick = 1_000_000_000;
const CLAIM: Tick = 20_000_000;
const GUARD: Tick = 1_000_000_000;
const HOLD: Tick = 5 * WINDOW;

impl World {
    fn new(limits: &[(u32, Option<&str>)]) -> Self {
        let mut core = Core::new(Instant::now());
        let mut counted: Vec<Counted> = Vec::new();
        for (count, route) in limits {
            let limit = Limit::per(*count, Duration::from_nanos(WINDOW));
            let limit = match route {
                Some(route) => limit.scope(Scope::route(*route)),
                None => limit,
            };
            core.edit(0, |accounts, editing| {
                accounts.install(AccountId::ALL, "/", &[limit], editing.limiters).unwrap();
            });
            counted.push((
                *count as usize,
                if route.is_some() { |caller| caller.path == "/r" } else { |_| true },
                Vec::new(),
            ));
        }
        let callers = [(Priority::Poll, "/a"), (Priority::Poll, "/r"), (Priority::Submit, "/r")]
            .map(|(class, path)| Caller { phase: Phase::New, over: Tick::MAX, woken: Arc::default(), class, path });
        Self { core, callers: callers.into(), now: 0, window: WINDOW, counted, pauses: 0 }
    }

    fn at(&self) -> Tick {
        self.now
    }

    /// Returns the possible next steps.
    fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for (at, caller) in self.callers.iter().enumerate() {
            match caller.phase {
                Phase::New => steps.push(Step::Poll(at)),
                Phase::Waiting(_) => steps.extend([Step::Poll(at), Step::Drop(at)]),
                Phase::Granted(..) => steps.extend([Step::Send(at), Step::Drop(at)]),
                Phase::Sent(..) => steps.extend([Step::Answer(at), Step::Drop(at)]),
                Phase::Expired(..) => steps.push(Step::Drop(at)),
                Phase::Over => {}
            }
        }
        steps.extend([Step::Pass(CLAIM), Step::Pass(WINDOW)]);
        match self.pauses {
            0 => steps.push(Step::Pause),
            1 => steps.push(Step::Resume),
            _ => {}
        }
        steps
    }

    fn take(&mut self, step: Step) {
        let now = self.at();
        match step {
            Step::Poll(at) => self.poll(at),
            Step::Pass(time) => self.pass(time),
            Step::Pause => {
                self.pauses += 1;
                self.core.edit(now, |accounts, editing| {
                    let gate = accounts.gate_of_account(AccountId::ALL);
                    editing.limiters.pause(gate, now + WINDOW / 2, editing.effects, now);
                    editing.changed.push(gate);
                });
            }
            Step::Resume => {
                self.pauses += 1;
                self.core.edit(now, |accounts, editing| accounts.resume(AccountId::ALL, editing));
            }
            Step::Send(at) => {
                let Phase::Granted(id) = self.callers[at].phase else { return };
                self.core.report(id, PermitReport::Sent, now);
                self.callers[at].phase = Phase::Sent(id);
            }
            Step::Answer(at) => {
                let Phase::Sent(id) = self.callers[at].phase else { return };
                self.core.report(id, PermitReport::Answered { whole: false }, now);
                self.core.report(id, PermitReport::Finished, now);
                self.callers[at].phase = Phase::Over;
                self.count(at, self.now);
            }
            Step::Drop(at) => match std::mem::replace(&mut self.callers[at].phase, Phase::Over) {
                Phase::Waiting(waiting) => self.core.leave(&waiting, now),
                Phase::Granted(id) => self.core.report(id, PermitReport::Unsent, now),
                Phase::Sent(id) => {
                    self.core.report(id, PermitReport::GivenUp { lasts: true }, now);
                    self.count(at, self.callers[at].over.max(self.now + GUARD));
                }
                Phase::Expired(id) => {
                    self.core.report(id, PermitReport::Unsent, now);
                    self.core.report(id, PermitReport::GivenUp { lasts: true }, now);
                    self.core.report(id, PermitReport::Answered { whole: false }, now);
                }
                Phase::New | Phase::Over => {}
            },
        }
        self.wake();
    }

    fn poll(&mut self, at: usize) {
        let now = self.at();
        let waker = Waker::from(self.callers[at].woken.clone());
        let (class, path) = (self.callers[at].class, self.callers[at].path);
        self.callers[at].woken.0.store(false, Relaxed);
        let outcome = match &mut self.callers[at].phase {
            Phase::New => {
                let method = Method::GET;
                let request = RequestFacts {
                    account: AccountId::ALL,
                    is_foreign: false,
                    credential: "",
                    host: "h",
                    method: Some(&method),
                    path,
                    kind: None,
                    task: 0,
                };
                let asking = QueueRequest { request, class, deadline: Tick::MAX, hold: Some(HOLD), runtime: None };
                match self.core.try_acquire(&request, class, Some(HOLD), now) {
                    Some(granted) => Some(AskOutcome::Granted(granted)),
                    None => Some(self.core.ask(&asking, &waker, now)),
                }
            }
            Phase::Waiting(waiting) => self
                .core
                .claim(waiting, Some(HOLD), now)
                .or_else(|| self.core.wait_on(waiting, &waker, None, Some(HOLD), now)),
            _ => return,
        };
        match outcome {
            Some(AskOutcome::Granted(granted)) => {
                self.callers[at].over = self.now + HOLD;
                let gate = self.core.accounts.gate_of_account(AccountId::ALL);
                assert!(!self.core.limiters.of(gate).is_paused(now), "nobody goes in a pause");
                self.callers[at].phase = Phase::Granted(granted.id);
            }
            Some(AskOutcome::Waiting(waiting)) => self.callers[at].phase = Phase::Waiting(waiting),
            Some(AskOutcome::TooLate(_)) => panic!("there is no deadline"),
            None => {}
        }
        self.check();
    }

    fn pass(&mut self, time: Tick) {
        self.now += time;
        self.core.catch_up(self.at());
        for at in 0..self.callers.len() {
            let over = self.callers[at].over;
            if let Phase::Granted(id) | Phase::Sent(id) = self.callers[at].phase
                && over <= self.now
            {
                self.callers[at].phase = Phase::Expired(id);
                self.count(at, over);
            }
        }
    }

    fn wake(&mut self) {
        self.core.effects.take().carry_out(drop);
    }

    fn count(&mut self, at: usize, anchor: Tick) {
        let caller = &self.callers[at];
        for (_, counts, until) in &mut self.counted {
            if counts(caller) {
                until.push(anchor + self.window);
            }
        }
    }

    /// The requests that the service may still count, and those in flight, never exceed a window.
    fn check(&self) {
        assert!(self.core.scheduler.looks_for_somebody(), "a limiter is looked at for nobody");
        for (allowed, counts, until) in &self.counted {
            let held = until.iter().filter(|until| **until > self.now).count();
            let out = |caller: &&Caller| matches!(caller.phase, Phase::Granted(..) | Phase::Sent(..)) && counts(caller);
            let out = self.callers.iter().filter(out).count();
            assert!(held + out <= *allowed, "{held} held and {out} out of {allowed}");
        }
    }

    /// Every waiter is admitted, by its own wakes and the timer alone.
    fn drain(&mut self) {
        for at in 0..self.callers.len() {
            if let Phase::Expired(..) = self.callers[at].phase {
                self.take(Step::Drop(at));
            }
            if let Phase::Granted(..) | Phase::Sent(..) = self.callers[at].phase {
                self.take(Step::Send(at));
                self.take(Step::Answer(at));
            }
        }
        // A waiter that was passed over is not woken: it did not come when it was woken.
        for at in 0..self.callers.len() {
            self.poll(at);
            self.wake();
        }
        for _ in 0..100 {
            for at in 0..self.callers.len() {
                let woken = self.callers[at].woken.0.load(Relaxed);
                if matches!(self.callers[at].phase, Phase::Waiting(_)) && woken {
                    self.poll(at);
                }
                if let Phase::Granted(..) = self.callers[at].phase {
                    self.take(Step::Send(at));
                    self.take(Step::Answer(at));
                }
                self.wake();
            }
            if self.callers.iter().all(|caller| matches!(caller.phase, Phase::Over)) {
                break;
            }
            if let Some(due) = self.core.next_due(None) {
                assert_ne!(due, Tick::MAX, "somebody waits for nothing");
                self.pass(due.saturating_sub(self.now));
                self.wake();
            }
        }
        let phases: Vec<_> = self.callers.iter().map(|caller| &caller.phase).collect();
        assert!(phases.iter().all(|phase| matches!(phase, Phase::Over)), "somebody is forgotten: {phases:?}");
        assert!(self.core.in_flight.len() == 0 && self.core.scheduler.is_clean(), "something leaks");
        for (id, limiter) in self.core.limiters.iter() {
            assert_eq!((limiter.in_flight, self.core.scheduler.waiting(id)), (0, 0), "{}", limiter.label);
        }
        // Known sets hold their sets; once they are dropped, nothing holds a limiter.
        self.core.edit(self.now, |accounts, editing| accounts.forget_known(editing.limiters));
        for (_, limiter) in self.core.limiters.iter() {
            assert_eq!(limiter.holders, 0, "{}", limiter.label);
        }
    }
}

/// Takes every path of `depth` steps; returns how many there are.
fn explore(limits: &[(u32, Option<&str>)], path: &mut Vec<Step>, depth: usize) -> usize {
    let mut world = World::new(limits);
    path.iter().for_each(|step| world.take(*step));
    let steps = world.steps();
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.drain()));
    assert!(caught.is_ok(), "{limits:?} {path:?}");
    if depth == 0 {
        return 1;
    }
    let mut paths = 1;
    for step in steps {
        path.push(step);
        paths += explore(limits, path, depth - 1);
        path.pop();
    }
    paths
}

#[test]
fn no_order_passes_a_window_forgets_anybody_or_leaks() {
    let depth = if std::env::var_os("LONGHAUL_LONG").is_some() { 7 } else { 5 };
    let mut paths = 0;
    for limits in [&[(1, None)][..], &[(2, None)], &[(1, None), (1, Some("/r"))], &[(2, None), (1, Some("/r"))]] {
        paths += explore(limits, &mut Vec::new(), depth);
    }
    println!("{paths} orders of up to {depth} steps");
    assert!(paths > 10_000);
}

/// A refusal makes a gate for the route that a waiter goes to: the waiter meets it from then on, and nothing leaks.
#[test]
fn a_waiter_that_meets_a_new_gate_holds_one_set() {
    let mut world = World::new(&[(1, None)]);
    world.take(Step::Poll(0));
    world.take(Step::Poll(1));
    let Phase::Granted(id) = world.callers[0].phase else { panic!("the first goes") };
    let attribution = Attribution { route: Some("GET h/r".into()), ..Attribution::default() };
    // A 503 is the route's own, whatever limits are declared.
    let refused = (StatusCode::SERVICE_UNAVAILABLE, &Hints::default());
    let stopped = world.core.heard(id, &attribution, refused, true, world.now);
    assert_eq!(&*stopped.expect("it stops").limit, "the route GET h/r");
    world.callers[0].phase = Phase::Over;
    world.count(0, world.now);
    let sets = |world: &World| {
        let held = |(_, limiter): (_, &Limiter)| limiter.holders;
        world.core.limiters.iter().map(held).collect::<Vec<_>>()
    };
    let before = sets(&world);
    world.take(Step::Poll(1));
    assert_eq!(before.last(), Some(&0), "nobody met the gate");
    assert_eq!(sets(&world).last(), Some(&1), "the waiter meets it");
    world.drain();
}
