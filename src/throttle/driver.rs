//! Driver: the timer that lets those go whose time has come, one in each runtime that somebody waits in, so that whoever
//! is run himself has a timer that is run.

use std::sync::Arc;

use tokio::runtime::{Handle, Id};
use tokio::task::yield_now;
use tokio::time::timeout_at;

use super::Shared;

pub(super) fn start(shared: &Arc<Shared>, runtime: &Handle) {
    let office = Office { shared: shared.clone(), runtime: runtime.id(), has_left: false };
    runtime.spawn(drive(office));
}

/// Runs for as long as somebody waits.
async fn drive(mut office: Office) {
    loop {
        let changed = office.shared.changed.notified();
        tokio::pin!(changed);
        // From now on, so that nothing is missed between the look and the wait.
        changed.as_mut().enable();
        let at = office.shared.with(|state, now| {
            let home = state.homes.get(office.runtime)?;
            (home.rounds, home.seen) = (home.rounds + 1, now);
            state.catch_up(now);
            let due = state.next_due(Some(office.runtime));
            match due {
                Some(due) => state.homes.get(office.runtime)?.armed = due,
                // In the same breath, so that whoever comes now starts another.
                None => state.homes.leave(office.runtime),
            }
            due.map(|due| (due <= now, state.instant(due)))
        });
        match at {
            None => {
                office.has_left = true;
                return;
            }
            // Behind all who were woken: then it is known who came.
            Some((true, _)) => yield_now().await,
            Some((false, None)) => changed.await,
            Some((false, Some(at))) => drop(timeout_at(at, changed).await),
        }
    }
}

/// Ends with the runtime that it was spawned on, or when nobody waits; who waits elsewhere has a timer there.
struct Office {
    shared: Arc<Shared>,
    runtime: Id,
    /// Another may be there by now.
    has_left: bool,
}

impl Drop for Office {
    fn drop(&mut self) {
        if !self.has_left {
            self.shared.lock().homes.leave(self.runtime);
        }
    }
}
