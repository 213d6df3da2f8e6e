//! Learn: workers that do not know the limit of their service, and one that changes, on a paused clock.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::budget::Budget;
use crate::report::{Report, Row, Unit};
use crate::server::{Network, Server, Strict};
use crate::subject::{Answer, Ask, Limiter, Permit};
use crate::subjects::{Adaptive, Backoff};
use crate::{Failure, Length};

pub(crate) fn run(report: &mut Report, length: Length) -> Result<(), Failure> {
    let rounds = length.pick(5, 25);
    for (limits, rates) in [("15/s", [15, 15, 15]), ("15/s, then 5/s, then 15/s", [15, 5, 15])] {
        let scene = Scene { rates };
        let rows = [
            #[cfg(feature = "longhaul")]
            scene.row("longhaul, Feedback::Learn", rounds, |_| {
                let throttle = Arc::new(crate::subjects::Longhaul::learning());
                move |_| throttle.clone()
            })?,
            scene.row("backoff of each request, 30 s at most, full jitter", rounds, |seed| {
                move |worker| Arc::new(Backoff::new(Duration::from_secs(30), seed * 1_000 + worker))
            })?,
            scene.row("AWS adaptive (CUBIC) with backoff", rounds, |seed| {
                let shared = Adaptive::shared();
                move |worker| Arc::new(Adaptive::worker(&shared, seed * 1_000 + worker))
            })?,
            scene.row("AWS adaptive (CUBIC) alone, as in its SDK for Rust", rounds, |_| {
                let shared = Adaptive::shared();
                move |_| Arc::new(Adaptive::worker_without_backoff(&shared))
            })?,
        ];
        let title = format!("{limits}, unknown, {WORKERS} workers, 600 s");
        report.table(&title, &format!("min / median of {rounds} seeds"), &rows)?;
    }
    Ok(())
}

const WORKERS: u64 = 50;
const NETWORK: Network = Network::new(Duration::from_millis(20), Duration::from_millis(5));

/// How long each rate holds.
const THIRD: Duration = Duration::from_secs(200);

/// What belongs to the first steps into the unknown.
const OPENING: Duration = Duration::from_secs(10);

/// A service whose rate may change after each third of the time.
struct Scene {
    rates: [u32; 3],
}

impl Scene {
    /// `client` makes what all workers of one client share, and that makes a worker's limiter.
    fn row<L: Limiter, W: Fn(u64) -> Arc<L>>(
        &self,
        subject: &str,
        rounds: u64,
        client: impl Fn(u64) -> W,
    ) -> Result<Row, Failure> {
        let mut tallies = Vec::new();
        for seed in 0..rounds {
            let runtime = Builder::new_current_thread().enable_time().start_paused(true).build()?;
            tallies.push(runtime.block_on(async { self.play(seed, client(seed)).await }));
        }
        let most = self.rates.iter().map(|&rate| f64::from(rate) * THIRD.as_secs_f64()).sum::<f64>();
        let of = |value: fn(&Tally) -> u32| tallies.iter().map(move |tally| f64::from(value(tally)));
        Ok(Row::new(subject)
            .rounds("429s", Unit::Count, of(|tally| tally.refused))
            .rounds("in the first 10 s", Unit::Count, of(|tally| tally.refused_early))
            .rounds(
                "429 share",
                Unit::Share,
                of(|tally| tally.refused).zip(of(Tally::requests)).map(|(refused, all)| refused / all),
            )
            .rounds("goodput of limit", Unit::Share, of(|tally| tally.admitted).map(|admitted| admitted / most)))
    }

    async fn play<L: Limiter>(&self, seed: u64, worker: impl Fn(u64) -> Arc<L>) -> Tally {
        let second = Duration::from_secs(1);
        let (start, tally) = (Instant::now(), Arc::new(Mutex::new(Tally::default())));
        let server = Arc::new(Server::new(Strict::new(&Budget::none()), NETWORK));
        let mut workers = JoinSet::new();
        for at in 0..WORKERS {
            let rng = Rng::with_seed(seed << 32 | at);
            let work = work(worker(at), server.clone(), tally.clone(), rng);
            // What is still on its way at the end does not count.
            workers.spawn(timeout_at(start + THIRD * 3, work));
        }
        for (third, &rate) in (1..).zip(&self.rates) {
            server.lock().change(&Budget::per(rate, second));
            sleep_until(start + THIRD * third).await;
        }
        workers.join_all().await;
        std::mem::take(&mut *tally.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One request after the other, each until it is admitted.
async fn work<L: Limiter>(limiter: Arc<L>, server: Arc<Server<Strict>>, tally: Arc<Mutex<Tally>>, mut rng: Rng) {
    let start = Instant::now();
    loop {
        let mut permit = limiter.acquire(Ask::Call).await;
        permit.sent();
        let answer = server.ask(&mut rng).await.answer();
        permit.answered(answer);
        tally.lock().unwrap_or_else(PoisonError::into_inner).note(answer, start.elapsed());
    }
}

#[derive(Default)]
struct Tally {
    admitted: u32,
    refused: u32,
    refused_early: u32,
}

impl Tally {
    fn note(&mut self, answer: Answer, at: Duration) {
        match answer {
            Answer::Accepted => self.admitted += 1,
            Answer::Refused => {
                self.refused += 1;
                self.refused_early += u32::from(at < OPENING);
            }
        }
    }

    const fn requests(&self) -> u32 {
        self.admitted + self.refused
    }
}
