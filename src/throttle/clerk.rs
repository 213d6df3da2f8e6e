//! Clerk: the part of the dealings with a store that outlives their task, and their throttle.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use super::ledger::Ledger;
use super::slots::Ask;

/// Asks that are named by their windows.
pub(super) type NamedAsks = Vec<(Arc<str>, Ask)>;

/// The way of a throttle to its store. The [`clerk_task`](super::clerk_task) goes it.
#[derive(Debug)]
pub(super) struct Clerk {
    pub(super) ledger: Arc<dyn Ledger>,
    /// Something is due earlier than the task expects, or the throttle has ended.
    pub(super) changed: Notify,
    farewell: Mutex<NamedAsks>,
    /// Whether a task goes there.
    is_served: AtomicBool,
}

impl Clerk {
    pub(super) fn new(ledger: Arc<dyn Ledger>) -> Self {
        Self { ledger, changed: Notify::new(), farewell: Mutex::default(), is_served: AtomicBool::new(false) }
    }

    /// Returns whether a task has to be started; it is then considered running.
    pub(super) fn start(&self) -> bool {
        !self.is_served.load(Acquire) && !self.is_served.swap(true, AcqRel)
    }

    /// Records that the task has ended, with its runtime.
    pub(super) fn stop(&self) {
        self.is_served.store(false, Release);
    }

    /// The throttle ends, and gives its slots back by these asks.
    pub(super) fn leave(&self, asks: NamedAsks) {
        *self.farewell.lock().unwrap_or_else(PoisonError::into_inner) = asks;
        self.changed.notify_one();
    }

    /// Returns the asks that give everything back.
    pub(super) fn take_farewell(&self) -> NamedAsks {
        std::mem::take(&mut *self.farewell.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
