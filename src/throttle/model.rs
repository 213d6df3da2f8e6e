//! Every order of asking, polling, giving up, sending, answering and waiting, over small throttles: no window is ever
//! passed, nobody is forgotten, nothing leaks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Wake, Waker};
use std::time::Duration;

use http::Method;
use tokio::time::Instant;

use super::meter::Tick;
use super::owners::Asker;
use super::queue::{Answer, Ask};
use super::set::Set;
use super::state::State;
use crate::limit::{Limit, Scope};
use crate::message::Class;

/// What can happen to caller `0`, `1` or `2`, or to all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Asks, or is polled again.
    Poll(usize),
    /// Its future is dropped, or its permit, in whatever phase that is.
    Drop(usize),
    Send(usize),
    Answer(usize),
    /// Time passes: a claim's, or a window's.
    Pass(Tick),
    /// A refusal pauses the account for half a window.
    Pause,
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Relaxed);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    New,
    Waiting(u32),
    Granted(u32, u64),
    Sent(u32, u64),
    /// Held for longer than it may be: taken to be over.
    Expired(u32, u64),
    Over,
}

struct Caller {
    phase: Phase,
    /// When its permit is over, by arithmetic.
    over: Tick,
    woken: Arc<Woken>,
    class: Class,
    path: &'static str,
}

/// A window of the throttle: how many it allows, which callers it counts, until when each counts.
type Counted = (usize, fn(&Caller) -> bool, Vec<Tick>);

struct World {
    state: State,
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
        let mut state = State::new(Instant::now());
        let mut counted: Vec<Counted> = Vec::new();
        for (count, route) in limits {
            let limit = Limit::per(Duration::from_nanos(WINDOW), *count);
            let limit = match route {
                Some(route) => limit.scope(Scope::route(*route)),
                None => limit,
            };
            state.install(0, "/", &[limit]).unwrap();
            counted.push((
                *count as usize,
                if route.is_some() { |caller| caller.path == "/r" } else { |_| true },
                Vec::new(),
            ));
        }
        let callers = [(Class::Poll, "/a"), (Class::Poll, "/r"), (Class::Submit, "/r")].map(|(class, path)| Caller {
            phase: Phase::New,
            over: Tick::MAX,
            woken: Arc::default(),
            class,
            path,
        });
        Self { state, callers: callers.into(), now: 0, window: WINDOW, counted, pauses: 0 }
    }

    fn at(&self) -> Tick {
        self.now
    }

    /// What may happen next.
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
        if self.pauses == 0 {
            steps.push(Step::Pause);
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
                let door = self.state.owner_of(0).unwrap().door;
                self.state.pause(door, self.now + WINDOW / 2, now);
            }
            Step::Send(at) => {
                let Phase::Granted(flight, serial) = self.callers[at].phase else { return };
                self.state.send(flight, serial, now);
                self.callers[at].phase = Phase::Sent(flight, serial);
            }
            Step::Answer(at) => {
                let Phase::Sent(flight, serial) = self.callers[at].phase else { return };
                self.state.answer(flight, serial, now);
                self.state.finish(flight, serial, now);
                self.callers[at].phase = Phase::Over;
                self.count(at, self.now);
            }
            Step::Drop(at) => {
                match self.callers[at].phase {
                    Phase::Waiting(waiter) => self.state.leave(waiter, now),
                    Phase::Granted(flight, serial) => self.state.refund(flight, serial, now),
                    Phase::Sent(flight, serial) => {
                        self.state.abandon(flight, serial, true, now);
                        self.count(at, self.callers[at].over.max(self.now + GUARD));
                    }
                    Phase::Expired(flight, serial) => {
                        self.state.refund(flight, serial, now);
                        self.state.abandon(flight, serial, true, now);
                        self.state.answer(flight, serial, now);
                    }
                    Phase::New | Phase::Over => {}
                }
                self.callers[at].phase = Phase::Over;
            }
        }
        self.wake();
    }

    fn poll(&mut self, at: usize) {
        let now = self.at();
        self.state.catch_up(now);
        let waker = Waker::from(self.callers[at].woken.clone());
        let (class, path) = (self.callers[at].class, self.callers[at].path);
        self.callers[at].woken.0.store(false, Relaxed);
        let answer = match self.callers[at].phase {
            Phase::New => {
                let method = Method::GET;
                let asker = Asker {
                    owner: 0,
                    is_foreign: false,
                    credential: "",
                    host: "h",
                    method: Some(&method),
                    path,
                    kind: None,
                    task: 0,
                };
                let set: Set = self.state.meet(&asker, class).0;
                self.state.hold(&set);
                self.state.ask(Ask { set, class, task: 0, deadline: Tick::MAX, home: None }, &waker, now)
            }
            Phase::Waiting(waiter) => match self.state.claim(waiter, now) {
                Some(answer) => answer,
                None => self.state.look(waiter, &waker, None, now),
            },
            _ => return,
        };
        self.callers[at].phase = match answer {
            Answer::Granted(flight, serial, _) => {
                self.callers[at].over = self.now + HOLD;
                self.state.launch(flight, self.now, HOLD);
                let paused =
                    self.state.gauges.get(self.state.owner_of(0).unwrap().door as usize).unwrap().is_paused(self.now);
                assert!(!paused, "nobody goes in a pause");
                Phase::Granted(flight, serial)
            }
            Answer::Waiting(waiter) => Phase::Waiting(waiter),
            Answer::TooLate { .. } => panic!("there is no deadline"),
        };
        self.check();
    }

    fn pass(&mut self, time: Tick) {
        self.now += time;
        self.state.catch_up(self.at());
        for at in 0..self.callers.len() {
            let over = self.callers[at].over;
            if let Phase::Granted(flight, serial) | Phase::Sent(flight, serial) = self.callers[at].phase
                && over <= self.now
            {
                self.callers[at].phase = Phase::Expired(flight, serial);
                self.count(at, over);
            }
        }
    }

    fn wake(&mut self) {
        self.state.wakes.drain(..).for_each(Waker::wake);
    }

    fn count(&mut self, at: usize, anchor: Tick) {
        let caller = &self.callers[at];
        for (_, counts, until) in &mut self.counted {
            if counts(caller) {
                until.push(anchor + self.window);
            }
        }
    }

    /// Those that the service may still count, and those that are out, are never more than a window allows.
    fn check(&self) {
        for (allowed, counts, until) in &self.counted {
            let held = until.iter().filter(|until| **until > self.now).count();
            let out = |caller: &&Caller| matches!(caller.phase, Phase::Granted(..) | Phase::Sent(..)) && counts(caller);
            let out = self.callers.iter().filter(out).count();
            assert!(held + out <= *allowed, "{held} held and {out} out of {allowed}");
        }
    }

    /// Everybody who waits is let through, by their own wakes and the timer alone.
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
        // One that was passed over is told nothing: it is somebody who did not come when it was told.
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
            if self.callers.iter().all(|caller| caller.phase == Phase::Over) {
                break;
            }
            if let Some(due) = self.state.next_due(None) {
                assert_ne!(due, Tick::MAX, "somebody waits for nothing");
                self.pass(due.saturating_sub(self.now));
                self.wake();
            }
        }
        let phases: Vec<_> = self.callers.iter().map(|caller| caller.phase).collect();
        assert!(phases.iter().all(|phase| *phase == Phase::Over), "somebody is forgotten: {phases:?}");
        assert_eq!((self.state.flights.len(), self.state.waiters.len(), self.state.lanes.len()), (0, 0, 0));
        assert_eq!((self.state.active, self.state.lane_of.len(), self.state.starving.is_some()), (0, 0, false));
        for (_, gauge) in &self.state.gauges {
            assert_eq!((gauge.holders, gauge.flying, gauge.waiting.iter().sum::<u32>()), (0, 0, 0), "{}", gauge.label);
        }
    }
}

/// Takes every path of `depth` steps; tells how many there are.
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
