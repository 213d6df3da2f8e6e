//! The state under the throttle's lock: windows, pause, and the queue of those who wait.

use std::collections::{BTreeMap, BTreeSet};
use std::task::Waker;
use std::time::Duration;

use tokio::time::Instant;

use super::window::Window;
use crate::limit::Limit;

#[derive(Debug, Default)]
pub(super) struct State {
    windows: Vec<Window>,
    paused_until: Option<Instant>,
    /// After a pause: at most so many at once, one more with each answer, which doubles it each round trip.
    ramp: Option<usize>,
    /// Requests on their way, by when each is over at the latest.
    flying: BTreeSet<(Instant, u64)>,
    queue: BTreeMap<u64, Waiter>,
    last_id: u64,
    pub(super) has_driver: bool,
    /// When the driver looks again at the latest: later, it stands in a runtime that nobody runs.
    pub(super) driver_due: Option<Instant>,
}

#[derive(Debug)]
struct Waiter {
    waker: Waker,
    /// Since when a grant waits for it.
    granted: Option<Instant>,
    /// It did not claim its grant in time: not before it is polled again.
    passed_over: bool,
}

impl State {
    pub(super) fn install(&mut self, limit: &Limit) {
        for (count, length) in limit.windows() {
            if !self.windows.iter().any(|window| window.is(count, length)) {
                self.windows.push(Window::new(count, length));
            }
        }
    }

    pub(super) fn pause(&mut self, until: Instant, now: Instant) -> bool {
        let was_open = self.paused_until.is_none_or(|until| until <= now);
        self.paused_until = self.paused_until.max(Some(until));
        self.ramp = Some(1);
        was_open
    }

    /// How many may go out now, all windows, the pause and the ramp together.
    pub(super) fn available(&mut self, now: Instant) -> usize {
        if self.paused_until.is_some_and(|until| now < until) {
            return 0;
        }
        while self.flying.first().is_some_and(|(over, _)| *over <= now) {
            self.flying.pop_first();
        }
        let ramp = self.ramp.map_or(usize::MAX, |ramp| ramp.saturating_sub(self.flying.len()));
        self.windows.iter_mut().map(|window| window.available(now)).fold(ramp, usize::min)
    }

    /// When time alone will admit the next one.
    pub(super) fn next_change(&mut self, now: Instant) -> Option<Instant> {
        let pause = self.paused_until.filter(|until| now < *until);
        let windows = self.windows.iter_mut().filter_map(|window| window.frees_at(now)).max();
        let ramp = self.ramp.filter(|ramp| self.flying.len() >= *ramp).and(self.flying.first()).map(|(over, _)| *over);
        pause.max(windows).max(ramp)
    }

    /// Takes a slot in every window, held until `hold`.
    pub(super) fn take(&mut self, hold: Instant) -> u64 {
        self.last_id += 1;
        self.windows.iter_mut().for_each(|window| window.take(self.last_id, hold));
        self.flying.insert((hold, self.last_id));
        self.last_id
    }

    /// Gives a permit's slots back as if they had never been taken.
    pub(super) fn refund(&mut self, permit: u64, hold: Instant) {
        self.windows.iter_mut().for_each(|window| window.refund(permit, hold));
        self.flying.remove(&(hold, permit));
    }

    /// Anchors a permit's slots: the service cannot have seen the request later than this.
    pub(super) fn anchor(&mut self, permit: u64, hold: Instant, anchor: Instant) {
        for window in &mut self.windows {
            window.refund(permit, hold);
            window.take(permit, anchor);
        }
        self.flying.remove(&(hold, permit));
    }

    /// An answer came after the pause: let one more go beside the one that it makes room for.
    pub(super) fn widen(&mut self, now: Instant) {
        if self.paused_until.is_none_or(|until| until <= now) {
            self.ramp = self.ramp.map(|ramp| ramp + 1).filter(|ramp| *ramp <= RAMP_END);
        }
    }

    /// Joins the queue at its end.
    pub(super) fn join(&mut self, waker: Waker) -> u64 {
        self.last_id += 1;
        self.queue.insert(self.last_id, Waiter { waker, granted: None, passed_over: false });
        self.last_id
    }

    pub(super) fn leave(&mut self, ticket: u64) {
        self.queue.remove(&ticket);
    }

    /// Whether anybody stands before a newcomer.
    pub(super) fn has_claimants(&self) -> bool {
        self.queue.values().any(|waiter| !waiter.passed_over)
    }

    /// A waiter was polled: it takes part again, and may learn that it is its turn.
    pub(super) fn is_turn(&mut self, ticket: u64, waker: &Waker, now: Instant) -> bool {
        let available = self.available(now);
        if let Some(waiter) = self.queue.get_mut(&ticket) {
            waiter.waker.clone_from(waker);
            waiter.passed_over = false;
        }
        let mut ahead = self.queue.iter().filter(|(_, waiter)| !waiter.passed_over).map(|(other, _)| *other);
        let turn = ahead.by_ref().take(available).any(|other| other == ticket);
        if !turn && let Some(waiter) = self.queue.get_mut(&ticket) {
            waiter.granted = None;
        }
        turn
    }

    /// Whom to wake now, and when to look again; `None` with an empty queue.
    pub(super) fn dispatch(&mut self, now: Instant) -> Option<(Vec<Waker>, Option<Instant>)> {
        if self.queue.is_empty() {
            return None;
        }
        let mut free = self.available(now);
        let mut wake = Vec::new();
        let mut look_again: Option<Instant> = None;
        for waiter in self.queue.values_mut().filter(|waiter| !waiter.passed_over) {
            if free == 0 {
                break;
            }
            let granted = *waiter.granted.get_or_insert_with(|| {
                wake.push(waiter.waker.clone());
                now
            });
            if now >= granted + CLAIM {
                waiter.granted = None;
                waiter.passed_over = true;
                continue;
            }
            free -= 1;
            look_again = look_again.into_iter().chain([granted + CLAIM]).min();
        }
        if free == 0 && self.has_claimants() {
            look_again = look_again.into_iter().chain(self.next_change(now)).min();
        }
        Some((wake, look_again))
    }

    /// Everybody who waits, to be polled again.
    pub(super) fn wakers(&self) -> Vec<Waker> {
        self.queue.values().map(|waiter| waiter.waker.clone()).collect()
    }
}

/// How long a grant waits for a waiter that is not polled.
const CLAIM: Duration = Duration::from_millis(20);
/// When so many were let go at once, the pause is over.
const RAMP_END: usize = 64;
