//! Cell: some processes with one limit and one way to share it.

use std::time::Duration;

use futures::future::try_join_all;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};

use super::member::Member;
use super::orders::{Orders, Way};
use super::seen::Seen;
use super::service::{Counts, Service};
use super::stores::{Place, Stores};
use crate::Failure;
use crate::budget::Window;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) sharing: Sharing,
    pub(super) members: u32,
    pub(super) load: Load,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sharing {
    /// One process with a throttle in memory; it has the arrivals of all others.
    Memory,
    File,
    Redis,
    /// With a server that is far away.
    FarRedis,
    /// A limiter in a Redis server which is asked for each request.
    Gcra,
    /// Each process with its own throttle of the whole limit.
    Full,
    /// Each process with its own throttle of its share.
    Share,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Load {
    /// All processes always have a request ready.
    Greedy,
    /// One of them.
    First,
    /// Requests arrive at random in all processes, together at a share of the rate that one process in memory reaches.
    Open,
}

impl Sharing {
    pub(super) const fn needs_redis(self) -> bool {
        matches!(self, Self::Redis | Self::FarRedis | Self::Gcra)
    }
}

impl Cell {
    pub(super) fn name(self) -> String {
        let processes = match (self.members, self.load, self.sharing) {
            (_, _, Sharing::Memory) | (1, ..) => "1 process".to_owned(),
            (members, Load::First, _) => format!("1 of {members} processes busy"),
            (members, ..) => format!("{members} processes"),
        };
        let sharing = match self.sharing {
            Sharing::Memory if self.load == Load::Open && self.members > 1 => {
                return format!("{processes} with the arrivals of {}, in memory", self.members);
            }
            Sharing::Memory => "in memory",
            Sharing::File => "Throttle::file",
            Sharing::Redis => "Throttle::redis",
            Sharing::FarRedis => "Throttle::redis 20 ms away",
            Sharing::Gcra => "GCRA in Redis",
            Sharing::Full => "the whole limit each",
            Sharing::Share => "a share each",
        };
        format!("{processes}, {sharing}")
    }

    /// Runs the cell for that time, with so many windows of the limit at as many services. No other round uses the same
    /// windows of the stores.
    pub(super) async fn run(
        self,
        limit: Window,
        time: Duration,
        keys: usize,
        round: u32,
        stores: &Stores,
    ) -> Result<Seen, Failure> {
        let services = try_join_all((0..keys).map(|_| Service::start(limit, self.processes()))).await?;
        let place = stores.place(limit, self, round)?;
        let orders = |number: usize| self.orders(limit, time, number, &services, &place);
        let started =
            (0..self.processes()).map(|number| Member::start(&orders(number))).collect::<Result<Vec<_>, _>>()?;
        let mut fleet = spawn_blocking(move || {
            let mut fleet = started;
            fleet.iter_mut().try_for_each(Member::ready)?;
            Ok::<_, Failure>(fleet)
        })
        .await??;
        let before = place.calls()?;
        let begun = Instant::now();
        fleet.iter_mut().try_for_each(Member::go)?;
        sleep_until(begun + time.min(MINUTE)).await;
        let early = counts(&services).served;
        sleep_until(begun + time).await;
        let mut waits = Vec::new();
        if self.load == Load::Open {
            // The last arrivals may still wait.
            (fleet, waits) = spawn_blocking(move || {
                let waits = fleet.iter_mut().map(Member::waits).collect::<Result<Vec<_>, _>>()?.concat();
                Ok::<_, Failure>((fleet, waits))
            })
            .await??;
            waits.sort_unstable();
        }
        let (counts, after, time) = (counts(&services), place.calls()?, begun.elapsed());
        if !fleet.iter_mut().all(Member::is_alive) {
            return Err("a process of the fleet ended early".into());
        }
        spawn_blocking(move || drop(fleet)).await?;
        let calls = before.zip(after).map(|(before, after)| after - before);
        Ok(Seen { served: counts.served, early, refused: counts.refused, calls, keys, time, waits })
    }

    fn orders(self, limit: Window, time: Duration, number: usize, services: &[Service], place: &Place) -> Orders {
        let workers = if number > 0 && self.load == Load::First { 0 } else { self.workers(limit) };
        // One process for all has the arrivals of all.
        let streams = self.members as usize / self.processes();
        let way = match self.load {
            Load::Greedy | Load::First => Way::Greedy { workers },
            Load::Open => Way::Open {
                streams: (number * streams..(number + 1) * streams).collect(),
                mean: (limit.length + REQUEST).div_f64(f64::from(limit.count) * BUSY) * self.members,
                time,
                skipped: limit.length * 2,
            },
        };
        let own = if self.sharing == Sharing::Share { self.share(limit) } else { limit };
        let services = services.iter().map(|service| service.address).collect();
        Orders { place: place.order(), limit: own, way, services, number }
    }

    /// Whether the arrivals of an open loop do not outrun the shares.
    pub(super) fn can_keep_up(self, limit: Window) -> bool {
        let rate = |window: Window| f64::from(window.count) / (window.length + REQUEST).as_secs_f64();
        let shares = f64::from(self.members) * rate(self.share(limit));
        (self.sharing, self.load) != (Sharing::Share, Load::Open) || shares > rate(limit) * 0.9
    }

    const fn processes(self) -> usize {
        match self.sharing {
            Sharing::Memory => 1,
            _ => self.members as usize,
        }
    }

    /// A whole number in each window, or else one in a longer window, which all may use at once.
    fn share(self, limit: Window) -> Window {
        match limit.count / self.members {
            0 => Window { count: 1, length: limit.length * self.members.div_ceil(limit.count) },
            count => Window { count, length: limit.length },
        }
    }

    /// Enough to use the limit up, as a request takes 0.1 s, and to have one that waits in each process.
    fn workers(self, limit: Window) -> usize {
        let busy = if self.load == Load::First { 1 } else { self.members };
        let rate = f64::from(limit.count) / limit.length.as_secs_f64();
        ((rate * 0.4 / f64::from(busy)) as usize).max(16)
    }
}

fn counts(services: &[Service]) -> Counts {
    services.iter().map(Service::counts).reduce(Counts::and).unwrap_or_default()
}

const MINUTE: Duration = Duration::from_secs(60);

/// The mean time from the permit to the answer: a slot is used once in this and a window.
const REQUEST: Duration = Duration::from_millis(100);

/// The arrivals of an open loop, of the rate that one process in memory reaches.
const BUSY: f64 = 0.75;
