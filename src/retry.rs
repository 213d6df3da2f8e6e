//! Retry: which attempt may be repeated, and after how long.

#[cfg(feature = "backoff")]
mod backoff;
mod budget;
mod check;
mod decide;
mod delays;
mod envelope;
mod predicate;
mod schedule;
mod written;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use delays::Delays;
pub use envelope::EnvelopeRule;
pub use predicate::FailedAttempt;
pub use schedule::Schedule;

pub(crate) use budget::Budget;
pub(crate) use decide::{Case, Decision, Failure, GiveUp, decide};

use predicate::Predicate;

/// How often a request is repeated, and after what pauses.
///
/// It drives submits, results and other calls. A poll is one attempt: the task owns its wait. Repeated are only
/// failures that may pass (408, 425, 429, 5xx but 501 and 505, a broken connection), and a POST or PATCH only when it
/// was provably not sent, was refused with 429 or 503, or carries an idempotency key. A host that takes no connection is
/// [waited for](Self::wait_for_host). A pause is the longer one of
/// the service's Retry-After and the schedule's step. It ends where its retries, its schedule, the deadline or the retry
/// budget end, and the last answer is what the error carries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetryPolicy {
    retries: u32,
    schedule: Schedule,
    /// The largest number stands for none.
    budget: u32,
    #[serde(with = "crate::clock::seconds::option", skip_serializing_if = "Option::is_none")]
    give_up_over: Option<Duration>,
    #[serde(with = "crate::clock::seconds")]
    wait_for_host: Duration,
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none", serialize_with = "Predicate::serialize")]
    retry_if: Option<Predicate>,
}

impl RetryPolicy {
    /// 4 retries, after 1, 2, 4 and 8 seconds with jitter: enough for a restart of a service, short enough for a
    /// person who waits.
    #[must_use]
    pub const fn standard() -> Self {
        Self::of(4, Schedule::standard())
    }

    /// For somebody who sits and waits: 4 retries along the [ladder](Schedule::ladder), with no pause above 30 seconds,
    /// so 3, 9, 27 and 30 seconds.
    ///
    /// Where the service asks to wait for longer, that is kept. The retries end at the deadline too.
    ///
    /// ```
    /// use std::time::Duration;
    /// use longhaul::RetryPolicy;
    /// use longhaul::retries::Schedule;
    ///
    /// let ladder = Schedule::ladder().longest(Duration::from_secs(30));
    /// assert_eq!(RetryPolicy::realtime(), RetryPolicy::none().retries(4).schedule(ladder));
    /// ```
    #[must_use]
    pub const fn realtime() -> Self {
        Self::of(4, Schedule::ladder().longest(Duration::from_secs(30)))
    }

    /// For work that nobody waits for: 20 retries, along the [ladder](Schedule::ladder) and then by its last step of 10
    /// minutes; two hours and three quarters in all.
    ///
    /// The retries end at the deadline too.
    ///
    /// ```
    /// use longhaul::RetryPolicy;
    /// use longhaul::retries::Schedule;
    ///
    /// assert_eq!(RetryPolicy::batch(), RetryPolicy::none().retries(20).schedule(Schedule::ladder()));
    /// ```
    #[must_use]
    pub const fn batch() -> Self {
        Self::of(20, Schedule::ladder())
    }

    /// One attempt, and no more.
    #[must_use]
    pub const fn none() -> Self {
        Self::of(0, Schedule::standard())
    }

    const fn of(retries: u32, schedule: Schedule) -> Self {
        Self { retries, schedule, budget: BUDGET, give_up_over: None, wait_for_host: WAIT_FOR_HOST, retry_if: None }
    }

    /// Sets how many times a request is repeated at most.
    #[must_use]
    pub const fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// Sets the pauses. Where they end, so do the retries.
    #[must_use]
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.schedule = schedule;
        self
    }

    /// Sets the retry budget: 500 by default, for all requests of a client together. A retry takes 5 of it, or 10 after a
    /// silence; one that succeeds gives them back, and any other success gives back 1. A retry after a refusal for load
    /// takes nothing. One that takes more than is left is not made: a service that is down does not get five times its
    /// load.
    #[must_use]
    pub const fn budget(mut self, tokens: u32) -> Self {
        self.budget = tokens;
        self
    }

    /// Retries without a budget.
    #[must_use]
    pub const fn without_budget(mut self) -> Self {
        self.budget = u32::MAX;
        self
    }

    /// Gives up where the service asks to wait for longer than this, with an error that says for how long
    /// ([`Error::retry_after`](crate::Error::retry_after)). By default any wait is kept, up to a deadline. Genesys' own
    /// client gives up over 180 seconds.
    #[must_use]
    pub const fn give_up_over(mut self, longest: Duration) -> Self {
        self.give_up_over = Some(longest);
        self
    }

    /// Sets for how long a request waits for a host that takes no connection, counted from the first time that the
    /// request met it so: 30 seconds by default, which outlasts a restart of a service. Zero ends it with the first
    /// attempt, and so does a policy of no retries.
    ///
    /// While a host takes no connection, one request at a time asks for it, after 100 milliseconds at first and every 5
    /// seconds in the end; the others wait, and go when it is back. Nothing was sent, so this takes neither from the
    /// retries nor from the budget. A deadline ends it too.
    #[must_use]
    pub const fn wait_for_host(mut self, longest: Duration) -> Self {
        self.wait_for_host = longest;
        self
    }

    /// Decides by a function which failures may pass, in place of the table of statuses: an attempt for which it returns
    /// true is repeated, any other is the last.
    ///
    /// Whether a repeat is safe stays with the method: a POST that the service may have acted on is repeated only with an
    /// idempotency key, whatever the function returns. Refusals for load (429 and 503) were not acted on. A 401 stays with
    /// the credential, which is refreshed once. To serialize a policy with a function is an error.
    ///
    /// ```
    /// use longhaul::RetryPolicy;
    ///
    /// // This service answers 404 until its replicas agree, and 500 for ever.
    /// let policy = RetryPolicy::standard().retry_if(|failed| match failed.status() {
    ///     Some(status) => status == 404 || status == 429 || status == 503,
    ///     None => true,
    /// });
    /// assert!(serde_json::to_string(&policy).is_err());
    /// ```
    #[must_use]
    pub fn retry_if(mut self, decides: impl Fn(FailedAttempt<'_>) -> bool + Send + Sync + 'static) -> Self {
        self.retry_if = Some(Predicate::new(decides));
        self
    }

    /// The decision of the caller's own function, where there is one.
    pub(crate) fn own_decision(&self, failed: FailedAttempt<'_>) -> Option<bool> {
        self.retry_if.as_ref().map(|predicate| predicate.decide(failed))
    }

    pub(crate) fn patience(&self) -> Duration {
        if self.retries == 0 { Duration::ZERO } else { self.wait_for_host.min(LONGEST_WAIT_FOR_HOST) }
    }

    pub(crate) const fn most_asked(&self) -> Option<Duration> {
        self.give_up_over
    }

    pub(crate) const fn tokens(&self) -> u32 {
        self.budget
    }

    pub(crate) const fn limit(&self) -> u32 {
        self.retries
    }

    pub(crate) const fn pauses(&self) -> &Schedule {
        &self.schedule
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::standard()
    }
}

/// A service that restarts is back by then, and a person still there.
const WAIT_FOR_HOST: Duration = Duration::from_secs(30);
/// So that no sum of times runs over.
const LONGEST_WAIT_FOR_HOST: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// As the AWS SDKs have it.
const BUDGET: u32 = 500;
