//! The deadline of a task: no wait and no request in progress passes it. The end of a policy's schedule counts as one
//! too.

use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use super::{Doing, Ready, Task};
use crate::error::{Error, ErrorKind};

impl<T> Task<T> {
    /// Sets the timeout of the wait, from now on. After the timeout, the wait ends with
    /// [`ErrorKind::DeadlineExceeded`]; the wait also ends as soon as the service asks to wait past the timeout. The
    /// task itself continues at the service.
    ///
    /// The default is the client's [`task_timeout`](crate::ClientBuilder::task_timeout), which this timeout replaces;
    /// if neither is set, there is none. A timeout that no clock can represent, such as [`Duration::MAX`], counts as
    /// none.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.end_at(Instant::now().checked_add(timeout))
    }

    /// Sets the time by which the wait ends, as [`timeout`](Task::timeout) does by a duration.
    pub fn deadline(self, deadline: Instant) -> Self {
        self.end_at(Some(deadline))
    }

    fn end_at(mut self, deadline: Option<Instant>) -> Self {
        self.deadline = deadline;
        self.is_default = false;
        self.keep_deadline();
        self
    }

    /// Sets the client's deadline, which is checked at the first poll, so that a deadline of the task's own replaces
    /// it.
    pub(crate) fn default_deadline(mut self, deadline: Option<Instant>) -> Self {
        (self.deadline, self.is_default) = (deadline, deadline.is_some());
        self
    }

    /// Keeps the wait within the deadline: a pause of the task's own choice is cut for a last look, and then the wait
    /// ends at once.
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
        // The wait that the service asked for in this answer, or in an earlier one that still holds.
        let asked = self.shared.live().asked.filter(|_| *earliest >= deadline);
        let why =
            if asked.is_some() { "the service asks to wait past it" } else { "the next poll would come after it" };
        self.give_up(Error::new(ErrorKind::DeadlineExceeded, why).with_retry_after(asked));
    }

    /// Ends the wait because the policy's schedule has no further pause: a deadline that is counted in polls.
    pub(super) fn end_of_schedule(&mut self) {
        self.give_up(Error::new(ErrorKind::DeadlineExceeded, "the poll policy's schedule has ended"));
    }

    /// Ends the wait, after the remaining updates are delivered.
    pub(super) fn give_up(&mut self, error: Error) {
        let error = self.with_wait(error);
        self.stand();
        self.counted.stop(self.shared.marks());
        self.doing = Doing::Over(Some(Box::new(Err(error.clone()))));
        self.ready = match self.ready {
            Ready::Update => Ready::UpdateThen(error),
            _ => Ready::Error(error),
        };
    }

    /// Returns ready at the deadline, for a send in progress.
    pub(super) fn poll_alarm(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.deadline else { return Poll::Pending };
        self.alarm.poll_at(deadline, cx)
    }
}

/// Before a deadline, the status is polled once more, with this much time for the answer.
const LAST_LOOK: Duration = Duration::from_secs(1);
