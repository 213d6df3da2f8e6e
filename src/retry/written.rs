//! Written: a schedule as flat data, so that it fits one line of TOML.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use super::Schedule;
use super::schedule::{Jitter, Kind};
use crate::clock::FAR;
use crate::clock::seconds;

#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct WrittenSchedule {
    #[serde(with = "seconds::option", skip_serializing_if = "Option::is_none")]
    first: Option<Duration>,
    #[serde(with = "seconds::option", skip_serializing_if = "Option::is_none")]
    constant: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    steps: Option<Vec<WrittenStep>>,
    #[serde(with = "seconds::option", skip_serializing_if = "Option::is_none")]
    decorrelated: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    factor: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jitter: Option<Jitter>,
    #[serde(with = "seconds::option", skip_serializing_if = "Option::is_none")]
    longest: Option<Duration>,
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct WrittenStep(#[serde(with = "seconds")] Duration);

impl WrittenSchedule {
    fn of(schedule: &Schedule) -> Result<Self, &'static str> {
        let longest = Some(schedule.longest);
        let jitter = Some(schedule.jitter);
        // Without jitter and a maximum, the defaults of these kinds, the data is shorter.
        let short = Self {
            jitter: jitter.filter(|jitter| *jitter != Jitter::None),
            longest: longest.filter(|longest| *longest != FAR),
            ..Self::default()
        };
        Ok(match &schedule.kind {
            Kind::Exponential { first, factor } => {
                Self { first: Some(*first), factor: Some(*factor), jitter, longest, ..Self::default() }
            }
            Kind::Decorrelated { base, factor } => {
                Self { decorrelated: Some(*base), factor: Some(*factor), longest, ..Self::default() }
            }
            Kind::Constant(pause) => Self { constant: Some(*pause), ..short },
            Kind::Steps(steps) if steps.list().is_empty() => return Err(NO_STEPS),
            Kind::Steps(steps) => {
                Self { steps: Some(steps.list().iter().copied().map(WrittenStep).collect()), ..short }
            }
            Kind::Custom(_) => return Err(CUSTOM),
        })
    }

    fn read(self) -> Result<Schedule, String> {
        let Self { first, constant, steps, decorrelated, factor, jitter, longest } = self;
        let kinds = [
            ("first", first.is_some()),
            ("constant", constant.is_some()),
            ("steps", steps.is_some()),
            ("decorrelated", decorrelated.is_some()),
        ];
        let named: Vec<&str> = kinds.into_iter().filter(|(_, is_given)| *is_given).map(|(name, _)| name).collect();
        if named.len() > 1 {
            return Err(format!("a schedule is of one kind: keep one of `{}`", named.join("` and `")));
        }
        let grows = constant.is_none() && steps.is_none();
        if factor.is_some() && !grows {
            return Err("`factor` goes with `first` or `decorrelated`: leave it out".into());
        }
        if let Some(factor) = factor.filter(|factor| !(factor.is_finite() && *factor >= 1.0)) {
            return Err(format!("`factor` is {factor}: give a number of 1 or more"));
        }
        if decorrelated.is_some() && jitter.is_some() {
            return Err("`decorrelated` is jitter by itself: leave `jitter` out".into());
        }
        if steps.as_ref().is_some_and(Vec::is_empty) {
            return Err(NO_STEPS.into());
        }
        // A first pause that is longer than the default maximum is intended.
        let standard = |first: Duration| first.max(Duration::from_secs(30));
        let mut schedule = match (constant, steps, decorrelated) {
            (Some(pause), _, _) => Schedule::constant(pause),
            (_, Some(steps), _) => Schedule::steps(steps.into_iter().map(|WrittenStep(step)| step)),
            (_, _, Some(base)) => Schedule::decorrelated(base, standard(base)),
            (None, None, None) => {
                let first = first.unwrap_or(Duration::from_secs(1));
                Schedule::exponential(first, standard(first))
            }
        };
        if let Some(factor) = factor {
            schedule = schedule.factor(factor);
        }
        if let Some(longest) = longest {
            schedule = schedule.longest(longest);
        }
        schedule.jitter = jitter.unwrap_or(schedule.jitter);
        Ok(schedule)
    }
}

impl Serialize for Schedule {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        WrittenSchedule::of(self).map_err(ser::Error::custom)?.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Schedule {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        WrittenSchedule::deserialize(from)?.read().map_err(de::Error::custom)
    }
}

const CUSTOM: &str = "a custom schedule is code and cannot be written down: \
                      set it in the program, and another kind in the data";
const NO_STEPS: &str = "`steps` is empty: give one pause at least, or set `retries = 0`";

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn each_kind_survives_json_and_toml() {
        for (schedule, json) in [
            (Schedule::standard(), r#"{"first":1,"factor":2.0,"jitter":"equal","longest":30}"#),
            (
                Schedule::exponential(secs(9), secs(5)).factor(1.5).full_jitter(),
                r#"{"first":9,"factor":1.5,"jitter":"full","longest":5}"#,
            ),
            (Schedule::constant(Duration::from_millis(1500)), r#"{"constant":1.5}"#),
            (Schedule::constant(secs(5)).equal_jitter(), r#"{"constant":5,"jitter":"equal"}"#),
            (Schedule::ladder(), r#"{"steps":[3,9,27,300,600]}"#),
            (Schedule::steps([secs(3)]).longest(secs(2)), r#"{"steps":[3],"longest":2}"#),
            (Schedule::decorrelated(secs(1), secs(60)), r#"{"decorrelated":1,"factor":2.0,"longest":60}"#),
            (
                Schedule::exponential(Duration::MAX, Duration::MAX).factor(f64::INFINITY).without_jitter(),
                r#"{"first":1.8446744073709552e+19,"factor":1.7976931348623157e+308,"jitter":"none","longest":946080000}"#,
            ),
        ] {
            assert_eq!(serde_json::to_string(&schedule).unwrap(), json);
            assert_eq!(serde_json::from_str::<Schedule>(json).unwrap(), schedule, "{json}");
            let toml = toml::to_string(&schedule).unwrap();
            assert_eq!(toml::from_str::<Schedule>(&toml).unwrap(), schedule, "{toml}");
        }
    }

    #[test]
    fn what_is_left_out_is_as_by_default() {
        for (toml, schedule) in [
            ("", Schedule::standard()),
            ("longest = 60", Schedule::exponential(secs(1), secs(60))),
            ("first = 90", Schedule::exponential(secs(90), secs(90))),
            ("first = 2", Schedule::exponential(secs(2), secs(30))),
            ("factor = 3", Schedule::standard().factor(3.0)),
            ("jitter = \"none\"", Schedule::standard().without_jitter()),
            ("decorrelated = 0.5", Schedule::decorrelated(Duration::from_millis(500), secs(30))),
        ] {
            assert_eq!(toml::from_str::<Schedule>(toml).unwrap(), schedule, "{toml}");
        }
    }

    #[test]
    fn wrong_values_say_what_to_do() {
        for (toml, advice) in [
            ("first = 1\nsteps = [1]", "keep one of `first` and `steps`"),
            ("steps = []", "give one pause at least"),
            ("factor = 0.5", "give a number of 1 or more"),
            ("factor = nan", "give a number of 1 or more"),
            ("factor = inf", "give a number of 1 or more"),
            ("constant = 1\nfactor = 2", "leave it out"),
            ("decorrelated = 1\njitter = \"full\"", "leave `jitter` out"),
            ("jitter = true", "expected a string"),
            ("jitter = \"some\"", "give `none`, `equal` or `full`"),
            ("first = -1", "is no number of seconds"),
            ("fist = 1", "unknown field `fist`"),
        ] {
            let error = toml::from_str::<Schedule>(toml).unwrap_err().to_string();
            assert!(error.contains(advice), "{toml}: {error}");
        }
    }

    #[test]
    fn what_cannot_be_written_down_says_so() {
        let custom = Schedule::custom(|_| std::iter::empty());
        let error = serde_json::to_string(&custom).unwrap_err().to_string();
        assert!(error.contains("is code and cannot be written down"), "{error}");
        assert!(serde_json::to_string(&Schedule::steps([])).is_err());
    }
}
