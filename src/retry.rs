//! Retry: which attempts may be repeated, and after which pause.

#[cfg(feature = "backoff")]
mod backoff_crate;
mod budget;
mod check;
mod decide;
mod delays;
mod envelope;
mod retry_if;
mod schedule;
mod written;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use delays::Delays;
pub use envelope::EnvelopeRule;
pub use retry_if::FailedAttempt;
pub use schedule::Schedule;

pub(crate) use budget::RetryBudget;
pub(crate) use decide::{Case, Decision, Failure, GiveUp, decide};

use retry_if::Predicate;

/// How often a request is repeated, and after which pauses.
///
/// The policy applies to submits, results and other calls. A poll is one attempt: the task schedules its polls.
///
/// Only failures that may pass are retried: 408, 425, 429, 5xx except 501 and 505, and a broken connection. A POST or
/// PATCH is retried only if it was provably not sent, was refused with 429 or 503, or carries an idempotency key. The
/// client [waits for](Self::wait_for_host) a host that accepts no connection.
///
/// Each pause is the longer of the service's Retry-After and the schedule's step. Retries end when the retries, the
/// schedule, the deadline or the retry budget are exhausted; the error then carries the last response.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetryPolicy {
    retries: u32,
    schedule: Schedule,
    /// The largest number stands for no budget.
    budget: u32,
    #[serde(with = "crate::clock::seconds::option", skip_serializing_if = "Option::is_none")]
    give_up_over: Option<Duration>,
    #[serde(with = "crate::clock::seconds")]
    wait_for_host: Duration,
    #[serde(with = "crate::clock::seconds", skip_serializing_if = "Duration::is_zero")]
    hint_margin: Duration,
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none", serialize_with = "Predicate::serialize")]
    retry_if: Option<Predicate>,
}

impl RetryPolicy {
    /// Creates the default policy: 4 retries, after 1, 2, 4 and 8 seconds with jitter. That is enough for a restart of
    /// a service, and short enough for a person who waits.
    #[must_use]
    pub const fn standard() -> Self {
        Self::of(4, Schedule::standard())
    }

    /// Creates a policy for a person who waits: 4 retries along the [ladder](Schedule::ladder), with no pause above 30
    /// seconds, so 3, 9, 27 and 30 seconds.
    ///
    /// If the service asks for a longer wait, that wait is kept. The retries also end at the deadline.
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

    /// Creates a policy for unattended work: 20 retries along the [ladder](Schedule::ladder), whose last
    /// step of 10 minutes repeats; two hours and three quarters in all.
    ///
    /// The retries also end at the deadline.
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

    /// Creates a policy of one attempt, without retries.
    #[must_use]
    pub const fn none() -> Self {
        Self::of(0, Schedule::standard())
    }

    const fn of(retries: u32, schedule: Schedule) -> Self {
        Self {
            retries,
            schedule,
            budget: BUDGET,
            give_up_over: None,
            wait_for_host: WAIT_FOR_HOST,
            hint_margin: Duration::ZERO,
            retry_if: None,
        }
    }

    /// Sets the maximum number of retries of a request.
    #[must_use]
    pub const fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// Sets the pauses. The retries end when the schedule ends.
    #[must_use]
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.schedule = schedule;
        self
    }

    /// Sets the retry budget: 500 by default, shared by all requests of a client. A retry takes 5 from the budget, or
    /// 10 after an attempt without a response. A retry that succeeds gives its cost back, and any other success gives
    /// back 1. A retry after a refusal for load takes nothing. A retry that costs more than is left is not made, so
    /// that a service that is down does not receive five times its load.
    #[must_use]
    pub const fn budget(mut self, tokens: u32) -> Self {
        self.budget = tokens;
        self
    }

    /// Removes the retry budget.
    #[must_use]
    pub const fn without_budget(mut self) -> Self {
        self.budget = u32::MAX;
        self
    }

    /// Gives up if the service asks for a longer wait than this. The error states the wait
    /// ([`Error::retry_after`](crate::Error::retry_after)). By default any wait is kept, up to a deadline; a
    /// download keeps a wait of up to an hour. Genesys' own
    /// client gives up over 180 seconds.
    #[must_use]
    pub const fn give_up_over(mut self, longest: Duration) -> Self {
        self.give_up_over = Some(longest);
        self
    }

    /// Sets how long a request waits for a host that accepts no connection, counted from the first time that the
    /// request finds the host in this state: 30 seconds by default, which outlasts a restart of a service. With zero,
    /// or a policy without retries, the request fails at the first attempt.
    ///
    /// While a host accepts no connection, one request at a time tries to connect, after 100 milliseconds at first and
    /// every 5 seconds in the end; the other requests wait, and are sent when the host is back. Nothing was sent, so
    /// the wait takes neither from the retries nor from the budget. A deadline also ends the wait.
    #[must_use]
    pub const fn wait_for_host(mut self, longest: Duration) -> Self {
        self.wait_for_host = longest;
        self
    }

    /// Sets how much longer than the service asked a retry waits, times the number of the attempt: nothing by default.
    /// For services whose stated end of a window is a little early, or that state it in whole seconds. Sitecore Send's
    /// own client adds 50 milliseconds an attempt. A pause without a stated wait has no margin.
    ///
    /// ```
    /// use std::time::Duration;
    /// use longhaul::RetryPolicy;
    ///
    /// let policy = RetryPolicy::standard().hint_margin(Duration::from_millis(50));
    /// ```
    #[must_use]
    pub const fn hint_margin(mut self, margin: Duration) -> Self {
        self.hint_margin = margin;
        self
    }

    /// Sets a function that decides which failures may pass, in place of the table of statuses. An attempt is retried
    /// if the function returns true; any other attempt is the last.
    ///
    /// Whether a repeat is safe still depends on the method: a POST that the service may have acted on is repeated only
    /// with an idempotency key, whatever the function returns. Refusals for load (429 and 503) were not acted on. A 401
    /// is left to the credential, which is refreshed once. Serializing a policy with a function is an error.
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

    /// Returns the decision of the caller's function, if one is set.
    pub(crate) fn own_decision(&self, failed: FailedAttempt<'_>) -> Option<bool> {
        self.retry_if.as_ref().map(|predicate| predicate.decide(failed))
    }

    pub(crate) fn patience(&self) -> Duration {
        if self.retries == 0 { Duration::ZERO } else { self.wait_for_host.min(LONGEST_WAIT_FOR_HOST) }
    }

    pub(crate) const fn most_asked(&self) -> Option<Duration> {
        self.give_up_over
    }

    /// Returns the wait before the retry that follows an attempt, for a wait that the service asked for.
    pub(crate) const fn asked_wait(&self, hint: Duration, attempts: u32) -> Duration {
        hint.saturating_add(self.hint_margin.saturating_mul(attempts))
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

/// A service that restarts is back within this time, and a person still waits.
const WAIT_FOR_HOST: Duration = Duration::from_secs(30);
/// Bounds every sum of times.
const LONGEST_WAIT_FOR_HOST: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// The value of the AWS SDKs.
const BUDGET: u32 = 500;
