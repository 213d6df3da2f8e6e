//! Core: the parts of a throttle behind its lock, and the calls from outside.
//!
//! This is the only file that sees more than one part. Each call first carries out the work that is due, if that
//! matters, lends the parts to each other, and leaves its [effects](super::effects) to be carried out after the lock.

use std::sync::Arc;
use std::task::Waker;

use http::StatusCode;
use tokio::runtime::Id;
use tokio::time::Instant;

use super::account::Account;
use super::accounts::Accounts;
use super::board::Posted;
use super::boards::{Boards, Surroundings};
use super::effects::Effects;
use super::explain::{LimiterLine, QueueEstimate};
use super::feedback::{Action, ServiceAnswer, Stopped, interpret};
use super::ids::{AccountId, InFlightId, WaiterId};
use super::in_flight::{DEFAULT_HOLD, InFlight, PermitReport};
use super::ledger::Reply;
use super::limiter::{Limiter, Reports};
use super::limiters::{Editing, Limiters};
use super::loans::{Loans, Round};
use super::request::{Attribution, RequestFacts};
use super::scheduler::{self, Ask, Parts, Scheduler, TooLate};
use super::time::{Tick, Timeline};
use super::timers::Timers;
use super::usage::LimitUsage;
use crate::clock::Clock;
use crate::event::Event;
use crate::hint::Hints;
use crate::message::Priority;

/// The parts of a throttle.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) time: Timeline,
    pub(super) accounts: Accounts,
    pub(super) limiters: Limiters,
    pub(super) in_flight: InFlight,
    pub(super) scheduler: Scheduler,
    pub(super) timers: Timers,
    pub(super) effects: Effects,
    pub(super) loans: Loans,
    pub(super) boards: Boards,
}

/// A request that has to wait.
pub(super) struct QueueRequest<'a> {
    pub(super) request: RequestFacts<'a>,
    pub(super) class: Priority,
    /// `Tick::MAX` for none.
    pub(super) deadline: Tick,
    /// How long the request may take, if set.
    pub(super) hold: Option<Tick>,
    pub(super) runtime: Option<Id>,
}

/// The outcome of asking.
pub(super) enum AskOutcome {
    Granted(Granted),
    Waiting(Waiting),
    TooLate(TooLate),
}

/// A permit that is handed over.
#[derive(Debug)]
pub(super) struct Granted {
    pub(super) id: InFlightId,
    /// The events that the permit has to report.
    pub(super) reports: Reports,
    pub(super) waited: Tick,
    pub(super) attribution: Arc<Attribution>,
}

/// A request in the queue, as its future holds it.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) id: WaiterId,
    attribution: Arc<Attribution>,
    /// The version of the limiters from responses at the last check.
    answers: u64,
}

impl Core {
    pub(super) fn new(now: Instant) -> Self {
        let mut core = Self {
            time: Timeline::new(now),
            accounts: Accounts::default(),
            limiters: Limiters::default(),
            in_flight: InFlight::default(),
            scheduler: Scheduler::default(),
            timers: Timers::default(),
            effects: Effects::default(),
            loans: Loans::default(),
            boards: Boards::default(),
        };
        // The first account stands for all accounts.
        core.edit(0, |accounts, editing| accounts.account("", "", editing));
        core
    }

    /// Changes accounts and limiters, and checks the requests that wait for a changed limiter.
    pub(super) const fn clock(&self) -> Clock {
        self.accounts.clock()
    }

    pub(super) fn edit<R>(&mut self, now: Tick, edit: impl FnOnce(&mut Accounts, &mut Editing<'_>) -> R) -> R {
        let Self { accounts, limiters, effects, .. } = self;
        let mut editing = Editing { limiters, effects, changed: Vec::new(), now };
        let result = edit(accounts, &mut editing);
        let changed = editing.changed;
        let (scheduler, mut parts) = self.parts(now);
        for id in changed {
            if parts.limiters.of(id).is_paused(now) {
                scheduler.limiter_paused(id, &mut parts);
            } else {
                scheduler.limiter_changed(id, &mut parts);
            }
        }
        result
    }

    /// Returns a permit, if all limiters of the request admit it now and no other request is ahead.
    pub(super) fn try_acquire(
        &mut self,
        request: &RequestFacts<'_>,
        class: Priority,
        hold: Option<Tick>,
        now: Tick,
    ) -> Option<Granted> {
        self.catch_up(now);
        self.touch_board(request.account, now);
        let Self { accounts, limiters, effects, .. } = self;
        let mut editing = Editing { limiters, effects, changed: Vec::new(), now };
        let (set, attribution) = accounts.limiters_for(request, class, &mut editing);
        // A limiter may open before the queue is checked: a wall clock that jumps to the next day opens a calendar day.
        if !self.limiters.admit(set, class, now) || self.scheduler.anybody_before(set, class, &self.limiters) {
            self.limiters.release(set);
            return None;
        }
        let reports = self.limiters.take(set, &mut self.effects, now);
        let id = self.in_flight.grant(set, now);
        let is_first = self.in_flight.launch(id, hold.unwrap_or(DEFAULT_HOLD), now);
        // If no request waits, no timer runs.
        self.effects.rearm |= is_first && self.scheduler.is_active();
        Some(Granted { id, reports, waited: 0, attribution })
    }

    /// Joins the queue, after [`try_acquire`](Self::try_acquire) found no permit.
    pub(super) fn ask(&mut self, asking: &QueueRequest<'_>, waker: &Waker, now: Tick) -> AskOutcome {
        let QueueRequest { request, class, deadline, hold, runtime } = asking;
        self.touch_board(request.account, now);
        let Self { accounts, limiters, effects, .. } = self;
        let mut editing = Editing { limiters, effects, changed: Vec::new(), now };
        let (set, attribution) = accounts.limiters_for(request, *class, &mut editing);
        let answers = self.accounts.answers();
        let ask = Ask { set, class: *class, task: request.task, deadline: *deadline, runtime: *runtime };
        let (scheduler, mut parts) = self.parts(now);
        match scheduler.ask(&ask, waker, &mut parts) {
            scheduler::Answer::Granted(id, waited) => {
                AskOutcome::Granted(self.hand_over(id, waited, attribution, *hold, now))
            }
            scheduler::Answer::Waiting(id) => AskOutcome::Waiting(Waiting { id, attribution, answers }),
            scheduler::Answer::TooLate(too_late) => AskOutcome::TooLate(too_late),
        }
    }

    /// Returns the outcome for a request in the queue, if there is one now.
    pub(super) fn claim(&mut self, waiting: &mut Waiting, hold: Option<Tick>, now: Tick) -> Option<AskOutcome> {
        self.catch_up(now);
        if waiting.answers != self.accounts.answers() {
            waiting.answers = self.accounts.answers();
            let set = self.scheduler.set_of(waiting.id);
            let unmet = self.accounts.unmet(&waiting.attribution, self.limiters.set(set));
            if !unmet.is_empty() {
                // Responses have since made limiters that should count the request. Its place is kept.
                let mut set = self.limiters.set(set).clone();
                unmet.into_iter().for_each(|id| set.add(id));
                let set = self.limiters.number(set);
                let (scheduler, mut parts) = self.parts(now);
                scheduler.change_set(waiting.id, set, &mut parts);
            }
        }
        let (scheduler, mut parts) = self.parts(now);
        match scheduler.claim(waiting.id, &mut parts)? {
            scheduler::Answer::Granted(id, waited) => {
                let attribution = waiting.attribution.clone();
                Some(AskOutcome::Granted(self.hand_over(id, waited, attribution, hold, now)))
            }
            scheduler::Answer::TooLate(too_late) => Some(AskOutcome::TooLate(too_late)),
            scheduler::Answer::Waiting(_) => None,
        }
    }

    /// Lets a request that had nothing to [claim](Self::claim) wait on, in this runtime; returns an outcome that is
    /// immediate.
    pub(super) fn wait_on(
        &mut self,
        waiting: &Waiting,
        waker: &Waker,
        runtime: Option<Id>,
        hold: Option<Tick>,
        now: Tick,
    ) -> Option<AskOutcome> {
        let (scheduler, mut parts) = self.parts(now);
        match scheduler.wait_on(waiting.id, waker, runtime, &mut parts) {
            scheduler::Answer::Granted(id, waited) => {
                let attribution = waiting.attribution.clone();
                Some(AskOutcome::Granted(self.hand_over(id, waited, attribution, hold, now)))
            }
            scheduler::Answer::TooLate(too_late) => Some(AskOutcome::TooLate(too_late)),
            scheduler::Answer::Waiting(_) => None,
        }
    }

    /// Removes a request that gives up from the queue.
    pub(super) fn leave(&mut self, waiting: &Waiting, now: Tick) {
        let (scheduler, mut parts) = self.parts(now);
        scheduler.leave(waiting.id, &mut parts);
    }

    /// Records a permit's report on its request.
    pub(super) fn report(&mut self, id: InFlightId, report: PermitReport, now: Tick) {
        let changed = self.in_flight.report(id, report, &mut self.limiters, now);
        let Some(set) = changed.filter(|_| self.scheduler.is_active()) else { return };
        let (scheduler, mut parts) = self.parts(now);
        match report {
            PermitReport::Answered { .. } => scheduler.answered(set, &mut parts),
            _ => scheduler.set_changed(set, &mut parts),
        }
    }

    /// Records the response to a permit's request and the hints in the response; returns the limiter that the response
    /// stopped.
    pub(super) fn heard(
        &mut self,
        id: InFlightId,
        attribution: &Attribution,
        (status, hints): (StatusCode, &Hints),
        whole: bool,
        now: Tick,
    ) -> Option<Stopped> {
        self.catch_up(now);
        let (set, sent) = self.in_flight.set_and_send(id)?;
        let answer = ServiceAnswer { status, hints, route: attribution.route.as_ref(), sent };
        if !answer.is_refusal() {
            self.limiters.each(set, Limiter::calm);
            if hints.says_nothing() && !self.limiters.learn(set) {
                self.report(id, PermitReport::Answered { whole }, now);
                return None;
            }
        }
        self.limiters.hold(set);
        self.report(id, PermitReport::Answered { whole }, now);
        let found = self.accounts.found(attribution.account, &self.limiters);
        let (mut stated, mut pausing) = (Vec::new(), None);
        let stopped = self.edit(now, |accounts, editing| {
            for ignored in hints.ignored() {
                editing.effects.report(|| Event::Ignored { what: ignored.as_str().into() });
            }
            let reads_answers = accounts.feedback().reads_answers();
            let account = accounts.answering(attribution)?;
            if reads_answers {
                stated = account.record_budgets(attribution, set, hints.budgets(), sent, editing);
            }
            let learner = editing.limiters.teach(set, sent, answer.is_refusal(), editing.effects, now);
            editing.changed.extend(learner);
            let view = answer.is_refusal().then(|| account.view(set, hints.budgets(), editing))?;
            let mut order = None;
            for action in interpret(&answer, &view, now) {
                match action {
                    Action::RememberRefused(route) => account.gates.refused = Some((route, now)),
                    Action::RememberUnavailable(route) => account.gates.unavailable = Some((route, now)),
                    Action::Pause(pause) => order = Some(pause),
                }
            }
            let order = order?;
            let id = account.limiter_of(order.target, editing.limiters);
            let limiter = editing.limiters.of_mut(id);
            let kept = limiter.holds_back();
            let until = limiter.refuse(order.during, now);
            let is_new = until.is_some_and(|until| editing.limiters.pause(id, until, editing.effects, now));
            editing.changed.push(id);
            pausing = until.map(|_| id);
            Some(Stopped { limit: editing.limiters.of(id).label.clone(), cause: order.cause, is_new, kept })
        });
        self.limiters.release(set);
        let Self { boards, accounts, limiters, .. } = self;
        if limiters.terms().is_some() {
            boards.say_budgets(attribution, &stated, accounts, limiters, now);
            boards.say_learned(attribution.account, found, accounts, limiters);
            if let Some(id) = pausing {
                boards.say_pause(attribution.account, id, accounts, limiters, now);
            }
        }
        stopped
    }

    /// Records that an account is used, if other processes use it too.
    #[inline]
    fn touch_board(&mut self, account: AccountId, now: Tick) {
        if let Some(terms) = self.limiters.terms() {
            let has_common = self.accounts.get(AccountId::ALL).is_some_and(|all| !all.rules.is_empty());
            self.boards.touch(account, &self.accounts, terms, now);
            if has_common && account != AccountId::ALL {
                self.boards.touch(AccountId::ALL, &self.accounts, terms, now);
            }
        }
    }

    /// Returns the asks to the store of shared windows that are due.
    pub(super) fn ask_store(&mut self, now: Tick) -> Round {
        self.catch_up(now);
        let Self { loans, boards, accounts, limiters, scheduler, .. } = self;
        let mut round = Loans::round(limiters, scheduler, now);
        if let Some(terms) = limiters.terms().cloned() {
            let mut around = Surroundings { accounts, limiters, scheduler, now };
            let (posts, next) = boards.round(!round.asks.is_empty(), &terms, &mut around);
            (round.posts, round.next) = (posts, [round.next, next].into_iter().flatten().min());
        }
        loans.arm(round.next);
        round
    }

    /// Takes what other processes told.
    pub(super) fn told_board(&mut self, round: &Round, answers: Vec<Posted>, now: Tick) {
        let mut boards = std::mem::take(&mut self.boards);
        self.edit(now, |accounts, editing| boards.told((&round.posts, answers), round.now, accounts, editing));
        self.boards = boards;
    }

    /// Takes the answers of the store, and lets the requests go that they admit.
    pub(super) fn told(&mut self, round: &Round, replies: &[Reply], now: Tick) {
        let Self { loans, limiters, effects, .. } = self;
        let changed = loans.told(round, replies, limiters, effects, now);
        let (scheduler, mut parts) = self.parts(now);
        changed.into_iter().for_each(|id| scheduler.limiter_changed(id, &mut parts));
    }

    /// Records that the store did not answer.
    pub(super) fn store_failed(&mut self, why: &Arc<str>, now: Tick) {
        let Self { loans, limiters, effects, .. } = self;
        let changed = loans.failed(why, limiters, effects, now);
        self.edit(now, |_, editing| editing.changed = changed);
        self.board_failed(now);
    }

    /// Records that the other processes could not be told.
    pub(super) fn board_failed(&mut self, now: Tick) {
        let mut boards = std::mem::take(&mut self.boards);
        self.edit(now, |accounts, editing| boards.failed(accounts, editing));
        self.boards = boards;
    }

    /// Ends the pauses of an account in this process.
    pub(super) fn resume(&mut self, account: AccountId, now: Tick) {
        self.boards.resume(&self.accounts.with_hosts(account));
        self.edit(now, |accounts, editing| accounts.resume(account, editing));
    }

    /// The store wants to hear about these windows.
    pub(super) fn nudged(&mut self, domains: &[Arc<str>]) {
        self.loans.nudged(domains, &mut self.limiters);
        self.boards.nudged(domains);
    }

    /// Returns whether the clerk must look earlier than it expects.
    pub(super) fn clerk_oversleeps(&mut self, now: Tick) -> bool {
        let Self { loans, boards, accounts, limiters, scheduler, .. } = self;
        let mut due = if limiters.is_stirred() { Loans::due(limiters, scheduler, now) } else { None };
        if boards.is_stirred()
            && let Some(terms) = limiters.terms().cloned()
        {
            let next = boards.due(&terms, &mut Surroundings { accounts, limiters, scheduler, now });
            due = [due, next].into_iter().flatten().min();
        }
        loans.oversleeps(due)
    }

    /// Returns the wait that a request would have now.
    pub(super) fn explain(&mut self, request: &RequestFacts<'_>, class: Priority, now: Tick) -> QueueEstimate {
        self.catch_up(now);
        let set = self.edit(now, |accounts, editing| accounts.limiters_for(request, class, editing).0);
        let goes = self.limiters.admit(set, class, now) && !self.scheduler.anybody_before(set, class, &self.limiters);
        let mut lines = Vec::new();
        self.limiters.each_with_id(set, |id, limiter| {
            lines.push(LimiterLine::new(limiter, self.scheduler.waiting(id), now).to_string());
        });
        lines.extend(self.loans.trouble().map(|why| format!("the store of shared limits does not answer: {why}")));
        let last = self.scheduler.not_before(set, class, request.task, &mut self.limiters, now).filter(|_| !goes);
        self.limiters.release(set);
        match last {
            None => QueueEstimate::at_once(lines),
            Some((id, opens)) => {
                let ahead = self.scheduler.ahead(id, class);
                QueueEstimate::bound(self.limiters.of(id), ahead, opens, lines, now)
            }
        }
    }

    /// Returns the limits that count requests of an account: the declared limits in their order, the budgets that the
    /// service states, the learned limits, and the gates that pause. `looks`: the highest concurrency is counted anew
    /// from now on.
    pub(super) fn usage(&mut self, account: AccountId, looks: bool, now: Tick) -> Vec<LimitUsage> {
        self.catch_up(now);
        let hosts = if account == AccountId::ALL { Vec::new() } else { self.accounts.with_hosts(account) };
        let accounts = std::iter::once(AccountId::ALL).chain(hosts).filter_map(|account| self.accounts.get(account));
        let ids = accounts.flat_map(Account::limiters).take(MOST_SHOWN);
        let (limiters, scheduler) = (&mut self.limiters, &self.scheduler);
        ids.filter_map(|id| LimitUsage::of_limiter(limiters.of_mut(id), scheduler.waiting(id), looks, now)).collect()
    }

    /// Carries out the work that is due: expired permits, unclaimed grants, deadlines, limiters that open.
    #[inline]
    pub(super) fn catch_up(&mut self, now: Tick) {
        while let Some(set) = self.in_flight.expire(&mut self.limiters, now) {
            let (scheduler, mut parts) = self.parts(now);
            scheduler.set_changed(set, &mut parts);
        }
        let (scheduler, mut parts) = self.parts(now);
        scheduler.catch_up(&mut parts);
    }

    /// Returns when to catch up next, for the timer of a runtime or for all; `None` if no request waits.
    pub(super) fn next_due(&self, asking: Option<Id>) -> Option<Tick> {
        self.scheduler.next_due(&self.timers, &self.in_flight, asking)
    }

    /// Hands over a permit of the queue to its request.
    fn hand_over(
        &mut self,
        id: InFlightId,
        waited: Tick,
        attribution: Arc<Attribution>,
        hold: Option<Tick>,
        now: Tick,
    ) -> Granted {
        let is_first = self.in_flight.launch(id, hold.unwrap_or(DEFAULT_HOLD), now);
        self.effects.rearm |= is_first;
        let set = self.in_flight.set_and_send(id).map(|(set, _)| set);
        debug_assert!(set.is_some(), "a permit that was just granted is there");
        let reports = set.map_or_else(Reports::default, |set| self.limiters.reports(set));
        Granted { id, reports, waited, attribution }
    }

    /// Returns the scheduler, and the parts that it works with.
    #[inline]
    fn parts(&mut self, now: Tick) -> (&mut Scheduler, Parts<'_>) {
        let Self { scheduler, limiters, in_flight, timers, effects, .. } = self;
        (scheduler, Parts { limiters, in_flight, timers, effects, now })
    }
}

/// A limit per key may have thousands of counters; no reader needs that many.
const MOST_SHOWN: usize = 1024;
