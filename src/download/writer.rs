//! Writer: runs a part on threads that may block, one job at a time.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::part::{Order, Part};

/// Passes orders to a part. While a job works on some orders, the next ones are gathered.
///
/// A job ends when it has no orders left: a transfer that waits for the network holds no thread.
pub(super) struct Writer {
    desk: Arc<Desk>,
    job: Option<JoinHandle<io::Result<()>>>,
    gathered: Vec<Order>,
    runtime: Handle,
    ended: bool,
}

impl Writer {
    pub(super) fn new(part: Part) -> Self {
        let desk = Arc::new(Desk { part: Mutex::new(part), orders: Mutex::default() });
        Self { desk, job: None, gathered: Vec::new(), runtime: Handle::current(), ended: false }
    }

    /// Accepts an order, and waits only while too many are queued. An error may belong to an earlier order.
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

    /// Accepts the last order, and waits until all orders are carried out.
    pub(super) async fn end(&mut self, last: Order) -> io::Result<()> {
        self.gathered.push(last);
        self.settle().await?;
        self.ended = true;
        self.begin();
        self.settle().await
    }

    fn begin(&mut self) {
        self.hand_over();
        let desk = self.desk.clone();
        self.job = Some(self.runtime.spawn_blocking(move || desk.work()));
    }

    fn hand_over(&mut self) {
        self.desk.orders.lock().unwrap_or_else(PoisonError::into_inner).append(&mut self.gathered);
    }

    /// Waits for the job.
    async fn settle(&mut self) -> io::Result<()> {
        let Some(job) = &mut self.job else { return Ok(()) };
        let done = job.await;
        self.job = None;
        done.unwrap_or_else(|crash| Err(io::Error::other(crash)))
    }
}

/// A part, and its pending orders.
struct Desk {
    part: Mutex<Part>,
    orders: Mutex<Vec<Order>>,
}

impl Desk {
    /// Carries out all pending orders. The orders are taken while the part is locked: a dropped download leaves two
    /// jobs, and in either order of execution, bytes are written in the order of arrival.
    fn work(&self) -> io::Result<()> {
        let mut part = self.part.lock().unwrap_or_else(PoisonError::into_inner);
        let orders = std::mem::take(&mut *self.orders.lock().unwrap_or_else(PoisonError::into_inner));
        orders.into_iter().try_for_each(|order| part.obey(order))
    }
}

impl Drop for Writer {
    /// The download was dropped: the received bytes are still written, and made resumable, on a thread that may block.
    /// At the end of the runtime, no job starts any more; then the part itself does as much as it can.
    fn drop(&mut self) {
        if !self.ended {
            self.gathered.push(Order::Keep);
            self.begin();
        }
    }
}

/// Chunks of a TLS or TCP read, 8 KiB to 400 KiB each: some 3 MiB at most, and as much in the job.
const MOST_GATHERED: usize = 8;

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn whichever_job_comes_first_bytes_are_written_as_they_came() {
        let folder = std::env::temp_dir().join(format!("longhaul-writer-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let target = folder.join("7");
        let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
        runtime.block_on(async {
            let (release, held) = mpsc::channel::<()>();
            let holds = tokio::task::spawn_blocking(move || held.recv());
            let mut writer = Writer::new(Part::open(&target, None).unwrap().unwrap());
            for chunk in ["a", "b", "c"] {
                writer.take(Order::Write(chunk.into())).await.unwrap();
            }
            // The first job, with `a`, waits for a thread. As it is dropped, the second runs before it.
            writer.gathered.push(Order::Finish);
            writer.hand_over();
            writer.desk.work().unwrap();
            release.send(()).unwrap();
            holds.await.unwrap().unwrap();
            writer.settle().await.unwrap();
            writer.ended = true;
            assert_eq!(std::fs::read(&target).unwrap(), b"abc");
        });
        std::fs::remove_dir_all(folder).unwrap();
    }
}
