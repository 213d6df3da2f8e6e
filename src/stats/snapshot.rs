//! Stats: a snapshot of what went through a client.

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

/// What went through a client and its clones so far: a snapshot. Counts begin at the build of the client.
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
/// Requests are those to the API, as the throttle counts them; downloads from storage are none.
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
    /// Requests that were sent to the API, retries and polls included.
    #[must_use]
    pub const fn requests(&self) -> u64 {
        self.counts.requests
    }

    /// Polls among them.
    #[must_use]
    pub const fn polls(&self) -> u64 {
        self.counts.polls
    }

    /// Answers below 400.
    #[must_use]
    pub const fn succeeded(&self) -> u64 {
        self.counts.tally.succeeded
    }

    /// Answers of 429 and 503.
    #[must_use]
    pub const fn throttled(&self) -> u64 {
        self.counts.tally.throttled
    }

    /// Other answers from 400 on.
    #[must_use]
    pub const fn failed(&self) -> u64 {
        self.counts.tally.failed
    }

    /// Attempts without an answer.
    #[must_use]
    pub const fn broken(&self) -> u64 {
        self.counts.tally.broken
    }

    /// Those among them that the service certainly never heard of: no connection was made.
    #[must_use]
    pub const fn unsent(&self) -> u64 {
        self.counts.unsent
    }

    /// Attempts that repeated another.
    #[must_use]
    pub fn retries(&self) -> u64 {
        self.retries.values().sum()
    }

    /// Attempts that repeated another, for this reason.
    #[must_use]
    pub fn retries_for(&self, reason: RetryReason) -> u64 {
        self.retries.get(&reason).copied().unwrap_or(0)
    }

    /// How often everybody was stopped after a refusal.
    #[must_use]
    pub const fn pauses(&self) -> u64 {
        self.counts.pauses
    }

    /// Requests whose answer, or whose failure, came later than [`slow_after`](crate::ClientBuilder::slow_after).
    #[must_use]
    pub const fn slow(&self) -> u64 {
        self.counts.slow
    }

    /// How long requests stood in the throttle's queue, added up.
    #[must_use]
    pub const fn queued(&self) -> Duration {
        self.counts.queued
    }

    /// Requests that were sent in the last 60 seconds, counted by the second.
    #[must_use]
    pub const fn requests_per_minute(&self) -> u64 {
        self.requests_per_minute
    }

    /// How much of each limit is used: [`Throttle::usage`](crate::Throttle::usage).
    #[must_use]
    pub fn limits(&self) -> &[LimitUsage] {
        &self.limits
    }

    /// The part of the requests that was answered below 400, from 0 to 1; `None` before the first answer.
    #[must_use]
    pub fn success_rate(&self) -> Option<f64> {
        self.counts.tally.success_rate()
    }

    /// The part of the answers that was not 401, from 0 to 1, those of token endpoints left out; `None` before the first.
    #[must_use]
    pub fn authentication_rate(&self) -> Option<f64> {
        share(self.counts.answers - self.counts.unauthorized, self.counts.answers)
    }

    /// How long answers took so far.
    #[must_use]
    pub const fn latency(&self) -> &Latency {
        &self.latency
    }

    /// How long answers took in the last five minutes, counted by the minute. Its percentiles are within 10 %.
    #[must_use]
    pub const fn recent_latency(&self) -> &Latency {
        &self.recent_latency
    }

    /// What went to each route, the most used first.
    #[must_use]
    pub fn routes(&self) -> &[Endpoint] {
        &self.routes
    }

    /// What went to each host, the most used first.
    #[must_use]
    pub fn hosts(&self) -> &[Endpoint] {
        &self.hosts
    }

    /// Answers by their status, such as `(429, 3)`, the lowest first.
    pub fn statuses(&self) -> impl Iterator<Item = (u16, u64)> {
        self.statuses.iter().map(|(status, count)| (*status, *count))
    }

    /// Answers of this status.
    #[must_use]
    pub fn answers_of(&self, status: u16) -> u64 {
        self.statuses.get(&status).copied().unwrap_or(0)
    }

    /// Answers of this class of statuses: 2 for 200 to 299.
    #[must_use]
    pub fn answers_of_class(&self, class: u16) -> u64 {
        self.statuses().filter(|(status, _)| status / 100 == class).map(|(_, count)| count).sum()
    }

    /// Refusals for load (429 and 503), by what they stopped and whose fault they were. 256 are told apart; what is
    /// beyond that is counted as of one limit called `other`.
    #[must_use]
    pub fn refusals(&self) -> &[Refusals] {
        &self.refusals
    }

    /// The tokens of credentials that are refreshed: their age, and how their refreshes went.
    #[must_use]
    pub fn tokens(&self) -> &[TokenUse] {
        &self.tokens
    }

    /// How often a token was fetched or refreshed.
    #[must_use]
    pub fn refreshes(&self) -> u64 {
        self.tokens.iter().map(TokenUse::refreshes).sum()
    }

    /// How often that failed.
    #[must_use]
    pub fn failed_refreshes(&self) -> u64 {
        self.tokens.iter().map(TokenUse::failed_refreshes).sum()
    }

    /// The tasks by their state.
    #[must_use]
    pub const fn tasks(&self) -> &TaskCounts {
        &self.tasks
    }

    /// The alerts that have begun and not ended, the most urgent first.
    #[must_use]
    pub fn alerts(&self) -> &[Alert] {
        &self.alerts
    }
}
