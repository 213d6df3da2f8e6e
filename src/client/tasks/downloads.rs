//! TaskDownloads: the results of many tasks, in folders.

use std::fmt;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::stream::{FuturesUnordered, Stream, StreamExt};

use super::event::{FailedTask, TaskEvent, TaskId};
use super::{Running, Tasks, TasksProgress};
use crate::download::Receipt;
use crate::error::{Error, ErrorKind};
use crate::task::Outcome;

/// The results of many tasks, in folders: [`Tasks::download_all`]. A stream of what came of each task.
///
/// ```
/// # use longhaul::testing::Simulator;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let service = Simulator::builder().task_duration(std::time::Duration::from_millis(50)).result_size(1000).start().await?;
/// # let client = longhaul::testing::client(&service).build()?;
/// # let folder = std::env::temp_dir().join(format!("longhaul-tasks-{}", std::process::id()));
/// use futures::StreamExt;
///
/// let mut tasks = client.tasks::<serde_json::Value>();
/// for farm in 0..3 {
///     tasks.submit(client.task().post("exports").json(&serde_json::json!({"farm": farm})));
/// }
/// let mut downloads = tasks.download_all(&folder);
/// while let Some((id, downloaded)) = downloads.next().await {
///     match downloaded {
///         Ok(downloaded) => {
///             assert_eq!(downloaded.receipts()[0].bytes(), 1000);
///             downloaded.outcome().ack().await?;
///         }
///         Err(failed) => eprintln!("{id}: {}", failed.error()),
///     }
/// }
/// # std::fs::remove_dir_all(folder)?;
/// # Ok(())
/// # }
/// ```
///
/// # Cancel safety
/// Dropping a future of the stream loses nothing; dropping the stream leaves whole files, and parts that the same
/// download continues.
#[must_use = "nothing is downloaded unless the stream is polled"]
pub struct TaskDownloads<T> {
    tasks: Tasks<T>,
    folder: PathBuf,
    at_once: usize,
    downloading: Running<Downloaded<T>, FailedTask>,
}

/// A task whose result was downloaded.
#[derive(Debug)]
pub struct Downloaded<T> {
    outcome: Box<Outcome<T>>,
    receipts: Vec<Receipt>,
}

impl<T> Downloaded<T> {
    /// Returns the outcome, to [acknowledge](Outcome::ack) the task.
    #[must_use]
    pub const fn outcome(&self) -> &Outcome<T> {
        &self.outcome
    }

    /// Returns the receipts, in the order of the outcome's links.
    #[must_use]
    pub fn receipts(&self) -> &[Receipt] {
        &self.receipts
    }
}

impl<T> TaskDownloads<T> {
    pub(super) fn new(tasks: Tasks<T>, folder: PathBuf) -> Self {
        Self { tasks, folder, at_once: AT_ONCE, downloading: FuturesUnordered::new() }
    }

    /// Sets how many tasks are downloaded at a time: 4 by default, 1 at least. While so many are, no further event of a
    /// task is taken.
    pub const fn at_once(mut self, tasks: usize) -> Self {
        self.at_once = if tasks == 0 { 1 } else { tasks };
        self
    }

    /// Returns the tasks, to add more, or to cancel all.
    pub const fn tasks(&mut self) -> &mut Tasks<T> {
        &mut self.tasks
    }

    /// Returns how far the tasks have come, without their downloads.
    #[must_use]
    pub const fn progress(&self) -> TasksProgress {
        self.tasks.progress()
    }
}

impl<T: 'static> Stream for TaskDownloads<T> {
    type Item = (TaskId, Result<Downloaded<T>, FailedTask>);

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Poll::Ready(Some(downloaded)) = self.downloading.poll_next_unpin(cx) {
                return Poll::Ready(Some(downloaded));
            }
            if self.downloading.len() >= self.at_once {
                return Poll::Pending;
            }
            match self.tasks.poll_next_unpin(cx) {
                Poll::Ready(Some((id, TaskEvent::Done(outcome)))) => {
                    let folder = self.folder.join(id.to_string());
                    self.downloading.push(Box::pin(async move { (id, download(outcome, folder).await) }));
                }
                Poll::Ready(Some((id, TaskEvent::Failed(failed)))) => return Poll::Ready(Some((id, Err(failed)))),
                Poll::Ready(Some((id, TaskEvent::NotCanceled(error)))) => {
                    tracing::warn!(%id, %error, "a task was not canceled");
                }
                Poll::Ready(Some((_, TaskEvent::Update(_)))) => {}
                Poll::Ready(None) if self.downloading.is_empty() => return Poll::Ready(None),
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            }
        }
    }
}

async fn download<T>(outcome: Box<Outcome<T>>, folder: PathBuf) -> Result<Downloaded<T>, FailedTask> {
    let failed = |error| FailedTask { error, handle: None };
    let made = {
        let folder = folder.clone();
        tokio::task::spawn_blocking(move || std::fs::create_dir_all(folder)).await
    };
    let made = made.unwrap_or_else(|crash| Err(std::io::Error::other(crash)));
    made.map_err(|error| {
        let why = format!("the folder `{}` cannot be created: {error}", folder.display());
        failed(Error::new(ErrorKind::Io, why).with_source(error))
    })?;
    let receipts = outcome.download_all(folder).await.map_err(failed)?;
    Ok(Downloaded { outcome, receipts })
}

impl<T> Unpin for TaskDownloads<T> {}

impl<T> fmt::Debug for TaskDownloads<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskDownloads").field("tasks", &self.tasks).finish_non_exhaustive()
    }
}

/// The connections are shared by all downloads of the client, and bounded by it.
const AT_ONCE: usize = 4;
