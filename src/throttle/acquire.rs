//! Acquire: waiting for a permit; and the one timer that wakes whoever is next.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use super::{Permit, Shared, Throttle};

/// The future of [`Throttle::acquire`].
#[derive(Debug)]
#[must_use = "nobody stands in the queue until this is awaited"]
pub(crate) struct Acquire {
    throttle: Throttle,
    ticket: Option<u64>,
    hold: Duration,
}

impl Acquire {
    pub(super) const fn new(throttle: Throttle) -> Self {
        Self { throttle, ticket: None, hold: DEFAULT_HOLD }
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
        let driver = !std::mem::replace(&mut state.has_driver, true);
        drop(state);
        if driver {
            tokio::spawn(drive(Driver { shared: Arc::downgrade(&this.throttle.0), in_office: true }));
        } else {
            this.throttle.0.changed.notify_one();
        }
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

/// An attempt without a timeout of its own is taken to be over by then.
const DEFAULT_HOLD: Duration = Duration::from_secs(120);
