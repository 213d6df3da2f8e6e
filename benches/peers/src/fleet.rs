//! Fleet: processes that share a limit by a file or by a Redis server, at a service that counts arrivals strictly.

mod batch;
mod cell;
mod far;
mod gate;
mod gcra;
mod member;
mod orders;
mod plan;
mod records;
mod redis;
mod seen;
mod service;
mod stores;
mod table;
mod work;

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process;

use tokio::runtime::Runtime;
use tokio::try_join;

use crate::report::Report;
use crate::{Failure, Length};

use plan::Plan;
use redis::Redis;
use stores::Stores;

pub(crate) fn run(report: &mut Report, length: Length) -> Result<(), Failure> {
    let version = Redis::version();
    match &version {
        Some(version) => report.tools(version)?,
        None => println!("not there: redis-server"),
    }
    let plan = Plan::new(length, version.is_some());
    let runtime = Runtime::new()?;
    let folder = Folder::new()?;
    runtime.block_on(async {
        let stores = Stores::start(&plan.batches(), &folder.0).await?;
        // What keeps the machine busy comes last, and alone.
        let (slow, long) = try_join!(
            async { Ok::<_, Failure>((plan.slow.run(&stores).await?, plan.slow_open.run(&stores).await?)) },
            async { try_join!(plan.long.run(&stores), plan.long_open.run(&stores)) },
        )?;
        for (batch, seen) in [(&plan.slow, &slow.0), (&plan.long, &long.0)] {
            table::greedy(report, batch, seen)?;
        }
        for (batch, seen) in [(&plan.slow_open, &slow.1), (&plan.long_open, &long.1)] {
            table::open(report, batch, seen)?;
        }
        table::greedy(report, &plan.fast, &plan.fast.run(&stores).await?)?;
        table::open(report, &plan.fast_open, &plan.fast_open.run(&stores).await?)?;
        Ok(())
    })
}

/// Is a process of the fleet, where the arguments say so.
pub(crate) fn part(name: &OsString, arguments: &[OsString]) -> Option<Result<(), Failure>> {
    member::run(name, arguments)
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
