//! Timer task: lets the waiters go whose time has come. One task runs in each runtime that somebody waits in, so that a
//! waiter that is polled has a timer that is polled too.

use std::sync::Arc;

use tokio::runtime::{Handle, Id};
use tokio::task::yield_now;
use tokio::time::timeout_at;

use super::shared::Shared;

pub(super) fn start(shared: &Arc<Shared>, runtime: &Handle) {
    let guard = TimerGuard { shared: shared.clone(), runtime: runtime.id(), has_left: false };
    runtime.spawn(run(guard));
}

/// Runs for as long as somebody waits.
async fn run(mut guard: TimerGuard) {
    loop {
        let changed = guard.shared.changed.notified();
        tokio::pin!(changed);
        // From now on, so that nothing is missed between the look and the wait.
        changed.as_mut().enable();
        let at = guard.shared.with(|core, now| {
            core.timers.begin_round(guard.runtime, now)?;
            core.catch_up(now);
            let due = core.next_due(Some(guard.runtime));
            // In the same breath, so that a waiter that comes now starts another task.
            core.timers.arm(guard.runtime, due);
            due.map(|due| (due <= now, core.time.instant(due)))
        });
        match at {
            None => {
                guard.has_left = true;
                return;
            }
            // Behind all who were woken: then it is known who came.
            Some((true, _)) => yield_now().await,
            Some((false, None)) => changed.await,
            Some((false, Some(at))) => drop(timeout_at(at, changed).await),
        }
    }
}

/// Gives the timer up with the runtime that it was spawned on, or when nobody waits; waiters elsewhere have a timer there.
struct TimerGuard {
    shared: Arc<Shared>,
    runtime: Id,
    /// Another task may run the timer by now.
    has_left: bool,
}

impl Drop for TimerGuard {
    fn drop(&mut self) {
        if !self.has_left {
            self.shared.lock().timers.leave(self.runtime);
        }
    }
}
