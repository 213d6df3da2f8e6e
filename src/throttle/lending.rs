//! Lending: throttles that share one window by an in-memory lender. In any order of asking, answering, borrowing,
//! giving back and losing a loan, the service never sees more than the window, and no slot is lost or doubled.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Wake, Waker};
use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use super::core::{AskOutcome, Core, QueueRequest, Waiting};
use super::ids::{AccountId, InFlightId, LimiterId};
use super::in_flight::PermitReport;
use super::limiter::window::Counter;
use super::limiter::window::lent::Lent;
use super::request::RequestFacts;
use super::request_key::RequestKey;
use super::time::Tick;
use crate::limit::Limit;
use crate::message::Priority;

const COUNT: u32 = 4;
const WINDOW: Tick = 1000;
/// A lost loan is lent again once everything that its holder may have sent has expired.
const GUARD: Tick = 500;
const HOLD: Tick = 400;

/// The slots of the window that no process holds, by the times at which they are free.
struct Lender {
    free: Vec<Tick>,
}

/// A process.
struct Borrower {
    core: Core,
    limiter: LimiterId,
    /// How many slots are lent to it, according to the lender.
    lent: usize,
    out: Vec<(InFlightId, Tick)>,
}

impl Borrower {
    fn new() -> Self {
        let mut core = Core::new(Instant::now());
        let limiter = core.edit(0, |accounts, editing| {
            let limit = Limit::per(COUNT, Duration::from_nanos(WINDOW));
            accounts.install(AccountId::ALL, "/", &[limit], editing.limiters).unwrap();
            let limiter = accounts.get(AccountId::ALL).unwrap().rules.ids()[0];
            let lent = Lent::new(COUNT, Duration::from_nanos(WINDOW));
            editing.limiters.of_mut(limiter).set_counter(Counter::Lent(Box::new(lent)));
            limiter
        });
        Self { core, limiter, lent: 0, out: Vec::new() }
    }

    fn lend<R>(&mut self, now: Tick, act: impl FnOnce(&mut Lent) -> R) -> R {
        let limiter = self.limiter;
        self.core.edit(now, |_, editing| {
            editing.changed.push(limiter);
            match editing.limiters.of_mut(limiter).counter_mut() {
                Counter::Lent(lent) => act(lent),
                other => panic!("{other:?}"),
            }
        })
    }

    fn held(&mut self, now: Tick) -> usize {
        let out = self.out.len();
        self.lend(now, |lent| lent.held()) + out
    }
}

fn request(keys: &RequestKey) -> RequestFacts<'_> {
    keys.facts(AccountId::ALL)
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Ask(usize),
    /// The oldest request is sent and answered.
    Answer(usize),
    /// The oldest request is refunded.
    Unsent(usize),
    Borrow(usize, usize),
    GiveBack(usize, usize),
    /// The lender considers the loan lost.
    Lose(usize),
    Pass(Tick),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..2_usize).prop_map(Step::Ask),
        3 => (0..2_usize).prop_map(Step::Answer),
        1 => (0..2_usize).prop_map(Step::Unsent),
        3 => (0..2_usize, 1..4_usize).prop_map(|(who, most)| Step::Borrow(who, most)),
        2 => (0..2_usize, 1..4_usize).prop_map(|(who, most)| Step::GiveBack(who, most)),
        1 => (0..2_usize).prop_map(Step::Lose),
        3 => (1..600_u64).prop_map(Step::Pass),
    ];
    prop::collection::vec(step, 1..120)
}

proptest! {
    #[test]
    fn several_throttles_never_pass_a_window_that_they_share(steps in steps()) {
        let keys = RequestKey::new();
        let mut lender = Lender { free: vec![0; COUNT as usize] };
        let mut borrowers = [Borrower::new(), Borrower::new()];
        // When each request that the service has counted leaves the window.
        let (mut now, mut counted) = (0, Vec::<Tick>::new());
        for step in steps {
            match step {
                Step::Pass(time) => now += time,
                Step::Ask(who) => {
                    let granted = borrowers[who].core.try_acquire(&request(&keys), Priority::Call, Some(HOLD), now);
                    borrowers[who].out.extend(granted.map(|granted| (granted.id, now)));
                }
                Step::Answer(who) => {
                    if !borrowers[who].out.is_empty() {
                        let (id, granted) = borrowers[who].out.remove(0);
                        // A request that was held for too long has expired: it was counted then.
                        let at = now.min(granted + HOLD);
                        counted.push(at + WINDOW);
                        borrowers[who].core.report(id, PermitReport::Sent, now);
                        borrowers[who].core.report(id, PermitReport::Answered { whole: true }, now);
                    }
                }
                Step::Unsent(who) => {
                    if !borrowers[who].out.is_empty() {
                        let (id, granted) = borrowers[who].out.remove(0);
                        if now >= granted + HOLD {
                            counted.push(granted + HOLD + WINDOW);
                        }
                        borrowers[who].core.report(id, PermitReport::Unsent, now);
                    }
                }
                Step::Borrow(who, most) => {
                    let slots: Vec<_> = lender.free.drain(..most.min(lender.free.len())).collect();
                    borrowers[who].lent += slots.len();
                    borrowers[who].lend(now, |lent| lent.borrow(slots, now + 50_000, now));
                }
                Step::GiveBack(who, most) => {
                    let slots = borrowers[who].lend(now, |lent| lent.give_back(most));
                    borrowers[who].lent -= slots.len();
                    lender.free.extend(slots);
                }
                Step::Lose(who) => {
                    let lost = std::mem::take(&mut borrowers[who].lent);
                    lender.free.extend(std::iter::repeat_n(now + GUARD + WINDOW, lost));
                    borrowers[who].lend(now, |lent| lent.void(now));
                    // Its requests may still arrive, and do not bring their slots back.
                    for (id, granted) in std::mem::take(&mut borrowers[who].out) {
                        counted.push(granted + HOLD + WINDOW);
                        borrowers[who].core.report(id, PermitReport::GivenUp { lasts: true }, now);
                    }
                }
            }
            for borrower in &mut borrowers {
                borrower.core.catch_up(now);
                borrower.core.effects.take().carry_out(drop);
                borrower.out.retain(|(_, granted)| {
                    let is_over = granted + HOLD <= now;
                    if is_over {
                        counted.push(granted + HOLD + WINDOW);
                    }
                    !is_over
                });
                let (held, lent) = (borrower.held(now), borrower.lent);
                prop_assert_eq!(held, lent, "each slot that is lent lies here or is out");
            }
            let lent: usize = borrowers.iter().map(|borrower| borrower.lent).sum();
            prop_assert_eq!(lender.free.len() + lent, COUNT as usize, "no slot is lost or doubled");
            let out: usize = borrowers.iter().map(|borrower| borrower.out.len()).sum();
            let held = counted.iter().filter(|until| **until > now).count();
            prop_assert!(out + held <= COUNT as usize, "{} out and {} counted at {}", out, held, now);
        }
    }
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Relaxed);
    }
}

fn asks(borrower: &mut Borrower, woken: &Arc<Woken>, now: Tick) -> Waiting {
    let (keys, waker) = (RequestKey::new(), Waker::from(woken.clone()));
    let request = request(&keys);
    let asking = QueueRequest { request, class: Priority::Call, deadline: Tick::MAX, hold: None, runtime: None };
    assert!(borrower.core.try_acquire(&request, Priority::Call, None, now).is_none());
    match borrower.core.ask(&asking, &waker, now) {
        AskOutcome::Waiting(waiting) => waiting,
        AskOutcome::Granted(granted) => panic!("{granted:?}"),
        AskOutcome::TooLate(too_late) => panic!("{too_late:?}"),
    }
}

#[test]
fn a_loan_wakes_those_who_wait_for_it() {
    let (mut borrower, woken) = (Borrower::new(), Arc::<Woken>::default());
    let mut waiting = asks(&mut borrower, &woken, 0);
    borrower.lend(10, |lent| lent.borrow([500], 50_000, 10));
    borrower.core.effects.take().carry_out(drop);
    assert!(!woken.0.load(Relaxed), "the slot is not free yet");
    assert_eq!(borrower.core.next_due(None), Some(500));
    borrower.core.catch_up(500);
    borrower.core.effects.take().carry_out(drop);
    assert!(woken.0.load(Relaxed));
    assert!(matches!(borrower.core.claim(&mut waiting, None, 500), Some(AskOutcome::Granted(_))));
}
