//! TaskStore: tasks that outlive the process.
//!
//! # Implementation
//!
//! A store keeps a record for each task: its name, its state, its data (which the store never reads), and who holds it.
//! - [`table`] decides each change. It is pure: the time is passed in, and a change is a list of [`entry`]s.
//! - [`memory`] applies the entries to a table; [`log`] also appends them to a file, from which every process reads the
//!   same table; [`file`] is the file's public face. `redis` decides in the server, by a
//!   script that is compared with the table.
//! - [`keeper`] is the client's side: it beats for the leases of this process, and knows the tasks that were lost to
//!   another one. [`held`] is one task that this process holds; [`writer`] seals and writes.
//!
//! **Leases.** An owner is a client; its lease covers all its tasks, so that a beat costs the same for one task as for a
//! hundred thousand. Leases age on the store's lease clock, which moves only when somebody writes, and by a third of a
//! lease at most each time: neither an outage nor a stepped clock ends the lease of a living process. A task changes
//! hands only in `claim`, which raises its fence; a write with an older fence is refused.

mod counts;
mod entry;
mod file;
mod held;
mod keeper;
mod lease;
mod log;
mod memory;
#[cfg(feature = "redis")]
mod redis;
mod state;
mod table;
mod task_store;
mod write;
mod writer;

pub use counts::StoredCounts;
pub use file::FileTaskStore;
pub use lease::{Claimed, TaskLease};
pub use memory::MemoryTaskStore;
#[cfg(feature = "redis")]
pub use redis::RedisTaskStore;
pub use state::StoredState;
pub use task_store::TaskStore;
pub use write::{Intent, TaskWrite, Written};

pub(crate) use held::Held;
pub(crate) use keeper::Keeper;
pub(crate) use writer::Opened;
