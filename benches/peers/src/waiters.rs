//! Waiters: what many that wait at once cost, on one thread, and in which order they come through.

mod course;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Builder;

use crate::budget::Window;
use crate::report::{Report, Row, Unit};
use crate::subject::Limiter;
use crate::subjects::{Gate, Governor, Jittered, LeakyBucket, TokenBucket};
use crate::{Failure, Length, cpu, heap};

use course::Course;

pub(crate) fn run(report: &mut Report, length: Length) -> Result<(), Failure> {
    let rounds = length.pick(2, 5);
    measure(report, SMALL, rounds, &small())?;
    measure(report, LARGE, rounds, &large())?;
    if length == Length::Long {
        measure(report, HUGE, rounds, &large())?;
    }
    Ok(())
}

/// So many waiters at once at so many in each tenth of a second: nearly all of them really wait.
#[derive(Clone, Copy)]
struct Load {
    waiters: usize,
    window: Window,
}

impl Load {
    const fn new(waiters: usize, each_second: u32) -> Self {
        Self { waiters, window: Window { count: each_second / 10, length: Duration::from_millis(100) } }
    }

    /// The first window's count goes at once.
    fn ideal(self) -> f64 {
        (self.waiters as f64 / f64::from(self.window.count) - 1.0) * self.window.length.as_secs_f64()
    }
}

const SMALL: Load = Load::new(10_000, 5_000);
const LARGE: Load = Load::new(100_000, 20_000);
const HUGE: Load = Load::new(1_000_000, 200_000);

type Subject = (&'static str, Box<dyn Fn(Load) -> Result<Seen, Failure>>);

fn small() -> Vec<Subject> {
    let mut subjects = large();
    subjects.push(subject("governor until_ready", |load| Ok(Governor::new(load.window))));
    let jitter = Duration::from_millis(100);
    subjects
        .push(subject("governor until_ready_with_jitter(100 ms)", move |load| Ok(Jittered::new(load.window, jitter))));
    subjects
}

fn large() -> Vec<Subject> {
    vec![
        #[cfg(feature = "longhaul")]
        subject("longhaul", |load| {
            let budget = crate::budget::Budget::per(load.window.count, load.window.length);
            crate::subjects::Longhaul::new(&budget, longhaul::limits::Anchor::Response)
        }),
        subject("leaky-bucket, fair", |load| Ok(LeakyBucket::new(load.window))),
        subject("async-rate-limiter", |load| Ok(TokenBucket::new(load.window))),
        subject("(no limiter: tokio Semaphore, opened at once)", |load| Ok(Gate::new(load.waiters))),
    ]
}

fn subject<L: Limiter>(name: &'static str, make: impl Fn(Load) -> Result<L, Failure> + 'static) -> Subject {
    (name, Box::new(move |load| pass(load, &make)))
}

struct Seen {
    cpu: Duration,
    wall: Duration,
    polls: f64,
    displacement: f64,
    heap: f64,
}

fn measure(report: &mut Report, load: Load, rounds: u32, subjects: &[Subject]) -> Result<(), Failure> {
    let mut seen: Vec<Vec<Seen>> = subjects.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for ((_, pass), seen) in subjects.iter().zip(&mut seen) {
            seen.push(pass(load)?);
        }
    }
    let row = |((name, _), seen): (&Subject, &Vec<Seen>)| {
        let of = |value: fn(&Seen) -> f64| seen.iter().map(value);
        Row::new(*name)
            .rounds("CPU s", Unit::Seconds, of(|seen| seen.cpu.as_secs_f64()))
            .rounds("polls each", Unit::Ratio, of(|seen| seen.polls))
            .rounds("wall s", Unit::Seconds, of(|seen| seen.wall.as_secs_f64()))
            .rounds("of ideal", Unit::Ratio, of(|seen| seen.wall.as_secs_f64()).map(|wall| wall / load.ideal()))
            .rounds("median displacement", Unit::Count, of(|seen| seen.displacement))
            .rounds("heap bytes each", Unit::Count, of(|seen| seen.heap))
    };
    let rows: Vec<_> = subjects.iter().zip(&seen).map(row).collect();
    let Load { waiters, window } = load;
    let title = format!("{waiters} waiters at {} per 100 ms", window.count);
    let note = format!("ideal {:.1} s, min / median of {rounds} rounds", load.ideal());
    Ok(report.table(&title, &note, &rows)?)
}

/// All waiters through one limiter, on a runtime of one thread.
fn pass<L: Limiter>(load: Load, make: impl Fn(Load) -> Result<L, Failure>) -> Result<Seen, Failure> {
    let runtime = Builder::new_current_thread().enable_time().build()?;
    let course = Arc::new(Course::new(load.waiters));
    heap::start();
    let limiter = {
        let _context = runtime.enter();
        Arc::new(make(load)?)
    };
    let (cpu, begun) = (cpu::used()?, Instant::now());
    runtime.block_on(async {
        for waiter in 0..load.waiters {
            let (course, limiter) = (course.clone(), limiter.clone());
            tokio::spawn(async move { course.go(waiter, &*limiter).await });
        }
        course.over().await;
    });
    let (cpu, wall) = (cpu::used()? - cpu, begun.elapsed());
    heap::stop();
    Ok(Seen { cpu, wall, polls: course.polls(), displacement: course.displacement(), heap: course.heap() })
}
