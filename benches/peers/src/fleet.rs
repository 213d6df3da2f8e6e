//! Fleet: processes that share a limit by a file or by a Redis server, at a service that counts arrivals strictly.

mod cell;
mod member;
mod redis;
mod service;

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::time::Duration;

use futures::future::try_join_all;
use tokio::runtime::Runtime;

use crate::budget::Window;
use crate::report::{Report, Row, Unit};
use crate::{Failure, Length};

use cell::{Busy, Cell, Seen, Sharing};
use redis::Redis;

pub(crate) fn run(report: &mut Report, length: Length) -> Result<(), Failure> {
    let version = Redis::version();
    match &version {
        Some(version) => report.tools(version)?,
        None => println!("not there: redis-server"),
    }
    let runtime = Runtime::new()?;
    let folder = Folder::new()?;
    let cells = cells(version.is_some());
    for batch in batches(length) {
        let seen = runtime.block_on(batch.run(&cells, &folder.0))?;
        for (limit, seen) in batch.limits.iter().zip(&seen) {
            let title = format!("{} per {:?}", limit.count, limit.length);
            report.table(&title, &format!("{} s each", batch.time.as_secs()), &rows(&cells, seen))?;
        }
    }
    Ok(())
}

/// Is a process of the fleet, where the arguments say so.
pub(crate) fn part(name: &OsString, arguments: &[OsString]) -> Option<Result<(), Failure>> {
    member::run(name, arguments)
}

/// Limits that are measured side by side.
struct Batch {
    limits: Vec<Window>,
    time: Duration,
    at_once: AtOnce,
}

/// How many cells of one number of processes run at once.
enum AtOnce {
    All,
    /// For limits that keep the machine busy.
    One,
}

impl Batch {
    /// Returns what each cell gave at each limit, in the order of the cells.
    async fn run(&self, cells: &[Cell], folder: &Path) -> Result<Vec<Vec<Seen>>, Failure> {
        let mut seen: Vec<Vec<Seen>> = self.limits.iter().map(|_| Vec::new()).collect();
        let alike =
            |a: &Cell, b: &Cell| matches!(self.at_once, AtOnce::All) && a.members == b.members && a.busy == b.busy;
        let mut servers = Vec::new();
        for _ in &self.limits {
            servers.push(if cells.iter().any(|cell| cell.sharing == Sharing::Redis) {
                Some(Redis::start(folder).await?)
            } else {
                None
            });
        }
        for (server, limit) in servers.iter().flatten().zip(&self.limits) {
            server.settle(limit.length).await;
        }
        for cells in cells.chunk_by(alike) {
            let limits = self.limits.iter().zip(&servers).map(async |(limit, redis)| {
                try_join_all(cells.iter().map(async |cell| {
                    let folder = folder.join(format!("{} {:?} {}", limit.count, limit.length, cell.name()));
                    cell.run(*limit, self.time, redis.as_ref(), &folder).await
                }))
                .await
            });
            for (seen, cells) in seen.iter_mut().zip(try_join_all(limits).await?) {
                seen.extend(cells);
            }
        }
        Ok(seen)
    }
}

fn batches(length: Length) -> Vec<Batch> {
    let window = |count, seconds| Window { count, length: Duration::from_secs(seconds) };
    let slow = [window(4, 1), window(15, 1), window(100, 1)];
    let batch = |limits, seconds, at_once| Batch { limits, time: Duration::from_secs(seconds), at_once };
    match length {
        Length::Short => vec![batch(slow.to_vec(), 8, AtOnce::All)],
        Length::Long => {
            let slow = slow.into_iter().chain([window(10, 10)]).collect();
            vec![batch(slow, 40, AtOnce::All), batch(vec![window(1000, 1)], 8, AtOnce::One)]
        }
    }
}

/// The first is what the others are compared with. Those of one number of processes follow each other.
fn cells(has_redis: bool) -> Vec<Cell> {
    let cell = |sharing, members, busy| Cell { sharing, members, busy };
    let mut cells = vec![cell(Sharing::Full, 1, Busy::All)];
    let shared = [Sharing::File, Sharing::Redis].into_iter().filter(|sharing| has_redis || *sharing == Sharing::File);
    cells.extend(shared.clone().map(|sharing| cell(sharing, 1, Busy::All)));
    for members in [2, 4, 8] {
        let sharing = shared.clone().chain([Sharing::Full, Sharing::Share]);
        cells.extend(sharing.map(|sharing| cell(sharing, members, Busy::All)));
    }
    cells.extend(shared.chain([Sharing::Share]).map(|sharing| cell(sharing, 4, Busy::First)));
    cells
}

fn rows(cells: &[Cell], seen: &[Seen]) -> Vec<Row> {
    let one = seen.first().map_or(f64::NAN, |seen| seen.served);
    let row = |(cell, seen): (&Cell, &Seen)| {
        let row = Row::new(cell.name())
            .one("served", Unit::Count, seen.served)
            .one("of one in memory", Unit::Ratio, seen.served / one)
            .one("refused", Unit::Count, seen.refused.into());
        let row = match cell.busy {
            Busy::All if cell.members > 1 => row.one("least / most", Unit::Ratio, seen.fairness),
            _ => row.none("least / most"),
        };
        match seen.calls {
            Some(calls) => row.one("store calls a permit", Unit::Ratio, calls),
            None => row.none("store calls a permit"),
        }
    };
    cells.iter().zip(seen).map(row).collect()
}

/// A folder for the files of all cells, which ends with this.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self, Failure> {
        let path = env::temp_dir().join(format!("longhaul-fleet-{}", process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
