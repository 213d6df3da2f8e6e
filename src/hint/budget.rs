//! Budget: how much a service still grants.

use std::time::Duration;

/// What a service says of one of its limits: how much it grants, how much of that is left, and until when.
///
/// Each part is there only where the service stated it, and exactly as it did. Numbers that contradict each other, and
/// moments in the past, are in [`Hints::ignored`](crate::limits::Hints::ignored) instead.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use longhaul::limits::Hints;
///
/// let mut headers = http::HeaderMap::new();
/// headers.insert("ratelimit-policy", r#""burst";q=100;w=60, "volume";q=5000;qu="content-bytes""#.parse()?);
/// headers.insert("ratelimit", r#""burst";r=20;t=15"#.parse()?);
/// let hints = Hints::of(&headers, SystemTime::now());
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
    /// The policy or the resource, in the service's own word: `burst`, `minute`, `tokens`, `subscription-reads`.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// How much is granted in one window. Some services say 0 for what is not granted at all, others for no limit.
    #[must_use]
    pub const fn limit(&self) -> Option<u64> {
        self.limit
    }

    /// How much is left: never more than the limit. Of a service that tells what was used, the rest of the limit.
    #[must_use]
    pub const fn remaining(&self) -> Option<u64> {
        self.remaining
    }

    /// How long the window is: never zero, at most 400 days.
    #[must_use]
    pub const fn window(&self) -> Option<Duration> {
        self.window
    }

    /// How long until the budget is full again, or grants the next request: at most 400 days.
    ///
    /// A moment counts from the answer's own Date, so that a skewed clock on either side does no harm.
    #[must_use]
    pub const fn reset(&self) -> Option<Duration> {
        self.reset
    }

    /// Whether it is requests that are counted, and not tokens, bytes or points.
    #[must_use]
    pub const fn counts_requests(&self) -> bool {
        self.counts_requests
    }
}

/// Whether the words of a name tell of anything but requests.
pub(super) fn is_other_than_requests(name: &str) -> bool {
    name.split(['-', '_', ' ']).any(|word| OTHERS.contains(&word))
}

/// `graphql` is GitHub's resource that counts points.
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
