//! Shared: the state behind its lock, and what follows once that is gone.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, broadcast};
use tokio::time::Instant;

use super::meter::Tick;
use super::state::State;
use crate::event::{self, Event};

/// What all handles of a throttle share.
pub(super) struct Shared {
    state: Mutex<State>,
    /// Something is due earlier than the timers know.
    pub(super) changed: Notify,
    pub(super) events: broadcast::Sender<Event>,
    /// Somebody watches, or did.
    pub(super) is_watched: AtomicBool,
}

impl Shared {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State::new(Instant::now())),
            changed: Notify::new(),
            events: broadcast::Sender::new(event::KEPT),
            is_watched: AtomicBool::new(false),
        }
    }

    /// Does something to the state, and then, with the lock gone, what follows for others.
    pub(super) fn with<R>(&self, act: impl FnOnce(&mut State, Tick) -> R) -> R {
        let mut state = self.lock();
        // Read inside the lock, so that nobody sees times in the wrong order.
        let now = state.now(Instant::now());
        state.has_listeners = self.is_watched.load(Relaxed);
        let result = act(&mut state, now);
        if state.wakes.is_empty() && state.told.is_empty() && state.spent.is_empty() && !state.is_sooner {
            return result;
        }
        let (wakes, told) = (std::mem::take(&mut state.wakes), std::mem::take(&mut state.told));
        let spent = std::mem::take(&mut state.spent);
        let earlier = std::mem::take(&mut state.is_sooner) && {
            let due = state.next_due(None);
            state.homes.oversleeps(due)
        };
        drop(state);
        if earlier {
            self.changed.notify_waiters();
        }
        for event in told {
            // Nobody listens any more.
            let _ = self.events.send(event);
        }
        wakes.into_iter().for_each(std::task::Waker::wake);
        drop(spent);
        result
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock; if it did, the numbers in there would still be whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
