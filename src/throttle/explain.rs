//! Explained: what a request meets, for people.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::elapsed;
use super::meter::{Meter, Tick};
use super::owners::Asker;
use super::state::State;
use crate::message::Class;

/// What a request meets now: [`Throttle::explain`](super::Throttle::explain). `Display` is some lines of text.
///
/// ```
/// use longhaul::{Class, Keys, Limit, Throttle};
///
/// let throttle = Throttle::new();
/// throttle.limit(Limit::per_second(1))?;
/// let mut permit = throttle.try_acquire(Class::Call, &Keys::new()).unwrap();
/// permit.answered();
/// let explained = throttle.explain(Class::Call, &Keys::new());
/// assert_eq!(explained.limit(), Some("1 per 1s of all accounts"));
/// assert!(explained.at_least().as_millis() > 900);
/// # Ok::<(), longhaul::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Explained {
    limit: Option<Arc<str>>,
    paused: bool,
    ahead: u32,
    at_least: Duration,
    lines: Vec<String>,
}

impl Explained {
    /// The limit that binds: of all that it meets, the one that admits it last. After a refusal that no declared limit
    /// explains, the route or the account that pauses. `None` where it may go at once.
    #[must_use]
    pub fn limit(&self) -> Option<&str> {
        self.limit.as_deref()
    }

    /// Whether that pauses after a refusal.
    #[must_use]
    pub const fn is_paused(&self) -> bool {
        self.paused
    }

    /// How many stand before it there, its own class and more urgent ones.
    #[must_use]
    pub const fn ahead(&self) -> u32 {
        self.ahead
    }

    /// How long it waits at least. Requests that are on their way may make it longer; those before it that give up,
    /// shorter.
    #[must_use]
    pub const fn at_least(&self) -> Duration {
        self.at_least
    }
}

impl fmt::Display for Explained {
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

impl State {
    pub(super) fn explain(&mut self, asker: &Asker<'_>, class: Class, now: Tick) -> Explained {
        self.catch_up(now);
        let (set, _) = self.meet(asker, class);
        let goes = set.gauges().iter().all(|id| {
            self.gauges.get_mut(*id as usize).is_none_or(|gauge| {
                gauge.opening(class, now) == super::meter::Opening::Open && !gauge.has_parked_before(class)
            })
        });
        let mut lines = Vec::new();
        for id in set.gauges() {
            let Some(gauge) = self.gauges.get_mut(*id as usize) else { continue };
            let used = match gauge.meter {
                Meter::Door => String::new(),
                _ => format!("{:.0} % used, ", gauge.meter.use_of(now) * 100.0),
            };
            let mut line = format!("{}: {used}{} on their way", gauge.label, gauge.flying);
            let waiting: u32 = gauge.waiting.iter().sum();
            if waiting > 0 {
                line += &format!(", {waiting} waiting");
            }
            if gauge.is_paused(now) {
                line += &format!(", paused for {:.1?}", elapsed(now, gauge.paused_until()));
            }
            lines.push(line);
        }
        let last = self.not_before(&set, class, asker.task, now).filter(|_| !goes);
        let gauge = last.and_then(|(id, _)| self.gauges.get(id as usize));
        Explained {
            limit: gauge.map(|gauge| gauge.label.clone()),
            paused: gauge.is_some_and(|gauge| gauge.is_paused(now)),
            ahead: gauge.map_or(0, |gauge| gauge.ahead(class)),
            at_least: last.map_or(Duration::ZERO, |(_, opens)| elapsed(now, opens)),
            lines,
        }
    }
}
