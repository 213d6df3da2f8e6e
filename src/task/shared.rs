//! What a task and its handles share, under a lock that is never held across an await.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::SystemTime;

use http::HeaderMap;

use super::pace::Plan;
use super::{Core, Update};
use crate::clock::unix_millis;
use crate::protocol::{Cursor, Report};

/// What a task and its handles share.
pub(super) struct Shared {
    pub(super) core: Arc<Core>,
    live: Mutex<Live>,
}

pub(super) struct Live {
    pub(super) cursor: Cursor,
    /// The caller's headers, for every request of the task to the API's own origin.
    pub(super) headers: Option<Box<HeaderMap>>,
    pub(super) last: Update,
    /// Milliseconds since 1970: the service asked not to be polled before.
    pub(super) not_before: u64,
    pub(super) nudged: bool,
    pub(super) waker: Option<Waker>,
}

impl Shared {
    pub(super) fn new(core: Arc<Core>, live: Live) -> Arc<Self> {
        Arc::new(Self { core, live: Mutex::new(live) })
    }

    pub(super) fn live(&self) -> MutexGuard<'_, Live> {
        // No code panics while it holds the lock.
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> SystemTime {
        self.core.transport.clock.now()
    }

    /// When to poll next.
    pub(super) fn plan(&self, report: &Report) -> Plan {
        let now = self.now();
        let mut live = self.live();
        let cursor = &live.cursor;
        // The default is for a service that does not say; before the first poll it could not have said.
        let default =
            self.core.protocol.interval_without_hint().filter(|_| live.last.polls > 0 && !cursor.is_troubled());
        let mut plan =
            self.core.pace.plan(report.hint, cursor.sticky_hint(), default, cursor.age(now), fastrand::f64());
        if let (None, Some(longest)) = (report.hint, self.core.protocol.longest_interval()) {
            plan.delay = plan.delay.min(longest).max(plan.earliest);
        }
        live.not_before = unix_millis(now + plan.earliest);
        plan
    }
}

impl Shared {
    /// What was read, why, and what comes next.
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
                (None, None) if self.core.protocol.interval_without_hint().is_some() => {
                    "the service did not say; the protocol's interval and the task's age".into()
                }
                (None, None) => "the service did not say; 5 % of the task's age, 1 to 30 s".into(),
            };
            text += &format!("\nnext poll: {next:?} after the last ({why})");
        }
        crate::redact::scrub_lines(&text)
    }
}

impl Live {
    pub(super) fn can_resume(&self) -> bool {
        self.cursor.can_be_asked_again()
    }
}
