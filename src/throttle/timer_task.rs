//! Timer task: wakes the waiters whose time has come. One task runs in each runtime with waiters, so that a waiter that
//! is polled has a timer that is polled too.

use std::sync::Arc;

use tokio::runtime::{Handle, Id};
use tokio::task::yield_now;
use tokio::time::timeout_at;

use super::clerk_task;
use super::shared::Shared;

pub(super) fn start(shared: &Arc<Shared>, runtime: &Handle) {
    let guard = TimerGuard { shared: shared.clone(), runtime: runtime.id(), has_left: false };
    runtime.spawn(run(guard));
}

/// Runs for as long as requests wait.
async fn run(mut guard: TimerGuard) {
    loop {
        let changed = guard.shared.changed.notified();
        tokio::pin!(changed);
        // The notification is enabled here, so that no change is missed between the check and the wait.
        changed.as_mut().enable();
        let at = guard.shared.with(|core, now| {
            core.timers.begin_round(guard.runtime, now)?;
            core.catch_up(now);
            let due = core.next_due(Some(guard.runtime));
            // Under the same lock, so that a new waiter starts another task.
            core.timers.arm(guard.runtime, due);
            due.map(|due| (due <= now, core.time.instant(due)))
        });
        clerk_task::ensure(&guard.shared);
        match at {
            None => {
                guard.has_left = true;
                return;
            }
            // Runs after all tasks that were woken, so that unclaimed grants are known.
            Some((true, _)) => yield_now().await,
            Some((false, None)) => changed.await,
            Some((false, Some(at))) => drop(timeout_at(at, changed).await),
        }
    }
}

/// Removes the timer when its runtime ends, or when no request waits; waiters elsewhere have their own timer.
struct TimerGuard {
    shared: Arc<Shared>,
    runtime: Id,
    /// Whether another task may run the timer by now.
    has_left: bool,
}

impl Drop for TimerGuard {
    fn drop(&mut self) {
        if !self.has_left {
            self.shared.lock().timers.leave(self.runtime);
        }
    }
}
