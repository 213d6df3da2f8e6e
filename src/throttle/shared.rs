//! Shared: the core behind its lock, and the effects that are carried out after it.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, broadcast};
use tokio::time::Instant;

use super::core::Core;
use super::time::Tick;
use crate::event::{self, Event};

/// The part of a throttle that all its handles share.
pub(super) struct Shared {
    core: Mutex<Core>,
    /// Something is due earlier than the timers know.
    pub(super) changed: Notify,
    pub(super) events: broadcast::Sender<Event>,
    /// Somebody watches, or did.
    pub(super) is_watched: AtomicBool,
}

impl Shared {
    pub(super) fn new() -> Self {
        Self {
            core: Mutex::new(Core::new(Instant::now())),
            changed: Notify::new(),
            events: broadcast::Sender::new(event::KEPT),
            is_watched: AtomicBool::new(false),
        }
    }

    /// Calls the core, and carries the effects out once the lock is gone.
    #[inline]
    pub(super) fn with<R>(&self, act: impl FnOnce(&mut Core, Tick) -> R) -> R {
        self.with_at(None, act)
    }

    /// As [`with`](Self::with), at a time that was read just before. Time never runs back: one that is older than the last
    /// call's is taken to be that.
    #[inline]
    pub(super) fn with_at<R>(&self, now: Option<Instant>, act: impl FnOnce(&mut Core, Tick) -> R) -> R {
        let mut core = self.lock();
        let now = core.time.advance(now.unwrap_or_else(Instant::now));
        core.effects.has_watchers = self.is_watched.load(Relaxed);
        let result = act(&mut core, now);
        if core.effects.is_empty() {
            return result;
        }
        self.carry_out(core);
        result
    }

    #[cold]
    #[inline(never)]
    fn carry_out(&self, mut core: MutexGuard<'_, Core>) {
        let effects = core.effects.take();
        let oversleeps = effects.rearm && {
            let due = core.next_due(None);
            core.timers.oversleeps(due)
        };
        drop(core);
        if oversleeps {
            self.changed.notify_waiters();
        }
        // Nobody may listen any more.
        effects.carry_out(|event| drop(self.events.send(event)));
    }

    #[inline]
    pub(super) fn lock(&self) -> MutexGuard<'_, Core> {
        // A panic under the lock is a bug; the numbers in there are still whole.
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
