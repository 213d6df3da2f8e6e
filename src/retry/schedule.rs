//! Schedule: a sequence of pauses.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Delays;
use crate::clock::FAR;

/// A sequence of pauses, as a value. A schedule serves between the attempts of a request, or between the polls of a
/// task ([`PollPolicy::schedule`](crate::PollPolicy::schedule)).
///
/// ```
/// use std::time::Duration;
/// use longhaul::retries::Schedule;
///
/// let schedule = Schedule::exponential(Duration::from_secs(1), Duration::from_secs(30));
/// let pauses: Vec<Duration> = schedule.delays(7).take(8).collect();
/// assert!(pauses.iter().all(|pause| *pause <= Duration::from_secs(30)));
/// assert_eq!(pauses, schedule.delays(7).take(8).collect::<Vec<_>>()); // the same seed, the same pauses
///
/// let exact: Vec<u64> = schedule.without_jitter().delays(0).take(6).map(|pause| pause.as_secs()).collect();
/// assert_eq!(exact, [1, 2, 4, 8, 16, 30]);
/// ```
///
/// Jitter draws each pause anew, so that clients which failed together do not return together. Exponential pauses have
/// equal jitter by default. Constant pauses, steps and the ladder have none, because a service that names its pauses
/// means them as the shortest. No jitter exceeds [`longest`](Schedule::longest), and no pause is longer than 30 years.
///
/// # As data
/// A schedule is one line of TOML or JSON, with times in seconds. One of the first four members determines its kind;
/// without any of them the schedule is exponential from 1 second. `longest` is 30 seconds by default for exponential
/// and decorrelated pauses.
///
/// | member | meaning |
/// | --- | --- |
/// | `first = 1` | [exponential](Schedule::exponential) pauses, starting at this value |
/// | `constant = 5` | [the same pause](Schedule::constant) each time |
/// | `steps = [3, 9, 27]` | [these pauses](Schedule::steps); the last one repeats |
/// | `decorrelated = 1` | [decorrelated jitter](Schedule::decorrelated) around this base |
/// | `factor = 2` | the growth factor of exponential and decorrelated pauses |
/// | `jitter = "equal"` | `none`, `equal` or `full`; not with `decorrelated` |
/// | `longest = 30` | the hard maximum |
///
/// ```
/// # use std::time::Duration;
/// # use longhaul::retries::Schedule;
/// let schedule: Schedule = serde_json::from_str(r#"{"steps": [3, 9, 27], "jitter": "full", "longest": 20}"#)?;
/// let steps = Schedule::steps([3, 9, 27].map(Duration::from_secs));
/// assert_eq!(schedule, steps.full_jitter().longest(Duration::from_secs(20)));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    pub(super) kind: Kind,
    pub(super) jitter: Jitter,
    pub(super) longest: Duration,
}

/// How one pause follows from another.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Exponential { first: Duration, factor: f64 },
    Constant(Duration),
    Steps(Steps),
    Decorrelated { base: Duration, factor: f64 },
    Custom(Custom),
}

/// The part of a step that is drawn at random.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", try_from = "String")]
pub(super) enum Jitter {
    /// No part.
    None,
    /// The upper half.
    Equal,
    /// All of the step.
    Full,
}

#[derive(Clone, Debug)]
pub(super) enum Steps {
    Fixed(&'static [Duration]),
    Given(Arc<[Duration]>),
}

#[derive(Clone)]
pub(super) struct Custom(Arc<Make>);

type Make = dyn Fn(u64) -> Given + Send + Sync;

/// The iterator of a custom schedule.
pub(super) type Given = Box<dyn Iterator<Item = Duration> + Send>;

impl Schedule {
    /// Creates the default schedule: from 1 second to 30 seconds, doubled each time, with equal jitter.
    #[must_use]
    pub const fn standard() -> Self {
        Self::exponential(Duration::from_secs(1), Duration::from_secs(30))
    }

    /// Creates pauses from `first` on, doubled up to `longest`, with equal jitter.
    #[must_use]
    pub const fn exponential(first: Duration, longest: Duration) -> Self {
        let kind = Kind::Exponential { first, factor: FACTOR };
        Self { kind, jitter: Jitter::Equal, longest: FAR }.longest(longest)
    }

    /// Creates the same pause each time.
    #[must_use]
    pub const fn constant(pause: Duration) -> Self {
        Self { kind: Kind::Constant(pause), jitter: Jitter::None, longest: FAR }
    }

    /// Creates these pauses; the last one repeats. A schedule without steps has no pause, and so allows no retry.
    #[must_use]
    pub fn steps(steps: impl IntoIterator<Item = Duration>) -> Self {
        let steps = Steps::Given(steps.into_iter().collect());
        Self { kind: Kind::Steps(steps), jitter: Jitter::None, longest: FAR }
    }

    /// Creates pauses of 3, 9 and 27 seconds, then 5 and 10 minutes; the 10 minutes repeat. The ladder suits unattended
    /// work. Genesys asks its clients for these steps.
    ///
    /// ```
    /// # use longhaul::retries::Schedule;
    /// let ladder: Vec<u64> = Schedule::ladder().delays(0).take(6).map(|pause| pause.as_secs()).collect();
    /// assert_eq!(ladder, [3, 9, 27, 300, 600, 600]);
    /// ```
    #[must_use]
    pub const fn ladder() -> Self {
        Self { kind: Kind::Steps(Steps::Fixed(&LADDER)), jitter: Jitter::None, longest: FAR }
    }

    /// Creates pauses with decorrelated jitter, after the second version of Polly. The moments of the attempts are
    /// drawn, rather than the pauses, so that many clients spread evenly from the first retry on. The medians of the
    /// pauses are near 0.9, 1.1, 2, 4 and 8 times `base`, and continue to double.
    ///
    /// With t = attempt + U\[0, 1) and next = 2^t tanh(√(4 t)), a pause is (next - previous) base / 1.4. The pause is
    /// random as a whole: the methods for jitter have no effect. A [`factor`](Schedule::factor) of 1 lets the pauses
    /// shrink to nothing.
    ///
    /// Source: `RetryHelper.DecorrelatedJitterBackoffV2` of Polly; the formula is by George Polevoy.
    #[must_use]
    pub const fn decorrelated(base: Duration, longest: Duration) -> Self {
        let kind = Kind::Decorrelated { base, factor: FACTOR };
        Self { kind, jitter: Jitter::Equal, longest: FAR }.longest(longest)
    }

    /// Creates a schedule from your own delays. `make` is called with a seed for each request, and for each task that
    /// is paced. When its iterator ends, retries end.
    ///
    /// The schedule is code: serializing it is an error, and only its own clones equal it.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use longhaul::retries::Schedule;
    /// let twice = Schedule::custom(|_seed| [1, 5].into_iter().map(Duration::from_secs));
    /// assert_eq!(twice.delays(0).count(), 2);
    /// assert!(serde_json::to_string(&twice).is_err());
    /// ```
    #[must_use]
    pub fn custom<F, I>(make: F) -> Self
    where
        F: Fn(u64) -> I + Send + Sync + 'static,
        I: Iterator<Item = Duration> + Send + 'static,
    {
        let custom = Custom(Arc::new(move |seed| Box::new(make(seed))));
        Self { kind: Kind::Custom(custom), jitter: Jitter::None, longest: FAR }
    }

    /// Sets the growth factor of exponential and decorrelated pauses: 2 by default. Less than 1 counts as 1; NaN is an
    /// error of [`ClientBuilder::build`](crate::ClientBuilder::build).
    #[must_use]
    pub const fn factor(mut self, wanted: f64) -> Self {
        if let Kind::Exponential { factor, .. } | Kind::Decorrelated { factor, .. } = &mut self.kind {
            *factor = if wanted.is_nan() { wanted } else { wanted.max(1.0).min(f64::MAX) };
        }
        self
    }

    /// Sets the hard maximum of each pause, which jitter cannot exceed. If a service asks for a longer wait, that wait
    /// is kept.
    #[must_use]
    pub const fn longest(mut self, longest: Duration) -> Self {
        self.longest = if longest.as_secs() < FAR.as_secs() { longest } else { FAR };
        self
    }

    /// Draws half of each pause at random; the other half is fixed.
    #[must_use]
    pub const fn equal_jitter(mut self) -> Self {
        self.jitter = Jitter::Equal;
        self
    }

    /// Draws each pause from zero to the whole step: the widest spread, and the smallest total wait.
    #[must_use]
    pub const fn full_jitter(mut self) -> Self {
        self.jitter = Jitter::Full;
        self
    }

    /// Makes each pause exactly its step: for tests, and for services that mean their pauses as the shortest.
    #[must_use]
    pub const fn without_jitter(mut self) -> Self {
        self.jitter = Jitter::None;
        self
    }

    /// Returns the pauses, drawn with this seed.
    pub fn delays(&self, seed: u64) -> Delays {
        Delays::new(self.clone(), seed)
    }
}

impl Default for Schedule {
    fn default() -> Self {
        Self::standard()
    }
}

impl TryFrom<String> for Jitter {
    type Error = String;

    fn try_from(word: String) -> Result<Self, String> {
        match &*word {
            "none" => Ok(Self::None),
            "equal" => Ok(Self::Equal),
            "full" => Ok(Self::Full),
            _ => Err(format!("`jitter` is `{word}`: give `none`, `equal` or `full`")),
        }
    }
}

impl Steps {
    pub(super) fn list(&self) -> &[Duration] {
        match self {
            Self::Fixed(steps) => steps,
            Self::Given(steps) => steps,
        }
    }
}

impl PartialEq for Steps {
    fn eq(&self, other: &Self) -> bool {
        self.list() == other.list()
    }
}

impl Custom {
    pub(super) fn make(&self, seed: u64) -> Given {
        (self.0)(seed)
    }
}

impl PartialEq for Custom {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::addr_eq(Arc::as_ptr(&self.0), Arc::as_ptr(&other.0))
    }
}

impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Custom")
    }
}

/// The default growth factor.
const FACTOR: f64 = 2.0;
const LADDER: [Duration; 5] = [
    Duration::from_secs(3),
    Duration::from_secs(9),
    Duration::from_secs(27),
    Duration::from_secs(300),
    Duration::from_secs(600),
];
