//! Budget: one limit of a service, as the service states it.

use std::time::Duration;

/// One limit of a service, as the service states it: how much it grants, how much of that is left, and until when.
///
/// Each part is present only if the service stated it, exactly as it did. Numbers that contradict each other, and
/// moments in the past, are in [`Hints::ignored`](crate::limits::Hints::ignored) instead.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use longhaul::limits::Hints;
///
/// let mut headers = http::HeaderMap::new();
/// headers.insert("ratelimit-policy", r#""burst";q=100;w=60, "volume";q=5000;qu="content-bytes""#.parse()?);
/// headers.insert("ratelimit", r#""burst";r=20;t=15"#.parse()?);
/// let hints = Hints::from_headers(&headers, SystemTime::now());
///
/// let burst = &hints.budgets()[0];
/// assert_eq!((burst.name(), burst.limit(), burst.remaining()), (Some("burst"), Some(100), Some(20)));
/// assert_eq!((burst.window(), burst.reset()), (Some(Duration::from_secs(60)), Some(Duration::from_secs(15))));
/// assert!(burst.counts_requests() && !hints.budgets()[1].counts_requests());
/// # Ok::<(), http::header::InvalidHeaderValue>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    pub(super) name: Option<String>,
    pub(super) limit: Option<u64>,
    pub(super) remaining: Option<u64>,
    pub(super) window: Option<Duration>,
    pub(super) reset: Option<Duration>,
    pub(super) counts_requests: bool,
}

impl Budget {
    /// Creates a budget of requests.
    pub(crate) const fn of_requests(
        name: Option<String>,
        limit: Option<u64>,
        remaining: u64,
        window: Option<Duration>,
        reset: Duration,
    ) -> Self {
        Self { name, limit, remaining: Some(remaining), window, reset: Some(reset), counts_requests: true }
    }

    /// Returns the name of the policy or the resource, as the service writes it: `burst`, `minute`, `tokens`,
    /// `subscription-reads`.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Returns how much one window grants. Some services state 0 for a resource that they do not grant, others for no
    /// limit.
    #[must_use]
    pub const fn limit(&self) -> Option<u64> {
        self.limit
    }

    /// Returns how much is left, never more than the limit. For a service that states the used amount, this is the rest
    /// of the limit.
    #[must_use]
    pub const fn remaining(&self) -> Option<u64> {
        self.remaining
    }

    /// Returns the length of the window: never zero, at most 400 days.
    #[must_use]
    pub const fn window(&self) -> Option<Duration> {
        self.window
    }

    /// Returns how long it takes until the budget is full again, or grants the next request: at most 400 days.
    ///
    /// A moment counts from the response's own Date, so that a skewed clock on either side does no harm.
    #[must_use]
    pub const fn reset(&self) -> Option<Duration> {
        self.reset
    }

    /// Returns whether the budget counts requests, rather than tokens, bytes or points.
    #[must_use]
    pub const fn counts_requests(&self) -> bool {
        self.counts_requests
    }
}

/// Returns whether the words of a name refer to a unit other than requests.
pub(super) fn is_other_than_requests(name: &str) -> bool {
    name.split(['-', '_', ' ']).any(|word| OTHERS.contains(&word))
}

/// `graphql` is the resource of GitHub that counts points.
const OTHERS: [&str; 12] = [
    "bandwidth",
    "bytes",
    "characters",
    "complexity",
    "cost",
    "credits",
    "entities",
    "graphql",
    "points",
    "rows",
    "tokens",
    "units",
];
