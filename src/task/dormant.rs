//! Dormant: a waiting task in few bytes, for sets of many tasks.

use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use tokio::time::Instant;

use super::durations::Course;
use super::heartbeat::Beat;
use super::state_metrics::CountedState;
use super::trace::Trace;
use super::{Doing, Outcome, Ready, Task, TaskCore, Update};
use crate::clock::Alarm;
use crate::error::Error;
use crate::protocol::{Cursor, Report, State};
use crate::retry::Delays;
use crate::store::Held;

/// A waiting task without a timer, and without the fields that few tasks use.
pub(crate) struct Dormant {
    core: Arc<TaskCore>,
    cursor: Cursor,
    held: Option<Arc<Held>>,
    begun: Instant,
    due: Instant,
    earliest: Instant,
    not_before: u64,
    /// Durations in milliseconds plus one; 0 for none.
    asked: u64,
    next_poll: u64,
    hint: u64,
    word: Option<Box<str>>,
    /// NaN for none.
    percent: f64,
    polls: u32,
    status: Option<StatusCode>,
    state: State,
    absences: u8,
    rare: Option<Box<Rare>>,
}

/// The fields that few tasks use.
struct Rare {
    headers: Option<Box<HeaderMap>>,
    pauses: Option<Box<Delays>>,
    course: Option<Box<Course>>,
    told: Option<Box<Report>>,
    warning: Option<Box<str>>,
    deadline: Option<Instant>,
    beat: Option<Box<Beat>>,
    cancel_on_drop: bool,
    is_default: bool,
    counted: Option<CountedState>,
    trace: Trace,
}

/// The next step of a task between its updates.
pub(crate) enum Rest<T> {
    /// Its next request is due at this time.
    Until(Instant),
    /// It waits, and another task's request may ask for it too.
    Seated,
    /// It goes on at once.
    Busy,
    /// It has ended.
    Over(Option<Box<Result<Outcome<T>, Error>>>),
}

/// Returns the next step of a task.
pub(crate) fn rest<T>(task: &mut Task<T>) -> Rest<T> {
    match (&task.ready, &mut task.doing) {
        (Ready::Nothing, Doing::Waiting { .. }) if task.seat.is_some() => Rest::Seated,
        (Ready::Nothing, Doing::Waiting { due, .. }) => Rest::Until(*due),
        (Ready::Nothing, Doing::Over(end)) => Rest::Over(end.take()),
        _ => Rest::Busy,
    }
}

/// Lets a nudge of a waiting task call this waker, and drops its timer. Returns when its next request is due.
pub(crate) fn park<T>(task: &mut Task<T>, waker: &Waker) -> Option<Instant> {
    let Doing::Waiting { due, earliest, alarm } = &mut task.doing else { return None };
    *alarm = Alarm::default();
    let mut live = task.shared.live();
    if std::mem::take(&mut live.nudged) {
        *due = (*due).min((*earliest).max(Instant::now()));
    }
    live.waker = Some(waker.clone());
    Some(*due)
}

impl Dormant {
    /// Returns the waiting task in few bytes; the task itself if it does not wait, or if somebody has a handle to it.
    pub(crate) fn new<T>(mut task: Task<T>) -> Result<Self, Box<Task<T>>> {
        let is_shared = Arc::strong_count(&task.shared) > 1 || task.seat.is_some();
        let (Doing::Waiting { due, earliest, .. }, Ready::Nothing, false) = (&task.doing, &task.ready, is_shared)
        else {
            return Err(Box::new(task));
        };
        let (due, earliest) = (*due, *earliest);
        let counted = std::mem::take(&mut task.counted);
        let trace = std::mem::take(&mut task.trace);
        let rare = Rare {
            told: task.told.take(),
            deadline: task.deadline,
            beat: task.beat.take(),
            // The drop of the emptied task cancels nothing.
            cancel_on_drop: std::mem::take(&mut task.cancel_on_drop),
            is_default: task.is_default,
            counted: None,
            trace: Trace::default(),
            headers: None,
            pauses: None,
            course: None,
            warning: None,
        };
        let mut live = task.shared.live();
        let Update { report, status, next_poll, polls, .. } = live.last.clone();
        let rare = Rare {
            headers: live.headers.take(),
            pauses: live.pauses.take(),
            course: live.course.take(),
            warning: report.warning,
            counted: (!counted.is(report.state)).then_some(counted),
            trace,
            ..rare
        };
        Ok(Self {
            core: task.shared.core.clone(),
            cursor: live.cursor.clone(),
            held: live.held.take(),
            begun: task.begun,
            due,
            earliest,
            not_before: live.not_before,
            asked: millis(live.asked),
            next_poll: millis(next_poll),
            hint: millis(report.hint),
            word: report.word,
            percent: report.percent.unwrap_or(f64::NAN),
            polls,
            status,
            state: report.state,
            absences: task.absences,
            rare: rare.is_worth_it().then(|| Box::new(rare)),
        })
    }

    /// Returns the task again.
    pub(crate) fn wake<T>(self) -> Task<T> {
        let mut task = Task::new(self.core, self.cursor, HeaderMap::new(), self.not_before, None);
        task.absences = self.absences;
        task.begun = self.begun;
        task.doing = Doing::Waiting { due: self.due, earliest: self.earliest, alarm: Alarm::default() };
        let mut report = Report::new(self.state);
        (report.word, report.hint) = (self.word, duration(self.hint));
        report.percent = Some(self.percent).filter(|percent| !percent.is_nan());
        let mut counted = CountedState::of(self.state);
        let mut headers = None;
        let mut pauses = None;
        let mut course = None;
        if let Some(rare) = self.rare {
            let rare = *rare;
            (headers, pauses, report.warning) = (rare.headers, rare.pauses, rare.warning);
            course = rare.course;
            (task.told, task.deadline, task.beat) = (rare.told, rare.deadline, rare.beat);
            (task.cancel_on_drop, task.is_default) = (rare.cancel_on_drop, rare.is_default);
            task.trace = rare.trace;
            counted = rare.counted.unwrap_or(counted);
        }
        task.counted = counted;
        {
            let mut live = task.shared.live();
            live.last = Update {
                report,
                status: self.status,
                next_poll: duration(self.next_poll),
                polls: self.polls,
                heartbeat: false,
            };
            (live.headers, live.pauses, live.held) = (headers, pauses, self.held);
            live.course = course.or(live.course.take());
            live.asked = duration(self.asked);
        }
        task
    }
}

impl Rare {
    fn is_worth_it(&self) -> bool {
        self.headers.is_some()
            || self.pauses.is_some()
            || self.course.is_some()
            || self.told.is_some()
            || self.warning.is_some()
            || self.deadline.is_some()
            || self.beat.is_some()
            || self.cancel_on_drop
            || self.is_default
            || self.counted.is_some()
            || self.trace.is_some()
    }
}

fn millis(time: Option<Duration>) -> u64 {
    time.map_or(0, |time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX - 1).saturating_add(1))
}

fn duration(millis: u64) -> Option<Duration> {
    millis.checked_sub(1).map(Duration::from_millis)
}
