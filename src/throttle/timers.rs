//! Timers: the runtimes with waiters, and whether each of them is being polled.
//!
//! A throttle may be shared by several runtimes, and each of them may stop being polled at any time. So each runtime
//! with waiters has its own timer, run by a task of the [`timer_task`](super::timer_task); there is no timer per
//! waiter.

use std::time::Duration;

use tokio::runtime::{Handle, Id};

use super::time::Tick;

/// A runtime with waiters, and a timer of the throttle in it.
///
/// The timer also shows whether the runtime is being polled. Each round of the timer runs after all tasks that were
/// woken before, so a waiter that was not polled in two rounds is alive and not polled.
#[derive(Debug)]
pub(super) struct RuntimeTimer {
    id: Id,
    /// The number of rounds of the timer.
    rounds: u64,
    /// When anything in the runtime was last polled.
    seen: Tick,
    /// When its timer fires.
    armed: Tick,
}

/// The runtimes with waiters: usually one.
#[derive(Debug, Default)]
pub(super) struct Timers(Vec<RuntimeTimer>);

/// A grant, as seen in its waiter's runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GrantTime {
    pub(super) at: Tick,
    /// The rounds of the timer at the time of the grant.
    pub(super) round: u64,
}

impl Timers {
    /// Returns the id of this runtime. If the runtime has no timer yet, also returns the handle to start one.
    pub(super) fn here(&mut self, now: Tick) -> (Id, Option<Handle>) {
        let here = Handle::current();
        let id = here.id();
        match self.get(id) {
            Some(timer) => {
                timer.seen = now;
                (id, None)
            }
            None => {
                // tokio panics here if the runtime has no timer, before any waiter relies on one.
                drop(tokio::time::sleep(Duration::ZERO));
                self.0.push(RuntimeTimer { id, rounds: 0, seen: now, armed: Tick::MAX });
                (id, Some(here))
            }
        }
    }

    /// Begins a round of a runtime's timer; `None` if the runtime has none.
    pub(super) fn begin_round(&mut self, id: Id, now: Tick) -> Option<()> {
        let timer = self.get(id)?;
        (timer.rounds, timer.seen) = (timer.rounds + 1, now);
        Some(())
    }

    /// Arms the timer of a runtime for `due`; if nothing is due, the timer ends.
    pub(super) fn arm(&mut self, id: Id, due: Option<Tick>) {
        match due {
            Some(due) => self.get(id).into_iter().for_each(|timer| timer.armed = due),
            None => self.leave(id),
        }
    }

    fn get(&mut self, id: Id) -> Option<&mut RuntimeTimer> {
        self.0.iter_mut().find(|timer| timer.id == id)
    }

    pub(super) fn leave(&mut self, id: Id) {
        self.0.retain(|timer| timer.id != id);
    }

    /// Returns whether a timer sleeps past this time. That timer must be notified, and is then considered awake.
    pub(super) fn oversleeps(&mut self, due: Option<Tick>) -> bool {
        let mut oversleeps = false;
        for timer in &mut self.0 {
            if due.is_none_or(|due| due < timer.armed) && timer.armed > 0 {
                timer.armed = 0;
                oversleeps = true;
            }
        }
        oversleeps
    }

    pub(super) fn round(&self, id: Option<Id>) -> u64 {
        self.0.iter().find(|timer| Some(timer.id) == id).map_or(0, |timer| timer.rounds)
    }

    /// Returns when an unclaimed grant passes on. `asking` is the runtime whose timer asks: for its own grants, that
    /// timer comes round again at once.
    pub(super) fn overdue_at(&self, granted: GrantTime, id: Option<Id>, asking: Option<Id>) -> Tick {
        let claim = granted.at + CLAIM;
        match self.0.iter().find(|timer| Some(timer.id) == id) {
            Some(timer) if timer.rounds < granted.round + ROUNDS => {
                let is_dead = timer.seen.saturating_add(DEAD);
                if asking == id { claim } else { claim.max(is_dead) }
            }
            _ => claim,
        }
    }

    pub(super) fn is_overdue(&self, granted: GrantTime, id: Option<Id>, now: Tick) -> bool {
        let alive = |timer: &&RuntimeTimer| {
            Some(timer.id) == id && timer.rounds < granted.round + ROUNDS && now < timer.seen.saturating_add(DEAD)
        };
        now >= granted.at + CLAIM && self.0.iter().find(alive).is_none()
    }
}

/// How long a grant waits for a waiter that is not polled: 20 ms.
pub(super) const CLAIM: Tick = 20_000_000;
/// The current round began before the grant.
const ROUNDS: u64 = 2;
/// A runtime in which nothing was polled for this long is not being polled: half a second.
const DEAD: Tick = 500_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_passes_on_when_its_runtime_went_round_twice_or_is_not_run() {
        let (busy, other) = (tokio::runtime::Runtime::new().unwrap(), tokio::runtime::Runtime::new().unwrap());
        let (id, second) = (busy.handle().id(), other.handle().id());
        let mut timers = Timers::default();
        for timer in [&busy, &other] {
            let _guard = timer.enter();
            assert!(timers.here(1000).1.is_some() && timers.here(1000).1.is_none(), "its timer is started once");
        }
        let granted = GrantTime { at: 1000, round: timers.round(Some(id)) };
        for (rounds, seen, now, overdue) in [
            (0, 1000, 1000 + CLAIM - 1, false),
            (0, 1000, 1000 + CLAIM, false),
            (1, CLAIM, 1000 + CLAIM, false),
            (2, CLAIM, 1000 + CLAIM, true),
            (2, 1000, 1000 + CLAIM - 1, false),
            (0, 1000, 1000 + DEAD, true),
            (0, 1000 + DEAD, 1000 + DEAD, false),
        ] {
            let timer = timers.get(id).unwrap();
            (timer.rounds, timer.seen) = (rounds, seen);
            assert_eq!(timers.is_overdue(granted, Some(id), now), overdue, "{rounds} {seen} {now}");
        }
        // Its own timer comes round again at once, another timer when the runtime may be dead.
        assert_eq!(timers.overdue_at(granted, Some(id), Some(id)), 1000 + CLAIM);
        assert_eq!(timers.overdue_at(granted, Some(id), Some(second)), 1000 + 2 * DEAD);
        timers.leave(id);
        assert!(timers.is_overdue(granted, Some(id), 1000 + CLAIM), "a runtime that is gone");
        timers.get(second).unwrap().armed = 50;
        assert!(
            !timers.oversleeps(Some(50)) && timers.oversleeps(Some(49)) && !timers.oversleeps(None),
            "it is told once"
        );
    }
}
