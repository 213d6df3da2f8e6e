//! Driver: the timer that lets those go whose time has come, one in each runtime that somebody waits in.

use std::sync::Arc;

use tokio::runtime::{Handle, Id};
use tokio::time::timeout_at;

use super::Shared;
use super::state::State;

/// Somebody waits in this runtime: it must have a timer, so that whoever is run himself has one that is run. Gives the
/// runtime, where it has none yet.
pub(super) fn register(state: &mut State) -> Option<Handle> {
    let here = Handle::current();
    if state.drivers.contains(&here.id()) {
        return None;
    }
    state.drivers.push(here.id());
    Some(here)
}

pub(super) fn start(shared: &Arc<Shared>, runtime: &Handle) {
    let office = Office { shared: shared.clone(), runtime: runtime.id() };
    runtime.spawn(drive(office));
}

/// Runs for as long as somebody waits.
async fn drive(office: Office) {
    loop {
        let changed = office.shared.changed.notified();
        tokio::pin!(changed);
        // From now on, so that nothing is missed between the look and the wait.
        changed.as_mut().enable();
        let at = office.shared.with(|state, now| {
            state.catch_up(now);
            let due = state.next_due()?;
            state.armed = due;
            Some(state.instant(due))
        });
        match at {
            None => return,
            Some(None) => changed.await,
            Some(Some(at)) => drop(timeout_at(at, changed).await),
        }
    }
}

/// Ends with the runtime that it was spawned on, or when nobody waits; who waits elsewhere has a timer there.
struct Office {
    shared: Arc<Shared>,
    runtime: Id,
}

impl Drop for Office {
    fn drop(&mut self) {
        self.shared.lock().drivers.retain(|runtime| *runtime != self.runtime);
    }
}
