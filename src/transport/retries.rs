//! Retries: how often and when one request is sent again, by a policy and a budget.

use std::time::Duration;

use tokio::time::Instant;

use crate::event::{Observation, Observer, RequestInfo};
use crate::message::Request;
use crate::retry::{Case, Decision, Delays, FailedAttempt, Failure, GiveUp, RetryBudget, RetryPolicy, decide};

/// The retries of one request.
pub(super) struct Retries<'a> {
    request: &'a Request,
    /// Whether the request carries an idempotency key.
    keyed: bool,
    policy: &'a RetryPolicy,
    budget: &'a RetryBudget,
    marks: &'a Observer,
    deadline: Option<Instant>,
    /// The longest wait that is kept.
    most_asked: Option<Duration>,
    pauses: Delays,
    /// The number of retries that took a step of the schedule.
    made: u32,
}

/// A retry that is due.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retry {
    pub(super) pause: Duration,
    /// The tokens that the retry took from the budget.
    pub(super) cost: u32,
}

/// The wait for a host that accepts no connection: by the clock, and not by the schedule of retries.
#[derive(Clone, Copy, Debug)]
pub(super) struct Absence {
    /// How much longer to wait.
    pub(super) patience: Duration,
    /// How long no request probes the host.
    pub(super) pause: Duration,
}

impl<'a> Retries<'a> {
    pub(super) fn new(
        request: &'a Request,
        policy: &'a RetryPolicy,
        budget: &'a RetryBudget,
        marks: &'a Observer,
    ) -> Self {
        let pauses = policy.pauses().delays(fastrand::u64(..));
        let most_asked = policy.most_asked();
        Self { request, keyed: false, policy, budget, marks, deadline: None, most_asked, pauses, made: 0 }
    }

    pub(super) const fn keyed(mut self, keyed: bool) -> Self {
        self.keyed = keyed;
        self
    }

    pub(super) const fn until(mut self, deadline: Option<Instant>) -> Self {
        self.deadline = deadline;
        self
    }

    pub(super) const fn most_asked(mut self, most_asked: Duration) -> Self {
        self.most_asked = Some(most_asked);
        self
    }

    pub(super) const fn budget(&self) -> &'a RetryBudget {
        self.budget
    }

    /// Decides what follows a failed attempt. A retry is charged and reported.
    pub(super) fn next(
        &mut self,
        attempts: u32,
        failure: Failure,
        hint: Option<Duration>,
        absence: Option<Absence>,
    ) -> Result<Retry, GiveUp> {
        let request = self.request;
        let status = match failure {
            Failure::Status(status) => Some(status),
            Failure::Unsent | Failure::Lost | Failure::LostWithOthers => None,
        };
        let (method, priority) = (request.method(), request.priority());
        let own = self.policy.own_decision(FailedAttempt { method, priority, status, attempts });
        let decision = decide(&Case {
            method,
            class: priority,
            keyed: self.keyed,
            failure,
            own,
            hint: hint.map(|hint| self.policy.asked_wait(hint, attempts)),
            step: match absence {
                Some(absence) => Some(absence.pause),
                None => self.pauses.next(),
            },
            patience: absence.map(|absence| absence.patience),
            retries: self.policy.limit().saturating_sub(self.made),
            budget: self.budget.left(),
            give_up_over: self.most_asked,
            time: self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())),
        });
        let (pause, reason, cost) = match decision {
            Decision::GiveUp(why) => return Err(why),
            Decision::Retry { after, reason, cost } => (after, reason, cost),
        };
        tracing::info!(class = ?request.priority(), attempts, ?pause, %reason, "retrying");
        self.marks.record(Observation::Retrying { asked: RequestInfo::of(request), reason, attempts, pause });
        self.budget.take(cost);
        if absence.is_none() {
            self.made += 1;
        }
        Ok(Retry { pause, cost })
    }
}
