//! PollPolicy: when to poll next.

use std::time::Duration;

use crate::clock::FAR;
use crate::retry::Schedule;

/// When a task polls, within the limits that the service asks for.
///
/// The policy never undercuts the wait that the service asks for (`Retry-After` and similar headers); the wait holds
/// until the service asks for another. If the service never asked, the pause is 5 % of the task's age, between 1 and 30
/// seconds, or the protocol's own default: the end of a task of minutes is seen within seconds, and a task of hours
/// costs some hundred polls. A policy that [learns](PollPolicy::learn) places its polls by the durations of earlier tasks.
///
/// Jitter spreads the polls of many tasks: upward only, by up to 10 %, on a wait that the service asked for; by 20 %
/// both ways on the policy's own pauses. A [schedule](PollPolicy::schedule) has its own jitter.
#[derive(Clone, Debug, PartialEq)]
pub struct PollPolicy {
    floor: Duration,
    ceiling: Duration,
    jitter: bool,
    schedule: Option<Schedule>,
    poll_cost: Option<Duration>,
}

impl PollPolicy {
    /// Returns the default policy: never two polls within 250 ms, and a poll at least every 10 minutes unless the
    /// service asks for a longer wait.
    #[must_use]
    pub const fn standard() -> Self {
        Self {
            floor: Duration::from_millis(250),
            ceiling: Duration::from_secs(600),
            jitter: true,
            schedule: None,
            poll_cost: None,
        }
    }

    /// Sets the shortest pause, whatever the service asks for: 250 ms by default, and at most 30 years.
    #[must_use]
    pub const fn floor(mut self, floor: Duration) -> Self {
        self.floor = floor;
        self
    }

    /// Sets the longest of the policy's own pauses. A wait that the service asks for is not cut.
    #[must_use]
    pub const fn ceiling(mut self, ceiling: Duration) -> Self {
        self.ceiling = ceiling;
        self
    }

    /// Disables the policy's own jitter, for tests. A schedule keeps its jitter.
    #[must_use]
    pub const fn without_jitter(mut self) -> Self {
        self.jitter = false;
        self
    }

    /// Sets the schedule of polls for a service that asks for no wait, in place of 5 % of the task's age and of the
    /// protocol's own default. A wait that the service asks for takes precedence, floor and ceiling apply, and the
    /// policy adds no jitter to the schedule's own.
    ///
    /// Each task draws its own pauses; a resumed task starts the schedule anew. When the schedule ends, the wait ends
    /// too, with [`ErrorKind::DeadlineExceeded`](crate::ErrorKind::DeadlineExceeded): the task continues at the
    /// service, and the error carries the token.
    ///
    /// ```
    /// use std::time::Duration;
    /// use longhaul::testing::{reply, script};
    /// use longhaul::PollPolicy;
    /// use longhaul::retries::Schedule;
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> longhaul::Result<()> {
    /// let started = reply(202).header("location", "tasks/1");
    /// let service = script([started, reply(202), reply(202), reply(200).json(7)]);
    /// let pace = PollPolicy::standard().schedule(Schedule::steps([2, 10].map(Duration::from_secs)));
    /// let client = service.client().poll_policy(pace).build()?;
    /// client.task().post("exports").submit::<u32>().await?.await?;
    /// assert_eq!(service.gaps(), [2, 10, 10].map(Duration::from_secs));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.schedule = Some(schedule);
        self
    }

    /// Learns how long tasks take, and places polls where they cost least, for a service that asks for no wait. Off by
    /// default.
    ///
    /// `poll_cost` is the number of seconds of lag that a poll is worth. With 5 seconds, one more poll is made where it
    /// shows the end of the task more than 5 seconds earlier on average. Less than 100 ms counts as 100 ms, and more than
    /// a day as a day.
    ///
    /// The client remembers the durations of the last 96 tasks of each kind and [size
    /// class](crate::TaskBuilder::size_class): if all exports take two minutes, the first poll of the next export is made
    /// after two minutes. From two tasks on, the pauses are those that minimise the expected lag plus the cost of the
    /// polls, in place of 5 % of the task's age. In the long run, one task in eight is polled once more, at an earlier
    /// time, because a change to shorter tasks would not show otherwise.
    ///
    /// These take precedence: a wait that the service asks for, a [schedule](PollPolicy::schedule), and the protocol's
    /// [default interval](crate::Protocol::default_interval). Floor and ceiling apply: with tasks of hours, raise the
    /// [ceiling](PollPolicy::ceiling). Jitter adds up to 5 % of the poll cost.
    ///
    /// A duration is known only as far as polls show it: between the last answer that showed the task pending, and the
    /// one that showed its end. A task counts if it succeeded or failed. Tasks that were canceled or expired do not
    /// count, nor do tasks whose cancellation was requested, and tasks that no answer showed pending. The age of a
    /// resumed task counts from its submit.
    ///
    /// The client keeps the durations of 256 kinds and size classes at most, and forgets those that were not used for
    /// longest. [`Client::durations`](crate::Client::durations) returns them as data, for the next process.
    ///
    /// ```
    /// use std::time::Duration;
    /// use longhaul::testing::{reply, script};
    /// use longhaul::PollPolicy;
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> longhaul::Result<()> {
    /// # let started = || reply(202).header("location", "tasks/1");
    /// # let service = script([started(), reply(202), reply(200).json(7)]);
    /// let pace = PollPolicy::standard().learn(Duration::from_secs(5));
    /// let client = service.client().poll_policy(pace).build()?;
    /// client.task().size_class("large").post("exports").submit::<u32>().await?.await?;
    /// let learned = client.durations();
    /// assert_eq!(learned.tasks().map(|tasks| (tasks.size_class(), tasks.count())).next(), Some((Some("large"), 1)));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub const fn learn(mut self, poll_cost: Duration) -> Self {
        self.poll_cost = Some(poll_cost);
        self
    }

    /// Returns the cost of a poll, if durations are learned.
    pub(super) const fn poll_cost(&self) -> Option<Duration> {
        self.poll_cost
    }

    /// Returns a random number from 0 to 1, or always the same without jitter.
    pub(super) fn chance(&self, without: f64) -> f64 {
        if self.jitter { fastrand::f64() } else { without }
    }

    /// Checks the policy; the error names the flaw, and the fix.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.schedule.as_ref().map_or(Ok(()), Schedule::check)
    }

    /// Returns the schedule if it decides the next pause: there is one, and the service asks for no wait. Zero means
    /// soon, and asks for none.
    pub(super) fn own_schedule(&self, asked: Option<Duration>) -> Option<&Schedule> {
        self.schedule.as_ref().filter(|_| asked.unwrap_or_default().is_zero())
    }

    /// Plans the next pause after the schedule, or the durations of earlier tasks, returned `step`.
    pub(super) fn plan_by(&self, step: Duration) -> Plan {
        let floor = self.shortest();
        Plan { delay: step.min(self.ceiling).max(floor), earliest: floor }
    }

    /// Plans the next pause. `chance` is drawn from 0 to 1.
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
            // Zero means soon, but never a busy loop.
            let base = if asked.is_zero() { own(age) } else { asked };
            let delay = spread(base.max(self.shortest()), 1.0 + 0.1 * chance);
            let earliest = asked.max(self.shortest()).min(FAR);
            return Plan { delay: delay.max(earliest), earliest };
        }
        let factor = if self.jitter { 0.8 + 0.4 * chance } else { 1.0 };
        let delay = spread(default.unwrap_or_else(|| own(age)).min(self.ceiling), factor);
        let floor = self.shortest();
        Plan { delay: delay.min(self.ceiling).max(floor), earliest: floor }
    }

    fn shortest(&self) -> Duration {
        self.floor.min(FAR)
    }
}

impl Default for PollPolicy {
    fn default() -> Self {
        Self::standard()
    }
}

/// The next pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// The delay until the task polls.
    pub(super) delay: Duration,
    /// The delay before which the task must not poll, even if it is nudged.
    pub(super) earliest: Duration,
}

/// Returns a pause times a factor, capped at the longest time that a clock can hold.
fn spread(pause: Duration, factor: f64) -> Duration {
    Duration::try_from_secs_f64(pause.as_secs_f64() * factor).map_or(FAR, |pause| pause.min(FAR))
}

/// Returns 5 % of the age, which keeps the relative error of the observed end constant.
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
        let pace = PollPolicy::standard().without_jitter();
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
            // A wait that the service asked for binds a nudge too, even if this answer did not repeat it.
            let asked = hint.or(sticky).unwrap_or_default();
            assert_eq!(plan.earliest, asked.max(Duration::from_millis(250)), "{hint:?} {sticky:?}");
        }
    }

    #[test]
    fn a_schedule_decides_only_where_the_service_does_not_say_and_within_the_bounds() {
        let pace = PollPolicy::standard().schedule(Schedule::ladder());
        for (asked, decides) in [(None, true), (Some(Duration::ZERO), true), (Some(secs(1)), false)] {
            assert_eq!(pace.own_schedule(asked).is_some(), decides, "{asked:?}");
        }
        assert_eq!(PollPolicy::standard().own_schedule(None), None);
        for (step, delay) in [
            (Duration::ZERO, Duration::from_millis(250)),
            (secs(3), secs(3)),
            (secs(599), secs(599)),
            (Duration::MAX, secs(600)),
        ] {
            let plan = pace.plan_by(step);
            assert_eq!((plan.delay, plan.earliest), (delay, Duration::from_millis(250)), "{step:?}");
        }
    }

    #[test]
    fn no_pause_is_longer_than_a_clock_can_hold() {
        let pace = PollPolicy::standard();
        for (pace, hint, default) in [
            (pace.clone().floor(Duration::MAX), None, None),
            (pace.clone().floor(Duration::MAX), Some(secs(60)), None),
            (pace.clone().floor(Duration::MAX), Some(Duration::ZERO), None),
            (pace.clone().floor(Duration::MAX).ceiling(Duration::MAX), None, Some(Duration::MAX)),
            (pace.clone().ceiling(Duration::MAX), None, Some(Duration::MAX)),
            (pace.clone(), Some(Duration::MAX), None),
            (pace.without_jitter(), Some(Duration::MAX), None),
        ] {
            for chance in [0.0, 0.5, 1.0] {
                let plan = pace.plan(hint, None, default, secs(0), chance);
                assert!(plan.delay >= secs(60) && plan.delay <= FAR && plan.earliest <= FAR, "{pace:?} {plan:?}");
            }
            let plan = pace.plan_by(secs(1));
            assert!(plan.delay <= FAR && plan.earliest <= FAR, "{pace:?} {plan:?}");
        }
    }

    #[test]
    fn jitter_is_never_earlier_than_asked_and_stays_in_bounds() {
        let pace = PollPolicy::standard();
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
