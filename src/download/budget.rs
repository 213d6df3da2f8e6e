//! Budget: the connections that all downloads of a client may use for files at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The connections of a client. Each file waits for its first one; further ones are taken while no file waits, and given
/// back as soon as one does.
#[derive(Debug)]
pub(crate) struct Budget {
    free: Arc<Semaphore>,
    waiting: AtomicUsize,
    /// How many connections are about to be given back for those that wait.
    promised: AtomicUsize,
}

impl Budget {
    pub(super) fn new(connections: usize) -> Self {
        let free = Arc::new(Semaphore::new(connections.clamp(1, Semaphore::MAX_PERMITS)));
        Self { free, waiting: AtomicUsize::new(0), promised: AtomicUsize::new(0) }
    }

    /// Waits for a first connection.
    ///
    /// Cancel-safe.
    pub(super) async fn wait(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(permit) = self.free.clone().try_acquire_owned() {
            return Some(permit);
        }
        self.waiting.fetch_add(1, Relaxed);
        let _waits = Waits(&self.waiting);
        self.free.clone().acquire_owned().await.ok()
    }

    /// Returns a further connection, if one is free and no file waits for its first.
    pub(super) fn further(&self) -> Option<OwnedSemaphorePermit> {
        if self.is_short() { None } else { self.free.clone().try_acquire_owned().ok() }
    }

    /// Returns whether a file waits for its first connection.
    fn is_short(&self) -> bool {
        self.waiting.load(Relaxed) > 0
    }

    /// Promises a connection to a file that waits for its first, if one waits without a promise.
    pub(super) fn promise(&self) -> Option<Promise<'_>> {
        let waiting = self.waiting.load(Relaxed);
        let promised = |promised| (promised < waiting).then_some(promised + 1);
        self.promised.fetch_update(Relaxed, Relaxed, promised).ok().map(|_| Promise(self))
    }
}

/// A connection that is about to be given back; it has been when this is dropped.
#[derive(Debug)]
pub(super) struct Promise<'a>(&'a Budget);

impl Drop for Promise<'_> {
    fn drop(&mut self) {
        self.0.promised.fetch_sub(1, Relaxed);
    }
}

struct Waits<'a>(&'a AtomicUsize);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_for_a_first_connection_goes_before_a_further_one() {
        let budget = Arc::new(Budget::new(2));
        let (first, further) = (budget.wait().await, budget.further());
        assert!(first.is_some() && further.is_some() && budget.further().is_none() && !budget.is_short());
        let waiting = tokio::spawn({
            let budget = budget.clone();
            async move { budget.wait().await }
        });
        tokio::task::yield_now().await;
        assert!(budget.is_short());
        // A file that waits takes one connection away, and not all.
        let promise = budget.promise();
        assert!(promise.is_some() && budget.promise().is_none());
        drop(further);
        drop(promise);
        let second = waiting.await.unwrap();
        assert!(second.is_some() && !budget.is_short() && budget.further().is_none());
        // A file that is given up does not wait any more.
        let waiting = tokio::spawn({
            let budget = budget.clone();
            async move { budget.wait().await }
        });
        tokio::task::yield_now().await;
        waiting.abort();
        assert!(waiting.await.is_err() && !budget.is_short());
    }
}
