//! LimitUse: how much of a limit is used.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::elapsed;
use super::gauge::Gauge;
use super::meter::Tick;
use super::owners::Owner;
use super::rule::Gauges;
use super::state::State;

/// How much of one limit is used now: [`Throttle::usage`](super::Throttle::usage). `Display` is "45 of 60 (75 %)".
///
/// ```
/// use longhaul::{Class, Keys, Limit, Throttle};
///
/// let throttle = Throttle::new();
/// throttle.limit(Limit::per_minute(60))?;
/// for _ in 0..45 {
///     throttle.try_acquire(Class::Call, &Keys::new()).unwrap().answered();
/// }
/// let usage = throttle.usage();
/// assert_eq!(usage[0].label(), "60 per 60s of all accounts");
/// assert_eq!(usage[0].to_string(), "45 of 60 (75 %)");
/// # Ok::<(), longhaul::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitUse {
    label: Arc<str>,
    used: u64,
    of: Option<u64>,
    left: Option<u64>,
    window: Option<Duration>,
    is_stated: bool,
    waiting: u32,
    flying: u32,
    paused: Option<Duration>,
    /// The most that was used since the last look of the client.
    most: u64,
}

impl LimitUse {
    /// The most that was used since the client looked last, where that is counted; else what is used now.
    pub(crate) const fn most(&self) -> u64 {
        self.most
    }

    /// The limit, as events show it.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// How much of it is used: requests, or bytes for a limit of bytes. Requests that are on their way count.
    #[must_use]
    pub const fn used(&self) -> u64 {
        self.used
    }

    /// How much it allows. `None` where that is not known: a route or an account that pauses, a budget of which the
    /// service states only the rest.
    #[must_use]
    pub const fn of(&self) -> Option<u64> {
        self.of
    }

    /// How much is left of it.
    #[must_use]
    pub const fn left(&self) -> Option<u64> {
        self.left
    }

    /// The used part, from 0 on; more than 1 where it is overdrawn, and 0 where it is not known how much it allows.
    #[must_use]
    pub fn share(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a share")]
        let (used, of) = (self.used as f64, self.of.unwrap_or(0) as f64);
        if of > 0.0 { used / of } else { 0.0 }
    }

    /// How long its window is. `None` for requests at once, and where the service states a budget without its length.
    #[must_use]
    pub const fn window(&self) -> Option<Duration> {
        self.window
    }

    /// Whether the numbers are what the service told of its budget, less what went out since, and not our own count.
    #[must_use]
    pub const fn is_stated(&self) -> bool {
        self.is_stated
    }

    /// How many requests wait in the queue that it counts, whichever limit they wait for.
    #[must_use]
    pub const fn waiting(&self) -> u32 {
        self.waiting
    }

    /// How many requests that it counts are on their way to the headers of their answer.
    #[must_use]
    pub const fn in_flight(&self) -> u32 {
        self.flying
    }

    /// For how long it pauses from now on, after a refusal.
    #[must_use]
    pub const fn paused(&self) -> Option<Duration> {
        self.paused
    }
}

impl fmt::Display for LimitUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.of, self.left) {
            (Some(of), _) => write!(f, "{} of {of} ({:.0} %)", self.used, self.share() * 100.0)?,
            (None, Some(left)) => write!(f, "{left} left")?,
            (None, None) => write!(f, "{} in flight", self.flying)?,
        }
        match self.paused {
            Some(paused) => write!(f, ", paused for {paused:.1?}"),
            None => Ok(()),
        }
    }
}

impl State {
    /// The limits that count requests of an account: declared ones in their order, what the service states, what was
    /// learned, and what pauses.
    ///
    /// `looks`: the most at once is told, and counted anew from here on.
    pub(super) fn usage(&mut self, owner: u32, looks: bool, now: Tick) -> Vec<LimitUse> {
        self.catch_up(now);
        let hosts = if owner == 0 { Vec::new() } else { self.owners.with_hosts(owner) };
        let owners = std::iter::once(0).chain(hosts).filter_map(|owner| self.owner_of(owner));
        let ids: Vec<u32> = owners.flat_map(Owner::gauges).take(MOST_TOLD).collect();
        ids.into_iter().filter_map(|id| self.gauges.get_mut(id as usize)?.usage(looks, now)).collect()
    }
}

impl Gauge {
    /// `None` where it neither counts nor pauses.
    fn usage(&mut self, looks: bool, now: Tick) -> Option<LimitUse> {
        let counted = self.meter.amounts(now);
        let stated = self.quota.as_deref().filter(|quota| !quota.is_over(now)).map(|quota| {
            let of = quota.stated_limit();
            (of.map_or(0, |of| of.saturating_sub(quota.remaining())), of, quota.remaining())
        });
        let paused = self.is_paused(now).then(|| elapsed(now, self.paused_until()));
        let declared = counted.map(|(used, of)| (used, Some(of), of.saturating_sub(used)));
        // Of two that count the same, the one of which less is left.
        let is_stated = match (&declared, &stated) {
            (Some((.., own)), Some((.., theirs))) => theirs < own,
            (own, _) => own.is_none(),
        };
        let told = if is_stated { stated } else { declared };
        if told.is_none() && paused.is_none() {
            return None;
        }
        let used = told.map_or(0, |(used, ..)| used);
        let most = if looks { self.meter.most().filter(|_| !is_stated) } else { None };
        Some(LimitUse {
            label: self.label.clone(),
            used,
            most: most.map_or(used, |most| used.max(most.into())),
            of: told.and_then(|(_, of, _)| of),
            left: told.map(|(.., left)| left),
            window: self.meter.length().map(Duration::from_nanos),
            is_stated: is_stated && told.is_some(),
            waiting: self.waiting.iter().sum(),
            flying: self.flying,
            paused,
        })
    }
}

impl Owner {
    /// All gauges of it, in the order in which they are shown.
    pub(super) fn gauges(&self) -> Vec<u32> {
        let mut gauges = Vec::new();
        for rule in &self.rules {
            match &rule.gauges {
                Gauges::One(gauge) => gauges.push(*gauge),
                Gauges::ByKey(keyed) => {
                    let mut keyed: Vec<_> = keyed.iter().collect();
                    keyed.sort_unstable();
                    gauges.extend(keyed.into_iter().map(|(_, gauge)| *gauge));
                }
            }
        }
        let mut stated: Vec<u32> = self.stated.iter().flat_map(super::stated::Stated::all).collect();
        stated.sort_unstable();
        gauges.extend(stated);
        gauges.extend(self.learner);
        let mut doors: Vec<_> = self.doors.iter().collect();
        doors.sort_unstable();
        gauges.extend(doors.into_iter().map(|(_, gauge)| *gauge));
        gauges.push(self.door);
        gauges
    }
}

/// A limit per key may have thousands of counters; nobody reads so many.
const MOST_TOLD: usize = 1024;
