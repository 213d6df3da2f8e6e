//! A soak under chaos: a service that knows the truth, a client in a process of its own that is killed and resumed, and a
//! verifier. docs/soak.md says how to run it, and has the figures.
//!
//! Alone: it starts its own program again as the client, measures that process, and wants the machine for itself.

#![cfg(test)]

mod client;
mod ledger;
mod service;
mod table;

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use ledger::{Row, Watch};
use service::Service;

/// How much of each is done.
struct Size {
    jobs: usize,
    at_once: usize,
    /// A kill after each of these.
    kills: Vec<Duration>,
    /// A restart of the service after each of these, and for how long it is away.
    restarts: Vec<(Duration, Duration)>,
    longest: Duration,
}

impl Size {
    /// A minute in all, or with `LONGHAUL_LONG=1` some tens of minutes.
    fn of_environment() -> Self {
        let seconds = |list: &[f64]| list.iter().copied().map(Duration::from_secs_f64).collect();
        if std::env::var_os("LONGHAUL_LONG").is_some_and(|long| long == "1") {
            let number =
                |name: &str, or: usize| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(or);
            let kills = (1..=number("LONGHAUL_SOAK_KILLS", 30)).map(|number| 7.0 * number as f64).collect::<Vec<_>>();
            let restarts = [0.1, 1.0, 5.0, 0.3];
            let restarts = (1..=8).map(|number| {
                let away = restarts.get(number % restarts.len()).copied().unwrap_or_default();
                (Duration::from_secs(19 * number as u64), Duration::from_secs_f64(away))
            });
            return Self {
                jobs: number("LONGHAUL_SOAK_JOBS", 20_000),
                at_once: number("LONGHAUL_SOAK_AT_ONCE", 1_000),
                kills: seconds(&kills),
                restarts: restarts.collect(),
                longest: Duration::from_secs(1800),
            };
        }
        Self {
            jobs: 400,
            at_once: 200,
            kills: seconds(&[1.5, 3.5]),
            restarts: vec![
                (Duration::from_millis(1000), Duration::from_millis(100)),
                (Duration::from_millis(2500), Duration::from_millis(1000)),
            ],
            longest: Duration::from_secs(120),
        }
    }
}

/// The client's process: this binary again, with a folder in its environment.
#[test]
fn client() {
    if let Some(job) = client::Job::of_environment() {
        client::run(&job);
    }
}

#[test]
fn nothing_is_lost_or_false_under_chaos() {
    let size = Size::of_environment();
    let rows: Vec<Row> = [0, 10, 25].into_iter().map(|chaos| soak(chaos, &size)).collect();
    // Past the capture of the test harness: the table is what one runs it for.
    writeln!(std::io::stdout(), "\n{}", table::of(&rows)).unwrap();
    for row in rows {
        assert_eq!(row.wrong(), 0, "{row:#?}");
        assert!(row.is_flat(), "memory or descriptors grow: {row:#?}");
    }
}

/// A service restarts under 500 submits that are about to be sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_restarts_under_500_submits_fails_none() {
    for away in [Duration::from_millis(100), Duration::from_secs(2)] {
        let service = Service::start(0).await;
        let client = client::build(&service.url(), "0");
        let submit = |number: usize| client.task().post("exports").idempotency_key(format!("{number}")).submit::<()>();
        drop(submit(0).await.unwrap());
        let restart = service.restart(away);
        let submits = futures::future::join_all((1..=500).map(submit));
        let (ended, ()) = tokio::join!(submits, restart);
        let errors: Vec<_> = ended.iter().filter_map(|task| task.as_ref().err()).collect();
        assert!(errors.is_empty(), "{} of 500, the first: {:?}", errors.len(), errors.first());
        assert_eq!(service.ledger().accepted(), 501);
    }
}

/// One row: all jobs at this much chaos, with kills and restarts.
fn soak(chaos: u32, size: &Size) -> Row {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let service = runtime.block_on(Service::start(chaos));
    let restarting = service.clone();
    let restarts = size.restarts.clone();
    runtime.spawn(async move {
        let begun = tokio::time::Instant::now();
        for (at, away) in restarts {
            tokio::time::sleep_until(begun + at).await;
            restarting.restart(away).await;
        }
    });

    let (begun, mut kills, mut generation) = (Instant::now(), 0, 0);
    let mut watch = Watch::default();
    loop {
        let mut running = start(folder, &service.url(), size, generation);
        let ended = loop {
            watch.look(running.id());
            if let Some(status) = running.try_wait().unwrap() {
                assert!(status.success(), "the client's process failed: {status}");
                break true;
            }
            if size.kills.get(kills).is_some_and(|at| begun.elapsed() > *at) {
                break false;
            }
            if begun.elapsed() > size.longest {
                running.kill().unwrap();
                running.wait().unwrap();
                panic!("not done after {:?}: {:#?}", size.longest, service.ledger().verify(folder, size.jobs));
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        if ended {
            break;
        }
        running.kill().unwrap();
        running.wait().unwrap();
        (kills, generation) = (kills + 1, generation + 1);
        watch.begin_anew();
    }
    let took = begun.elapsed();
    let mut row = service.ledger().verify(folder, size.jobs);
    (row.chaos, row.kills, row.restarts, row.took) = (chaos, kills, service.restarts(), took);
    (row.memory, row.descriptors) = (watch.memory(), watch.descriptors());
    runtime.shutdown_background();
    row
}

fn start(folder: &Path, url: &str, size: &Size, generation: u32) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["client", "--exact", "--nocapture", "--test-threads=1"])
        .env(client::FOLDER, folder)
        .env(client::URL, url)
        .env(client::JOBS, size.jobs.to_string())
        .env(client::AT_ONCE, size.at_once.to_string())
        .env(client::GENERATION, generation.to_string())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap()
}
