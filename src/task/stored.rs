//! Stored: what a task writes to the store that keeps it.

use std::sync::Arc;

use super::record::TaskRecord;
use super::shared::TaskShared;
use crate::error::Error;
use crate::store::Held;

/// Stores the token of a task that the service has accepted.
pub(super) async fn accept(shared: &TaskShared, held: Arc<Held>, before: TaskRecord) -> Result<(), Error> {
    let (token, mark) = {
        let live = shared.live();
        (shared.token(&live, false), live.cursor.mark())
    };
    let is_sealed = before.is_sealed();
    let record = TaskRecord::accepted(Some(before), token, is_sealed);
    held.submitted(record.to_bytes()?, mark).await?;
    attach(shared, held);
    Ok(())
}

/// Lets a task write to the store that keeps it.
pub(super) fn attach(shared: &TaskShared, held: Arc<Held>) {
    let mut live = shared.live();
    if live.ended {
        held.finished();
    }
    live.held = Some(held);
}

/// Stores the token anew if the task is elsewhere than the stored one says.
pub(super) fn update(shared: &TaskShared) {
    let live = shared.live();
    let Some(held) = live.held.clone() else { return };
    let mark = live.cursor.mark();
    if held.has(mark) {
        return;
    }
    let token = shared.token(&live, false);
    drop(live);
    if token.can_resume()
        && let Ok(data) = TaskRecord::accepted(None, token, held.is_sealed()).to_bytes()
    {
        held.moved(data, mark);
    }
}

/// Records the end of a task.
pub(super) fn finish(shared: &TaskShared) {
    let held = shared.live().held.clone();
    if let Some(held) = held {
        held.finished();
    }
}

/// Returns an error if another process has taken the task over.
pub(super) fn check(shared: &TaskShared) -> Result<(), Error> {
    match &shared.live().held {
        Some(held) if held.is_lost() => Err(held.taken_over()),
        _ => Ok(()),
    }
}
