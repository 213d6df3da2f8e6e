//! Alerts: the thresholds above which a person should be notified.

use std::time::Duration;

/// The thresholds above which a person should be notified: [`ClientBuilder::alerts`](crate::ClientBuilder::alerts).
///
/// ```
/// use std::time::Duration;
/// use longhaul::Client;
/// use longhaul::telemetry::Alerts;
///
/// let alerts = Alerts::standard().error_rate(0.25).throttled_for(Duration::from_secs(10 * 60));
/// let client = Client::builder("https://api.example.com").alerts(alerts).build()?;
/// # Ok::<(), longhaul::Error>(())
/// ```
///
/// The thresholds are checked whenever something is sent, answered or otherwise counted, at most once a second, and on
/// each call of [`Client::stats`](crate::Client::stats) or [`Client::summary`](crate::Client::summary). No task is
/// spawned for them: a client that is idle, and is not queried, emits no alerts.
///
/// Each alert is emitted once, as [`Event::Alert`](crate::Event::Alert), when its condition begins; and again only
/// after the condition has ended for [five minutes](Alerts::quiet). In the descriptions, "now" is the last five
/// minutes, counted by the minute, compared with the hour before them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Alerts {
    pub(super) throttled_for: Option<Duration>,
    pub(super) unauthorized: Option<u32>,
    pub(super) unavailable: Option<u32>,
    pub(super) error_rate: Option<f64>,
    pub(super) latency_spike: Option<f64>,
    pub(super) throttled: Option<u32>,
    pub(super) near_limit: Option<f64>,
    pub(super) left: Option<u32>,
    pub(super) failed_refreshes: Option<u32>,
    pub(super) rising_errors: Option<f64>,
    pub(super) rising_latency: Option<f64>,
    pub(super) token_expiry: Option<Duration>,
    pub(super) running_for: Option<Duration>,
    pub(super) declared_too_high: Option<u32>,
    pub(super) daily: Option<Duration>,
    pub(super) least_requests: u32,
    pub(super) least_latency: Duration,
    pub(super) quiet: Duration,
}

impl Alerts {
    /// Creates all alerts, with the defaults that each setter names.
    #[must_use]
    pub const fn standard() -> Self {
        Self {
            throttled_for: Some(Duration::from_secs(5 * 60)),
            unauthorized: Some(5),
            unavailable: Some(1),
            error_rate: Some(0.10),
            latency_spike: Some(3.0),
            throttled: Some(1),
            near_limit: Some(0.80),
            left: Some(10),
            failed_refreshes: Some(1),
            rising_errors: Some(2.0),
            rising_latency: Some(1.5),
            token_expiry: Some(Duration::from_secs(60)),
            running_for: Some(Duration::from_secs(24 * 60 * 60)),
            declared_too_high: Some(3),
            daily: Some(Duration::from_secs(24 * 60 * 60)),
            ..Self::none()
        }
    }

    /// Creates no alerts; each setter turns its own alert on.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            throttled_for: None,
            unauthorized: None,
            unavailable: None,
            error_rate: None,
            latency_spike: None,
            throttled: None,
            near_limit: None,
            left: None,
            failed_refreshes: None,
            rising_errors: None,
            rising_latency: None,
            token_expiry: None,
            running_for: None,
            declared_too_high: None,
            daily: None,
            least_requests: 20,
            least_latency: Duration::from_millis(500),
            quiet: Duration::from_secs(5 * 60),
        }
    }

    /// Critical: 429s have continued for this long, without a minute in which other responses arrived and no 429. 5
    /// minutes by default: a pause after a refusal should have helped by then.
    #[must_use]
    pub const fn throttled_for(mut self, during: Duration) -> Self {
        self.throttled_for = Some(during);
        self
    }

    /// Critical: this many 401s now. 5 by default: one refresh explains one, and several more if requests were in
    /// flight.
    #[must_use]
    pub const fn unauthorized(mut self, count: u32) -> Self {
        self.unauthorized = Some(count);
        self
    }

    /// Critical: this many 503s now. 1 by default.
    #[must_use]
    pub const fn unavailable(mut self, count: u32) -> Self {
        self.unavailable = Some(count);
        self
    }

    /// Critical: more than this share of the requests now had no response below 400. 0.10 by default, which is 10 %.
    /// Requests that were refused for load (429, 503) are left out, because they have their own alerts.
    #[must_use]
    pub const fn error_rate(mut self, share: f64) -> Self {
        self.error_rate = Some(share);
        self
    }

    /// Critical: the 99th percentile of the latency is this many times that of the hour before. 3 by default.
    #[must_use]
    pub const fn latency_spike(mut self, times: f64) -> Self {
        self.latency_spike = Some(times);
        self
    }

    /// Warning: this many 429s now. 1 by default.
    #[must_use]
    pub const fn throttled(mut self, count: u32) -> Self {
        self.throttled = Some(count);
        self
    }

    /// Warning: this share of a limit is used. 0.80 by default, which is 80 %. The alert applies only to windows of a
    /// minute and longer, because a window of a second is used up whenever there is work, and to budgets that the
    /// service states. The alert applies only to limits of 5 and more.
    #[must_use]
    pub const fn near_limit(mut self, share: f64) -> Self {
        self.near_limit = Some(share);
        self
    }

    /// Warning: fewer than this number are left of a larger budget that the service states. 10 by default.
    #[must_use]
    pub const fn left(mut self, count: u32) -> Self {
        self.left = Some(count);
        self
    }

    /// Warning: a token could not be fetched or refreshed this many times in a row. 1 by default.
    #[must_use]
    pub const fn failed_refreshes(mut self, count: u32) -> Self {
        self.failed_refreshes = Some(count);
        self
    }

    /// Warning: the share of requests without a response below 400 is this many times that of the hour before, and at
    /// least 2 %, refusals for load left out. 2 by default.
    #[must_use]
    pub const fn rising_errors(mut self, times: f64) -> Self {
        self.rising_errors = Some(times);
        self
    }

    /// Warning: the median of the latency is this many times that of the hour before. 1.5 by default.
    #[must_use]
    pub const fn rising_latency(mut self, times: f64) -> Self {
        self.rising_latency = Some(times);
        self
    }

    /// Warning: a token is valid for no longer than this, or than a tenth of its life if that is shorter, although
    /// there were requests in the last minute. A minute by default: refreshes come earlier.
    #[must_use]
    pub const fn token_expiry(mut self, left: Duration) -> Self {
        self.token_expiry = Some(left);
        self
    }

    /// Warning: a task has been running for this long since its submit, including time in an earlier process. The alert
    /// is emitted once for each task, by its id or its status URL, and only while a caller waits for the task: the age
    /// is checked whenever the status was fetched. 24 hours by default: documented exports take minutes to hours, and
    /// overnight work is done by then. The alert ends no wait;
    /// [`ClientBuilder::task_timeout`](crate::ClientBuilder::task_timeout) does.
    #[must_use]
    pub const fn running_for(mut self, during: Duration) -> Self {
        self.running_for = Some(during);
        self
    }

    /// Warning: this many times in a day a refusal stopped all requests although a declared limit was kept, the last
    /// time within five minutes. 3 by default: another process that uses the same budget may explain one or two. If the
    /// service states with the refusal that it allows fewer requests than declared, the first refusal is reported.
    #[must_use]
    pub const fn declared_too_high(mut self, count: u32) -> Self {
        self.declared_too_high = Some(count);
        self
    }

    /// Information: the [summary](crate::telemetry::Summary) of each period of this length. 24 hours by default, from
    /// the build of the client on.
    #[must_use]
    pub const fn summary_every(mut self, length: Duration) -> Self {
        self.daily = Some(length);
        self
    }

    /// Sets the least number of requests for alerts on rates and latencies: 20 by default, both now and in the hour
    /// before if that is compared. One failure of three is not a rate of 33 %.
    #[must_use]
    pub const fn least_requests(mut self, count: u32) -> Self {
        self.least_requests = count;
        self
    }

    /// Sets the least latency for alerts on latency: half a second by default. Three times 5 ms is of no concern.
    #[must_use]
    pub const fn least_latency(mut self, latency: Duration) -> Self {
        self.least_latency = latency;
        self
    }

    /// Sets for how long the condition of an alert must have ended before the alert may be emitted again: 5 minutes by
    /// default.
    #[must_use]
    pub const fn quiet(mut self, during: Duration) -> Self {
        self.quiet = during;
        self
    }
}

impl Alerts {
    /// Returns the age from which a task is reported.
    pub(crate) const fn long_after(&self) -> Option<Duration> {
        self.running_for
    }

    /// Checks the thresholds. The error states the problem and the correction.
    pub(crate) fn check(&self) -> Result<(), String> {
        let is_share = |share: f64| (0.0..=1.0).contains(&share);
        if let Some(share) = self.error_rate.filter(|share| !is_share(*share)) {
            return Err(format!("error_rate({share}): give a part from 0 to 1, such as 0.1 for 10 %"));
        }
        if let Some(share) = self.near_limit.filter(|share| !is_share(*share) || *share <= 0.0) {
            return Err(format!("near_limit({share}): give a part above 0, and 1 at most, such as 0.8 for 80 %"));
        }
        for (name, times) in [
            ("latency_spike", self.latency_spike),
            ("rising_latency", self.rising_latency),
            ("rising_errors", self.rising_errors),
        ] {
            if let Some(times) = times.filter(|times| !(times.is_finite() && *times >= 1.0)) {
                return Err(format!("{name}({times}): give a number from 1 on, such as 3 for three times as much"));
            }
        }
        if self.running_for.is_some_and(|during| during.is_zero()) {
            return Err("running_for(0ns): every task is as old as that; give a length, such as 24 hours".to_owned());
        }
        if self.daily.is_some_and(|length| length.is_zero()) {
            return Err("summary_every(0ns): give a length, such as 24 hours".to_owned());
        }
        Ok(())
    }
}

impl Default for Alerts {
    fn default() -> Self {
        Self::standard()
    }
}
