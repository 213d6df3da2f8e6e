//! Task: a handle to long-running work. The future and the stream are thin layers over one state machine.

mod deadline;
mod dormant;
mod durations;
mod gathering;
mod handle;
mod heartbeat;
mod many_answer;
mod masked;
mod outcome;
mod poll_policy;
mod polling;
mod record;
mod renewal;
#[cfg(feature = "token-file")]
mod sealed;
mod shared;
mod state_metrics;
mod stored;
mod token;
mod trace;
mod transcripts;
mod transitions;
mod update;
mod updates;
mod wait_error;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, MutexGuard};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::future::BoxFuture;
use http::HeaderMap;
use tokio::time::Instant;

use crate::clock::{Alarm, NO_RUNTIME, has_runtime, later, unix_millis};
use crate::error::{Error, ErrorKind};
use crate::message::Response;
use crate::protocol::{Cursor, Report, Step};
use crate::store::Held;
use crate::throttle::Acquire;

pub use durations::{LearnedDurations, TaskDurations};
pub use handle::TaskHandle;
pub use outcome::Outcome;
pub use poll_policy::PollPolicy;
pub use token::ResumeToken;
pub use transcripts::Transcripts;
pub use update::Update;
pub use updates::{TaskUpdates, Updates};

pub(crate) use dormant::{Dormant, Rest, park, rest};
pub(crate) use durations::{Durations, LONGEST_NAME};
pub(crate) use gathering::Gathering;
pub(crate) use polling::TaskCore;
pub(crate) use record::{StoredRequest, TaskRecord};
pub(crate) use token::ResumedPause;
pub(crate) use trace::Trace;

use durations::Course;
use gathering::Seat;
use heartbeat::Beat;
use polling::{Heard, PollAnswer};
use shared::{Live, TaskShared};
use state_metrics::CountedState;

/// A handle to a long-running task at a service.
///
/// The task is a future: awaiting it polls the status as the service asks, and returns the [`Outcome`]. The task is
/// also a stream of [`Update`]s, by [`updates`](Task::updates). Both can be mixed: watch for a while, then await. The
/// task makes progress only while it is polled, and spawns nothing.
///
/// ```
/// # use longhaul::testing::Simulator;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let service = Simulator::builder().hint_on_submit(true).start().await?;
/// # let client = longhaul::testing::client(&service).build()?;
/// use futures::TryStreamExt;
///
/// let mut task = client.task().post("exports").json(&serde_json::json!({})).submit::<serde_json::Value>().await?;
/// let mut updates = task.updates();
/// while let Some(update) = updates.try_next().await? {
///     println!("{} {:?}", update.state(), update.percent());
/// }
/// let outcome = task.await?;
/// assert_eq!(outcome.links().len(), 1);
/// # Ok(())
/// # }
/// ```
///
/// # Cancel safety
/// Dropping any future or stream of the task, at any point, loses nothing: a send in progress and the time of the next
/// poll stay in the task. Dropping the task itself leaves the work running at the service: keep a
/// [`token`](TaskHandle::token) to come back to it, or request its end with [`cancel`](TaskHandle::cancel).
///
/// # Panics
/// Panics if the task is polled in a tokio runtime without time or IO enabled. Outside any runtime, the wait ends with
/// [`ErrorKind::Config`], and the error carries a token.
#[must_use = "a task makes progress only while it is awaited or watched"]
pub struct Task<T> {
    shared: Arc<TaskShared>,
    doing: Doing<T>,
    /// Results that are known and not yet handed out.
    ready: Ready,
    /// The report of the status, while its result is being fetched.
    told: Option<Box<Report>>,
    deadline: Option<Instant>,
    begun: Instant,
    beat: Option<Box<Beat>>,
    cancel_on_drop: bool,
    /// Whether the deadline is the client's, not yet checked: a deadline of the task's own may still replace it.
    is_default: bool,
    counted: CountedState,
    trace: Trace,
    /// Wakes a send in progress at the deadline.
    alarm: Alarm,
    /// The task's seat among those that may share their next poll.
    seat: Option<Arc<Seat>>,
    /// How often an answer for several tasks said nothing about this one.
    absences: u8,
}

enum Doing<T> {
    Waiting {
        due: Instant,
        /// The service asked not to be polled before this time.
        earliest: Instant,
        alarm: Alarm,
    },
    /// Waiting in the throttle's queue: a ticket, with no request built yet.
    Queued(Box<Acquire>),
    Sending(BoxFuture<'static, PollAnswer>),
    Over(Option<Box<Result<Outcome<T>, Error>>>),
}

enum Ready {
    Nothing,
    Update,
    Error(Error),
    UpdateThen(Error),
}

impl<T> Task<T> {
    /// Creates a task after the answer to its submit was read.
    pub(crate) fn begin(
        core: Arc<TaskCore>,
        cursor: Cursor,
        headers: HeaderMap,
        step: Step,
        status: http::StatusCode,
        rest: Option<Response>,
        size_class: Option<Box<str>>,
    ) -> Result<Self, Error> {
        let mut task = Self::new(core, cursor, headers, 0, size_class);
        task.live().last.status = Some(status);
        task.obey(step, rest);
        match std::mem::replace(&mut task.ready, Ready::Nothing) {
            // No task exists yet that could be resumed: the submit failed.
            Ready::Error(error) => Err(error),
            ready => {
                task.ready = ready;
                if !matches!(task.doing, Doing::Over(_)) {
                    task.hold();
                }
                Ok(task)
            }
        }
    }

    /// Creates a resumed task. Its first poll is due at once, or at the time that the service asked for.
    pub(crate) fn resumed(
        core: Arc<TaskCore>,
        cursor: Cursor,
        headers: HeaderMap,
        pause: ResumedPause,
        size_class: Option<Box<str>>,
    ) -> Self {
        let wait = pause.left(unix_millis(core.transport.wire.clock.now()));
        let mut task = Self::new(core, cursor, headers, pause.not_before, size_class);
        task.live().asked = Some(wait).filter(|wait| !wait.is_zero());
        let due = later(Instant::now(), wait);
        task.doing = Doing::Waiting { due, earliest: due, alarm: Alarm::default() };
        task.sit(wait, due);
        task.hold();
        task
    }

    fn new(
        core: Arc<TaskCore>,
        cursor: Cursor,
        headers: HeaderMap,
        not_before: u64,
        size_class: Option<Box<str>>,
    ) -> Self {
        let has_course = size_class.is_some() || core.pace.poll_cost().is_some();
        let begun = Instant::now();
        let live = Live {
            cursor,
            headers: Some(headers).filter(|headers| !headers.is_empty()).map(Box::new),
            last: Update::before_any(),
            not_before,
            asked: None,
            refusal: None,
            nudged: false,
            waker: None,
            pauses: None,
            course: has_course.then(|| Box::new(Course::new(size_class))),
            ended: false,
            held: None,
        };
        Self {
            shared: TaskShared::new(core, live),
            doing: Doing::Waiting { due: begun, earliest: begun, alarm: Alarm::default() },
            ready: Ready::Nothing,
            told: None,
            deadline: None,
            begun,
            beat: None,
            cancel_on_drop: false,
            is_default: false,
            counted: CountedState::default(),
            trace: Trace::default(),
            alarm: Alarm::default(),
            seat: None,
            absences: 0,
        }
    }

    /// Stores the token, before the first poll.
    pub(crate) async fn accepted_by(self, held: Arc<Held>, before: TaskRecord) -> Result<Self, Error> {
        match stored::accept(&self.shared, held, before).await {
            Ok(()) => Ok(self),
            Err(error) => Err(self.with_wait(error)),
        }
    }

    /// Continues a task that the store keeps already.
    pub(crate) fn held_by(self, held: Arc<Held>) -> Self {
        stored::attach(&self.shared, held);
        self
    }

    /// Continues the task inside this span.
    pub(crate) fn traced(mut self, mut trace: Trace) -> Self {
        let live = self.shared.live();
        trace.record(|| self.shared.said(&live, live.cursor.id()), live.last.polls, live.last.report.state().as_str());
        drop(live);
        if let Doing::Waiting { due, .. } = &self.doing {
            trace.wait(due.saturating_duration_since(Instant::now()));
        }
        self.trace = trace;
        self
    }

    /// Asks the service to cancel the task if this value is dropped before the end. The request is sent by a spawned
    /// task on the current tokio runtime; without a runtime, or if the runtime ends, the request is not sent.
    pub const fn cancel_on_drop(mut self) -> Self {
        self.cancel_on_drop = true;
        self
    }

    /// Returns an explanation of how the answers so far were read: [`TaskHandle::explain`].
    #[must_use]
    pub fn explain(&self) -> String {
        self.shared.explain(&self.live())
    }

    /// Returns the task's id at the service, if the service gave one.
    #[must_use]
    pub fn id(&self) -> Option<String> {
        self.handle().id()
    }

    /// Returns the task as data, so that another process can continue the wait: [`TaskHandle::token`].
    #[must_use]
    pub fn token(&self) -> ResumeToken {
        self.handle().token()
    }

    /// Returns the name under which the client's task store keeps the task: [`TaskHandle::stored_as`].
    #[must_use]
    pub fn stored_as(&self) -> Option<String> {
        self.handle().stored_as()
    }

    /// Returns a handle to query, cancel or nudge the task from elsewhere.
    #[must_use]
    pub fn handle(&self) -> TaskHandle {
        TaskHandle::new(self.shared.clone())
    }

    /// Returns the last update of the task. Before the first poll of a resumed task, the state is assumed to be
    /// running.
    #[must_use]
    pub fn last_update(&self) -> Update {
        self.live().last.clone()
    }

    /// Waits for the next update, and returns it; `None` after the last.
    ///
    /// An update is returned as soon as it is known, and the wait for the next poll begins with the next call.
    ///
    /// # Errors
    /// Fails if further waiting makes no sense. The error carries a token ([`Error::token`]). A failure of the task
    /// itself is an update, and an error only of the awaited task.
    ///
    /// # Cancel safety
    /// Cancel-safe.
    pub async fn advance(&mut self) -> Option<Result<Update, Error>> {
        std::future::poll_fn(|cx| self.poll_advance(cx)).await
    }

    pub(crate) fn poll_advance(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Update, Error>>> {
        if std::mem::take(&mut self.is_default) {
            self.keep_deadline();
        }
        loop {
            match std::mem::replace(&mut self.ready, Ready::Nothing) {
                Ready::Nothing => {}
                Ready::Update => return Poll::Ready(Some(Ok(self.live().last.clone()))),
                Ready::Error(error) => return Poll::Ready(Some(Err(error))),
                Ready::UpdateThen(error) => {
                    self.ready = Ready::Error(error);
                    return Poll::Ready(Some(Ok(self.live().last.clone())));
                }
            }
            if !matches!(self.doing, Doing::Over(_)) && !has_runtime() {
                self.wait_until(Instant::now(), Instant::now());
                self.stop(Error::new(ErrorKind::Config, NO_RUNTIME));
                continue;
            }
            if let Some(part) = self.taken(cx) {
                self.doing = part;
            }
            match &mut self.doing {
                Doing::Waiting { .. } => {
                    if self.poll_wait(cx).is_pending() {
                        return self.poll_beat(cx).map(|()| Some(Ok(self.live().last.clone().again())));
                    }
                    if let Err(error) = stored::check(&self.shared) {
                        self.stop(error);
                        continue;
                    }
                    if self.seat.is_some() && self.shared.core.gathering.rests() {
                        self.stand();
                    }
                    self.doing = match self.shared.admit(self.seat.as_deref(), self.deadline) {
                        Some(acquire) => Doing::Queued(acquire),
                        None => {
                            self.stand();
                            Doing::Sending(self.trace.around(self.shared.ask(None, self.deadline)))
                        }
                    };
                }
                Doing::Queued(acquire) => match Pin::new(acquire.as_mut()).poll(cx) {
                    Poll::Pending => {
                        return self.poll_beat(cx).map(|()| Some(Ok(self.live().last.clone().again())));
                    }
                    Poll::Ready(Ok(permit)) => {
                        self.beat_anew();
                        let sending = match self.seat.take() {
                            Some(seat) => self.shared.lead(&seat, permit, self.deadline),
                            None => self.shared.ask(Some(permit), self.deadline),
                        };
                        self.doing = Doing::Sending(self.trace.around(sending));
                    }
                    Poll::Ready(Err(error)) => {
                        self.wait_until(Instant::now(), Instant::now());
                        self.stop(error);
                    }
                },
                Doing::Sending(asking) => {
                    let Poll::Ready(answer) = asking.as_mut().poll(cx) else {
                        ready!(self.poll_alarm(cx));
                        let late = Error::new(ErrorKind::DeadlineExceeded, "no answer before it");
                        self.stop(self.shared.core.transport.late(late));
                        continue;
                    };
                    // Frees the send before its result is processed.
                    self.wait_until(Instant::now(), Instant::now());
                    match answer {
                        Ok(Heard::Absent) => self.absences = self.absences.saturating_add(1),
                        Ok(heard) => {
                            let refusal = heard.asks_to_wait(self.shared.now());
                            self.live().refusal = refusal;
                            let step = self.shared.read(&heard);
                            self.obey(step, heard.rest());
                            self.live().refusal = None;
                        }
                        Err(error) => {
                            if error.is_unsent() {
                                self.live().cursor.not_fired();
                            }
                            self.stop(error);
                        }
                    }
                }
                Doing::Over(_) => return Poll::Ready(None),
            }
        }
    }

    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Doing::Waiting { due, earliest, alarm } = &mut self.doing else { return Poll::Ready(()) };
        {
            let mut live = self.shared.live();
            if std::mem::take(&mut live.nudged) {
                *due = (*due).min((*earliest).max(Instant::now()));
            }
            if !live.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                live.waker = Some(cx.waker().clone());
            }
        }
        alarm.poll_at(*due, cx)
    }

    /// Takes a seat among the tasks that may share their next poll, which is due after `pause`.
    fn sit(&mut self, pause: Duration, earliest: Instant) {
        self.stand();
        if self.absences < MOST_ABSENCES {
            self.seat = self.shared.seat(pause, earliest);
        }
    }

    /// Gives the seat back.
    fn stand(&mut self) {
        if let Some(seat) = self.seat.take() {
            self.shared.core.gathering.leave(&seat);
        }
    }

    /// Returns the request that another task leads, if this one waits and is part of it.
    fn taken(&mut self, cx: &Context<'_>) -> Option<Doing<T>> {
        let waits = matches!(self.doing, Doing::Waiting { .. } | Doing::Queued(_));
        let poll = self.seat.as_ref().filter(|_| waits)?.taken(cx)?;
        let seat = self.seat.take()?;
        self.beat_anew();
        let sending = self.shared.part(&seat, poll, self.deadline);
        Some(Doing::Sending(self.trace.around(sending)))
    }

    /// Counts the task as alive.
    fn hold(&mut self) {
        let state = self.live().last.state();
        self.counted.hold(state, self.shared.marks());
    }

    fn wait_until(&mut self, due: Instant, earliest: Instant) {
        self.doing = Doing::Waiting { due, earliest, alarm: Alarm::default() };
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        self.shared.live()
    }
}

impl<T> Future for Task<T> {
    type Output = Result<Outcome<T>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        while let Some(update) = ready!(self.poll_advance(cx)) {
            drop(update);
        }
        let Doing::Over(end) = &mut self.doing else { return Poll::Pending };
        Poll::Ready(end.take().map_or_else(
            || Err(Error::new(ErrorKind::ResultShape, "the outcome of this task was taken already")),
            |end| *end,
        ))
    }
}

/// A task that the answers for several leave out this often is polled alone from then on.
const MOST_ABSENCES: u8 = 3;

/// No part of a task needs pinning in place: its send and its timer are boxed.
impl<T> Unpin for Task<T> {}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.stand();
        self.counted.drop(self.shared.marks());
        let ended = self.live().ended;
        if let (true, false, Ok(runtime)) = (self.cancel_on_drop, ended, tokio::runtime::Handle::try_current()) {
            let handle = self.handle();
            runtime.spawn(async move {
                if let Err(error) = handle.cancel().await {
                    tracing::warn!(%error, "a dropped task was not canceled");
                }
            });
        }
    }
}

impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let live = self.live();
        f.debug_struct("Task").field("cursor", &live.cursor).field("last", &live.last).finish_non_exhaustive()
    }
}
