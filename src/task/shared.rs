//! Shared: the state of a task and its handles, under a lock that is never held across an await.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use tokio::time::Instant;

use super::durations::Course;
use super::poll_policy::Plan;
use super::{TaskCore, Update};
use crate::clock::{unix_millis, wall_later};
use crate::event::Observer;
use crate::protocol::{Cursor, Report};
use crate::redact::{Mask, brief, scrub_lines, secrets_in, secrets_on};
use crate::retry::Delays;
use crate::store::Held;

/// The state that a task and its handles share.
pub(super) struct TaskShared {
    pub(super) core: Arc<TaskCore>,
    live: Mutex<Live>,
}

pub(super) struct Live {
    pub(super) cursor: Cursor,
    /// The caller's headers, for every request of the task to the API's own origin.
    pub(super) headers: Option<Box<HeaderMap>>,
    pub(super) last: Update,
    /// The service asked not to be polled before this time, in milliseconds since 1970.
    pub(super) not_before: u64,
    /// The length of that wait; `None` if the wait is the task's own choice.
    pub(super) asked: Option<Duration>,
    /// How long the last answer asked the client to stay away, if it was a refusal.
    pub(super) refusal: Option<Duration>,
    pub(super) nudged: bool,
    pub(super) waker: Option<Waker>,
    /// The pauses of the policy's schedule, created when first needed.
    pub(super) pauses: Option<Box<Delays>>,
    /// The polls by learned durations, if the policy learns or the task has a size class.
    pub(super) course: Option<Box<Course>>,
    /// Whether the service reported the end of the task, after which there is nothing to cancel.
    pub(super) ended: bool,
    /// The task in the store that keeps it.
    pub(super) held: Option<Arc<Held>>,
}

impl TaskShared {
    pub(super) fn new(core: Arc<TaskCore>, live: Live) -> Arc<Self> {
        Arc::new(Self { core, live: Mutex::new(live) })
    }

    pub(super) fn live(&self) -> MutexGuard<'_, Live> {
        // No code panics while it holds the lock.
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> SystemTime {
        self.core.transport.wire.clock.now()
    }

    pub(super) fn marks(&self) -> &Observer {
        &self.core.transport.wire.marks
    }

    /// Plans the next poll; `None` if the policy's schedule has ended.
    pub(super) fn plan(&self, report: &Report) -> Option<Plan> {
        let now = self.now();
        let mut live = self.live();
        let TaskCore { pace, protocol, .. } = &*self.core;
        let sticky = live.cursor.sticky_hint();
        let learned = self.learned(&mut live, report.hint.or(sticky));
        let mut plan = if let Some(schedule) = pace.own_schedule(report.hint.or(sticky)) {
            let pauses = live.pauses.get_or_insert_with(|| Box::new(schedule.delays(fastrand::u64(..))));
            pace.plan_by(pauses.next()?)
        } else if let Some(pause) = learned {
            pace.plan_by(pause)
        } else {
            // The default is for a service that asks for no wait; before the first poll, the service could not have
            // asked.
            let is_settled = live.last.polls > 0 && !live.cursor.is_troubled();
            let default = protocol.interval_without_hint().filter(|_| is_settled);
            pace.plan(report.hint, sticky, default, live.cursor.age(now), fastrand::f64())
        };
        if let (None, Some(longest)) = (report.hint, protocol.longest_interval()) {
            plan.delay = plan.delay.min(longest).max(plan.earliest);
        }
        self.asks(&mut live, report.hint.or(sticky), plan.earliest);
        Some(plan)
    }

    /// Notes that the task is pending, and returns the pause by the durations of earlier tasks, if they decide it.
    fn learned(&self, live: &mut Live, asked: Option<Duration>) -> Option<Duration> {
        let TaskCore { pace, protocol, durations, .. } = &*self.core;
        let poll_cost = pace.poll_cost()?;
        let age = live.cursor.age(self.now());
        let is_troubled = live.cursor.is_troubled();
        let course = live.course.as_mut()?;
        course.is_learned = false;
        if is_troubled {
            return None;
        }
        course.is_pending(age);
        let is_asked = !asked.unwrap_or_default().is_zero();
        if is_asked || pace.own_schedule(None).is_some() || protocol.interval_without_hint().is_some() {
            return None;
        }
        let chances = (pace.chance(0.5), pace.chance(0.0));
        let pause = durations.pause(self.core.learned_kind(), course, poll_cost, age, Instant::now(), chances)?;
        course.is_learned = true;
        Some(pause)
    }

    /// Learns how long the task took, if it ended by itself.
    pub(super) fn learn(&self) {
        let mut live = self.live();
        let age = live.cursor.age(self.now());
        let is_own_end = !live.cursor.is_cancel_asked();
        let course = live.course.take();
        drop(live);
        if let (Some(course), Some(_), true) = (course, self.core.pace.poll_cost(), is_own_end) {
            self.core.durations.learn(self.core.learned_kind(), &course, age);
        }
    }

    /// Records the wait that the service asked for, if it did. No request is sent for `earliest`.
    pub(super) fn asks(&self, live: &mut Live, asked: Option<Duration>, earliest: Duration) {
        live.asked = asked.filter(|asked| !asked.is_zero());
        live.not_before = unix_millis(wall_later(self.now(), earliest));
    }
}

impl TaskShared {
    /// Explains what was read, why, and the next step.
    pub(super) fn explain(&self, live: &Live) -> String {
        let mut text = self.core.protocol.explain(&live.cursor);
        let last = &live.last;
        let nothing_told = last.polls() == 0 && last.next_poll().is_none() && !last.state().is_terminal();
        let mut told = if nothing_told { "\nstate: unknown".to_owned() } else { format!("\nstate: {}", last.state()) };
        if let Some(word) = last.word() {
            told += &format!(", the service's word is `{word}`");
        }
        if let Some(status) = last.status() {
            told += &format!(", HTTP {}", status.as_u16());
        }
        text += &told;
        if let Some(warning) = last.warning() {
            text += &format!("\nwarning: {warning}");
        }
        if let Some(next) = last.next_poll() {
            let why = match (last.hint(), live.cursor.sticky_hint()) {
                (Some(hint), _) => format!("the service asked for {hint:?}"),
                (None, Some(hint)) => format!("the service last asked for {hint:?}"),
                (None, None) if self.core.pace.own_schedule(None).is_some() => {
                    "the service asked for no wait; the poll policy's schedule".into()
                }
                (None, None) if live.course.as_ref().is_some_and(|course| course.is_learned) => {
                    "the service asked for no wait; the durations of earlier tasks".into()
                }
                (None, None) if self.core.protocol.interval_without_hint().is_some() => {
                    "the service asked for no wait; the protocol's interval and the task's age".into()
                }
                (None, None) => "the service asked for no wait; 5 % of the task's age, 1 to 30 s".into(),
            };
            text += &format!("\nnext poll: {next:?} after the last ({why})");
        }
        scrub_lines(&self.mask(live).hide(&text))
    }

    /// Returns an id or a word of the service, for a log.
    pub(super) fn said(&self, live: &Live, text: Option<&str>) -> Option<String> {
        text.map(|text| brief(&self.mask(live).hide(text), MOST_SAID))
    }

    /// Returns a mask that removes the task's sent values from text.
    pub(super) fn mask(&self, live: &Live) -> Mask {
        let headers = live.headers.iter().flat_map(|headers| secrets_on(headers));
        let links = live.cursor.next_url();
        self.core.transport.wire.hidden.mask().and(headers).and(links.iter().flat_map(secrets_in))
    }
}

/// Ids and state words are short; text beyond this length adds nothing.
const MOST_SAID: usize = 100;

impl Live {
    pub(super) fn can_resume(&self) -> bool {
        self.cursor.can_be_asked_again()
    }
}
