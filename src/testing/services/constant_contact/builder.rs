//! The settings of a simulated Constant Contact.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::time::Duration;

use super::desk::{Desk, Rules};
use super::{ConstantContact, DAY};
use crate::testing::services::authority::{Authority, RefreshTokens};
use crate::testing::services::keyed::Keyed;

/// Builds a [`ConstantContact`].
#[derive(Clone, Debug)]
#[must_use = "a service must be started"]
pub struct ConstantContactBuilder {
    per_second: u32,
    per_day: u32,
    day: Duration,
    rules: Rules,
    token_life: Duration,
    token_spacing: Duration,
    refresh: RefreshTokens,
    latency: Duration,
}

impl Default for ConstantContactBuilder {
    fn default() -> Self {
        let rules = Rules {
            queued: 1_000,
            duration: Duration::from_millis(500),
            contacts: 100,
            legacy: false,
            results_early: false,
        };
        Self {
            per_second: 4,
            per_day: 10_000,
            day: DAY,
            rules,
            token_life: DAY,
            token_spacing: Duration::from_secs(1),
            refresh: RefreshTokens::Rotating,
            latency: Duration::ZERO,
        }
    }
}

impl ConstantContactBuilder {
    /// Sets how many requests an API key may send within any second; 4 by default.
    pub fn per_second(mut self, count: u32) -> Self {
        self.per_second = count;
        self
    }

    /// Sets how many requests an API key may send within any [`day`](Self::day); 10,000 by default.
    pub fn per_day(mut self, count: u32) -> Self {
        self.per_day = count;
        self
    }

    /// Sets the limits of a partner: 10 a second and 250,000 a day.
    pub fn partner(self) -> Self {
        self.per_second(10).per_day(250_000)
    }

    /// Sets how long a day of the daily limit is; 24 hours by default. Where a day begins is not documented, so the
    /// strictest is taken: the limit holds in every span of this length.
    pub fn day(mut self, day: Duration) -> Self {
        self.day = day;
        self
    }

    /// Sets how many unfinished activities an account may have; 1,000 by default. One more is refused with 429.
    pub fn queued_activities(mut self, count: usize) -> Self {
        self.rules.queued = count;
        self
    }

    /// Sets how long an activity takes; half a second by default.
    pub fn activity_duration(mut self, duration: Duration) -> Self {
        self.rules.duration = duration;
        self
    }

    /// Sets how many contacts an account has, and so the number of rows of an export; 100 by default.
    pub fn contacts(mut self, count: u64) -> Self {
        self.rules.contacts = count;
        self
    }

    /// Sets whether a limit refuses as the earlier gateway did: with 403 and `mashery.not.authorized.over.qps`; by
    /// default with 429.
    pub fn legacy_refusals(mut self, legacy: bool) -> Self {
        self.rules.legacy = legacy;
        self
    }

    /// Sets whether an activity names its result already in the answer to its submit; not by default.
    pub fn results_early(mut self, early: bool) -> Self {
        self.rules.results_early = early;
        self
    }

    /// Sets how long an access token lives; 24 hours by default.
    pub fn token_life(mut self, life: Duration) -> Self {
        self.token_life = life;
        self
    }

    /// Sets the span in which the token endpoint accepts one request; a second by default.
    pub fn token_spacing(mut self, spacing: Duration) -> Self {
        self.token_spacing = spacing;
        self
    }

    /// Keeps a refresh token valid after its use. By default it rotates: a use voids it, and a second use of the same
    /// one ends the login.
    pub fn long_lived_refresh_tokens(mut self) -> Self {
        self.refresh = RefreshTokens::LongLived;
        self
    }

    /// Sets how long a request takes, to the API and to the token endpoint; 0 by default. It arrives after half of it.
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// Starts the service on two free ports of 127.0.0.1.
    ///
    /// Must be called in a tokio runtime with I/O and time, on which the service then runs.
    ///
    /// # Errors
    /// The error of the system when it was asked for a port.
    pub async fn start(self) -> io::Result<ConstantContact> {
        let limits = vec![(self.per_second, Duration::from_secs(1)), (self.per_day, self.day)];
        let desk = Desk {
            rules: self.rules,
            authority: Authority::new(self.token_life, self.refresh, &[(1, self.token_spacing)]),
            windows: Keyed::new(limits),
            activities: HashMap::new(),
            order: Vec::new(),
            ends: VecDeque::new(),
        };
        ConstantContact::launch(desk, self.latency).await
    }
}
