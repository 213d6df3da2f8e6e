//! Tasks that outlive the process: the stores, and the client over them.

mod file;
mod plain;
mod recover;

use std::sync::Arc;

use longhaul::tasks::{Intent, TaskLease, TaskStore};

/// Stores a task, and gives its lease.
async fn intend(store: &impl TaskStore, name: &str, owner: &str, data: &[u8]) -> TaskLease {
    match store.intend(name.into(), owner.into(), data.to_vec()).await.unwrap() {
        Intent::Stored(lease) => lease,
        other => panic!("{other:?}"),
    }
}

fn owner(name: &str) -> Arc<str> {
    name.into()
}
