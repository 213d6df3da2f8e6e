//! Permit cost: nanoseconds for one permit where nothing waits, by one thread and by two that contend.

mod take;

use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

use crate::budget::Budget;
use crate::report::{Report, Row, Unit};
use crate::subjects::{Chained, Governor, LeakyBucket, Tower, TwoPhase};
use crate::{Failure, Length};

use take::{Acquire, AtOnce, ReadClock, Take};

pub(crate) fn run(report: &mut Report, length: Length) -> Result<(), Failure> {
    let rounds = length.pick(7, 31);
    for (windows, budget) in [("one window", one()), ("three windows", three())] {
        for (threads, runtime) in [
            ("one thread", Builder::new_current_thread().enable_time().build()?),
            ("two threads", Builder::new_multi_thread().worker_threads(2).enable_time().build()?),
        ] {
            let callers = if threads == "one thread" { 1 } else { 2 };
            let subjects = subjects(&runtime, callers, &budget)?;
            let mut costs = vec![Vec::new(); subjects.len()];
            for _ in 0..rounds {
                for (subject, costs) in subjects.iter().zip(&mut costs) {
                    costs.push((subject.spin)(&runtime)?);
                }
            }
            let row = |(subject, costs): (&Subject, _)| {
                Row::new(&subject.name).rounds("ns per permit", Unit::Nanoseconds, costs)
            };
            let rows: Vec<_> = subjects.iter().zip(costs).map(row).collect();
            report.table(&format!("{windows}, {threads}"), &format!("min / median of {rounds} rounds"), &rows)?;
        }
    }
    Ok(())
}

/// So many that nothing waits.
fn one() -> Budget {
    Budget::per(PLENTY, Duration::from_secs(1))
}

fn three() -> Budget {
    one().and(PLENTY, Duration::from_secs(2)).and(PLENTY, Duration::from_secs(3))
}

/// As many windows, so short that none of them binds, with so few slots that each is kept for itself.
fn slots(budget: &Budget) -> Budget {
    budget
        .windows()
        .iter()
        .fold(Budget::none(), |slots, window| slots.and(4_096, Duration::from_micros(99 + window.length.as_secs())))
}

const PLENTY: u32 = 500_000_000;

struct Subject {
    name: String,
    spin: Spin,
}

fn subjects(runtime: &Runtime, callers: usize, budget: &Budget) -> Result<Vec<Subject>, Failure> {
    // Tower's worker starts where it is built.
    let _context = runtime.enter();
    let mut subjects = Vec::new();
    let mut add = |name: &str, spin| subjects.push(Subject { name: name.to_owned(), spin });
    let slots = slots(budget);
    add(
        "(two phases alone: two locks, two looks at the clock)",
        spin(callers, AtOnce(Arc::new(TwoPhase::new(&slots)))),
    );
    #[cfg(feature = "longhaul")]
    own::add(&mut add, callers, budget, &slots)?;
    match budget.single() {
        Some(window) => {
            let governor = Arc::new(Governor::new(window));
            add("governor check", spin(callers, AtOnce(governor.clone())));
            add("governor until_ready", spin(callers, Acquire(governor)));
            let bucket = Arc::new(LeakyBucket::new(window));
            add("leaky-bucket try_acquire", spin(callers, AtOnce(bucket.clone())));
            add("leaky-bucket acquire_one, fair", spin(callers, Acquire(bucket)));
            add("leaky-bucket acquire_one, unfair", spin(callers, Acquire(Arc::new(LeakyBucket::unfair(window)))));
        }
        None => {
            let governor = Arc::new(Chained::new(budget, Governor::new));
            add("governor check, three chained, not atomic", spin(callers, AtOnce(governor.clone())));
            add("governor until_ready, three chained, not atomic", spin(callers, Acquire(governor)));
            let bucket = Arc::new(Chained::new(budget, LeakyBucket::new));
            add("leaky-bucket acquire_one, fair, three chained, not atomic", spin(callers, Acquire(bucket)));
        }
    }
    add("tower Buffer(RateLimit), ready and call", spin(callers, Tower::new(budget)));
    add("(std Instant::now)", spin(callers, ReadClock));
    Ok(subjects)
}

/// The rows of longhaul: up to 4,096 slots it keeps each one, above that it counts in buckets.
#[cfg(feature = "longhaul")]
mod own {
    use std::sync::Arc;

    use longhaul::limits::Anchor;

    use super::take::{Acquire, AtOnce};
    use super::{Failure, Spin, spin};
    use crate::budget::Budget;
    use crate::subjects::Longhaul;

    pub(super) fn add(
        add: &mut impl FnMut(&str, Spin),
        callers: usize,
        budget: &Budget,
        slots: &Budget,
    ) -> Result<(), Failure> {
        for (kind, budget) in [("slots", slots), ("buckets", budget)] {
            for (anchored, anchor) in [("", Anchor::Response), (", Anchor::Send", Anchor::Send)] {
                let throttle = Arc::new(Longhaul::new(budget, anchor)?);
                add(
                    &format!("longhaul try_acquire + sent + answered, {kind}{anchored}"),
                    spin(callers, AtOnce(throttle.clone())),
                );
                add(&format!("longhaul acquire + sent + answered, {kind}{anchored}"), spin(callers, Acquire(throttle)));
            }
        }
        Ok(())
    }
}

/// A round: gives ns per permit.
type Spin = Box<dyn Fn(&Runtime) -> Result<f64, Failure>>;

/// Lets so many tasks take permits for a while, each on a thread of its own, and gives the mean cost that they saw.
fn spin(callers: usize, subject: impl Take) -> Spin {
    Box::new(move |runtime| {
        let start = Arc::new(Barrier::new(callers));
        let tasks: Vec<_> = (0..callers)
            .map(|_| {
                let (mut subject, start) = (subject.clone(), start.clone());
                runtime.spawn(async move {
                    start.wait();
                    span(&mut subject).await
                })
            })
            .collect();
        runtime.block_on(async {
            let mut sum = 0.0;
            for task in tasks {
                sum += task.await?;
            }
            Ok(sum / callers as f64)
        })
    })
}

async fn span(subject: &mut impl Take) -> f64 {
    let (begun, mut taken) = (Instant::now(), 0_u32);
    while begun.elapsed() < SPAN {
        for _ in 0..BATCH {
            subject.take().await;
        }
        taken += BATCH;
    }
    begun.elapsed().as_secs_f64() * 1e9 / f64::from(taken)
}

const SPAN: Duration = Duration::from_millis(40);

const BATCH: u32 = 1_000;
