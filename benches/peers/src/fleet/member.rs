//! Member: one process of the fleet, which is this program started anew.

use std::env;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{self, Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use longhaul::limits::{Priority, RequestKey};
use longhaul::{Limit, Throttle};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::Failure;
use crate::budget::Window;
use crate::server::Network;

/// A process, which ends with this.
pub(super) struct Member {
    process: Child,
    input: Option<ChildStdin>,
}

/// What a process is told.
pub(super) struct Orders {
    /// What its throttle shares: nothing, a path, or a URL.
    pub(super) store: Store,
    pub(super) namespace: String,
    pub(super) limit: Window,
    pub(super) workers: usize,
    pub(super) service: SocketAddr,
    pub(super) number: usize,
}

#[derive(Clone)]
pub(super) enum Store {
    None,
    File(String),
    Redis(String),
}

impl Member {
    /// Starts the process, which then waits.
    pub(super) fn start(orders: &Orders) -> Result<Self, Failure> {
        let (kind, place) = match &orders.store {
            Store::None => ("none", ""),
            Store::File(path) => ("file", &**path),
            Store::Redis(url) => ("redis", &**url),
        };
        let mut process = Command::new(env::current_exe()?)
            .args([
                NAME,
                kind,
                place,
                &orders.namespace,
                &orders.limit.count.to_string(),
                &orders.limit.length.as_millis().to_string(),
            ])
            .args([orders.workers.to_string(), orders.service.to_string(), orders.number.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = process.stdin.take();
        Ok(Self { process, input })
    }

    /// Waits until the process has its throttle and its connections.
    pub(super) fn ready(&mut self) -> Result<(), Failure> {
        let mut line = String::new();
        BufReader::new(self.process.stdout.take().ok_or("no standard output")?).read_line(&mut line)?;
        if line.trim() == READY { Ok(()) } else { Err("a process of the fleet did not start".into()) }
    }

    pub(super) fn go(&mut self) -> Result<(), Failure> {
        use io::Write;
        Ok(self.input.as_mut().ok_or("no standard input")?.write_all(b"go\n")?)
    }

    /// Whether the process still runs.
    pub(super) fn is_alive(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // Its standard input ends, and so does it.
        drop(self.input.take());
        let _ = self.process.wait();
    }
}

/// Is a member, where the arguments say so.
pub(super) fn run(name: &OsString, arguments: &[OsString]) -> Option<Result<(), Failure>> {
    (name == NAME).then(|| {
        let orders = orders(arguments).ok_or("a process of the fleet cannot read its orders")?;
        Builder::new_current_thread().enable_all().build()?.block_on(work(orders))
    })
}

fn orders(arguments: &[OsString]) -> Option<Orders> {
    let words: Vec<_> = arguments.iter().map(|word| word.to_str()).collect::<Option<_>>()?;
    let &[kind, place, namespace, count, length, workers, service, number] = &*words else { return None };
    let store = match kind {
        "file" => Store::File(place.to_owned()),
        "redis" => Store::Redis(place.to_owned()),
        _ => Store::None,
    };
    let limit = Window { count: count.parse().ok()?, length: Duration::from_millis(length.parse().ok()?) };
    let (workers, service, number) = (workers.parse().ok()?, service.parse().ok()?, number.parse().ok()?);
    Some(Orders { store, namespace: namespace.to_owned(), limit, workers, service, number })
}

async fn work(orders: Orders) -> Result<(), Failure> {
    let throttle = match &orders.store {
        Store::None => Throttle::new(),
        Store::File(path) => Throttle::file(path)?,
        Store::Redis(url) => Throttle::redis(url, &orders.namespace).await?,
    };
    throttle.add_limit(Limit::per(orders.limit.count, orders.limit.length))?;
    let mut connections = Vec::new();
    for _ in 0..orders.workers {
        let mut connection = TcpStream::connect(orders.service).await?;
        connection.set_nodelay(true)?;
        connection.write_u8(orders.number.try_into()?).await?;
        connections.push(connection);
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
    let mut workers = JoinSet::new();
    for (worker, connection) in connections.into_iter().enumerate() {
        let rng = Rng::with_seed((orders.number * 1000 + worker) as u64);
        workers.spawn(send(throttle.clone(), connection, rng));
    }
    while let Some(ended) = workers.join_next().await {
        ended??;
    }
    // Without workers: until the standard input ends.
    std::future::pending().await
}

/// One greedy worker: a request that is refused is made again, by the next permit.
async fn send(throttle: Throttle, mut connection: TcpStream, mut rng: Rng) -> Result<(), Failure> {
    let keys = RequestKey::new();
    loop {
        let mut permit = throttle.acquire(Priority::Call, &keys).await?;
        permit.sent();
        sleep(NETWORK.way(&mut rng)).await;
        connection.write_u8(1).await?;
        connection.read_u8().await?;
        sleep(NETWORK.way(&mut rng)).await;
        permit.answered();
    }
}

const NAME: &str = "fleet-member";
const READY: &str = "ready";

/// On top of loopback, as in `exact`.
const NETWORK: Network = Network::new(Duration::from_millis(20), Duration::from_millis(30));
