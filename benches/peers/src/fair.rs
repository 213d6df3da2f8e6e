//! Fair: the polls of two tasks beside a flood of downloads, all under one limit.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::budget::{Budget, Window};
use crate::report::{Report, Row, Unit};
use crate::server::{Network, Server, Strict};
use crate::spread::Spread;
use crate::subject::{Answer, Ask, Limiter, Permit};
use crate::subjects::{Governor, LeakyBucket};
use crate::{Failure, Length};

pub(crate) fn run(report: &mut Report, length: Length) -> Result<(), Failure> {
    let time = Duration::from_secs(length.pick(45, 150));
    let runtime = Runtime::new()?;
    let rows = runtime.block_on(async {
        let mut field = Field { time, groups: Vec::new(), tasks: JoinSet::new() };
        #[cfg(feature = "longhaul")]
        {
            use crate::subjects::Longhaul;
            use longhaul::limits::Anchor;
            let budget = Budget::per(RATE.count, RATE.length);
            field.add("longhaul", || Longhaul::new(&budget, Anchor::Response))?;
            field.add("longhaul, Anchor::Send", || Longhaul::new(&budget, Anchor::Send))?;
        }
        field.add("governor (no classes)", || Ok(Governor::new(RATE)))?;
        field.add("leaky-bucket, fair (no classes)", || Ok(LeakyBucket::new(RATE)))?;
        while let Some(task) = field.tasks.join_next().await {
            task?;
        }
        Ok::<_, Failure>(field.rows())
    })?;
    let title = format!("{DOWNLOADS} downloads and a poll a second of {POLLERS} tasks at 20/s");
    let note = format!("{} s, rates: min / median of {ROUNDS} rounds", time.as_secs());
    Ok(report.table(&title, &note, &rows)?)
}

const RATE: Window = Window { count: 20, length: Duration::from_secs(1) };
const DOWNLOADS: u64 = 2_000;
const POLLERS: u64 = 2;
const NETWORK: Network = Network::new(Duration::from_millis(20), Duration::from_millis(30));

/// How long the flood is ahead of the first poll.
const AHEAD: Duration = Duration::from_millis(500);

/// How long before the end the last poll begins: one that then still waits is starved.
const LAST: Duration = Duration::from_secs(5);

const ROUNDS: u32 = 3;

/// All subjects and all rounds side by side.
struct Field {
    time: Duration,
    groups: Vec<(&'static str, Vec<Arc<Mutex<Tally>>>)>,
    tasks: JoinSet<()>,
}

#[derive(Default)]
struct Tally {
    waits: Vec<f64>,
    /// Polls that still waited at the end, for so long.
    unserved: Vec<f64>,
    polls: u32,
    downloads: u32,
    /// When the last request was served.
    last: Duration,
    refused: u32,
}

impl Tally {
    fn rate(&self, served: u32) -> f64 {
        f64::from(served) / self.last.as_secs_f64()
    }
}

impl Field {
    fn add<L: Limiter>(&mut self, subject: &'static str, make: impl Fn() -> Result<L, Failure>) -> Result<(), Failure> {
        let rounds = (0..ROUNDS).map(|_| Ok(self.launch(make()?))).collect::<Result<_, Failure>>()?;
        self.groups.push((subject, rounds));
        Ok(())
    }

    fn launch<L: Limiter>(&mut self, limiter: L) -> Arc<Mutex<Tally>> {
        let start = Instant::now();
        let end = start + self.time;
        let side = Arc::new(Side {
            limiter,
            server: Server::new(Strict::new(&Budget::per(RATE.count, RATE.length)), NETWORK),
            tally: Arc::default(),
        });
        for download in 0..DOWNLOADS {
            let side = side.clone();
            self.tasks.spawn(async move {
                let rng = Rng::with_seed(download);
                if timeout_at(end, side.ask(Ask::Download { task: POLLERS }, rng)).await.is_ok() {
                    let mut tally = side.tally();
                    tally.downloads += 1;
                    tally.last = start.elapsed();
                }
            });
        }
        for task in 0..POLLERS {
            let side = side.clone();
            self.tasks.spawn(async move {
                sleep_until(start + AHEAD).await;
                side.poll(task, end).await;
            });
        }
        side.tally.clone()
    }

    fn rows(&self) -> Vec<Row> {
        self.groups
            .iter()
            .map(|(subject, rounds)| row(subject, &rounds.iter().map(|tally| lock(tally)).collect::<Vec<_>>()))
            .collect()
    }
}

/// Waits are pooled, since the worst is what counts; the rest is shown by rounds.
fn row(subject: &str, rounds: &[MutexGuard<'_, Tally>]) -> Row {
    let waits: Spread = rounds.iter().flat_map(|tally| tally.waits.iter().chain(&tally.unserved)).copied().collect();
    let count = |of: fn(&Tally) -> usize| rounds.iter().map(|tally| of(tally)).sum::<usize>();
    let unserved = count(|tally| tally.unserved.len());
    let served = count(|tally| tally.waits.len());
    let row =
        Row::new(subject).one("polls served", Unit::Count, served as f64).one("unserved", Unit::Count, unserved as f64);
    let (worst, median) = ("worst wait s", "median wait s");
    let row = if unserved == 0 {
        row.one(worst, Unit::Seconds, waits.max()).one(median, Unit::Seconds, waits.median())
    } else {
        row.at_least(worst, Unit::Seconds, waits.max()).at_least(median, Unit::Seconds, waits.median())
    };
    let rate = |served: fn(&Tally) -> u32| rounds.iter().map(move |tally| tally.rate(served(tally)));
    row.rounds("downloads per s", Unit::Ratio, rate(|tally| tally.downloads))
        .rounds("all per s", Unit::Ratio, rate(|tally| tally.downloads + tally.polls))
        .rounds("429s", Unit::Count, rounds.iter().map(|tally| tally.refused.into()))
}

/// One subject with its service.
struct Side<L> {
    limiter: L,
    server: Server<Strict>,
    tally: Arc<Mutex<Tally>>,
}

impl<L: Limiter> Side<L> {
    /// A poll each second, or when the one before is through.
    async fn poll(&self, task: u64, end: Instant) {
        while Instant::now() < end - LAST {
            let due = Instant::now();
            let Ok(mut permit) = timeout_at(end, self.limiter.acquire(Ask::Poll { task })).await else {
                return self.tally().unserved.push(due.elapsed().as_secs_f64());
            };
            self.tally().waits.push(due.elapsed().as_secs_f64());
            permit.sent();
            let answer = self.server.ask(&mut Rng::new()).await.answer();
            permit.answered(answer);
            match answer {
                Answer::Accepted => self.tally().polls += 1,
                Answer::Refused => self.tally().refused += 1,
            }
            sleep_until(due + Duration::from_secs(1)).await;
        }
    }

    /// Until it is admitted.
    async fn ask(&self, ask: Ask, mut rng: Rng) {
        loop {
            let mut permit = self.limiter.acquire(ask).await;
            permit.sent();
            let answer = self.server.ask(&mut rng).await.answer();
            permit.answered(answer);
            if answer == Answer::Accepted {
                return;
            }
            self.tally().refused += 1;
        }
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        lock(&self.tally)
    }
}

fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}
