//! The worker: waits for every unfinished export, and fetches its result.

use std::collections::HashSet;
use std::error::Error;
use std::io;
use std::time::Duration;

use longhaul::Client;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::store::{ExportId, Status, Store};

/// Follows all exports of a store, whoever has submitted them.
#[derive(Debug)]
pub struct Worker {
    client: Client,
    store: Store,
}

impl Worker {
    pub fn new(client: Client, store: Store) -> Self {
        Self { client, store }
    }

    /// Works until the future is dropped, which loses nothing: the tokens are in the store, and the tasks go on at the
    /// service.
    pub async fn run(self) -> io::Result<()> {
        let (mut running, mut follows) = (HashSet::new(), JoinSet::new());
        loop {
            for id in self.store.unfinished()? {
                if running.insert(id.clone()) {
                    follows.spawn(follow_or_rest(self.client.clone(), self.store.clone(), id));
                }
            }
            tokio::select! {
                () = self.store.added() => {}
                Some(Ok(id)) = follows.join_next() => { running.remove(&id); }
                // Exports that another process has added.
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }
}

/// One export to its end. A failed wait is not a failed task: after a rest the worker finds its token again.
async fn follow_or_rest(client: Client, store: Store, id: ExportId) -> ExportId {
    if let Err(error) = follow(&client, &store, &id).await {
        eprintln!("{id}: {error}; again in {REST:?}");
        tokio::time::sleep(REST).await;
    }
    id
}

async fn follow(client: &Client, store: &Store, id: &ExportId) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut task = client.resume::<Value>(store.token(id)?)?;
    while let Some(update) = task.advance().await {
        let update = update?;
        // The end is shown only with the result.
        if !update.state().is_terminal() {
            store.keep(id, &token_of(&task.handle()), &Status::of(&update))?;
        }
    }
    let state = task.last_update().state();
    let outcome = match task.await {
        Ok(outcome) => outcome,
        Err(error) if error.kind().is_final() => {
            let failed = Status { error: Some(error.to_string()), ..Status::new(state.as_str()) };
            return Ok(store.finish(id, &failed)?);
        }
        Err(error) => return Err(error.into()),
    };
    // A download that was cut off by a restart goes on at its offset.
    let receipt = outcome.download().to_file(store.file(id)).await?;
    let done = Status { bytes: Some(receipt.bytes()), ..Status::of(outcome.last_update()) };
    Ok(store.finish(id, &done)?)
}

/// The token of a task. Where the service signs its status URLs, there is nothing to go on with but these.
pub(crate) fn token_of(task: &longhaul::TaskHandle) -> longhaul::ResumeToken {
    let plain = task.token();
    if plain.can_resume() { plain } else { task.token_with_signed_urls() }
}

const REST: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_secs(5);
