//! Slots: the exchange between the processes that share a window, and the store of its slots.
//!
//! The slots of a window are lent to processes, and each process reuses its slots as if they were a window of its own.
//! A process gives a slot back together with the time until it is free, and the next borrower waits that long. This file
//! is the store's side, as a pure function of the state, an ask and the time: the file of [`Throttle::file`], the
//! in-memory store of the tests and the script in Redis compute the same.
//!
//! - **Nothing is lost or doubled.** After each exchange, the slots that are held and those that are free, less the
//!   debt, are the slots of the window ([`Domain::balance`]).
//! - **A lease ends.** A process that is silent for the time of its lease is forgotten. Its slots are free once
//!   everything that it may have sent has left the window. If it comes back, its claims are void.
//! - **The store's clock** ([`Domain::advance`]) never runs back. Leases age only while somebody calls, and by a second
//!   a call at most, so that neither an outage nor a jump of the clock takes the slots of a process that lives.
//! - **A store that lost its data, or started anew,** begins another epoch. The processes declare what they hold, unless
//!   their leases are over by then, and all other slots are free only when nothing from before counts any longer. What is
//!   declared beyond the window is a debt, which returned slots pay.
//! - **Shares.** Each process gets what it wants, as long as all wants together fit. Otherwise the window is divided
//!   evenly ([`shares`]), the share that nobody wants is lent to those who want more, and those who hold too much are
//!   asked to give back.
//!
//! [`Throttle::file`]: super::Throttle::file

mod lending;
mod member;
mod message;
mod pool;
mod shares;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(super) use message::{Answer, Ask};

use lending::lend;
use member::{Kept, Member};
use pool::{End, Pool};

/// Microseconds, of the store's clock or of a wait.
pub(super) type Micros = u64;

/// Converts a duration to microseconds.
pub(super) fn micros(duration: Duration) -> Micros {
    Micros::try_from(duration.as_micros()).unwrap_or(MOST_MICROS)
}

/// One shared window, as the store keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Domain {
    /// Empty for a window that was never used.
    epoch: String,
    run: String,
    count: u64,
    /// The latest time, the sum of all backward steps of the store's clock, and the clock of the leases.
    last: Micros,
    offset: Micros,
    leases: Micros,
    debt: u64,
    free: Pool,
    /// The slots that are out of use, because a process declares a smaller window.
    shelf: Pool,
    /// The largest window so far.
    peak: u64,
    members: BTreeMap<String, Member>,
    /// Nothing of the window matters after this time.
    forget_at: Micros,
}

/// The result of an exchange.
#[derive(Debug)]
pub(super) struct Exchanged {
    pub(super) answer: Answer,
    /// The processes that should ask at once: they hold too much, or something came back for them.
    #[cfg_attr(not(test), expect(dead_code, reason = "a file cannot call, and the script in a server calls itself"))]
    pub(super) nudged: Vec<String>,
    /// Whether slots were lent that must not be forgotten, whatever happens to the store.
    pub(super) lends: bool,
}

impl Domain {
    /// Carries out one ask, at a time of the store's clock.
    pub(super) fn exchange(&mut self, ask: &Ask, time: Micros) -> Exchanged {
        let now = self.advance(time);
        self.begin(ask, now);
        let has_ended = self.end_leases(ask, now);
        let kept =
            self.members.get(&ask.member).filter(|member| member.seq == ask.seq).and_then(|own| own.kept.clone());
        let (kept, nudged, lends) = match kept {
            Some(kept) => (kept, Vec::new(), false),
            None => self.settle(ask, has_ended, now),
        };
        let answer = self.answer(ask, &kept, now);
        if let Some(member) = self.members.get_mut(&ask.member) {
            member.ends = self.leases.saturating_add(ask.ttl);
            member.kept = Some(kept);
            if member.held == 0 && ask.want == 0 {
                self.members.remove(&ask.member);
            }
        }
        self.forget_at = self.forget_at.max(now + 2 * (ask.window + ask.ttl + ask.guard) + LINGERS);
        Exchanged { answer, nudged, lends }
    }

    /// Returns whether nothing of the window matters any longer.
    pub(super) fn is_over(&self, time: Micros) -> bool {
        self.members.is_empty() && time.saturating_add(self.offset) >= self.forget_at
    }

    /// Returns the slots that are held, those that are free, the debt, and the slots of the window.
    #[cfg(test)]
    pub(super) fn balance(&self) -> (u64, u64, u64, u64) {
        (self.held(), self.free.total(), self.debt, self.count)
    }

    /// Advances the clocks.
    fn advance(&mut self, time: Micros) -> Micros {
        let mut now = time.saturating_add(self.offset);
        if now < self.last {
            self.offset += self.last - now;
            now = self.last;
        }
        if self.epoch.is_empty() {
            self.last = now;
        }
        self.leases += (now - self.last).min(LONGEST_STEP);
        self.last = now;
        now
    }

    /// Makes the slots of a window that is not here, and freezes those of a store that started anew.
    fn begin(&mut self, ask: &Ask, now: Micros) {
        let lapse = now + ask.ttl + ask.guard + ask.window;
        if self.epoch.is_empty() {
            self.epoch = format!("{}.{now}", ask.member);
            (self.count, self.peak) = (ask.count, ask.count);
            self.free.clear();
            // A store that has run for long would know of all slots that still count. For a long window nobody can wait
            // until that is so: what processes that are gone used of it is lost with the store's data.
            let is_sure = ask.uptime >= lapse - now || ask.window > LONGEST_FROZEN;
            let is_new = ask.epoch.is_empty() && is_sure;
            self.free.put(if is_new { now } else { lapse }, ask.count);
        } else if self.run != ask.run {
            self.epoch = format!("{}.{now}", ask.member);
            if ask.window <= LONGEST_FROZEN {
                self.free.delay(lapse);
            }
        }
        self.run.clone_from(&ask.run);
        self.free.settle(now);
    }

    /// Forgets the members whose leases are over; returns whether there were any.
    fn end_leases(&mut self, ask: &Ask, now: Micros) -> bool {
        let before = self.members.len();
        let (leases, mut lost) = (self.leases, 0);
        self.members.retain(|_, member| {
            let lives = leases < member.ends;
            lost += if lives { 0 } else { member.held };
            lives
        });
        self.give_back(grained(now + ask.guard + ask.window, ask), lost);
        self.members.len() < before
    }

    /// Takes claims and returns, and lends.
    fn settle(&mut self, ask: &Ask, has_ended: bool, now: Micros) -> (Kept, Vec<String>, bool) {
        let mut claims = (ask.held, ask.returned());
        let is_known = self.members.contains_key(&ask.member);
        let is_void = !is_known && ask.epoch == self.epoch && (claims.0 > 0 || claims.1 > 0);
        if is_void {
            claims = (0, 0);
        }
        let mut own = self.members.remove(&ask.member).unwrap_or_default();
        let claimed = claims.0.saturating_add(claims.1);
        if claimed > own.held {
            let missing = claimed - own.held;
            let found: u64 = self.free.take(missing, Micros::MAX, End::Latest).iter().map(|(_, count)| count).sum();
            self.debt += missing - found;
        } else {
            self.give_back(grained(now + ask.guard + ask.window, ask), own.held - claimed);
        }
        if !is_void {
            let doubtful = self.doubtful_for(ask);
            for (wait, count) in &ask.returns {
                let date = grained(now.saturating_add(*wait.max(&doubtful)), ask);
                self.give_back(date, *count);
            }
        }
        (own.held, own.want, own.seq, own.count) = (claims.0, ask.want, ask.seq, ask.count);
        own.ends = self.leases.saturating_add(ask.ttl);
        self.members.insert(ask.member.clone(), own);
        self.resize(now);
        let comes_back = has_ended || claims.1 > 0;
        let lent = lend(&mut self.members, &mut self.free, (self.count, self.debt), ask, comes_back, now);
        let lends = !lent.kept.grants.is_empty();
        (Kept { is_void, ..lent.kept }, lent.nudged, lends)
    }

    /// Takes slots that nobody holds any longer. They pay the debt first: while more are lent than the window has, none
    /// is free.
    fn give_back(&mut self, date: Micros, count: u64) {
        let paid = self.debt.min(count);
        self.debt -= paid;
        self.free.put(date, count - paid);
        let room = self.peak.saturating_sub(self.count).saturating_sub(self.shelf.total());
        self.shelf.put(date, paid.min(room));
    }

    /// Returns how long returned slots are out of use at least. An ask of another epoch may be the repetition of one that
    /// the store carried out before it lost its data: whoever was lent the slots since then has declared them by the end
    /// of this time, or is gone. For a long window nobody can wait until all that the others sent has left it.
    fn doubtful_for(&self, ask: &Ask) -> Micros {
        let is_of_this = ask.epoch.is_empty() || ask.epoch == self.epoch;
        let window = if ask.window > LONGEST_FROZEN { 0 } else { ask.window };
        if is_of_this { 0 } else { ask.ttl + ask.guard + window }
    }

    /// Follows the smallest window that a member declares. A slot that goes out of use keeps its date, so that a window
    /// that becomes larger again remembers what was used.
    fn resize(&mut self, now: Micros) {
        let count = self.members.values().map(|member| member.count).min().unwrap_or(self.count);
        if count < self.count {
            let gone = self.free.take(self.count - count, Micros::MAX, End::Earliest);
            let found: u64 = gone.iter().map(|(_, slots)| slots).sum();
            self.debt += self.count - count - found;
            gone.into_iter().for_each(|(date, slots)| self.shelf.put(date, slots));
        } else if count > self.count {
            let mut more = count - self.count;
            let paid = self.debt.min(more);
            (self.debt, more) = (self.debt - paid, more - paid);
            for (date, slots) in self.shelf.take(more, Micros::MAX, End::Latest) {
                self.free.put(date, slots);
                more -= slots;
            }
            self.free.put(now, more);
        }
        (self.count, self.peak) = (count, self.peak.max(count));
    }

    fn answer(&self, ask: &Ask, kept: &Kept, now: Micros) -> Answer {
        let grants = kept.grants.iter().map(|(date, count)| (date.saturating_sub(now), *count));
        Answer {
            epoch: self.epoch.clone(),
            is_void: kept.is_void,
            recall: kept.recall,
            poll: kept.poll,
            members: u64::try_from(self.members.len()).unwrap_or(u64::MAX),
            rank: u64::try_from(self.members.range(..ask.member.clone()).count()).unwrap_or(u64::MAX),
            contended: kept.contended,
            count: self.count,
            free: self.free.total(),
            debt: self.debt,
            grants: grants.collect(),
        }
    }

    #[cfg(test)]
    fn held(&self) -> u64 {
        self.members.values().map(|member| member.held).sum()
    }
}

/// Rounds a date up to the grain of a window.
fn grained(at: Micros, ask: &Ask) -> Micros {
    if ask.grain == 0 { at } else { at.div_ceil(ask.grain).saturating_mul(ask.grain) }
}

/// A hundred years, which a floating-point number counts exactly.
const MOST_MICROS: Micros = 1 << 52;
/// A call ages the leases by a second at most.
const LONGEST_STEP: Micros = 1_000_000;
/// A store that started anew freezes windows of up to a minute; what is lent of longer ones is written durably.
const LONGEST_FROZEN: Micros = 60_000_000;
/// A window that nobody uses is kept for another minute.
const LINGERS: Micros = 60_000_000;
