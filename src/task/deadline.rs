//! The deadline of a task: no wait goes past it, and nothing under way. The end of a pace's schedule is one too.

use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use super::{Doing, Ready, Task};
use crate::error::{Error, ErrorKind};

impl<T> Task<T> {
    /// Sets how long to wait for the end, from now on. Past it the wait ends with
    /// [`ErrorKind::DeadlineExceeded`]; so it does as soon as the service asks to wait past it. The task itself goes on.
    ///
    /// The client's [`task_timeout`](crate::ClientBuilder::task_timeout) by default, which this takes the place of; there
    /// is none where neither is set. One that lies beyond all times, such as [`Duration::MAX`], is none.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.end_at(Instant::now().checked_add(timeout))
    }

    /// Sets until when to wait for the end, as [`timeout`](Task::timeout) does by a length.
    pub fn deadline(self, deadline: Instant) -> Self {
        self.end_at(Some(deadline))
    }

    fn end_at(mut self, deadline: Option<Instant>) -> Self {
        self.deadline = deadline;
        self.is_default = false;
        self.keep_deadline();
        self
    }

    /// Takes the client's deadline on. It is looked at with the first poll, so that one of the task's own comes before.
    pub(crate) fn default_deadline(mut self, deadline: Option<Instant>) -> Self {
        (self.deadline, self.is_default) = (deadline, deadline.is_some());
        self
    }

    /// No wait goes past the deadline: one of our own is cut for a last look, and then the wait ends at once.
    pub(super) fn keep_deadline(&mut self) {
        let Some(deadline) = self.deadline else { return };
        let Doing::Waiting { due, earliest, .. } = &mut self.doing else { return };
        if *due < deadline {
            return;
        }
        let now = Instant::now();
        let room = LAST_LOOK.min(deadline.saturating_duration_since(now) / 4);
        let last_look = deadline.checked_sub(room).filter(|at| at >= earliest && *at > now);
        if let Some(last_look) = last_look {
            *due = last_look;
            return;
        }
        // What the service asked in this answer, or in an earlier one that still holds.
        let asked = self.shared.live().asked.filter(|_| *earliest >= deadline);
        let why =
            if asked.is_some() { "the service asks to wait past it" } else { "the next poll would come after it" };
        self.give_up(Error::new(ErrorKind::DeadlineExceeded, why).with_retry_after(asked));
    }

    /// The pace's schedule has no further pause: a deadline that is counted in polls.
    pub(super) fn end_of_schedule(&mut self) {
        self.give_up(Error::new(ErrorKind::DeadlineExceeded, "the pace's schedule has ended"));
    }

    /// Ends the wait, after what is still to be told.
    pub(super) fn give_up(&mut self, error: Error) {
        let error = self.with_wait(error);
        self.counted.stop(self.shared.marks());
        self.doing = Doing::Over(Some(Box::new(Err(error.clone()))));
        self.ready = match self.ready {
            Ready::Update => Ready::UpdateThen(error),
            _ => Ready::Error(error),
        };
    }

    /// Is ready at the deadline, for a send that is under way.
    pub(super) fn poll_alarm(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.deadline else { return Poll::Pending };
        self.alarm.poll_at(deadline, cx)
    }
}

/// Before a deadline the status is looked at once more, with this much time for the answer.
const LAST_LOOK: Duration = Duration::from_secs(1);
