//! Obeying: applies a step of the protocol to a task.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::wait_error::Waited;
use super::{Doing, Outcome, Ready, Task, stored};
use crate::clock::later;
use crate::error::{Error, ErrorKind};
use crate::event::Observation;
use crate::message::Response;
use crate::protocol::{Report, State, Step};

impl<T> Task<T> {
    /// Applies a step. All changes of a task's state happen here. `rest` is the body of the answer if it is too large
    /// to hold.
    pub(super) fn obey(&mut self, step: Step, rest: Option<Response>) {
        match step {
            Step::Wait(report) => {
                self.told = None;
                if report.is_stuck {
                    self.report_unknown_word(&report);
                }
                let Some(plan) = self.shared.plan(&report) else {
                    self.emit(report, None);
                    self.end_of_schedule();
                    return;
                };
                let now = Instant::now();
                self.wait_until(later(now, plan.delay), later(now, plan.earliest));
                self.sit(plan.delay, later(now, plan.earliest));
                self.trace.wait(plan.delay);
                self.emit(report, Some(plan.delay));
                stored::update(&self.shared);
                self.keep_deadline();
            }
            Step::Follow { after, report, .. } => {
                // A report comes with the end of the task, and the result is still to be fetched.
                if report.is_some() {
                    self.shared.learn();
                }
                self.told = report.map(Box::new).or(self.told.take());
                let at = later(Instant::now(), after);
                self.wait_until(at, at);
                self.shared.asks(&mut self.shared.live(), Some(after), after);
                self.keep_deadline();
            }
            Step::Done(report, finding) => {
                self.shared.learn();
                let report =
                    Report { warning: report.warning.clone(), ..self.told.take().map_or(report, |told| *told) };
                if let Some(warning) = report.warning() {
                    let span = self.trace.span();
                    let live = self.shared.live();
                    let id = self.shared.said(&live, live.cursor.id());
                    tracing::warn!(parent: &span, id, warning, "a success that is doubtful");
                }
                self.emit(report, None);
                self.counted.end(State::Succeeded, self.shared.marks());
                self.live().ended = true;
                stored::finish(&self.shared);
                let outcome = Outcome::new(&self.shared, finding, rest);
                self.doing = Doing::Over(Some(Box::new(Ok(outcome))));
            }
            Step::Ended(report, fault) => {
                let (kind, how) = match report.state {
                    State::Canceled => (ErrorKind::TaskCanceled, "canceled"),
                    State::Expired => (ErrorKind::TaskExpired, "expired"),
                    _ => (ErrorKind::TaskFailed, "failed"),
                };
                if report.state == State::Failed {
                    self.shared.learn();
                }
                self.live().ended = true;
                stored::finish(&self.shared);
                let said = report.word().map_or_else(|| how.to_owned(), |word| format!("the service says `{word}`"));
                let error = Error::new(kind, said).with_fault(fault);
                self.emit(report, None);
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

    /// Reports an unknown state word that has stayed for long, so that people look at it.
    fn report_unknown_word(&self, report: &Report) {
        let live = self.shared.live();
        let said = |text: Option<&str>| self.shared.said(&live, text);
        let (id, word) = (said(live.cursor.id()), said(report.word()).unwrap_or_default());
        drop(live);
        let id = id.as_deref();
        tracing::warn!(
            parent: &self.trace.span(),
            id,
            word,
            "the state of a task is not known and does not change: set its meaning with Protocol::word"
        );
        self.shared.marks().record(Observation::UnknownWord { task: id, word: &word });
    }

    fn emit(&mut self, mut report: Report, next_poll: Option<Duration>) {
        self.counted.turn(report.state(), self.shared.marks());
        // Not by `live()`, which would borrow the whole task.
        let mut live = self.shared.live();
        // An answer without progress keeps the last value.
        report.percent = report.percent.or(live.last.report.percent);
        let said = |text: Option<&str>| self.shared.said(&live, text);
        let polls = live.last.polls;
        self.trace.record(|| said(live.cursor.id()), polls, report.state().as_str());
        let span = self.trace.span();
        let (id, word) = (|| said(live.cursor.id()), || said(report.word()));
        tracing::debug!(parent: &span, id = id(), polls, state = %report.state(), word = word(), ?next_poll, "update");
        live.last.report = report;
        live.last.next_poll = next_poll;
        let age = live.cursor.age(self.shared.now());
        if self.shared.core.long_after.is_some_and(|after| age >= after) {
            let name = live.cursor.id().map(str::to_owned).or_else(|| Some(live.cursor.status_url()?.to_string()));
            let name = self.shared.said(&live, name.as_deref()).unwrap_or_else(|| NAMELESS.to_owned());
            drop(live);
            let number = Arc::as_ptr(&self.shared).addr() as u64;
            self.counted.runs_for_long(number, &name, age, self.shared.marks());
        } else {
            drop(live);
        }
        self.ready = Ready::Update;
    }

    pub(super) fn stop(&mut self, error: Error) {
        self.live().last.next_poll = None;
        self.give_up(error);
    }

    /// Adds to an error of waiting everything that is needed to continue the wait.
    pub(super) fn with_wait(&self, error: Error) -> Error {
        let live = self.live();
        let token = (live.can_resume() && !error.kind().is_final()).then(|| self.shared.token(&live, false));
        // A token without its status URL would promise a resumption that cannot work.
        let is_kept_out = token.as_ref().is_some_and(|token| !token.can_resume());
        let token = token.filter(|_| !is_kept_out);
        let has_token = token.is_some();
        let waited = Waited {
            token,
            last: live.last.clone(),
            elapsed: self.begun.elapsed(),
            explained: self.shared.explain(&live),
        };
        let error = match live.last.status {
            Some(status) if error.status().is_none() => error.with_status(status),
            _ => error,
        };
        // An end caused by a refusal reports when the refusal would have passed.
        let asked = error.retry_after().or(live.refusal).filter(|_| !error.kind().is_final());
        let error = error.with_retry_after(asked);
        let is_late = error.kind() == ErrorKind::DeadlineExceeded;
        // A deadline missed because of poll errors names them.
        let trouble = live.last.warning().filter(|_| is_late && live.cursor.is_troubled());
        let trouble = trouble.map(|trouble| format!("the last answer: {trouble}"));
        let goes_on = (is_late && has_token).then(|| GOES_ON.to_owned());
        let advice: Vec<_> =
            [trouble, goes_on, is_kept_out.then(|| NO_TOKEN.to_owned())].into_iter().flatten().collect();
        let error = if advice.is_empty() { error } else { error.with_advice(Some(advice.join("; "))) };
        let url = live.cursor.next_url();
        drop(live);
        match url {
            Some(url) if error.url().is_none() => error.with_url(&url),
            _ => error,
        }
        .attach(waited)
    }
}

/// The name of a task without an id, whose status URL is no longer known.
const NAMELESS: &str = "a task without an id";

/// The advice for a task whose status URL no plain token may contain.
const NO_TOKEN: &str = "there is no token, because the status URL is signed or holds a secret in its query: \
                        TaskHandle::token_with_signed_urls gives one";
/// The advice for a missed deadline.
const GOES_ON: &str = "the task goes on at the service, and Error::token() holds what resumes it";
