//! Checking: invalid values in a policy or a schedule.

use super::schedule::{Kind, Schedule};
use super::{EnvelopeRule, RetryPolicy};

impl RetryPolicy {
    /// Checks the policy. The error states the problem and the correction.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.schedule.check()?;
        if self.retries > MOST_AT_ONCE && self.budget == u32::MAX && self.schedule.ends_up_without_pauses() {
            return Err(format!(
                "{} retries without a pause and without a budget would be a flood: give a schedule with pauses, such as \
                 Schedule::standard(), or a budget, or at most {MOST_AT_ONCE} retries",
                self.retries
            ));
        }
        Ok(())
    }
}

impl Schedule {
    /// Checks the schedule. The error states the problem and the correction.
    pub(crate) fn check(&self) -> Result<(), String> {
        match self.kind {
            Kind::Exponential { factor, .. } | Kind::Decorrelated { factor, .. } if factor.is_nan() => {
                Err("the schedule's factor is NaN: give a number of 1 or more, such as factor(2.0)".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Returns whether the pauses become zero from some point on. A custom schedule cannot be checked.
    fn ends_up_without_pauses(&self) -> bool {
        self.longest.is_zero()
            || match &self.kind {
                Kind::Exponential { first: pause, .. } | Kind::Constant(pause) => pause.is_zero(),
                Kind::Steps(steps) => steps.list().last().is_some_and(std::time::Duration::is_zero),
                Kind::Decorrelated { base, factor } => base.is_zero() || *factor <= 1.0,
                Kind::Custom(_) => false,
            }
    }
}

impl EnvelopeRule {
    /// Checks the rule. The error states the problem and the correction.
    pub(crate) fn check(&self) -> Result<(), String> {
        let Self { reads_as, at, .. } = self;
        if !(400..=599).contains(reads_as) {
            return Err(format!(
                "the envelope rule at `{at}`: `reads_as` is {reads_as}, and must be 400 to 599: 429 for throttled, 401 \
                 for a token that is not accepted, 400 for a wrong request, 500 for a failure that may pass"
            ));
        }
        match self.status {
            Some(status) if !(100..=599).contains(&status) => Err(format!(
                "the envelope rule at `{at}`: `status` is {status}, which no answer has: give one of 100 to 599, or leave \
                 it out"
            )),
            _ => Ok(()),
        }
    }
}

/// The most that a test may want.
const MOST_AT_ONCE: u32 = 100;
