//! Stats: a snapshot of the client's counts.

use std::collections::BTreeMap;
use std::time::Duration;

use super::counts::Counts;
use super::endpoint::Endpoint;
use super::latency::Latency;
use super::refusals::Refusals;
use super::tally::share;
use super::tasks::TaskCounts;
use super::token::TokenUse;
use crate::event::{Alert, RetryReason};
use crate::throttle::LimitUsage;

/// A snapshot of the counts of a client and its clones. Counting begins at the build of the client.
///
/// ```
/// # let client = longhaul::Client::builder("https://api.example.com").build()?;
/// let stats = client.stats();
/// println!("{} requests, {} refused for load, {} retries", stats.requests(), stats.throttled(), stats.retries());
/// for limit in stats.limits() {
///     println!("{}: {limit}", limit.label()); // 60 per 60s of the account: 45 of 60 (75 %)
/// }
/// println!("{}", stats.latency());
/// # Ok::<(), longhaul::Error>(())
/// ```
///
/// Requests are those to the API, as the throttle counts them; downloads from storage are not counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub(super) counts: Counts,
    pub(super) requests_per_minute: u64,
    pub(super) limits: Vec<LimitUsage>,
    pub(super) latency: Latency,
    pub(super) recent_latency: Latency,
    pub(super) routes: Vec<Endpoint>,
    pub(super) hosts: Vec<Endpoint>,
    pub(super) statuses: BTreeMap<u16, u64>,
    pub(super) retries: BTreeMap<RetryReason, u64>,
    pub(super) refusals: Vec<Refusals>,
    pub(super) tokens: Vec<TokenUse>,
    pub(super) tasks: TaskCounts,
    pub(super) alerts: Vec<Alert>,
}

impl Stats {
    /// Returns the number of requests that were sent to the API, including retries and polls.
    #[must_use]
    pub const fn requests(&self) -> u64 {
        self.counts.requests
    }

    /// Returns the number of polls among them.
    #[must_use]
    pub const fn polls(&self) -> u64 {
        self.counts.polls
    }

    /// Returns the number of responses below 400.
    #[must_use]
    pub const fn succeeded(&self) -> u64 {
        self.counts.tally.succeeded
    }

    /// Returns the number of 429 and 503 responses.
    #[must_use]
    pub const fn throttled(&self) -> u64 {
        self.counts.tally.throttled
    }

    /// Returns the number of other responses from 400 on.
    #[must_use]
    pub const fn failed(&self) -> u64 {
        self.counts.tally.failed
    }

    /// Returns the number of attempts without a response.
    #[must_use]
    pub const fn broken(&self) -> u64 {
        self.counts.tally.broken
    }

    /// Returns the number of those attempts that certainly never reached the service: no connection was made.
    #[must_use]
    pub const fn unsent(&self) -> u64 {
        self.counts.unsent
    }

    /// Returns the number of attempts that repeated another.
    #[must_use]
    pub fn retries(&self) -> u64 {
        self.retries.values().sum()
    }

    /// Returns the number of attempts that repeated another, for this reason.
    #[must_use]
    pub fn retries_for(&self, reason: RetryReason) -> u64 {
        self.retries.get(&reason).copied().unwrap_or(0)
    }

    /// Returns how often a refusal stopped all requests under a limit.
    #[must_use]
    pub const fn pauses(&self) -> u64 {
        self.counts.pauses
    }

    /// Returns the number of requests whose response, or failure, took longer than
    /// [`slow_after`](crate::ClientBuilder::slow_after).
    #[must_use]
    pub const fn slow(&self) -> u64 {
        self.counts.slow
    }

    /// Returns the total time that requests waited in the throttle's queue.
    #[must_use]
    pub const fn queued(&self) -> Duration {
        self.counts.queued
    }

    /// Returns the number of requests that were sent in the last 60 seconds, counted by the second.
    #[must_use]
    pub const fn requests_per_minute(&self) -> u64 {
        self.requests_per_minute
    }

    /// Returns how much of each limit is used, as [`Throttle::usage`](crate::Throttle::usage) does.
    #[must_use]
    pub fn limits(&self) -> &[LimitUsage] {
        &self.limits
    }

    /// Returns the share of requests that were answered below 400, from 0 to 1; `None` before the first response.
    #[must_use]
    pub fn success_rate(&self) -> Option<f64> {
        self.counts.tally.success_rate()
    }

    /// Returns the share of responses that were not 401, from 0 to 1, without those of token endpoints; `None` before
    /// the first response.
    #[must_use]
    pub fn authentication_rate(&self) -> Option<f64> {
        share(self.counts.answers - self.counts.unauthorized, self.counts.answers)
    }

    /// Returns the latency of all responses so far.
    #[must_use]
    pub const fn latency(&self) -> &Latency {
        &self.latency
    }

    /// Returns the latency of the responses of the last five minutes, counted by the minute. Its percentiles are within
    /// 10 %.
    #[must_use]
    pub const fn recent_latency(&self) -> &Latency {
        &self.recent_latency
    }

    /// Returns the counts of each route, the most used first.
    #[must_use]
    pub fn routes(&self) -> &[Endpoint] {
        &self.routes
    }

    /// Returns the counts of each host, the most used first.
    #[must_use]
    pub fn hosts(&self) -> &[Endpoint] {
        &self.hosts
    }

    /// Returns the number of responses by status, such as `(429, 3)`, the lowest status first.
    pub fn statuses(&self) -> impl Iterator<Item = (u16, u64)> {
        self.statuses.iter().map(|(status, count)| (*status, *count))
    }

    /// Returns the number of responses with this status.
    #[must_use]
    pub fn answers_of(&self, status: u16) -> u64 {
        self.statuses.get(&status).copied().unwrap_or(0)
    }

    /// Returns the number of responses in this class of statuses: 2 for 200 to 299.
    #[must_use]
    pub fn answers_of_class(&self, class: u16) -> u64 {
        self.statuses().filter(|(status, _)| status / 100 == class).map(|(_, count)| count).sum()
    }

    /// Returns the refusals for load (429 and 503), by the limit that they stopped and the cause. 256 limits are
    /// distinguished; further ones are counted as one limit called `other`.
    #[must_use]
    pub fn refusals(&self) -> &[Refusals] {
        &self.refusals
    }

    /// Returns the tokens of credentials that are refreshed: their age, and the results of their refreshes.
    #[must_use]
    pub fn tokens(&self) -> &[TokenUse] {
        &self.tokens
    }

    /// Returns how often a token was fetched or refreshed.
    #[must_use]
    pub fn refreshes(&self) -> u64 {
        self.tokens.iter().map(TokenUse::refreshes).sum()
    }

    /// Returns how often a fetch or a refresh failed.
    #[must_use]
    pub fn failed_refreshes(&self) -> u64 {
        self.tokens.iter().map(TokenUse::failed_refreshes).sum()
    }

    /// Returns the tasks by their state.
    #[must_use]
    pub const fn tasks(&self) -> &TaskCounts {
        &self.tasks
    }

    /// Returns the alerts that have begun and not ended, the most urgent first.
    #[must_use]
    pub fn alerts(&self) -> &[Alert] {
        &self.alerts
    }
}
