//! Pipeline: requests per second and CPU for each request, from the call to the last byte of its body, beside bare
//! reqwest.

mod ask;
mod service;
mod subjects;

use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

use crate::report::{Report, Row, Unit};
use crate::{Failure, Length, cpu};

use ask::Ask;
use service::Service;
use subjects::subjects;

pub(crate) use service::serve;

pub(crate) fn run(report: &mut Report, length: Length) -> Result<(), Failure> {
    let rounds = length.pick(29, 151);
    let service = Service::start()?;
    // Of one thread, so that a core is the client's, and another the service's.
    let runtime = Builder::new_current_thread().enable_all().build()?;
    for callers in [1, 16, 64] {
        let subjects = subjects(&service.url)?;
        let mut seen: Vec<Vec<Seen>> = subjects.iter().map(|_| Vec::new()).collect();
        for subject in &subjects {
            // Connections are made, tokens are there.
            subject.spin(&runtime, callers)?;
        }
        for _ in 0..rounds {
            for (subject, seen) in subjects.iter().zip(&mut seen) {
                seen.push(subject.spin(&runtime, callers)?);
            }
        }
        let bare = seen.first().ok_or("no subjects")?;
        let row = |(subject, seen): (&Subject, &Vec<Seen>)| {
            let of = |value: fn(&Seen) -> f64| seen.iter().map(value);
            let ratio =
                |value: fn(&Seen) -> f64| seen.iter().zip(bare).map(move |(seen, bare)| value(seen) / value(bare));
            Row::new(subject.name)
                .rounds("requests/s", Unit::Count, of(Seen::rate))
                .rounds("of bare", Unit::Share, ratio(Seen::rate))
                .rounds("CPU µs each", Unit::Microseconds, of(Seen::cost))
                .rounds("CPU of bare", Unit::Share, ratio(Seen::cost))
        };
        let rows: Vec<_> = subjects.iter().zip(&seen).map(row).collect();
        report.table(&format!("{callers} at once"), &format!("min / median of {rounds} rounds"), &rows)?;
    }
    Ok(())
}

/// Sends so many requests of one subject, 16 at once, for a profiler that counts instructions and cache misses: the
/// difference between two runs is the cost of the requests that one of them sent more.
pub(crate) fn send(only: &str, requests: u32) -> Result<(), Failure> {
    const CALLERS: u32 = 16;
    let service = Service::start()?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let subject = subjects(&service.url)?.into_iter().find(|subject| subject.name == only).ok_or("no such subject")?;
    (subject.send)(&runtime, CALLERS, requests / CALLERS)
}

struct Subject {
    name: &'static str,
    spin: Spin,
    send: SendEach,
}

/// A round, with so many callers.
type Spin = Box<dyn Fn(&Runtime, usize) -> Result<Seen, Failure>>;

/// So many callers, each of which sends so many requests.
type SendEach = Box<dyn Fn(&Runtime, u32, u32) -> Result<(), Failure>>;

impl Subject {
    fn new(name: &'static str, ask: impl Ask) -> Self {
        let sender = ask.clone();
        Self {
            name,
            spin: Box::new(move |runtime, callers| spin(&ask, runtime, callers)),
            send: Box::new(move |runtime, callers, each| send_each(&sender, runtime, callers, each)),
        }
    }

    fn spin(&self, runtime: &Runtime, callers: usize) -> Result<Seen, Failure> {
        (self.spin)(runtime, callers)
    }
}

struct Seen {
    requests: u32,
    wall: Duration,
    cpu: Duration,
}

impl Seen {
    fn rate(&self) -> f64 {
        f64::from(self.requests) / self.wall.as_secs_f64()
    }

    /// Microseconds.
    fn cost(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / f64::from(self.requests)
    }
}

/// Lets so many callers ask for a while, each one request after the other.
fn spin(ask: &impl Ask, runtime: &Runtime, callers: usize) -> Result<Seen, Failure> {
    let (cpu, begun) = (cpu::used()?, Instant::now());
    let tasks: Vec<_> = (0..callers)
        .map(|_| {
            let ask = ask.clone();
            runtime.spawn(async move {
                let mut requests = 0;
                while begun.elapsed() < SPAN {
                    let body = ask.ask().await?;
                    if body != service::ANSWER {
                        return Err(format!("another answer: {body:?}").into());
                    }
                    requests += 1;
                }
                Ok::<u32, Failure>(requests)
            })
        })
        .collect();
    let requests = runtime.block_on(async {
        let mut sum = 0;
        for task in tasks {
            sum += task.await??;
        }
        Ok::<_, Failure>(sum)
    })?;
    Ok(Seen { requests, wall: begun.elapsed(), cpu: cpu::used()? - cpu })
}

fn send_each(ask: &impl Ask, runtime: &Runtime, callers: u32, each: u32) -> Result<(), Failure> {
    let tasks: Vec<_> = (0..callers)
        .map(|_| {
            let ask = ask.clone();
            runtime.spawn(async move {
                for _ in 0..each {
                    ask.ask().await?;
                }
                Ok::<_, Failure>(())
            })
        })
        .collect();
    runtime.block_on(async {
        for task in tasks {
            task.await??;
        }
        Ok(())
    })
}

/// So short that what else runs on the machine meets all subjects of a round alike.
const SPAN: Duration = Duration::from_millis(150);
