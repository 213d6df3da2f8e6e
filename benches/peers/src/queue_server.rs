//! Queue server: a burst of requests at a service of 15 a second that queues 100 before it refuses any.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::budget::Window;
use crate::report::{Report, Row, Unit};
use crate::server::{Network, Queueing, Server, Verdict};
use crate::subject::{Ask, Limiter, Permit};
use crate::subjects::{Governor, LeakyBucket, Open};
use crate::{Failure, Length};

pub(crate) fn run(report: &mut Report, length: Length) -> Result<(), Failure> {
    let rounds = length.pick(5, 25);
    let runtime = Runtime::new()?;
    let (even, uneven) = runtime.block_on(async {
        // Both at the same time.
        let (even, uneven) = (field(rounds, EVEN)?, field(rounds, UNEVEN)?);
        Ok::<_, Failure>((even.rows().await?, uneven.rows().await?))
    })?;
    for (network, rows) in [("50 ms", even), ("20 ms + Exp(30 ms)", uneven)] {
        let title = format!("{REQUESTS} requests at once, 15/s and a queue of {QUEUE}, each way takes {network}");
        let note = format!("ideal {:.3} s, min / median of {rounds} rounds", ideal());
        report.table(&title, &note, &rows)?;
    }
    Ok(())
}

fn field(rounds: u64, network: Network) -> Result<Field, Failure> {
    let mut field = Field { rounds, network, groups: Vec::new() };
    field.add("(no limiter)", || Ok(Open))?;
    #[cfg(feature = "longhaul")]
    {
        use crate::subjects::Longhaul;
        field.add("longhaul, and_server_queue(100)", || Longhaul::with_server_queue(RATE, QUEUE))?;
        let budget = crate::budget::Budget::per(RATE.count, RATE.length);
        field.add("longhaul, queue not declared", || Longhaul::new(&budget, longhaul::limits::Anchor::Response))?;
    }
    field.add("governor", || Ok(Governor::new(RATE)))?;
    field.add("leaky-bucket, fair", || Ok(LeakyBucket::new(RATE)))?;
    Ok(field)
}

const RATE: Window = Window { count: 15, length: Duration::from_secs(1) };
const QUEUE: u32 = 100;
const REQUESTS: u32 = 130;
const EVEN: Network = Network::new(Duration::from_millis(50), Duration::ZERO);
const UNEVEN: Network = Network::new(Duration::from_millis(20), Duration::from_millis(30));

/// All but the first 15 leave at the rate.
fn ideal() -> f64 {
    f64::from(REQUESTS - RATE.count) * RATE.step().as_secs_f64()
}

/// All subjects and all rounds side by side, each with its own service.
struct Field {
    rounds: u64,
    network: Network,
    groups: Vec<(&'static str, JoinSet<Seen>)>,
}

struct Seen {
    at_once: u32,
    late: u32,
    refused: u32,
    wall: Duration,
}

impl Field {
    fn add<L: Limiter>(&mut self, subject: &'static str, make: impl Fn() -> Result<L, Failure>) -> Result<(), Failure> {
        let mut passes = JoinSet::new();
        for round in 0..self.rounds {
            let limiter = Arc::new(make()?);
            passes.spawn(pass(limiter, self.network, round));
        }
        self.groups.push((subject, passes));
        Ok(())
    }

    async fn rows(self) -> Result<Vec<Row>, Failure> {
        let mut rows = Vec::new();
        for (subject, mut passes) in self.groups {
            let mut seen = Vec::new();
            while let Some(pass) = passes.join_next().await {
                seen.push(pass?);
            }
            let of = |value: fn(&Seen) -> f64| seen.iter().map(value);
            rows.push(
                Row::new(subject)
                    .rounds("at once", Unit::Count, of(|seen| seen.at_once.into()))
                    .rounds("late", Unit::Count, of(|seen| seen.late.into()))
                    .rounds("refused", Unit::Count, of(|seen| seen.refused.into()))
                    .rounds("wall s", Unit::Seconds, of(|seen| seen.wall.as_secs_f64()))
                    .rounds("of ideal", Unit::Ratio, of(|seen| seen.wall.as_secs_f64() / ideal())),
            );
        }
        Ok(rows)
    }
}

async fn pass<L: Limiter>(limiter: Arc<L>, network: Network, seed: u64) -> Seen {
    let server = Arc::new(Server::new(Queueing::new(RATE, QUEUE), network));
    let mut rng = Rng::with_seed(seed);
    let begun = Instant::now();
    let mut requests = JoinSet::new();
    for _ in 0..REQUESTS {
        let (limiter, server, mut rng) = (limiter.clone(), server.clone(), rng.fork());
        requests.spawn(async move {
            let mut permit = limiter.acquire(Ask::Call).await;
            permit.sent();
            let verdict = server.ask(&mut rng).await;
            permit.answered(verdict.answer());
            verdict
        });
    }
    let mut seen = Seen { at_once: 0, late: 0, refused: 0, wall: Duration::ZERO };
    while let Some(verdict) = requests.join_next().await {
        match verdict {
            Ok(Verdict::Served) => seen.at_once += 1,
            Ok(Verdict::Queued(_)) => seen.late += 1,
            Ok(Verdict::Refused) | Err(_) => seen.refused += 1,
        }
    }
    seen.wall = begun.elapsed();
    seen
}
