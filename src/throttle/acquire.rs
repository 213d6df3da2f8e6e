//! Acquire: waiting for a permit; and the one timer that wakes whoever is next.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use super::{Permit, Shared, Throttle};
use crate::clock::Alarm;

/// The future of [`Throttle::acquire`].
#[derive(Debug)]
#[must_use = "nobody stands in the queue until this is awaited"]
pub(crate) struct Acquire {
    throttle: Throttle,
    ticket: Option<u64>,
    hold: Duration,
    /// When to look for itself, should the driver stand still.
    look_at: Option<Instant>,
    alarm: Alarm,
}

impl Acquire {
    pub(super) fn new(throttle: Throttle) -> Self {
        Self { throttle, ticket: None, hold: DEFAULT_HOLD, look_at: None, alarm: Alarm::default() }
    }

    /// For how long the request may at most be on its way: its slot is held until then if nothing is heard of it.
    pub(crate) const fn hold(mut self, longest: Duration) -> Self {
        self.hold = longest;
        self
    }
}

impl Future for Acquire {
    type Output = Permit;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Permit> {
        let this = &mut *self;
        let mut state = this.throttle.lock();
        // Inside the lock, so that no two waiters see times in the wrong order.
        let now = Instant::now();
        let turn = match this.ticket {
            Some(ticket) => state.is_turn(ticket, cx.waker(), now),
            None => !state.has_claimants() && state.available(now) > 0,
        };
        if turn {
            if let Some(ticket) = this.ticket.take() {
                state.leave(ticket);
            }
            let hold = now + this.hold;
            let id = state.take(hold);
            drop(state);
            return Poll::Ready(Permit::new(this.throttle.clone(), id, hold));
        }
        if this.ticket.is_none() {
            this.ticket = Some(state.join(cx.waker().clone()));
        }
        // It is told of this below, and so due at once.
        let stands_still = *state.driver_due.get_or_insert(now) + STANDSTILL < now;
        let driver = !std::mem::replace(&mut state.has_driver, true) || stands_still;
        if driver {
            state.driver_due = None;
        }
        drop(state);
        if driver {
            tokio::spawn(drive(Driver { shared: Arc::downgrade(&this.throttle.0), in_office: true }));
        } else {
            this.throttle.0.changed.notify_one();
        }
        // Woken by the driver as a rule; by this where the driver's runtime lives and is not run.
        let look_at = this.look_at.filter(|at| now < *at).unwrap_or(now + LOOK_YOURSELF);
        this.look_at = Some(look_at);
        // It lies ahead, so this only sets the alarm.
        let _ = this.alarm.poll_at(look_at, cx);
        Poll::Pending
    }
}

impl Drop for Acquire {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.throttle.lock().leave(ticket);
            self.throttle.0.changed.notify_one();
        }
    }
}

/// Wakes whoever is next, for as long as somebody waits.
async fn drive(mut driver: Driver) {
    loop {
        let Some(shared) = driver.shared.upgrade() else { return };
        let throttle = Throttle(shared);
        let dispatched = {
            let mut state = throttle.lock();
            let dispatched = state.dispatch(Instant::now());
            state.has_driver = dispatched.is_some();
            state.driver_due = dispatched.as_ref().and_then(|(_, look_again)| *look_again);
            dispatched
        };
        let Some((wake, look_again)) = dispatched else {
            driver.in_office = false;
            return;
        };
        wake.into_iter().for_each(std::task::Waker::wake);
        let changed = throttle.0.changed.notified();
        match look_again {
            Some(at) => drop(tokio::time::timeout_at(at, changed).await),
            None => changed.await,
        }
    }
}

/// Ends with the runtime that it was spawned on; those who wait elsewhere are woken to start another.
struct Driver {
    shared: Weak<Shared>,
    /// It has not handed over yet: whoever waits counts on it.
    in_office: bool,
}

impl Drop for Driver {
    fn drop(&mut self) {
        let Some(shared) = self.shared.upgrade().filter(|_| self.in_office) else { return };
        let throttle = Throttle(shared);
        let waiting = {
            let mut state = throttle.lock();
            state.has_driver = false;
            state.wakers()
        };
        waiting.into_iter().for_each(std::task::Waker::wake);
    }
}

/// How often a waiter looks for itself whether the driver goes on.
const LOOK_YOURSELF: Duration = Duration::from_secs(1);
/// A driver that is this late stands in a runtime that nobody runs.
const STANDSTILL: Duration = Duration::from_millis(500);
/// An attempt without a timeout of its own is taken to be over by then.
const DEFAULT_HOLD: Duration = Duration::from_secs(120);
