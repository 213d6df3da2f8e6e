//! Loan: how many slots of a shared window this process wants, which go back, and when the store is asked.

use std::sync::Arc;

use super::excess::{Excess, HESITATES};
use super::held::{Held, Slot, waits};
use super::{Demand, MICRO, Terms};
use crate::throttle::slots::{Answer, Ask};
use crate::throttle::time::Tick;

/// The dealings with the store about one window.
#[derive(Debug)]
pub(super) struct Loan {
    /// The name of the window in the store.
    domain: Arc<str>,
    terms: Arc<Terms>,
    epoch: String,
    seq: u64,
    /// The ask that is out. It is repeated unchanged until it is answered.
    pending: Option<Ask>,
    /// The want that the store knows, and whether its last answer met it.
    told: u64,
    is_met: bool,
    /// When the last ask was made; `None` before the first.
    asked_at: Option<Tick>,
    /// When to ask again because the want is not met.
    poll_at: Option<Tick>,
    is_nudged: bool,
    /// How many slots the store asked back.
    recall: u64,
    /// When a slot was last taken or came back.
    active_at: Option<Tick>,
    /// Used slots of a long window that went back, and when the last of them are free.
    spent: (u64, Tick),
    last: Option<LoanView>,
    excess: Excess,
}

/// What the store said of a window last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::throttle) struct LoanView {
    pub(in crate::throttle) members: u64,
    pub(super) rank: u64,
    /// Whether the store knows this process as one of them.
    pub(super) is_member: bool,
    pub(in crate::throttle) free: u64,
    pub(in crate::throttle) debt: u64,
    pub(in crate::throttle) count: u64,
    contended: bool,
}

impl Loan {
    pub(super) fn new(domain: Arc<str>, terms: Arc<Terms>) -> Self {
        let excess = Excess::new(terms.ttl);
        Self {
            domain,
            terms,
            epoch: String::new(),
            seq: 0,
            pending: None,
            told: 0,
            is_met: true,
            asked_at: None,
            poll_at: None,
            is_nudged: false,
            recall: 0,
            active_at: None,
            spent: (0, 0),
            last: None,
            excess,
        }
    }

    pub(super) fn ttl(&self) -> Tick {
        self.terms.ttl
    }

    pub(super) fn guard(&self) -> Tick {
        self.terms.guard
    }

    /// Returns how many slots the ask that is out says are held.
    pub(super) fn declared(&self) -> u64 {
        self.pending.as_ref().map_or(0, |ask| ask.held)
    }

    /// Counts a slot that is taken.
    pub(super) fn count(&mut self, held: &Held, now: Tick) {
        self.excess.count(held, now);
    }

    pub(super) fn touch(&mut self, now: Tick) {
        self.active_at = self.active_at.max(Some(now));
    }

    /// The store is asked soon.
    pub(super) const fn nudge(&mut self) {
        self.is_nudged = true;
    }

    /// Returns whether an epoch is another one than that of the last answer.
    pub(super) fn is_other_epoch(&self, epoch: &str) -> bool {
        !self.epoch.is_empty() && self.epoch != epoch
    }

    /// Returns whether the store may forget this process.
    pub(super) const fn is_idle(&self) -> bool {
        self.pending.is_none() && self.told == 0
    }

    /// Returns how many used slots of a long window went back.
    pub(super) const fn spent(&self, now: Tick) -> u64 {
        if now < self.spent.1 { self.spent.0 } else { 0 }
    }

    pub(super) fn told(&mut self, answer: &Answer, held: &Held, sent: Tick, now: Tick) {
        self.pending = None;
        self.epoch.clone_from(&answer.epoch);
        (self.recall, self.is_met) = (answer.recall, held.all() >= self.told);
        self.asked_at = Some(sent);
        // Whoever has its share waits for what others leave.
        let hint = if answer.poll == 0 { Tick::MAX } else { answer.poll.saturating_mul(MICRO) };
        let poll = hint.min(self.terms.poll.max(held.term.length() / POLLS).min(LONGEST_POLL));
        self.poll_at = (!self.is_met).then(|| now.saturating_add(poll.max(SOON)));
        let Answer { members, rank, free, debt, count, contended, .. } = *answer;
        self.excess.told(answer, now);
        let is_member = held.all() > 0 || self.told > 0;
        self.last = Some(LoanView { members, rank, is_member, free, debt, count, contended });
        if !answer.grants.is_empty() {
            self.touch(now);
        }
    }

    pub(super) const fn view(&self) -> Option<LoanView> {
        self.last
    }

    pub(super) const fn domain(&self) -> &Arc<str> {
        &self.domain
    }

    /// Returns whether an ask is out, and not answered.
    pub(super) const fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// Returns when the store is asked next; `None` if nothing is held or wanted, or an ask is out.
    pub(super) fn due(&self, held: &Held, demand: Demand, now: Tick) -> Option<Tick> {
        if self.pending.is_some() {
            return None;
        }
        let want = self.want(held, demand, now);
        let Some(asked_at) = self.asked_at else { return (want > 0).then_some(now) };
        let is_known = held.all() > 0 || self.told > 0;
        let is_called = self.is_nudged && (is_known || want > 0);
        // A slot that goes back and forth must not keep the processor busy.
        let soonest = asked_at.saturating_add(PAUSE);
        if is_called || (self.recall > 0 && held.has_returnable(demand)) {
            return Some(soonest.max(now));
        }
        let mut dues = [None; 7];
        let [beat, more, poll, idle, spent, less, excess] = &mut dues;
        if is_known {
            *beat = Some(asked_at.saturating_add(self.terms.beat));
        }
        if self.is_short(held, demand, now) {
            let is_news = want > self.told && (self.is_met || want / 2 >= self.told);
            *more = is_news.then(|| asked_at.saturating_add(PAUSE));
            *poll = self.poll_at;
        }
        if demand.parked == 0 && !held.is_empty() {
            *idle = Some(self.active_at.unwrap_or(0).saturating_add(self.idle_after()));
        }
        if held.term.is_long() && held.used_and_unused().0 >= block(held) {
            *spent = Some(now);
        }
        *excess = self.excess.due(held, demand, asked_at, now);
        if want < self.told && (want + held.all() == 0 || self.is_contended()) {
            *less = Some(asked_at.saturating_add(SOON));
        }
        dues.into_iter().flatten().min().map(|due| due.max(soonest))
    }

    /// Makes the ask that is due, or returns the one that is out. `run` and `uptime` are left to the store's connection.
    pub(super) fn ask(&mut self, held: &mut Held, demand: Demand, now: Tick) -> Ask {
        if let Some(pending) = &self.pending {
            return pending.clone();
        }
        let back = self.take_returns(held, demand, now);
        let want = self.want(held, demand, now);
        // A request may still arrive a guard after the lease of a member that died.
        let used_last = now.saturating_add(self.terms.guard);
        let window = held.term.free_at(used_last).saturating_sub(used_last);
        self.seq += 1;
        (self.told, self.is_nudged) = (want, false);
        let ask = Ask {
            member: self.terms.member.as_ref().into(),
            seq: self.seq,
            epoch: self.epoch.clone(),
            run: String::new(),
            uptime: 0,
            count: held.count.into(),
            window: window.div_ceil(MICRO),
            ttl: self.terms.ttl / MICRO,
            guard: self.terms.guard / MICRO,
            grain: held.term.grain() / MICRO,
            held: held.all(),
            want,
            returns: waits(&back, now),
        };
        self.pending = Some(ask.clone());
        ask
    }

    /// Gives everything back: the throttle ends.
    pub(super) fn farewell(&mut self, held: &mut Held, now: Tick) -> Option<Ask> {
        // What an ask that is out gives back is lost with its answer; the end of the lease returns it.
        if held.all() == 0 && self.told == 0 {
            return None;
        }
        self.pending = None;
        let back = held.drain();
        let mut ask = self.ask(held, Demand::default(), now);
        (ask.returns, ask.want) = (waits(&back, now), 0);
        Some(ask)
    }

    /// Returns how many slots the process has use for. An unused slot that is dated ahead does not count: it serves a
    /// request that waits already.
    fn want(&self, held: &Held, demand: Demand, now: Tick) -> u64 {
        let mut want = held.flying + u64::from(demand.parked);
        // While others wait, only requests that are here count.
        if demand.parked > 0 || !self.is_contended() {
            let is_active = demand.parked > 0 || (self.active_at.is_some() && !self.is_idle_for(self.terms.ttl, now));
            want += match held.term.is_long() {
                true if is_active => block(held),
                true => 0,
                false if self.excess.is_sparse(held, now) => 0,
                false => held.cooling(now),
            };
        }
        if want == 0 && held.all() == 0 && demand.waiting > 0 {
            want = 1;
        }
        want.min(held.count.into())
    }

    /// Returns whether more slots are needed than are held.
    fn is_short(&self, held: &Held, demand: Demand, now: Tick) -> bool {
        let want = self.want(held, demand, now);
        if !held.term.is_long() {
            return want > held.all();
        }
        let (_, unused) = held.used_and_unused();
        want > held.flying + unused && (u64::from(demand.parked) > unused || unused * 2 < block(held))
    }

    /// Takes the slots that go back now.
    fn take_returns(&mut self, held: &mut Held, demand: Demand, now: Tick) -> Vec<Slot> {
        let is_long = held.term.is_long();
        let mut back = self.excess.take(held, demand, self.is_nudged, now);
        back.extend(match demand.parked == 0 && self.is_idle_for(self.idle_after(), now) {
            true => held.drain(),
            // What was used of a long window is kept by the store, so that it outlives the process.
            false if is_long => held.drain_used(),
            false => Vec::new(),
        });
        back.extend(held.drain_some(self.recall.saturating_sub(back.len() as u64), demand, now));
        self.recall = self.recall.saturating_sub(back.len() as u64);
        if is_long {
            let used = back.iter().filter(|slot| slot.is_used && slot.free_at > now);
            let until = used.clone().map(|slot| slot.free_at).max().unwrap_or(0);
            self.spent = (self.spent(now) + used.count() as u64, until.max(self.spent.1));
        }
        back
    }

    /// Returns how long slots are kept without a request.
    fn idle_after(&self) -> Tick {
        if self.is_contended() { HESITATES } else { self.terms.ttl }
    }

    fn is_contended(&self) -> bool {
        self.last.is_some_and(|last| last.contended)
    }

    /// Returns whether no slot was taken and none came back for this long.
    fn is_idle_for(&self, wait: Tick, now: Tick) -> bool {
        now >= self.active_at.unwrap_or(0).saturating_add(wait)
    }
}

/// Returns how many slots of a long window are borrowed ahead: about 1 %.
fn block(held: &Held) -> u64 {
    u64::from(held.count / 100).max(1)
}

/// A store that cannot call is asked this often in a window, but once a second at least.
const POLLS: Tick = 50;
const LONGEST_POLL: Tick = 1_000_000_000;
/// The shortest time between two asks for more: 5 ms.
const PAUSE: Tick = 5_000_000;
/// The shortest time until an ask is repeated because it was not met: 10 ms.
const SOON: Tick = 10_000_000;
