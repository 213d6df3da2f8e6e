//! Exact: refusals and goodput at a service that counts arrivals in a strict sliding window, on the real clock.

mod tally;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::budget::{Budget, Window};
use crate::report::{Report, Row, Unit};
use crate::server::{Network, Server, Strict};
use crate::subject::{Ask, Limiter, Permit};
use crate::subjects::{Chained, Governor, LeakyBucket, Tower};
use crate::{Failure, Length};

use tally::Tally;

pub(crate) fn run(report: &mut Report, length: Length) -> Result<(), Failure> {
    // Nearly a whole number of minutes: else the first burst of a minute's count would weigh more than it does.
    let time = Duration::from_secs(length.pick(57, 177));
    let runtime = Runtime::new()?;
    let field = runtime.block_on(async {
        let mut field = Field { time, groups: Vec::new(), workers: JoinSet::new() };
        #[cfg(feature = "longhaul")]
        {
            use crate::subjects::Longhaul;
            use longhaul::limits::Anchor;
            field.add("longhaul", Bound::RoundTrip, |budget| Longhaul::new(budget, Anchor::Response))?;
            let credit = Anchor::ResponseLessRoundTrip;
            field.add("longhaul, Anchor::ResponseLessRoundTrip", Bound::Credit, |budget| {
                Longhaul::new(budget, credit)
            })?;
            field.add("longhaul, Anchor::Send", Bound::None, |budget| Longhaul::new(budget, Anchor::Send))?;
        }
        field.add("governor", Bound::None, |budget| Ok(Chained::new(budget, Governor::new)))?;
        field.add("governor, evenly", Bound::None, |budget| Ok(Chained::new(budget, Governor::evenly)))?;
        field.add("leaky-bucket", Bound::None, |budget| Ok(Chained::new(budget, LeakyBucket::new)))?;
        field.add("leaky-bucket, evenly", Bound::None, |budget| Ok(Chained::new(budget, LeakyBucket::evenly)))?;
        field.add("tower RateLimit", Bound::None, |budget| Ok(Tower::new(budget)))?;
        while let Some(worker) = field.workers.join_next().await {
            worker?;
        }
        Ok::<_, Failure>(field)
    })?;
    for budget in limits() {
        let note = format!("{KEYS} keys for {} s, shares: min / median of {BATCHES} batches", time.as_secs());
        let rows: Vec<_> = field
            .groups
            .iter()
            .filter(|group| group.limit == budget.to_string())
            .map(|group| group.row(time))
            .collect();
        report.table(&budget.to_string(), &note, &rows)?;
    }
    Ok(())
}

fn limits() -> [Budget; 4] {
    let second = Duration::from_secs(1);
    [
        Budget::per(4, second),
        Budget::per(10, second * 10),
        Budget::per(15, second),
        Budget::per(4, second).and(100, second * 60),
    ]
}

const KEYS: usize = 200;
const BATCHES: usize = 5;

/// More than any limit has slots, so that one is always ready to go.
const WORKERS: usize = 16;

const NETWORK: Network = Network::new(Duration::from_millis(20), Duration::from_millis(30));

/// What a subject can reach at best, where that is known.
#[derive(Clone, Copy)]
#[cfg_attr(not(feature = "longhaul"), expect(dead_code, reason = "of longhaul alone it is known"))]
enum Bound {
    None,
    /// window / (window + mean round trip)
    RoundTrip,
    /// window / (window + mean round trip - 0.9 smallest round trip)
    Credit,
}

/// All subjects side by side: each has its own limiter and its own service for every key.
struct Field {
    time: Duration,
    groups: Vec<Group>,
    workers: JoinSet<()>,
}

impl Field {
    fn add<L: Limiter>(
        &mut self,
        subject: &'static str,
        bound: Bound,
        make: impl Fn(&Budget) -> Result<L, Failure>,
    ) -> Result<(), Failure> {
        for budget in limits() {
            let mut keys = Vec::new();
            for key in 0..KEYS {
                // The keys' bursts do not coincide.
                let start = Instant::now() + START + Duration::from_secs(1).mul_f64(key as f64 / KEYS as f64);
                let tally = Arc::new(Mutex::new(Tally::new(start)));
                let (limiter, server) =
                    (Arc::new(make(&budget)?), Arc::new(Server::new(Strict::new(&budget), NETWORK)));
                for worker in 0..WORKERS {
                    let rng = Rng::with_seed((key * WORKERS + worker) as u64);
                    let (limiter, server, tally) = (limiter.clone(), server.clone(), tally.clone());
                    let work = work(limiter, server, tally, rng);
                    let end = start + self.time;
                    self.workers.spawn(async move {
                        sleep_until(start).await;
                        // What is still on its way at the end does not count.
                        let _ = timeout_at(end, work).await;
                    });
                }
                keys.push(tally);
            }
            self.groups.push(Group {
                subject,
                limit: budget.to_string(),
                window: budget.single(),
                budget,
                bound,
                keys,
            });
        }
        Ok(())
    }
}

/// Until all workers are there.
const START: Duration = Duration::from_millis(500);

/// One greedy worker: a request that is refused is made again, by the next permit.
async fn work<L: Limiter>(limiter: Arc<L>, server: Arc<Server<Strict>>, tally: Arc<Mutex<Tally>>, mut rng: Rng) {
    loop {
        let mut permit = limiter.acquire(Ask::Call).await;
        permit.sent();
        let sent = Instant::now();
        let answer = server.ask(&mut rng).await.answer();
        permit.answered(answer);
        tally.lock().unwrap_or_else(PoisonError::into_inner).note(answer, sent.elapsed());
    }
}

/// One subject at one limit.
struct Group {
    subject: &'static str,
    limit: String,
    budget: Budget,
    window: Option<Window>,
    bound: Bound,
    keys: Vec<Arc<Mutex<Tally>>>,
}

impl Group {
    fn row(&self, time: Duration) -> Row {
        let tallies: Vec<_> = self.keys.iter().map(|key| key.lock().unwrap_or_else(PoisonError::into_inner)).collect();
        let sum = |count: fn(&Tally) -> u32| tallies.iter().map(|tally| f64::from(count(tally))).sum::<f64>();
        // Every so many keys make a batch.
        let batches = |value: &dyn Fn(&Tally) -> f64| -> Vec<f64> {
            let mean = |batch: usize| {
                let of: Vec<_> = tallies.iter().skip(batch).step_by(BATCHES).map(|tally| value(tally)).collect();
                of.iter().sum::<f64>() / of.len() as f64
            };
            (0..BATCHES).map(mean).collect()
        };
        let goodput = |tally: &Tally| match self.window {
            Some(window) => tally.steady(window),
            None => f64::from(tally.admitted()) / self.budget.most(time),
        };
        let row = Row::new(self.subject)
            .one("requests", Unit::Count, sum(Tally::requests))
            .one("refused", Unit::Count, sum(Tally::refused))
            .rounds(
                "refused share",
                Unit::Share,
                batches(&|tally| f64::from(tally.refused()) / f64::from(tally.requests())),
            )
            .rounds("goodput of limit", Unit::Share, batches(&goodput));
        match (self.window, self.bound) {
            (Some(window), Bound::RoundTrip) => row.rounds(
                "goodput of its bound",
                Unit::Share,
                batches(&|tally| goodput(tally) / reach(window, tally.mean_round_trip())),
            ),
            (Some(window), Bound::Credit) => row.rounds(
                "goodput of its bound",
                Unit::Share,
                batches(&|tally| {
                    let lost = tally.mean_round_trip() - 0.9 * tally.least_round_trip();
                    goodput(tally) / reach(window, lost)
                }),
            ),
            _ => row.none("goodput of its bound"),
        }
    }
}

/// The share of a limit that is left when each slot is lost for so many seconds more than its window.
fn reach(window: Window, lost: f64) -> f64 {
    let length = window.length.as_secs_f64();
    length / (length + lost)
}
