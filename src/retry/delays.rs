//! Delays: a schedule in progress.

use std::fmt;
use std::iter::FusedIterator;
use std::time::Duration;

use super::Schedule;
use super::schedule::{Given, Jitter, Kind};

/// The pauses of a [`Schedule`], one after the other, as returned by [`Schedule::delays`].
///
/// When the iterator ends, retries end. Only a [custom](Schedule::custom) schedule, and a schedule without steps, ends.
///
/// ```
/// use std::time::Duration;
/// use longhaul::retries::Schedule;
///
/// let mut pauses = Schedule::constant(Duration::from_secs(5)).delays(1);
/// assert_eq!(pauses.next(), Some(Duration::from_secs(5)));
/// ```
#[must_use = "the pauses are only listed, without a wait"]
pub struct Delays {
    schedule: Schedule,
    seed: u64,
    chance: fastrand::Rng,
    /// The number of pauses before the next.
    attempt: u32,
    /// The previous moment of decorrelated jitter.
    previous: f64,
    /// The iterator of a custom schedule, until it ends.
    given: Option<Given>,
}

impl Delays {
    pub(super) fn new(schedule: Schedule, seed: u64) -> Self {
        let given = match &schedule.kind {
            Kind::Custom(custom) => Some(custom.make(seed)),
            _ => None,
        };
        Self { schedule, seed, chance: fastrand::Rng::with_seed(seed), attempt: 0, previous: 0.0, given }
    }

    /// Restarts from the first pause, with the same seed.
    #[cfg(feature = "backoff")]
    pub(super) fn restart(&mut self) {
        *self = Self::new(self.schedule.clone(), self.seed);
    }

    fn spread(&mut self, step: Duration) -> Duration {
        match self.schedule.jitter {
            Jitter::None => step,
            Jitter::Equal => times(step, 0.5 + 0.5 * self.chance.f64()),
            Jitter::Full => times(step, self.chance.f64()),
        }
    }
}

impl Iterator for Delays {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let attempt = self.attempt;
        self.attempt = attempt.saturating_add(1);
        let longest = self.schedule.longest;
        let step = match &self.schedule.kind {
            Kind::Custom(_) => {
                let given = self.given.as_mut()?.next();
                if given.is_none() {
                    self.given = None;
                }
                return given.map(|pause| pause.min(longest));
            }
            Kind::Decorrelated { base, factor } => {
                let moment = moment(attempt, self.chance.f64(), factor.max(1.0));
                let pause = decorrelated(moment, self.previous, *base);
                self.previous = moment;
                return Some(pause.min(longest));
            }
            Kind::Exponential { first, factor } => times(*first, factor.max(1.0).powf(f64::from(attempt))),
            Kind::Constant(pause) => *pause,
            Kind::Steps(steps) => {
                let list = steps.list();
                let at = usize::try_from(attempt).unwrap_or(usize::MAX);
                list.get(at).or(list.last()).copied()?
            }
        };
        Some(self.spread(step.min(longest)).min(longest))
    }
}

impl FusedIterator for Delays {}

impl fmt::Debug for Delays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delays")
            .field("schedule", &self.schedule)
            .field("seed", &self.seed)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

/// Returns the moment of an attempt with decorrelated jitter, in units of the base. `chance` is drawn from 0 to 1.
fn moment(attempt: u32, chance: f64, factor: f64) -> f64 {
    let t = f64::from(attempt) + chance;
    factor.powf(t) * (4.0 * t).sqrt().tanh()
}

/// Returns the pause between two moments. Two infinite moments have no difference; the pause is then the longest
/// possible.
fn decorrelated(moment: f64, previous: f64, base: Duration) -> Duration {
    times(base, (moment - previous) / 1.4)
}

/// Returns a multiple of a duration, clamped to zero and to the longest possible duration.
fn times(duration: Duration, factor: f64) -> Duration {
    if duration.is_zero() || factor <= 0.0 {
        return Duration::ZERO;
    }
    Duration::try_from_secs_f64(duration.as_secs_f64() * factor).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn exact(schedule: &Schedule, count: usize) -> Vec<f64> {
        schedule.delays(0).take(count).map(|pause| pause.as_secs_f64()).collect()
    }

    #[test]
    fn without_jitter_each_kind_gives_its_steps() {
        let exponential = Schedule::exponential(secs(1), secs(5)).without_jitter();
        for (schedule, steps) in [
            (exponential.clone(), vec![1.0, 2.0, 4.0, 5.0, 5.0]),
            (exponential.clone().factor(1.5), vec![1.0, 1.5, 2.25, 3.375, 5.0]),
            (exponential.clone().factor(1.0), vec![1.0; 5]),
            (exponential.clone().factor(0.5), vec![1.0; 5]),
            (exponential.clone().factor(f64::NAN), vec![1.0; 5]),
            (exponential.clone().factor(f64::INFINITY), vec![1.0, 5.0, 5.0]),
            (exponential.longest(secs(3)), vec![1.0, 2.0, 3.0, 3.0]),
            (Schedule::exponential(Duration::ZERO, secs(5)), vec![0.0; 5]),
            (Schedule::constant(secs(7)), vec![7.0; 5]),
            (Schedule::constant(secs(7)).longest(secs(6)), vec![6.0; 5]),
            (Schedule::steps([secs(2), secs(9), secs(4)]), vec![2.0, 9.0, 4.0, 4.0, 4.0]),
            (Schedule::steps([secs(2), secs(9), secs(4)]).longest(secs(3)), vec![2.0, 3.0, 3.0, 3.0]),
            (Schedule::ladder(), vec![3.0, 9.0, 27.0, 300.0, 600.0, 600.0, 600.0]),
            (Schedule::ladder().longest(secs(30)), vec![3.0, 9.0, 27.0, 30.0, 30.0]),
        ] {
            assert_eq!(exact(&schedule, steps.len()), steps, "{schedule:?}");
        }
    }

    #[test]
    fn jitter_stays_within_its_step_and_below_the_longest() {
        let exponential = Schedule::exponential(secs(1), secs(5));
        let steps = Schedule::steps([1, 2, 4, 8].map(secs)).longest(secs(5));
        for (schedule, lowest) in [
            (exponential.clone(), 0.5),
            (exponential.full_jitter(), 0.0),
            (steps.clone().equal_jitter(), 0.5),
            (steps.full_jitter(), 0.0),
        ] {
            let mut spread = (1.0_f64, 0.0_f64);
            for seed in 0..200 {
                for (pause, step) in schedule.delays(seed).zip([1.0, 2.0, 4.0, 5.0, 5.0, 5.0]) {
                    let part = pause.as_secs_f64() / step;
                    assert!(part >= lowest && part <= 1.0, "{pause:?} for a step of {step}: {schedule:?}");
                    spread = (spread.0.min(part), spread.1.max(part));
                }
            }
            // The whole range is used.
            assert!(spread.0 < lowest + 0.01 && spread.1 > 0.99, "{spread:?}: {schedule:?}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_pauses_and_another_gives_others() {
        for schedule in [
            Schedule::standard(),
            Schedule::standard().full_jitter(),
            Schedule::decorrelated(secs(1), secs(60)),
            Schedule::custom(|seed| (0..).map(move |step| secs(seed + step))),
        ] {
            let drawn = |seed| schedule.delays(seed).take(9).collect::<Vec<_>>();
            assert_eq!(drawn(3), drawn(3), "{schedule:?}");
            assert_ne!(drawn(3), drawn(4), "{schedule:?}");
        }
    }

    #[test]
    fn decorrelated_jitter_follows_the_formula_for_draws_that_are_given() {
        // Computed independently of this code, from the formula in the documentation of `Schedule::decorrelated`.
        let cases: [(f64, f64, &[f64], &[f64]); 5] = [
            (2.0, 1.0, &[0.0; 6], &[0.0, 1.377_182_257, 1.460_067_301, 2.865_849_862, 5.717_806_862, 11.430_272_441]),
            (2.0, 1.0, &[0.5; 5], &[0.897_404_936, 1.093_003_547, 2.035_747_963, 4.045_979_423, 8.083_631_610]),
            (
                2.0,
                1.0,
                &[0.999, 0.0, 0.25, 0.75, 0.1],
                &[1.376_127_016, 0.001_055_242, 2.003_749_722, 6.221_003_818, 2.639_465_438],
            ),
            (3.0, 2.0, &[0.5, 0.1, 0.9, 0.3], &[2.198_184_185, 2.443_196_067, 29.841_020_145, 19.072_012_289]),
            (1.5, 10.0, &[0.2, 0.8, 0.4, 0.6], &[5.527_502_468, 9.154_312_842, 4.142_645_504, 11.891_295_065]),
        ];
        for (factor, base, draws, pauses) in cases {
            let mut previous = 0.0;
            for ((attempt, draw), expected) in (0..).zip(draws).zip(pauses) {
                let moment = moment(attempt, *draw, factor);
                let pause = decorrelated(moment, previous, Duration::from_secs_f64(base)).as_secs_f64();
                previous = moment;
                assert!((pause - expected).abs() < 3e-9, "{pause} for {expected}: attempt {attempt}, {factor}");
            }
        }
    }

    #[test]
    fn decorrelated_pauses_have_the_mean_of_the_formula() {
        const SEEDS: u32 = 4000;
        let schedule = Schedule::decorrelated(secs(1), secs(3600));
        // The mean by integration over both draws, and the standard deviation of one pause.
        for (attempt, mean, deviation) in
            [(0, 0.8711, 0.313), (1, 1.1581, 0.523), (2, 2.0779, 0.923), (3, 4.1276, 1.841), (4, 8.2464, 3.673)]
        {
            let drawn = (0..u64::from(SEEDS)).filter_map(|seed| schedule.delays(seed).nth(attempt));
            let found = drawn.map(|pause| pause.as_secs_f64()).sum::<f64>() / f64::from(SEEDS);
            let bound = 5.0 * deviation / f64::from(SEEDS).sqrt();
            assert!((found - mean).abs() < bound, "attempt {attempt}: {found}, not {mean} ± {bound}");
        }
        let longest = secs(2);
        let bounded = schedule.longest(longest);
        assert!((0..200).flat_map(|seed| bounded.delays(seed).take(12)).all(|pause| pause <= longest));
    }

    #[test]
    fn a_custom_schedule_ends_where_its_iterator_ends_and_does_not_begin_again() {
        let schedule = Schedule::custom(|_| {
            let mut told = 0;
            std::iter::from_fn(move || {
                told += 1;
                (told != 3).then(|| secs(told))
            })
        });
        let mut pauses = schedule.clone().longest(Duration::from_millis(1500)).delays(0);
        assert_eq!(pauses.by_ref().collect::<Vec<_>>(), [secs(1), Duration::from_millis(1500)]);
        assert_eq!(pauses.next(), None);
        assert_eq!(Schedule::steps([]).delays(0).next(), None);
        assert_eq!(schedule, schedule.clone());
        assert_ne!(Schedule::custom(|_| std::iter::empty()), Schedule::custom(|_| std::iter::empty()));
        assert!(format!("{schedule:?} {pauses:?}").contains("Custom"));
    }

    #[test]
    fn no_value_makes_the_arithmetic_panic_or_pass_thirty_years() {
        let times = [Duration::ZERO, Duration::from_nanos(1), secs(1), Duration::MAX];
        let factors = [f64::NAN, f64::NEG_INFINITY, -1.0, 0.0, 0.5, 1.0, 2.0, 1e300, f64::MAX, f64::INFINITY];
        for first in times {
            for longest in times {
                for factor in factors {
                    for schedule in [
                        Schedule::exponential(first, longest).factor(factor),
                        Schedule::exponential(first, longest).factor(factor).full_jitter(),
                        Schedule::decorrelated(first, longest).factor(factor),
                        Schedule::constant(first).equal_jitter(),
                        Schedule::steps([first]).longest(longest),
                        Schedule::custom(move |_| std::iter::repeat(first)),
                    ] {
                        let mut pauses = schedule.delays(1);
                        for attempt in [0, 1, 2, 1023, 1024, 10_000, u32::MAX - 1] {
                            pauses.attempt = attempt;
                            let far = pauses.by_ref().take(3).fold(Duration::ZERO, Duration::max);
                            assert!(far <= schedule.longest && far <= secs(946_080_000), "{far:?}: {schedule:?}");
                        }
                    }
                }
            }
        }
        // Constructed directly, because the setter clamps factors.
        for factor in factors {
            for attempt in [0, 1, 10_000, u32::MAX] {
                let moment = moment(attempt, 0.5, factor);
                decorrelated(moment, f64::INFINITY, Duration::MAX);
                decorrelated(moment, f64::NAN, secs(1));
            }
        }
        let late = Schedule::decorrelated(secs(1), secs(600)).delays(1).nth(10_000);
        assert_eq!(late, Some(secs(600)));
        assert_eq!(Schedule::standard().without_jitter().delays(1).nth(10_000), Some(secs(30)));
    }
}
