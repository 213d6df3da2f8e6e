//! Pace: when to poll next.

use std::time::Duration;

/// When a task polls, within what the service asks.
///
/// What the service asks (`Retry-After` and its kin) is never undercut, and holds until it says otherwise. Where it
/// never asked, the pause is 5 % of the task's age, between 1 and 30 seconds, or the protocol's own default: a task of
/// minutes is seen within seconds of its end, one of hours costs some hundred polls.
///
/// Jitter spreads the polls of many tasks: upward only, by up to 10 %, on what the service asked; by 20 % both ways on
/// our own choice.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    floor: Duration,
    ceiling: Duration,
    jitter: bool,
}

impl Pace {
    /// Never twice within 250 ms, and at least every 10 minutes where the service does not ask for longer.
    #[must_use]
    pub const fn standard() -> Self {
        Self { floor: Duration::from_millis(250), ceiling: Duration::from_secs(600), jitter: true }
    }

    /// Sets the shortest pause, whatever is asked.
    #[must_use]
    pub const fn floor(mut self, floor: Duration) -> Self {
        self.floor = floor;
        self
    }

    /// Sets the longest pause of our own choice. What the service asks for is not cut.
    #[must_use]
    pub const fn ceiling(mut self, ceiling: Duration) -> Self {
        self.ceiling = ceiling;
        self
    }

    /// Without jitter: for tests.
    #[must_use]
    pub const fn without_jitter(mut self) -> Self {
        self.jitter = false;
        self
    }

    /// The next pause. `chance` is drawn from 0 to 1.
    pub(super) fn plan(
        &self,
        hint: Option<Duration>,
        sticky: Option<Duration>,
        default: Option<Duration>,
        age: Duration,
        chance: f64,
    ) -> Plan {
        let chance = if self.jitter { chance } else { 0.0 };
        if let Some(asked) = hint.or(sticky) {
            // Zero means soon, and never a hot loop.
            let base = if asked.is_zero() { own(age) } else { asked };
            let delay = base.max(self.floor).mul_f64(1.0 + 0.1 * chance);
            let earliest = asked.max(self.floor);
            return Plan { delay: delay.max(earliest), earliest };
        }
        let spread = if self.jitter { 0.8 + 0.4 * chance } else { 1.0 };
        let delay = default.unwrap_or_else(|| own(age)).min(self.ceiling).mul_f64(spread);
        Plan { delay: delay.min(self.ceiling).max(self.floor), earliest: self.floor }
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self::standard()
    }
}

/// The pause that is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// After this long the task polls.
    pub(super) delay: Duration,
    /// Before this long it must not, even when it is nudged.
    pub(super) earliest: Duration,
}

/// 5 % of the age: the relative error of when the end is seen stays the same.
fn own(age: Duration) -> Duration {
    (age / 20).clamp(Duration::from_secs(1), Duration::from_secs(30))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn keeps_what_the_service_asks_and_chooses_well_where_it_does_not() {
        let pace = Pace::standard().without_jitter();
        let none = None;
        for (hint, sticky, default, age, delay) in [
            (Some(secs(60)), none, none, 0, secs(60)),
            (Some(secs(3600)), none, none, 0, secs(3600)),
            (Some(Duration::from_millis(10)), none, none, 0, Duration::from_millis(250)),
            (Some(Duration::ZERO), none, none, 0, secs(1)),
            (Some(Duration::ZERO), none, none, 400, secs(20)),
            (none, Some(secs(7)), Some(secs(300)), 0, secs(7)),
            (none, none, Some(secs(300)), 0, secs(300)),
            (none, none, Some(secs(3000)), 0, secs(600)),
            (none, none, none, 0, secs(1)),
            (none, none, none, 400, secs(20)),
            (none, none, none, 86_400, secs(30)),
        ] {
            let plan = pace.plan(hint, sticky, default, secs(age), 0.5);
            assert_eq!(plan.delay, delay, "{hint:?} {sticky:?} {default:?} {age}");
            // What was asked binds a nudge too, also where this answer did not say it again.
            let asked = hint.or(sticky).unwrap_or_default();
            assert_eq!(plan.earliest, asked.max(Duration::from_millis(250)), "{hint:?} {sticky:?}");
        }
    }

    #[test]
    fn jitter_is_never_earlier_than_asked_and_stays_in_bounds() {
        let pace = Pace::standard();
        for step in 0..=100 {
            let chance = f64::from(step) / 100.0;
            let asked = pace.plan(Some(secs(60)), None, None, secs(0), chance);
            assert!(asked.delay >= secs(60) && asked.delay <= secs(66), "{asked:?}");
            assert_eq!(asked.earliest, secs(60));
            let own = pace.plan(None, None, Some(secs(600)), secs(0), chance);
            assert!(own.delay >= secs(480) && own.delay <= secs(600), "{own:?}");
        }
    }
}
