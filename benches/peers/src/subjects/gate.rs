//! Gate: no limiter, but the least that waiting in a line costs.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Semaphore;

use crate::subject::{Ask, Limiter};

/// A tokio semaphore that opens for all at once when the last has come.
pub(crate) struct Gate {
    semaphore: Semaphore,
    missing: AtomicUsize,
    all: usize,
}

impl Gate {
    pub(crate) fn new(all: usize) -> Self {
        Self { semaphore: Semaphore::new(0), missing: AtomicUsize::new(all), all }
    }
}

impl Limiter for Gate {
    type Permit = ();

    async fn acquire(&self, _: Ask) {
        if self.missing.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.semaphore.add_permits(self.all);
        }
        if let Ok(permit) = self.semaphore.acquire().await {
            permit.forget();
        }
    }
}
