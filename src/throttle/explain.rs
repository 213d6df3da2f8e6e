//! QueueEstimate: the wait that a request would have, for people.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::limiter::Limiter;
use super::limiter::window::Counter;
use super::shared_usage::SharedUsage;
use super::time::{Tick, elapsed};

/// The wait that a request would have now, as returned by [`Throttle::explain`](super::Throttle::explain). `Display` is
/// several lines of text.
///
/// ```
/// use longhaul::{Limit, Throttle};
/// use longhaul::limits::{Priority, RequestKey};
///
/// let throttle = Throttle::new();
/// throttle.add_limit(Limit::per_second(1))?;
/// let mut permit = throttle.try_acquire(Priority::Call, &RequestKey::new()).unwrap();
/// permit.answered();
/// let explained = throttle.explain(Priority::Call, &RequestKey::new());
/// assert_eq!(explained.limit(), Some("1 per 1s of all accounts"));
/// assert!(explained.at_least().as_millis() > 900);
/// # Ok::<(), longhaul::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct QueueEstimate {
    limit: Option<Arc<str>>,
    paused: bool,
    ahead: u32,
    at_least: Duration,
    lines: Vec<String>,
}

impl QueueEstimate {
    /// Returns the limit that binds: of all limits that count the request, the one that admits it last. After a refusal
    /// that no declared limit explains, this is the route or the account that pauses. `None` if the request may be sent
    /// at once.
    #[must_use]
    pub fn limit(&self) -> Option<&str> {
        self.limit.as_deref()
    }

    /// Returns whether that limit pauses after a refusal.
    #[must_use]
    pub const fn is_paused(&self) -> bool {
        self.paused
    }

    /// Returns how many requests are ahead at that limit, of the request's own class and of more urgent classes.
    #[must_use]
    pub const fn ahead(&self) -> u32 {
        self.ahead
    }

    /// Returns the least waiting time. Requests in flight may lengthen the wait; requests ahead that give up may
    /// shorten it.
    #[must_use]
    pub const fn at_least(&self) -> Duration {
        self.at_least
    }
}

impl fmt::Display for QueueEstimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.limit {
            None => f.write_str("it may go at once")?,
            Some(limit) => {
                let pauses = if self.paused { ", which pauses" } else { "" };
                write!(f, "bound by `{limit}`{pauses}: {} before it, {:.1?} at least", self.ahead, self.at_least)?;
            }
        }
        self.lines.iter().try_for_each(|line| write!(f, "\n{line}"))
    }
}

impl QueueEstimate {
    /// Describes a request that may be sent now.
    pub(super) const fn at_once(lines: Vec<String>) -> Self {
        Self { limit: None, paused: false, ahead: 0, at_least: Duration::ZERO, lines }
    }

    /// Describes a request that a limiter holds back until `opens`, at least.
    pub(super) fn bound(limiter: &Limiter, ahead: u32, opens: Tick, lines: Vec<String>, now: Tick) -> Self {
        let (limit, paused) = (Some(limiter.label.clone()), limiter.is_paused(now));
        Self { limit, paused, ahead, at_least: elapsed(now, opens), lines }
    }
}

/// One limiter, as a line of text.
#[derive(Debug)]
pub(super) struct LimiterLine(String);

impl LimiterLine {
    pub(super) fn new(limiter: &mut Limiter, waiting: u32, now: Tick) -> Self {
        let used = match limiter.counter() {
            Counter::Unlimited => String::new(),
            _ => format!("{:.0} % used, ", limiter.counter_mut().use_of(now) * 100.0),
        };
        let mut line = format!("{}: {used}{} on their way", limiter.label, limiter.in_flight);
        if waiting > 0 {
            line += &format!(", {waiting} waiting");
        }
        if let Some(lent) = limiter.lent() {
            line += &format!(", {}", SharedUsage::of(lent, now));
        }
        if limiter.is_paused(now) {
            line += &format!(", paused for {:.1?}", elapsed(now, limiter.paused_until()));
        } else if limiter.pause().waits_for_turn() {
            line += ", another process sends the first request after the pause";
        }
        Self(line)
    }
}

impl fmt::Display for LimiterLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
