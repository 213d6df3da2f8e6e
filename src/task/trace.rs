//! Trace: the span of a task, and those of its waits.

use futures::future::BoxFuture;
use tracing::field::Empty;
use tracing::{Instrument, Span};

/// The span of a task, if a subscriber listens; otherwise nothing.
#[derive(Debug, Default)]
pub(crate) struct Trace(Option<Box<Traced>>);

#[derive(Debug)]
struct Traced {
    task: Span,
    wait: Option<Span>,
    /// Whether the id is recorded.
    named: bool,
    polls: u32,
    state: &'static str,
}

impl Trace {
    pub(crate) fn of(kind: Option<&str>) -> Self {
        let task =
            tracing::info_span!("task", task.id = Empty, task.kind = kind, task.polls = Empty, task.state = Empty);
        let traced = |task| Box::new(Traced { task, wait: None, named: false, polls: 0, state: "unknown" });
        Self((!task.is_disabled()).then(|| traced(task)))
    }

    pub(super) const fn is_some(&self) -> bool {
        self.0.is_some()
    }

    pub(crate) fn span(&self) -> Span {
        self.0.as_ref().map_or_else(Span::none, |traced| traced.task.clone())
    }

    /// Runs the task's request inside its span.
    pub(super) fn around<T: Send + 'static>(&mut self, sending: BoxFuture<'static, T>) -> BoxFuture<'static, T> {
        match &mut self.0 {
            Some(traced) => {
                traced.wait = None;
                Box::pin(sending.instrument(traced.task.clone()))
            }
            None => sending,
        }
    }

    /// Begins a wait, which ends with the next request.
    pub(super) fn wait(&mut self, until_poll: std::time::Duration) {
        if let Some(traced) = &mut self.0 {
            traced.wait = Some(tracing::debug_span!(parent: &traced.task, "wait", seconds = until_poll.as_secs_f64()));
        }
    }

    /// Records the task's current values. A subscriber may keep every value of a field that is recorded again, and
    /// write all of them with each line (`tracing_subscriber::fmt` does), so each field is recorded once.
    pub(super) fn record(&mut self, id: impl FnOnce() -> Option<String>, polls: u32, state: &'static str) {
        let Some(traced) = &mut self.0 else { return };
        if !traced.named
            && !traced.task.is_disabled()
            && let Some(id) = id()
        {
            traced.named = true;
            traced.task.record("task.id", id);
        }
        (traced.polls, traced.state) = (polls, state);
    }
}

impl Drop for Traced {
    /// Records the final values: polls and state are final only when the task's value is dropped.
    fn drop(&mut self) {
        self.task.record("task.polls", self.polls).record("task.state", self.state);
    }
}
