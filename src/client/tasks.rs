//! Tasks: many tasks of one client, as one stream.

mod downloads;
mod event;
mod progress;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};

use futures::future::BoxFuture;
use futures::stream::{FusedStream, FuturesUnordered, Stream, StreamExt};
use futures::task::AtomicWaker;
use slab::Slab;
use tokio::time::Instant;

use super::Recovered;
use super::submit::TaskBuilder;
use crate::clock::{Alarm, has_runtime};
use crate::error::{Error, ErrorKind};
use crate::task::{Dormant, Rest, Task, Update, park, rest};

pub use downloads::{Downloaded, TaskDownloads};
pub use event::{FailedTask, TaskEvent, TaskId};
pub use progress::TasksProgress;

/// Many tasks as one stream: [`Client::tasks`](crate::Client::tasks).
///
/// ```
/// # use longhaul::testing::Simulator;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let service = Simulator::builder().task_duration(std::time::Duration::from_millis(50)).start().await?;
/// # let client = longhaul::testing::client(&service).build()?;
/// use futures::StreamExt;
/// use longhaul::tasks::TaskEvent;
/// use serde_json::{Value, json};
///
/// let mut tasks = client.tasks::<Value>();
/// for farm in 0..20 {
///     tasks.submit(client.task().post("exports").json(&json!({"farm": farm})));
/// }
/// let mut done = 0;
/// while let Some((id, event)) = tasks.next().await {
///     match event {
///         TaskEvent::Update(update) => println!("{id}: {} ({:.0} % of all)", update.state(), tasks.progress().percent()),
///         TaskEvent::Done(outcome) => done += outcome.links().len(),
///         TaskEvent::Failed(failed) => eprintln!("{id}: {}", failed.error()),
///         _ => {}
///     }
/// }
/// assert_eq!(done, 20);
/// # Ok(())
/// # }
/// ```
///
/// Up to 16 submits ([`submits_at_once`](Tasks::submits_at_once)) and 128 polls ([`polls_at_once`](Tasks::polls_at_once))
/// are under way at a time, whatever the number of tasks; the throttle bounds them further. All waiting tasks share one
/// timer. A waiting task takes less than 256 bytes beside the data of its [token](crate::ResumeToken), unless somebody
/// has a [`TaskHandle`](crate::TaskHandle) to it, or it shares its polls with others
/// ([`Protocol::poll_many`](crate::Protocol::poll_many)). The [jitter](crate::PollPolicy) of the poll policy spreads the polls.
///
/// The stream ends when no task is left. Tasks can be added at any time, also after the end. A
/// [heartbeat](crate::Task::heartbeat) of a task is not shown.
///
/// # Cancel safety
/// Dropping a future of the stream loses nothing. Dropping the set leaves the tasks running at the service, and those
/// that are not submitted yet unsent; with a [task store](crate::ClientBuilder::task_store),
/// [`Client::recover`](crate::Client::recover) gives the submitted ones back.
#[must_use = "tasks make progress only while the stream is polled"]
pub struct Tasks<T> {
    next: u64,
    queue: VecDeque<(TaskId, TaskBuilder)>,
    feed: Option<Box<dyn Iterator<Item = TaskBuilder> + Send>>,
    submitting: Running<Task<T>>,
    waiting: Slab<Waiting<T>>,
    /// When the waiting tasks are due; a time that is not the task's own is out of date.
    due: BinaryHeap<Reverse<(Instant, usize)>>,
    active: FuturesUnordered<Active<T>>,
    /// How many of the active tasks wait, and may be asked for by another one's request.
    seated: usize,
    cancels: VecDeque<usize>,
    canceling: Running<()>,
    ready: VecDeque<(TaskId, TaskEvent<T>)>,
    progress: TasksProgress,
    submits_at_once: usize,
    polls_at_once: usize,
    alarm: Alarm,
    nudges: Arc<Nudges>,
    /// The waker that nudged tasks call.
    waker: Waker,
}

/// Requests of tasks that are under way.
type Running<T, E = Error> = FuturesUnordered<BoxFuture<'static, (TaskId, Result<T, E>)>>;

/// A task between two requests.
struct Waiting<T> {
    id: TaskId,
    due: Instant,
    percent: f32,
    task: Parked<T>,
}

enum Parked<T> {
    Dormant(Box<Dormant>),
    /// A task that somebody has a handle to.
    Whole(Box<Task<T>>),
}

/// A task with a request under way.
struct Active<T> {
    id: TaskId,
    percent: f32,
    is_seated: bool,
    task: Option<Box<Task<T>>>,
}

/// Knows that a handle nudged a waiting task.
#[derive(Default)]
struct Nudges {
    is_nudged: AtomicBool,
    waker: AtomicWaker,
}

impl Wake for Nudges {
    fn wake(self: Arc<Self>) {
        self.is_nudged.store(true, Relaxed);
        self.waker.wake();
    }
}

impl<T> Tasks<T> {
    pub(super) fn new() -> Self {
        let nudges = Arc::<Nudges>::default();
        Self {
            next: 0,
            queue: VecDeque::new(),
            feed: None,
            submitting: FuturesUnordered::new(),
            waiting: Slab::new(),
            due: BinaryHeap::new(),
            active: FuturesUnordered::new(),
            seated: 0,
            cancels: VecDeque::new(),
            canceling: FuturesUnordered::new(),
            ready: VecDeque::new(),
            progress: TasksProgress::default(),
            submits_at_once: SUBMITS,
            polls_at_once: POLLS,
            alarm: Alarm::default(),
            waker: Waker::from(nudges.clone()),
            nudges,
        }
    }

    /// Sets how many submits are under way at a time: 16 by default, 1 at least.
    pub const fn submits_at_once(mut self, submits: usize) -> Self {
        self.submits_at_once = if submits == 0 { 1 } else { submits };
        self
    }

    /// Sets how many polls are under way or in the throttle's queue at a time: 128 by default, 1 at least.
    pub const fn polls_at_once(mut self, polls: usize) -> Self {
        self.polls_at_once = if polls == 0 { 1 } else { polls };
        self
    }

    /// Adds a task, which is submitted when its turn comes.
    pub fn submit(&mut self, task: TaskBuilder) -> TaskId {
        let id = self.take_id();
        self.progress.queued += 1;
        self.queue.push_back((id, task));
        id
    }

    /// Adds the tasks of an iterator. Each is made when its submit begins, so that a hundred thousand of them take no
    /// memory before; they get their numbers in that order, after those that were [added](Tasks::submit) by then.
    ///
    /// Another feed is appended.
    pub fn feed<I>(&mut self, tasks: I)
    where
        I: IntoIterator<Item = TaskBuilder>,
        I::IntoIter: Send + 'static,
    {
        let tasks = tasks.into_iter();
        self.feed = Some(match self.feed.take() {
            Some(feed) => Box::new(feed.chain(tasks)),
            None => Box::new(tasks),
        });
    }

    /// Adds a task that was submitted, resumed or recovered.
    pub fn add(&mut self, task: Task<T>) -> TaskId {
        let id = self.take_id();
        self.progress.running += 1;
        self.go_on(id, 0.0, task);
        id
    }

    /// Adds the recovered tasks that go on, and returns the others.
    pub fn add_recovered(&mut self, recovered: impl IntoIterator<Item = Recovered<T>>) -> Vec<Recovered<T>> {
        let mut others = Vec::new();
        for recovered in recovered {
            match recovered {
                Recovered::Task(task) => drop(self.add(task)),
                other => others.push(other),
            }
        }
        others
    }

    /// Returns how far the tasks have come, by the events that were taken from the stream.
    #[must_use]
    pub const fn progress(&self) -> TasksProgress {
        self.progress
    }

    /// Drops the tasks that are not submitted yet, and asks the service to cancel all others, some at a time, while the
    /// stream is polled. The stream goes on to the true end of each task, which may still be a success.
    pub fn cancel_all(&mut self) {
        self.feed = None;
        let dropped = std::mem::take(&mut self.queue);
        self.progress.queued = self.progress.queued.saturating_sub(dropped.len() as u64);
        self.cancels = self.waiting.iter().map(|(key, _)| key).collect();
        for active in &mut self.active {
            let Some(task) = &active.task else { continue };
            let (id, handle) = (active.id, task.handle());
            self.canceling.push(Box::pin(async move { (id, handle.cancel().await) }));
        }
    }

    /// Downloads the results of all tasks into a folder, some at a time while the other tasks run. Each task gets a
    /// folder of its own inside, which is named by its [`TaskId`] and created.
    pub fn download_all(self, folder: impl Into<PathBuf>) -> TaskDownloads<T> {
        TaskDownloads::new(self, folder.into())
    }

    fn take_id(&mut self) -> TaskId {
        let id = TaskId(self.next);
        self.next += 1;
        id
    }

    fn go_on(&mut self, id: TaskId, percent: f32, task: Task<T>) {
        self.active.push(Active { id, percent, is_seated: false, task: Some(Box::new(task)) });
    }

    /// Lets a task wait until it is due.
    fn wait(&mut self, id: TaskId, percent: f32, task: Task<T>, due: Instant) {
        let (due, task) = match Dormant::new(task) {
            Ok(dormant) => (due, Parked::Dormant(Box::new(dormant))),
            Err(mut task) => (park(&mut task, &self.waker).unwrap_or(due), Parked::Whole(task)),
        };
        let key = self.waiting.insert(Waiting { id, due, percent, task });
        self.due.push(Reverse((due, key)));
    }

    fn say(&mut self, id: TaskId, event: TaskEvent<T>) {
        self.ready.push_back((id, event));
    }

    /// Records an update, or the end of a task.
    fn told(&mut self, mut active: Box<Task<T>>, id: TaskId, percent: f32, update: Option<Result<Update, Error>>) {
        let mut now = percent;
        // The end below repeats an error.
        if let Some(Ok(update)) = update {
            now = update.percent().map_or(percent, narrow);
            self.progress.sum += f64::from(now) - f64::from(percent);
            self.say(id, TaskEvent::Update(update));
        }
        match rest(&mut active) {
            Rest::Busy => self.go_on(id, now, *active),
            Rest::Seated => {
                self.seated += 1;
                self.active.push(Active { id, percent: now, is_seated: true, task: Some(active) });
            }
            Rest::Until(due) => self.wait(id, now, *active, due),
            Rest::Over(end) => {
                self.progress.running -= 1;
                self.progress.sum -= f64::from(now);
                let event = match end.map(|end| *end) {
                    Some(Ok(outcome)) => {
                        self.progress.done += 1;
                        TaskEvent::Done(Box::new(outcome))
                    }
                    Some(Err(error)) => self.failed(error, Some(active.handle())),
                    None => self.failed(Error::new(ErrorKind::ResultShape, TAKEN), Some(active.handle())),
                };
                self.say(id, event);
            }
        }
    }

    fn failed(&mut self, error: Error, handle: Option<crate::task::TaskHandle>) -> TaskEvent<T> {
        self.progress.failed += 1;
        TaskEvent::Failed(FailedTask { error, handle })
    }

    /// Makes the polls of nudged tasks due.
    fn take_nudges(&mut self) {
        if !self.nudges.is_nudged.swap(false, Relaxed) {
            return;
        }
        for (key, waiting) in &mut self.waiting {
            let Parked::Whole(task) = &mut waiting.task else { continue };
            let due = park(task, &self.waker).unwrap_or(waiting.due);
            if due != waiting.due {
                waiting.due = due;
                self.due.push(Reverse((due, key)));
            }
        }
    }

    fn begin_cancels(&mut self) {
        while self.canceling.len() < self.submits_at_once
            && let Some(key) = self.cancels.pop_front()
        {
            let Some(waiting) = self.waiting.get_mut(key) else { continue };
            // The handle is needed for the cancel, and nudges the task after it.
            if let Parked::Dormant(_) = &waiting.task {
                let Waiting { id, due, percent, task } = self.waiting.remove(key);
                let mut task = task.wake();
                park(&mut task, &self.waker);
                let key = self.waiting.insert(Waiting { id, due, percent, task: Parked::Whole(Box::new(task)) });
                self.due.push(Reverse((due, key)));
                self.cancels.push_front(key);
                continue;
            }
            if let Parked::Whole(task) = &waiting.task {
                let (id, handle) = (waiting.id, task.handle());
                self.canceling.push(Box::pin(async move { (id, handle.cancel().await) }));
            }
        }
    }

    fn wake_all(&mut self) {
        self.due.clear();
        for Waiting { id, percent, task, .. } in
            std::mem::take(&mut self.waiting).into_iter().map(|(_, waiting)| waiting)
        {
            self.go_on(id, percent, task.wake());
        }
    }

    /// Returns whether another poll may be under way.
    fn has_room(&self) -> bool {
        self.active.len().saturating_sub(self.seated) < self.polls_at_once
    }

    /// Moves the tasks that are due to those with a request under way.
    fn begin_polls(&mut self) {
        let now = Instant::now();
        while self.has_room()
            && let Some(Reverse((due, key))) = self.due.peek().copied()
            && due <= now
        {
            self.due.pop();
            // A time that was put forward is out of date.
            if self.waiting.get(key).is_none_or(|waiting| waiting.due != due) {
                continue;
            }
            let Waiting { id, percent, task, .. } = self.waiting.remove(key);
            self.go_on(id, percent, task.wake());
        }
    }
}

impl<T: 'static> Tasks<T> {
    fn begin_submits(&mut self) {
        while self.submitting.len() < self.submits_at_once {
            let (id, task) = match self.queue.pop_front() {
                Some((id, task)) => {
                    self.progress.queued -= 1;
                    (id, task)
                }
                None => match self.feed.as_mut().and_then(Iterator::next) {
                    Some(task) => (self.take_id(), task),
                    None => {
                        self.feed = None;
                        return;
                    }
                },
            };
            self.progress.running += 1;
            self.submitting.push(Box::pin(async move { (id, task.submit().await) }));
        }
    }

    /// Takes the answers that have arrived. Returns whether there were any.
    fn take_answers(&mut self, cx: &mut Context<'_>) -> bool {
        let mut any = false;
        while let Poll::Ready(Some((id, submitted))) = self.submitting.poll_next_unpin(cx) {
            any = true;
            match submitted {
                Ok(task) => self.go_on(id, 0.0, task),
                Err(error) => {
                    self.progress.running -= 1;
                    let event = self.failed(error, None);
                    self.say(id, event);
                }
            }
        }
        while let Poll::Ready(Some((id, canceled))) = self.canceling.poll_next_unpin(cx) {
            any = true;
            if let Err(error) = canceled {
                self.say(id, TaskEvent::NotCanceled(error));
            }
        }
        while let Poll::Ready(Some((active, update))) = self.active.poll_next_unpin(cx) {
            any = true;
            let Active { id, percent, is_seated, task } = active;
            self.seated -= usize::from(is_seated);
            if let Some(task) = task {
                self.told(task, id, percent, update);
            }
            if self.ready.len() >= MOST_READY {
                break;
            }
        }
        any
    }
}

impl<T: 'static> Stream for Tasks<T> {
    type Item = (TaskId, TaskEvent<T>);

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let set = &mut *self;
        loop {
            if let Some(event) = set.ready.pop_front() {
                return Poll::Ready(Some(event));
            }
            set.nudges.waker.register(cx.waker());
            set.take_nudges();
            set.begin_submits();
            set.begin_cancels();
            set.begin_polls();
            if set.take_answers(cx) {
                continue;
            }
            if set.is_terminated() {
                return Poll::Ready(None);
            }
            if !has_runtime() {
                // Each task says so.
                set.wake_all();
                if set.active.is_empty() {
                    return Poll::Pending;
                }
                continue;
            }
            let next = set.due.peek().map(|Reverse((due, _))| *due).filter(|_| set.has_room());
            match next {
                Some(due) if set.alarm.poll_at(due, cx).is_ready() => {}
                _ => return Poll::Pending,
            }
        }
    }
}

impl<T: 'static> FusedStream for Tasks<T> {
    fn is_terminated(&self) -> bool {
        self.ready.is_empty()
            && self.queue.is_empty()
            && self.feed.is_none()
            && self.submitting.is_empty()
            && self.active.is_empty()
            && self.waiting.is_empty()
            && self.canceling.is_empty()
    }
}

impl<T> Parked<T> {
    fn wake(self) -> Task<T> {
        match self {
            Self::Dormant(dormant) => dormant.wake(),
            Self::Whole(task) => *task,
        }
    }
}

impl<T> Future for Active<T> {
    type Output = (Self, Option<Result<Update, Error>>);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(task) = &mut self.task else { return Poll::Pending };
        let update = std::task::ready!(task.poll_advance(cx));
        let done = Self { id: self.id, percent: self.percent, is_seated: self.is_seated, task: self.task.take() };
        Poll::Ready((done, update))
    }
}

impl<T> Unpin for Tasks<T> {}

impl<T> Unpin for Active<T> {}

impl<T> fmt::Debug for Tasks<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasks").field("progress", &self.progress).finish_non_exhaustive()
    }
}

/// A percentage needs no more digits.
#[expect(clippy::cast_possible_truncation)]
const fn narrow(percent: f64) -> f32 {
    percent as f32
}

/// As a service answers in a tenth of a second, some hundred submits a second.
const SUBMITS: usize = 16;
/// As a service answers in a tenth of a second, a thousand polls a second.
const POLLS: usize = 128;
/// Events that nobody takes yet must not grow without bound.
const MOST_READY: usize = 256;
const TAKEN: &str = "the outcome of this task was taken already";
