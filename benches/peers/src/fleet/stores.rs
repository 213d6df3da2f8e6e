//! Stores: the files and servers by which processes share a limit, each with a count of its calls.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::batch::Batch;
use super::cell::{Cell, Load, Sharing};
use super::far::Far;
use super::orders::Store;
use super::records;
use super::redis::Redis;
use crate::Failure;
use crate::budget::Window;

/// A server for all cells that do not run at once, because a server counts the calls of all.
pub(super) struct Stores {
    folder: PathBuf,
    servers: Vec<(Use, Server)>,
}

/// The cells that use a server: those of one limit and one way to share it.
#[derive(PartialEq)]
pub(super) struct Use {
    count: u32,
    length: Duration,
    sharing: Sharing,
    /// Where cells run at once, a server for each.
    own: Option<(u32, Load)>,
}

struct Server {
    redis: Redis,
    far: Option<Far>,
}

/// The part of the stores that one cell uses.
pub(super) struct Place<'a> {
    kind: Kind<'a>,
    namespace: String,
}

enum Kind<'a> {
    None,
    File(PathBuf),
    Redis(&'a Server),
    Gcra(&'a Server),
}

impl Stores {
    /// Starts the servers, and waits until a throttle takes slots from them.
    pub(super) async fn start(batches: &[&Batch], folder: &Path) -> Result<Self, Failure> {
        let mut servers: Vec<(Use, Server)> = Vec::new();
        let cells = batches.iter().flat_map(|batch| batch.limits.iter().flat_map(|&limit| batch.cells_at(limit)));
        for (limit, cell) in cells.filter(|(_, cell)| cell.sharing.needs_redis()) {
            let of = Use::of(limit, cell);
            if servers.iter().all(|(other, _)| *other != of) {
                let redis = Redis::start(folder).await?;
                let is_far = cell.sharing == Sharing::FarRedis;
                let far = if is_far { Some(Far::start(redis.address(), FAR).await?) } else { None };
                servers.push((of, Server { redis, far }));
            }
        }
        for (of, server) in &servers {
            server.redis.settle(of.length).await;
        }
        Ok(Self { folder: folder.to_owned(), servers })
    }

    /// No two cells and no two rounds of a cell share a window.
    pub(super) fn place(&self, limit: Window, cell: Cell, round: u32) -> Result<Place<'_>, Failure> {
        let load = match cell.load {
            Load::Greedy => "greedy",
            Load::First => "first",
            Load::Open => "open",
        };
        let namespace = format!("{}-{load}-{round}", cell.members);
        let server = || {
            let of = Use::of(limit, cell);
            self.servers.iter().find(|(other, _)| *other == of).map(|(_, server)| server).ok_or("no Redis server")
        };
        let kind = match cell.sharing {
            Sharing::File => {
                let folder = self.folder.join(format!("{}-{:?}-{namespace}", limit.count, limit.length));
                fs::create_dir_all(&folder)?;
                Kind::File(folder)
            }
            Sharing::Redis | Sharing::FarRedis => Kind::Redis(server()?),
            Sharing::Gcra => Kind::Gcra(server()?),
            Sharing::Memory | Sharing::Full | Sharing::Share => Kind::None,
        };
        Ok(Place { kind, namespace })
    }
}

impl Place<'_> {
    /// The store as a process is told of it.
    pub(super) fn order(&self) -> Store {
        let namespace = self.namespace.clone();
        match &self.kind {
            Kind::None => Store::None,
            Kind::File(folder) => Store::File(folder.clone()),
            Kind::Redis(server) => Store::Redis { url: server.url(), namespace },
            Kind::Gcra(server) => Store::Gcra { url: server.url(), namespace },
        }
    }

    /// How often the store was called so far.
    pub(super) fn calls(&self) -> Result<Option<u64>, Failure> {
        Ok(match &self.kind {
            Kind::None => None,
            Kind::File(folder) => Some(records::written(folder)?),
            Kind::Redis(server) | Kind::Gcra(server) => Some(server.redis.calls()?),
        })
    }
}

impl Use {
    fn of(limit: Window, cell: Cell) -> Self {
        let own = match cell.load {
            load if limit.length > Duration::from_secs(1) => Some((cell.members, load)),
            Load::First => Some((cell.members, Load::First)),
            Load::Greedy | Load::Open => None,
        };
        Self { count: limit.count, length: limit.length, sharing: cell.sharing, own }
    }
}

impl Server {
    fn url(&self) -> String {
        let address = self.far.as_ref().map_or(self.redis.address(), |far| far.address);
        format!("redis://{address}/0")
    }
}

/// The round trip to a server that is far away.
const FAR: Duration = Duration::from_millis(20);
