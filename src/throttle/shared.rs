//! Shared: the core behind its lock, and the effects that are carried out after it.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, broadcast};
use tokio::time::Instant;

use super::clerk::Clerk;
use super::core::Core;
use super::loans::Loans;
use super::time::Tick;
use crate::event::{self, Event};

/// The part of a throttle that all its handles share.
pub(super) struct Shared {
    core: Mutex<Core>,
    /// Work is due earlier than the timers expect.
    pub(super) changed: Notify,
    pub(super) events: broadcast::Sender<Event>,
    /// Whether anybody watches, or did.
    pub(super) is_watched: AtomicBool,
    /// Deals with the store of shared windows, if there is one.
    pub(super) clerk: Option<Arc<Clerk>>,
}

impl Shared {
    /// Creates the state of a throttle, with the clerk of its shared windows if it has any.
    pub(super) fn new(clerk: Option<Arc<Clerk>>) -> Self {
        Self {
            clerk,
            core: Mutex::new(Core::new(Instant::now())),
            changed: Notify::new(),
            events: broadcast::Sender::new(event::KEPT),
            is_watched: AtomicBool::new(false),
        }
    }

    /// Calls the core, and carries out the effects after the lock is released.
    #[inline]
    pub(super) fn with<R>(&self, act: impl FnOnce(&mut Core, Tick) -> R) -> R {
        self.with_at(None, act)
    }

    /// As [`with`](Self::with), at a time that was read just before. Time never runs backwards: a time before that of
    /// the last call is replaced by the latter.
    #[inline]
    pub(super) fn with_at<R>(&self, now: Option<Instant>, act: impl FnOnce(&mut Core, Tick) -> R) -> R {
        let mut core = self.lock();
        let now = core.time.advance(now.unwrap_or_else(Instant::now));
        core.effects.has_watchers = self.is_watched.load(Relaxed);
        let result = act(&mut core, now);
        if let Some(clerk) = &self.clerk
            && core.clerk_oversleeps(now)
        {
            clerk.changed.notify_one();
        }
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
        // No watcher may be left.
        effects.carry_out(|event| drop(self.events.send(event)));
    }

    #[inline]
    pub(super) fn lock(&self) -> MutexGuard<'_, Core> {
        // A panic under the lock is a bug; the numbers behind the lock are still intact.
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(clerk) = self.clerk.take() {
            let core = self.core.get_mut().unwrap_or_else(PoisonError::into_inner);
            let now = core.time.advance(Instant::now());
            clerk.leave(Loans::farewell(&mut core.limiters, now));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::TryLockError;
    use std::sync::atomic::AtomicUsize;
    use std::task::{Context, Poll, Wake, Waker};
    use std::time::Duration;

    use futures::{FutureExt, StreamExt};

    use super::*;
    use crate::limit::Limit;
    use crate::message::Priority;
    use crate::throttle::{RequestKey, Throttle};

    /// Takes the lock whenever it is woken, and when it is dropped.
    struct Looks {
        shared: Arc<Shared>,
        seen: Arc<AtomicUsize>,
    }

    impl Looks {
        fn look(&self) {
            assert!(
                !matches!(self.shared.core.try_lock(), Err(TryLockError::WouldBlock)),
                "an effect is carried out under the lock"
            );
            self.seen.fetch_add(1, Relaxed);
        }
    }

    impl Wake for Looks {
        fn wake(self: Arc<Self>) {
            self.look();
        }
    }

    impl Drop for Looks {
        fn drop(&mut self) {
            self.look();
        }
    }

    fn waker(throttle: &Throttle, seen: &Arc<AtomicUsize>) -> Waker {
        Waker::from(Arc::new(Looks { shared: throttle.shared.clone(), seen: seen.clone() }))
    }

    #[tokio::test(start_paused = true)]
    async fn effects_are_carried_out_after_the_lock() {
        let throttle = Throttle::new();
        throttle.add_limit(Limit::concurrent(1)).unwrap();
        let (keys, seen) = (RequestKey::new(), Arc::new(AtomicUsize::new(0)));

        // An event wakes the watcher.
        let mut events = throttle.events();
        let watcher = waker(&throttle, &seen);
        assert!(events.next().poll_unpin(&mut Context::from_waker(&watcher)).is_pending());
        let first = throttle.acquire(Priority::Call, &keys).await.unwrap();
        let mut second = throttle.acquire(Priority::Call, &keys);
        assert!(second.poll_unpin(&mut Context::from_waker(&waker(&throttle, &seen))).is_pending());
        assert_eq!(seen.load(Relaxed), 1, "the event that it waits");

        // Another waker replaces the previous one, which the throttle was the last to own.
        assert!(second.poll_unpin(&mut Context::from_waker(&waker(&throttle, &seen))).is_pending());
        assert_eq!(seen.load(Relaxed), 2, "the waker that was dropped");

        // A slot wakes the waiter, and a pause refuses a waiter with a deadline.
        drop(first);
        assert_eq!(seen.load(Relaxed), 4, "the wake, and the waker that it used up");
        let Poll::Ready(permit) = second.poll_unpin(&mut Context::from_waker(Waker::noop())) else { panic!() };
        let deadline = Instant::now() + Duration::from_secs(5);
        let mut third = throttle.acquire(Priority::Call, &keys).deadline(deadline);
        assert!(third.poll_unpin(&mut Context::from_waker(&waker(&throttle, &seen))).is_pending());
        throttle.pause(Duration::from_secs(60));
        assert_eq!(seen.load(Relaxed), 6, "refused");
        assert!(third.await.is_err());
        drop(permit);
    }
}
