//! Cell: some processes with one limit and one way to share it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::member::{Member, Orders, Store};
use super::redis::Redis;
use super::service::Service;
use crate::Failure;
use crate::budget::Window;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) sharing: Sharing,
    pub(super) members: u32,
    pub(super) busy: Busy,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sharing {
    File,
    Redis,
    /// Each process with its own throttle of the whole limit.
    Full,
    /// Each process with its own throttle of its share.
    Share,
}

/// Which processes have work.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Busy {
    All,
    First,
}

/// What the service counted.
pub(super) struct Seen {
    pub(super) served: f64,
    pub(super) refused: u32,
    /// What the process with the fewest got, of that with the most.
    pub(super) fairness: f64,
    /// Calls of the store for each permit.
    pub(super) calls: Option<f64>,
}

impl Cell {
    pub(super) fn name(self) -> String {
        let processes = match (self.members, self.busy) {
            (1, _) => "1 process".to_owned(),
            (members, Busy::All) => format!("{members} processes"),
            (members, Busy::First) => format!("1 of {members} processes busy"),
        };
        let sharing = match self.sharing {
            Sharing::File => "Throttle::file",
            Sharing::Redis => "Throttle::redis",
            Sharing::Full if self.members == 1 => "in memory",
            Sharing::Full => "the whole limit each",
            Sharing::Share => "a share each",
        };
        format!("{processes}, {sharing}")
    }

    pub(super) async fn run(
        self,
        limit: Window,
        time: Duration,
        redis: Option<&Redis>,
        folder: &Path,
    ) -> Result<Seen, Failure> {
        fs::create_dir_all(folder)?;
        let members = self.members as usize;
        let service = Service::start(limit, members).await?;
        let redis = redis.filter(|_| self.sharing == Sharing::Redis);
        let store = match (redis, self.sharing) {
            (Some(redis), _) => Store::Redis(redis.url()),
            (None, Sharing::File) => Store::File(folder.join("limits").to_str().ok_or("no text")?.to_owned()),
            _ => Store::None,
        };
        let own = if self.sharing == Sharing::Share { self.share(limit) } else { limit };
        let orders = |number: usize| Orders {
            store: store.clone(),
            namespace: self.namespace(),
            limit: own,
            workers: if number > 0 && self.busy == Busy::First { 0 } else { self.workers(limit) },
            service: service.address,
            number,
        };
        let started = (0..members).map(|number| Member::start(&orders(number))).collect::<Result<Vec<_>, _>>()?;
        let mut fleet = spawn_blocking(move || {
            let mut fleet = started;
            fleet.iter_mut().try_for_each(Member::ready)?;
            Ok::<_, Failure>(fleet)
        })
        .await??;
        let before = redis.map(Redis::calls).transpose()?;
        fleet.iter_mut().try_for_each(Member::go)?;
        sleep(time).await;
        let counts = service.counts();
        let after = redis.map(Redis::calls).transpose()?;
        if !fleet.iter_mut().all(Member::is_alive) {
            return Err("a process of the fleet ended early".into());
        }
        spawn_blocking(move || drop(fleet)).await?;
        let served: u32 = counts.served.iter().sum();
        let (least, most) = (counts.served.iter().min().copied(), counts.served.iter().max().copied());
        let permits = f64::from(served + counts.refused);
        Ok(Seen {
            served: served.into(),
            refused: counts.refused,
            fairness: f64::from(least.unwrap_or(0)) / f64::from(most.unwrap_or(0)),
            calls: before.zip(after).map(|(before, after)| (after - before) as f64 / permits),
        })
    }

    /// The processes of a cell share a namespace with nobody else.
    fn namespace(self) -> String {
        format!("{}-{}", self.members, if self.busy == Busy::All { "all" } else { "first" })
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
        let busy = if self.busy == Busy::All { self.members } else { 1 };
        let rate = f64::from(limit.count) / limit.length.as_secs_f64();
        ((rate * 0.4 / f64::from(busy)) as usize).max(16)
    }
}
