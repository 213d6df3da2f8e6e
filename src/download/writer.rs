//! Writer: a part in the hands of threads that may block, one job at a time.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::part::{Order, Part};

/// Hands orders to a part. While a job works on some, the next are gathered.
///
/// A job ends when it has nothing to do: a transfer that waits for the network holds no thread.
pub(super) struct Writer {
    part: Arc<Mutex<Part>>,
    job: Option<JoinHandle<io::Result<()>>>,
    gathered: Vec<Order>,
    runtime: Handle,
    ended: bool,
}

impl Writer {
    pub(super) fn new(part: Part) -> Self {
        let part = Arc::new(Mutex::new(part));
        Self { part, job: None, gathered: Vec::new(), runtime: Handle::current(), ended: false }
    }

    /// Takes an order, and waits only while too many are before it. An error may be of an order before.
    pub(super) async fn take(&mut self, order: Order) -> io::Result<()> {
        self.gathered.push(order);
        let busy = self.job.as_ref().is_some_and(|job| !job.is_finished());
        if busy && self.gathered.len() < MOST_GATHERED {
            return Ok(());
        }
        self.settle().await?;
        self.begin();
        Ok(())
    }

    /// Takes the last order, and waits until all are obeyed.
    pub(super) async fn end(&mut self, last: Order) -> io::Result<()> {
        self.gathered.push(last);
        self.settle().await?;
        self.ended = true;
        self.begin();
        self.settle().await
    }

    fn begin(&mut self) {
        let (part, orders) = (self.part.clone(), std::mem::take(&mut self.gathered));
        self.job = Some(self.runtime.spawn_blocking(move || {
            let mut part = part.lock().unwrap_or_else(PoisonError::into_inner);
            orders.into_iter().try_for_each(|order| part.obey(order))
        }));
    }

    /// Waits for the job.
    async fn settle(&mut self) -> io::Result<()> {
        let Some(job) = &mut self.job else { return Ok(()) };
        let done = job.await;
        self.job = None;
        done.unwrap_or_else(|crash| Err(io::Error::other(crash)))
    }
}

impl Drop for Writer {
    /// The download was dropped: what came is still written, and made resumable, where it may block. At the end of the
    /// runtime no job begins any more; then the part itself does what it can.
    fn drop(&mut self) {
        if !self.ended {
            self.gathered.push(Order::Keep);
            self.begin();
        }
    }
}

/// Chunks of a TLS or TCP read, 8 KiB to 400 KiB each: some 3 MiB at most, and as much in the job.
const MOST_GATHERED: usize = 8;
