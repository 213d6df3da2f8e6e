//! Tasks: many tasks of one client at a service in memory, on a paused clock, beside loops of tokio.

#[cfg(feature = "pollers")]
mod azure;
#[cfg(feature = "pollers")]
mod google;
mod loops;
mod seen;
mod service;
#[cfg(feature = "longhaul")]
mod set;

use std::time::Duration;

use tokio::runtime::Builder;

use crate::report::{Report, Row, Unit};
use crate::{Failure, Length, cpu, heap};

use seen::Seen;
use service::Service;

pub(crate) fn run(report: &mut Report, length: Length) -> Result<(), Failure> {
    // The large ones vary little, and take minutes.
    for (tasks, rounds) in length.pick(&[(10_000, 2)][..], &[(10_000, 3), (100_000, 1)]) {
        for limit in [None, Some(tasks / 100)] {
            Scene { tasks: *tasks, limit }.measure(report, *rounds)?;
        }
    }
    Ok(())
}

/// So many tasks at once, and how many requests a second the service accepts.
#[derive(Clone, Copy)]
struct Scene {
    tasks: u32,
    limit: Option<u32>,
}

type Subject = (&'static str, fn(Scene) -> Result<Seen, Failure>);

impl Scene {
    fn measure(self, report: &mut Report, rounds: u32) -> Result<(), Failure> {
        let subjects = self.subjects();
        let mut seen: Vec<Vec<Seen>> = subjects.iter().map(|_| Vec::new()).collect();
        for _ in 0..rounds {
            for ((_, play), seen) in subjects.iter().zip(&mut seen) {
                seen.push(play(self)?);
            }
        }
        let row = |((name, _), seen): (&Subject, &Vec<Seen>)| {
            let of = |value: fn(&Seen) -> f64| seen.iter().map(value);
            let heap: Option<Vec<_>> = seen.iter().map(|seen| seen.heap).collect();
            let row = Row::new(*name);
            let row = match heap {
                Some(heap) => row.rounds("heap bytes each", Unit::Count, heap),
                None => row.none("heap bytes each"),
            };
            row.rounds("CPU µs a poll", Unit::Microseconds, of(Seen::cost))
                .rounds("polls each", Unit::Ratio, of(Seen::polls_each))
                .rounds("lag p50", Unit::Seconds, of(|seen| seen.lag(50)))
                .rounds("lag p99", Unit::Seconds, of(|seen| seen.lag(99)))
                .rounds("all submitted s", Unit::Count, of(|seen| seen.submitted.as_secs_f64()))
                .rounds("all done s", Unit::Count, of(|seen| seen.done.as_secs_f64()))
                .rounds("refused", Unit::Count, of(|seen| seen.refused as f64))
        };
        let rows: Vec<_> = subjects.iter().zip(&seen).map(row).collect();
        let limit = self.limit.map_or_else(|| "no limit".to_owned(), |limit| format!("{limit} per 1s"));
        report.table(&format!("{} tasks, {limit}", self.tasks), &format!("min / median of {rounds} rounds"), &rows)?;
        Ok(())
    }

    fn subjects(self) -> Vec<Subject> {
        let mut subjects = self.longhaul();
        // They have no limiter.
        #[cfg(feature = "pollers")]
        if self.limit.is_none() {
            subjects.push(("azure_core, a spawned Poller each", |scene| {
                scene.play(|service| azure::spawned(scene, service))
            }));
            subjects.push(("google-cloud-lro, a spawned poller each", |scene| {
                scene.play(|service| google::spawned(scene, service))
            }));
        }
        subjects.push(("a spawned loop each", |scene| scene.play(|service| loops::spawned(scene, service))));
        subjects
    }

    #[cfg(feature = "longhaul")]
    fn longhaul(self) -> Vec<Subject> {
        let mut subjects: Vec<Subject> =
            vec![("longhaul, client.tasks()", |scene| scene.play(|service| set::stream(scene, service, POLLS)))];
        if self.tasks > 10_000 {
            subjects.push(("longhaul, client.tasks(), polls_at_once(1024)", |scene| {
                scene.play(|service| set::stream(scene, service, 1024))
            }));
        }
        subjects.push(("longhaul, a spawned Task each", |scene| scene.play(|service| set::spawned(scene, service))));
        subjects
    }

    #[cfg(not(feature = "longhaul"))]
    const fn longhaul(self) -> Vec<Subject> {
        Vec::new()
    }

    /// One subject, which calls `Service::ended` for each task.
    fn play<F>(self, subject: impl FnOnce(Service) -> F) -> Result<Seen, Failure>
    where
        F: Future<Output = Result<(), Failure>>,
    {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build()?;
        // The jitter of the client.
        fastrand::seed(7);
        let service = Service::new(self);
        runtime.block_on(async {
            let subject = subject(service.clone());
            heap::start();
            let cpu = cpu::used()?;
            let waited = tokio::spawn(service.clone().weigh());
            let played = subject.await;
            let cpu = cpu::used()? - cpu;
            heap::stop();
            played?;
            Ok(service.seen(cpu, &waited.await?))
        })
    }
}

/// How many submits are under way at a time, and of a set also how many polls: its defaults.
const SUBMITS: usize = 16;
#[cfg(feature = "longhaul")]
const POLLS: usize = 128;

/// Between the answer to a poll and the next poll, for all subjects.
const PAUSE: Duration = Duration::from_secs(30);
