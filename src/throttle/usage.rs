//! LimitUsage: how much of a limit is used.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::limiter::Limiter;
use super::shared_usage::SharedUsage;
use super::time::{Tick, elapsed};

/// The used part of one limit now, as returned by [`Throttle::usage`](super::Throttle::usage). `Display` is "45 of 60
/// (75 %)".
///
/// ```
/// use longhaul::{Limit, Throttle};
/// use longhaul::limits::{Priority, RequestKey};
///
/// let throttle = Throttle::new();
/// throttle.add_limit(Limit::per_minute(60))?;
/// for _ in 0..45 {
///     throttle.try_acquire(Priority::Call, &RequestKey::new()).unwrap().answered();
/// }
/// let usage = throttle.usage();
/// assert_eq!(usage[0].label(), "60 per 60s of all accounts");
/// assert_eq!(usage[0].to_string(), "45 of 60 (75 %)");
/// # Ok::<(), longhaul::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitUsage {
    label: Arc<str>,
    used: u64,
    of: Option<u64>,
    left: Option<u64>,
    window: Option<Duration>,
    is_stated: bool,
    waiting: u32,
    in_flight: u32,
    paused: Option<Duration>,
    /// The highest use since the client's previous call.
    most: u64,
    shared: Option<SharedUsage>,
}

impl LimitUsage {
    /// Returns the highest use since the client's previous call, if it is counted; otherwise the use now.
    pub(crate) const fn most(&self) -> u64 {
        self.most
    }

    /// Returns the limit, as events show it.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Returns how much of the limit is used: requests, or bytes for a limit of bytes. Requests that are in flight
    /// count.
    #[must_use]
    pub const fn used(&self) -> u64 {
        self.used
    }

    /// Returns how much the limit allows. `None` if the amount is unknown: a route or an account that pauses, or a
    /// budget of which the service states only the remainder.
    #[must_use]
    pub const fn of(&self) -> Option<u64> {
        self.of
    }

    /// Returns how much of the limit is left.
    #[must_use]
    pub const fn left(&self) -> Option<u64> {
        self.left
    }

    /// Returns the used share, from 0 on. The share is more than 1 if the limit is overdrawn, and 0 if the allowed
    /// amount is unknown.
    #[must_use]
    pub fn share(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a share")]
        let (used, of) = (self.used as f64, self.of.unwrap_or(0) as f64);
        if of > 0.0 { used / of } else { 0.0 }
    }

    /// Returns the length of the window. `None` for concurrent requests, and for a budget that the service states
    /// without its length.
    #[must_use]
    pub const fn window(&self) -> Option<Duration> {
        self.window
    }

    /// Returns whether the numbers are the budget that the service stated, less the requests sent since then, rather
    /// than the throttle's own count.
    #[must_use]
    pub const fn is_stated(&self) -> bool {
        self.is_stated
    }

    /// Returns how many requests that the limit counts wait in the queue, whichever limit they wait for.
    #[must_use]
    pub const fn waiting(&self) -> u32 {
        self.waiting
    }

    /// Returns how many requests that the limit counts are in flight: their response headers have not arrived.
    #[must_use]
    pub const fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Returns the part of this process, if several processes share the limit ([`Throttle::file`]). The other numbers
    /// are then those of this process.
    ///
    /// [`Throttle::file`]: super::Throttle::file
    #[must_use]
    pub const fn shared(&self) -> Option<&SharedUsage> {
        self.shared.as_ref()
    }

    /// Returns how much longer the limit pauses after a refusal.
    #[must_use]
    pub const fn paused(&self) -> Option<Duration> {
        self.paused
    }
}

impl LimitUsage {
    /// Returns how much of a limiter is used, with `waiting` requests in the queue; `None` if the limiter neither
    /// counts nor pauses. `looks`: the highest concurrency is counted anew from now on.
    pub(super) fn of_limiter(limiter: &mut Limiter, waiting: u32, looks: bool, now: Tick) -> Option<Self> {
        let counted = limiter.counter_mut().amounts(now).map(|(used, of)| (used, Some(of), of.saturating_sub(used)));
        let stated = limiter.advertised().filter(|rest| !rest.is_over(now)).map(|rest| {
            let of = rest.stated_limit();
            (of.map_or(0, |of| of.saturating_sub(rest.remaining())), of, rest.remaining())
        });
        let paused = limiter.is_paused(now).then(|| elapsed(now, limiter.paused_until()));
        // If both count the same, the one with less left is shown.
        let is_stated = match (&counted, &stated) {
            (Some((.., own)), Some((.., theirs))) => theirs < own,
            (own, _) => own.is_none(),
        };
        let shown = if is_stated { stated } else { counted };
        if shown.is_none() && paused.is_none() {
            return None;
        }
        let used = shown.map_or(0, |(used, ..)| used);
        let most = if looks { limiter.counter_mut().most().filter(|_| !is_stated) } else { None };
        Some(Self {
            label: limiter.label.clone(),
            used,
            most: most.map_or(used, |most| used.max(most.into())),
            of: shown.and_then(|(_, of, _)| of),
            left: shown.map(|(.., left)| left),
            window: limiter.counter_mut().length().map(Duration::from_nanos),
            is_stated: is_stated && shown.is_some(),
            waiting,
            in_flight: limiter.in_flight,
            paused,
            shared: limiter.lent().map(|lent| SharedUsage::of(lent, now)),
        })
    }
}

impl fmt::Display for LimitUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.of, self.left) {
            (Some(of), _) => write!(f, "{} of {of} ({:.0} %)", self.used, self.share() * 100.0)?,
            (None, Some(left)) => write!(f, "{left} left")?,
            (None, None) => write!(f, "{} in flight", self.in_flight)?,
        }
        match self.paused {
            Some(paused) => write!(f, ", paused for {paused:.1?}"),
            None => Ok(()),
        }
    }
}
