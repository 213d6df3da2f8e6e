//! Limit: a promise about how often a service is asked, as a user says it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::seconds;

/// A promise to keep: so many requests in any window of so long, for one or several windows at once.
///
/// A window slides: no stretch of its length ever holds more than its count, as the service counts arrivals. A request
/// goes out when *all* windows admit it, and a refusal by one charges none.
///
/// ```
/// use std::time::Duration;
/// use longhaul::Limit;
///
/// // 4 a second and 10,000 in any 24 hours, which keeps a limit per calendar day in every time zone.
/// let limit = Limit::per_second(4).and_per(Duration::from_secs(24 * 60 * 60), 10_000);
/// assert_eq!(limit.windows().count(), 2);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    windows: Vec<Window>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Window {
    count: u32,
    #[serde(with = "seconds")]
    seconds: Duration,
}

impl Limit {
    /// `count` requests in any second.
    #[must_use]
    pub fn per_second(count: u32) -> Self {
        Self::per(Duration::from_secs(1), count)
    }

    /// `count` requests in any minute.
    #[must_use]
    pub fn per_minute(count: u32) -> Self {
        Self::per(Duration::from_secs(60), count)
    }

    /// `count` requests in any stretch of `window`. Zero for either is an error when the client is built.
    #[must_use]
    pub fn per(window: Duration, count: u32) -> Self {
        Self { windows: vec![Window { count, seconds: window }] }
    }

    /// And at most `count` requests in any stretch of `window`.
    #[must_use]
    pub fn and_per(mut self, window: Duration, count: u32) -> Self {
        self.windows.push(Window { count, seconds: window });
        self
    }

    /// The windows: count and length of each.
    pub fn windows(&self) -> impl Iterator<Item = (u32, Duration)> + '_ {
        self.windows.iter().map(|window| (window.count, window.seconds))
    }
}
