//! Summary: a day of a client, for people.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::endpoint::{Endpoint, Endpoints};
use super::kept::{Kept, KeptVerdict};
use super::latency::{Latency, Timing};
use super::long::LongTasks;
use super::refusals::Refusals;
use super::tally::Tally;
use crate::throttle::LimitUsage;

/// The counts of a client for a day so far, as returned by [`Client::summary`](crate::Client::summary). `Display` is
/// several lines of text: use, performance, refreshes, endpoints.
///
/// A day is 24 hours; the first begins at the build of the client
/// ([`Alerts::summary_every`](crate::telemetry::Alerts::summary_every)). At the end of the day the summary is emitted
/// as an alert, and all its counts restart at zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    during: Duration,
    requests: u64,
    busiest: u64,
    tally: Tally,
    latency: Latency,
    refreshes: u64,
    failed_refreshes: u64,
    limits: Vec<(Arc<str>, u64)>,
    unmatched: Vec<Arc<str>>,
    refusals: Vec<Refusals>,
    long: Vec<(Arc<str>, Duration)>,
    endpoints: Vec<Endpoint>,
}

impl Summary {
    /// Returns how long the day has been so far.
    #[must_use]
    pub const fn during(&self) -> Duration {
        self.during
    }

    /// Returns the number of requests that were sent.
    #[must_use]
    pub const fn requests(&self) -> u64 {
        self.requests
    }

    /// Returns the highest number of requests in one minute.
    #[must_use]
    pub const fn busiest_minute(&self) -> u64 {
        self.busiest
    }

    /// Returns the share of requests that were answered below 400, from 0 to 1.
    #[must_use]
    pub fn success_rate(&self) -> Option<f64> {
        self.tally.success_rate()
    }

    /// Returns the number of 429 and 503 responses.
    #[must_use]
    pub const fn throttled(&self) -> u64 {
        self.tally.throttled
    }

    /// Returns the latency of the responses.
    #[must_use]
    pub const fn latency(&self) -> &Latency {
        &self.latency
    }

    /// Returns how often a token was fetched or refreshed.
    #[must_use]
    pub const fn refreshes(&self) -> u64 {
        self.refreshes
    }

    /// Returns how often a fetch or a refresh failed.
    #[must_use]
    pub const fn failed_refreshes(&self) -> u64 {
        self.failed_refreshes
    }

    /// Returns the limits, with the highest use of each in percent. For limits of concurrent requests the value is the
    /// highest concurrency. Other limits are sampled once a second while there is work, so windows of a few seconds may
    /// have been fuller in between. At most 64 limits are listed.
    pub fn limits(&self) -> impl Iterator<Item = (&str, u64)> {
        self.limits.iter().map(|(limit, percent)| (&**limit, *percent))
    }

    /// Returns the declared limits that have not counted any request since they were installed, as
    /// [`limits`](Summary::limits) shows them. Usually their scope matches no request, such as a route with a typo. The
    /// list is empty before the first request is sent. Limits of token endpoints are left out, because tokens are
    /// fetched seldom.
    pub fn unmatched(&self) -> impl Iterator<Item = &str> {
        self.unmatched.iter().map(|limit| &**limit)
    }

    /// Returns how often a refusal stopped all requests although a declared limit was kept. With
    /// [`RefusalCause::NoKnownLimit`](crate::telemetry::RefusalCause::NoKnownLimit), the service stated that it allows
    /// fewer, so the declared limit is higher than the service's. With
    /// [`RefusalCause::WithinKnownLimits`](crate::telemetry::RefusalCause::WithinKnownLimits), the declared limit is
    /// too high, or other clients use it too.
    #[must_use]
    pub fn refusals(&self) -> &[Refusals] {
        &self.refusals
    }

    /// Returns the tasks that have been running for long
    /// ([`Alerts::running_for`](crate::telemetry::Alerts::running_for)) and have not ended, by id or status URL, with
    /// the time since their submit.
    pub fn long_tasks(&self) -> impl Iterator<Item = (&str, Duration)> {
        self.long.iter().map(|(name, age)| (&**name, *age))
    }

    /// Returns the counts of each route, the most used first.
    #[must_use]
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { requests, busiest, tally, latency, refreshes, failed_refreshes, .. } = self;
        let minutes = self.during.as_secs_f64() / 60.0;
        write!(f, "use: {requests} requests in {:.0?}", self.during)?;
        if minutes >= 1.0 {
            #[expect(clippy::cast_precision_loss, reason = "an average")]
            let average = *requests as f64 / minutes;
            write!(f, ", {average:.1} a minute")?;
        }
        write!(f, ", {busiest} in the busiest")?;
        for (limit, percent) in self.limits().filter(|(limit, _)| !self.unmatched().any(|other| other == *limit)) {
            write!(f, "\n  {limit}: {percent} % used at most")?;
        }
        for limit in self.unmatched() {
            write!(f, "\n  {limit}: no request has matched it so far: does its scope fit any?")?;
        }
        for refusals in &self.refusals {
            write!(f, "\n  {}", KeptVerdict(refusals))?;
        }
        write!(f, "\nperformance: ")?;
        match tally.success_rate() {
            Some(rate) => write!(f, "{:.1} % succeeded, ", rate * 100.0)?,
            None => f.write_str("nothing was answered, ")?,
        }
        write!(f, "{} refused for load, {} failed, {} without an answer", tally.throttled, tally.failed, tally.broken)?;
        write!(f, "\n  latency: {latency}")?;
        write!(f, "\nrefreshes: {refreshes}, {failed_refreshes} failed")?;
        if !self.long.is_empty() {
            write!(f, "\ntasks that run for long: {}", self.long.len())?;
        }
        for (name, age) in self.long_tasks().take(MOST_SHOWN) {
            write!(f, "\n  {name}: for {age:.0?}")?;
        }
        write!(f, "\nendpoints: {}", self.endpoints.len())?;
        for endpoint in self.endpoints.iter().take(MOST_SHOWN) {
            let rate = endpoint.success_rate().unwrap_or_default() * 100.0;
            let p95 = endpoint.latency().p95();
            write!(
                f,
                "\n  {}: {} requests, {rate:.1} % succeeded, p95 {p95:.1?}",
                endpoint.name(),
                endpoint.requests()
            )?;
        }
        Ok(())
    }
}

/// The data of a day.
#[derive(Debug)]
pub(super) struct Day {
    pub(super) began: Instant,
    requests: u64,
    minute: (u64, u64),
    busiest: u64,
    pub(super) tally: Tally,
    pub(super) timing: Timing,
    pub(super) refreshes: u64,
    pub(super) failed_refreshes: u64,
    limits: Vec<(Arc<str>, u64)>,
    pub(super) kept: Kept,
}

impl Day {
    pub(super) fn new(began: Instant) -> Self {
        Self {
            began,
            requests: 0,
            minute: (0, 0),
            busiest: 0,
            tally: Tally::default(),
            timing: Timing::fine(),
            refreshes: 0,
            failed_refreshes: 0,
            limits: Vec::new(),
            kept: Kept::default(),
        }
    }

    /// Counts requests in this minute.
    pub(super) fn sent(&mut self, minute: u64, requests: u64) {
        self.requests += requests;
        if self.minute.0 != minute {
            self.minute = (minute, 0);
        }
        self.minute.1 += requests;
        self.busiest = self.busiest.max(self.minute.1);
    }

    pub(super) fn used(&mut self, usage: &[LimitUsage]) {
        for limit in usage.iter().filter(|limit| limit.of().is_some()) {
            let of = limit.of().unwrap_or(1).max(1);
            let percent = limit.most().saturating_mul(100) / of;
            let has_room = self.limits.len() < MOST_LIMITS;
            match self.limits.iter_mut().find(|(label, _)| **label == *limit.label()) {
                Some((_, most)) => *most = percent.max(*most),
                None if has_room => self.limits.push((limit.label().into(), percent)),
                None => {}
            }
        }
    }

    pub(super) fn summary(
        &self,
        routes: &Endpoints,
        unmatched: Vec<Arc<str>>,
        long: &LongTasks,
        now: Instant,
    ) -> Summary {
        Summary {
            during: now.saturating_duration_since(self.began),
            requests: self.requests,
            busiest: self.busiest,
            tally: self.tally,
            latency: self.timing.latency(),
            refreshes: self.refreshes,
            failed_refreshes: self.failed_refreshes,
            limits: self.limits.clone(),
            unmatched,
            refusals: self.kept.all().map(|(refusals, _)| refusals.clone()).collect(),
            long: long.all(now).map(|(name, age)| (name.clone(), age)).collect(),
            endpoints: routes.of_the_day(),
        }
    }
}

const MOST_LIMITS: usize = 64;
/// The lines of endpoints, or of tasks, in a text; the value holds all.
const MOST_SHOWN: usize = 10;
