//! Work: what a process of the fleet does.

use std::io;
use std::iter;
use std::net::SocketAddr;
use std::process;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::gate::Gate;
use super::orders::{Orders, Way};
use crate::Failure;
use crate::server::Network;

/// Works until the standard input ends, from its first line on.
pub(super) async fn work(orders: Orders) -> Result<(), Failure> {
    let mut desks = Vec::new();
    for (key, &service) in orders.services.iter().enumerate() {
        let gate = Arc::new(Gate::open(&orders, key).await?);
        let desk = Desk { gate, service, number: orders.number, idle: Arc::default() };
        let connections = match orders.way {
            Way::Greedy { workers } => workers,
            Way::Open { .. } => 4,
        };
        for _ in 0..connections {
            desk.put(desk.connect().await?);
        }
        desks.push(desk);
    }
    let (starts, started) = oneshot::channel();
    thread::spawn(move || {
        let mut lines = io::stdin().lines();
        if let Some(Ok(_)) = lines.next() {
            let _ = starts.send(());
        }
        lines.for_each(drop);
        process::exit(0);
    });
    println!("{READY}");
    started.await?;
    let mut waits = Vec::new();
    let mut workers = JoinSet::new();
    for (key, desk) in desks.into_iter().enumerate() {
        match &orders.way {
            Way::Greedy { workers: count } => {
                for worker in 0..*count {
                    let rng = Rng::with_seed((orders.number * 1000 + worker) as u64);
                    workers.spawn(greedy(desk.clone(), rng));
                }
            }
            Way::Open { streams, mean, time, skipped } => {
                for stream in streams {
                    let rng = Rng::with_seed((key * 1000 + stream) as u64);
                    workers.spawn(open(desk.clone(), rng, *mean, *time, *skipped));
                }
            }
        }
    }
    while let Some(ended) = workers.join_next().await {
        waits.extend(ended??);
    }
    if matches!(orders.way, Way::Open { .. }) {
        let waits: Vec<_> = waits.iter().map(|wait| wait.as_micros().to_string()).collect();
        println!("{}", waits.join(" "));
    }
    // Without more work: until the standard input ends.
    std::future::pending().await
}

/// One worker that always has a request ready.
async fn greedy(desk: Desk, mut rng: Rng) -> Result<Vec<Duration>, Failure> {
    loop {
        desk.request(&mut rng).await?;
    }
}

/// Requests that arrive at random. Returns how long each of them waited for its permit, since it should have arrived.
async fn open(
    desk: Desk,
    mut rng: Rng,
    mean: Duration,
    time: Duration,
    skipped: Duration,
) -> Result<Vec<Duration>, Failure> {
    let begun = Instant::now();
    let mut requests = JoinSet::new();
    let mut at = Duration::ZERO;
    let next = iter::from_fn(|| {
        at += mean.mul_f64(-(1.0 - rng.f64()).ln());
        // The same for all subjects, whatever the order of their permits.
        (at < time).then(|| (at, rng.fork()))
    });
    for (at, mut rng) in next {
        let due = begun + at;
        sleep_until(due).await;
        let desk = desk.clone();
        requests.spawn(async move {
            let granted = desk.request(&mut rng).await?;
            Ok::<_, Failure>((at >= skipped).then(|| granted.saturating_duration_since(due)))
        });
    }
    let mut waits = Vec::new();
    while let Some(ended) = requests.join_next().await {
        waits.extend(ended??);
    }
    Ok(waits)
}

/// The limiter of one window, and connections to its service.
#[derive(Clone)]
struct Desk {
    gate: Arc<Gate>,
    service: SocketAddr,
    number: usize,
    idle: Arc<Mutex<Vec<TcpStream>>>,
}

impl Desk {
    /// One request, served or refused. Returns when its permit came.
    async fn request(&self, rng: &mut Rng) -> Result<Instant, Failure> {
        let mut permit = self.gate.acquire().await?;
        let granted = Instant::now();
        if let Some(permit) = &mut permit {
            permit.sent();
        }
        sleep(NETWORK.way(rng)).await;
        let mut connection = match self.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        connection.write_u8(1).await?;
        connection.read_u8().await?;
        self.put(connection);
        sleep(NETWORK.way(rng)).await;
        if let Some(mut permit) = permit {
            permit.answered();
        }
        Ok(granted)
    }

    async fn connect(&self) -> Result<TcpStream, Failure> {
        let mut connection = TcpStream::connect(self.service).await?;
        connection.set_nodelay(true)?;
        connection.write_u8(self.number.try_into()?).await?;
        Ok(connection)
    }

    fn take(&self) -> Option<TcpStream> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn put(&self, connection: TcpStream) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }
}

pub(super) const READY: &str = "ready";

/// On top of loopback, as in `exact`.
const NETWORK: Network = Network::new(Duration::from_millis(20), Duration::from_millis(30));
