//! Effects: externally visible work, carried out after the throttle's lock is released.
//!
//! A waker runs code of the runtime, dropping a waker may drop the last handle of a permit, and sending an event wakes
//! its watchers. Each of them may call the throttle again, and would deadlock on its lock.

use std::task::Waker;

use crate::event::Event;

/// The effects of one call on the throttle.
#[derive(Debug, Default)]
pub(super) struct Effects {
    /// Wakers to wake.
    pub(super) wakes: Vec<Waker>,
    /// Wakers to drop: a waker may be the last owner of a permit.
    pub(super) dropped: Vec<Waker>,
    events: Vec<Event>,
    /// Whether anybody watches events.
    pub(super) has_watchers: bool,
    /// Whether something may be due earlier than the timers expect.
    pub(super) rearm: bool,
}

impl Effects {
    /// Reports an event. The event is only built if it is watched.
    pub(super) fn report(&mut self, event: impl FnOnce() -> Event) {
        if self.has_watchers {
            self.events.push(event());
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.wakes.is_empty() && self.dropped.is_empty() && self.events.is_empty() && !self.rearm
    }

    /// Takes the effects, to be carried out.
    pub(super) fn take(&mut self) -> Self {
        let has_watchers = self.has_watchers;
        std::mem::replace(self, Self { has_watchers, ..Self::default() })
    }

    /// Wakes, drops and sends. Must not be called under the lock.
    pub(super) fn carry_out(self, mut send: impl FnMut(Event)) {
        self.events.into_iter().for_each(&mut send);
        self.wakes.into_iter().for_each(Waker::wake);
        drop(self.dropped);
    }
}
