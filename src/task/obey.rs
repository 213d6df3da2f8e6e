//! Obeying: what a step of the protocol makes of a task.

use std::time::Duration;

use tokio::time::Instant;

use super::waited::Waited;
use super::{Doing, Outcome, Ready, Task};
use crate::clock::unix_millis;
use crate::error::{Error, ErrorKind};
use crate::protocol::{Report, State, Step};

impl<T> Task<T> {
    /// Does what a step says. The one place where a task's state changes.
    pub(super) fn obey(&mut self, step: Step) {
        match step {
            Step::Wait(report) => {
                self.told = None;
                let Some(plan) = self.shared.plan(&report) else {
                    self.tell(report, None);
                    self.end_of_schedule();
                    return;
                };
                let now = Instant::now();
                self.wait_until(now + plan.delay, now + plan.earliest);
                self.trace.wait(plan.delay);
                self.tell(report, Some(plan.delay));
                self.keep_deadline();
            }
            Step::Follow { after, report, .. } => {
                self.told = report.map(Box::new).or(self.told.take());
                let at = Instant::now() + after;
                self.wait_until(at, at);
                self.live().not_before = unix_millis(self.shared.now() + after);
                self.keep_deadline();
            }
            Step::Done(report, finding) => {
                let report =
                    Report { warning: report.warning.clone(), ..self.told.take().map_or(report, |told| *told) };
                self.tell(report, None);
                self.counted.end(State::Succeeded, self.shared.marks());
                self.ended = true;
                let outcome = Outcome::new(&self.shared, finding);
                self.doing = Doing::Over(Some(Box::new(Ok(outcome))));
            }
            Step::Ended(report, fault) => {
                let (kind, how) = match report.state {
                    State::Canceled => (ErrorKind::TaskCanceled, "canceled"),
                    State::Expired => (ErrorKind::TaskExpired, "expired"),
                    _ => (ErrorKind::TaskFailed, "failed"),
                };
                self.ended = true;
                let said = report.word().map_or_else(|| how.to_owned(), |word| format!("the service says `{word}`"));
                let error = Error::new(kind, said).with_fault(fault);
                self.tell(report, None);
                self.counted.end(State::Failed, self.shared.marks());
                let error = self.with_wait(error);
                self.doing = Doing::Over(Some(Box::new(Err(error))));
            }
            Step::Stop { kind, why, fault } => {
                let error = Error::new(kind, why).with_fault(fault);
                self.stop(error);
            }
        }
    }

    fn tell(&mut self, report: Report, next_poll: Option<Duration>) {
        self.counted.turn(report.state(), self.shared.marks());
        // Not by `live()`: its borrow would be of all of the task.
        let mut live = self.shared.live();
        let said = |text: Option<&str>| self.shared.said(&live, text);
        self.trace.tell(|| said(live.cursor.id()), live.last.polls, report.state().as_str());
        let span = self.trace.span();
        let (id, word) = (|| said(live.cursor.id()), || said(report.word()));
        tracing::debug!(parent: &span, id = id(), state = %report.state(), word = word(), ?next_poll, "update");
        live.last.report = report;
        live.last.next_poll = next_poll;
        drop(live);
        self.ready = Ready::Update;
    }

    pub(super) fn stop(&mut self, error: Error) {
        self.live().last.next_poll = None;
        self.give_up(error);
    }

    /// An error of waiting, with all that is needed to go on.
    pub(super) fn with_wait(&self, error: Error) -> Error {
        let live = self.live();
        let waited = Waited {
            token: (live.can_resume() && !error.kind().is_final()).then(|| self.shared.token(&live, false)),
            last: live.last.clone(),
            elapsed: self.begun.elapsed(),
            explained: self.shared.explain(&live),
        };
        let error = match live.last.status {
            Some(status) if error.status().is_none() => error.with_status(status),
            _ => error,
        };
        let url = live.cursor.next_url();
        drop(live);
        match url {
            Some(url) if error.url().is_none() => error.with_url(&url),
            _ => error,
        }
        .attach(waited)
    }
}
