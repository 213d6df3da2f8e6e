//! Download: wall time, CPU, memory and bytes on the wire of a large file, beside a raw TCP reader and other tools.

mod content;
mod fetch;
mod folder;
mod measure;
mod nginx;
mod pace;
mod request;
mod scenario;
mod server;
mod subjects;
mod table;
mod tools;
mod track;

use std::ffi::{OsStr, OsString};

use crate::report::{Report, Row, Unit};
use crate::{Failure, Length};

use folder::Folder;
use nginx::Nginx;
use scenario::{Field, Place, Sizes};
use server::Server;
use subjects::subjects;
use track::Track;

pub(crate) fn run(report: &mut Report, length: Length) -> Result<(), Failure> {
    let sizes = Sizes::of(length);
    let (subjects, missing) = subjects();
    for missing in &missing {
        println!("missing: {} ({})", missing.name, missing.why);
    }
    // The source, a target, and whatever else a subject keeps.
    let memory = Folder::on_tmpfs(2 * sizes.file + ROOM)?;
    let disk = Folder::on_disk(sizes.on_disk + ROOM);
    let server = Server::start()?;
    let program = Nginx::program();
    report.tools(&versions(program.as_deref()))?;
    let mut field = Field::new(&subjects, sizes, &server, &memory);
    field.one_byte(report)?;
    let mut goals = Goals::default();
    match program {
        None => println!("missing: nginx (apt-get install nginx-light): nothing at full speed is measured"),
        Some(program) => {
            let mut nginx = Nginx::start(&program, memory.path())?;
            let tmpfs = field.uncapped(report, &mut nginx, &Place::tmpfs(sizes, &memory))?;
            goals.add("wall on tmpfs, of raw", 1.0, &tmpfs, |seen, raw| seen.cost.wall / raw.cost.wall);
            goals.add("MiB above baseline, to a file", 32.0, &tmpfs, |seen, _| seen.above);
            match disk {
                Err(error) => println!("missing: a disk ({error})"),
                Ok(disk) => {
                    let disk = field.uncapped(report, &mut nginx, &Place::disk(sizes, &disk))?;
                    goals.add("wall on disk, of raw", 1.05, &disk, |seen, raw| seen.cost.synced / raw.cost.synced);
                }
            }
        }
    }
    let capped = field.capped(report, length)?;
    goals.add(TIMES, 7.5, &capped, |seen, raw| raw.cost.wall / seen.cost.wall);
    let cut = field.cut(report)?;
    goals.add("wire under cuts, of length", 1.01, &cut, |seen, _| seen.wire);
    let made = field.made(report)?;
    goals.add("MiB above baseline, to a writer", 32.0, &made, |seen, _| seen.above);
    Ok(report.table("goals of longhaul", "asked for, and not asserted; median", &goals.0)?)
}

/// Logs how many connections longhaul uses for one file, ten times a second.
#[cfg(feature = "longhaul")]
pub(crate) fn connections(report: &mut Report, length: Length) -> Result<(), Failure> {
    let bytes = length.pick(512_u64 << 20, 2 << 30);
    let memory = Folder::on_tmpfs(bytes + ROOM)?;
    let server = Server::start()?;
    let url = server.url(server::Kind::Shared, bytes);
    let target = memory.afresh()?.join("target");
    let samples = fetch::log_connections(&url, &target)?;
    content::check(&target, bytes)?;
    println!("{:>8} {:>12} {:>10}", "seconds", "connections", "MiB/s");
    for sample in &samples {
        println!("{:>8.1} {:>12} {:>10.1}", sample.seconds, sample.connections, sample.rate / f64::from(1 << 20));
        report.sample(sample.seconds, sample.connections, sample.rate)?;
    }
    Ok(())
}

#[cfg(not(feature = "longhaul"))]
pub(crate) fn connections(_: &mut Report, _: Length) -> Result<(), Failure> {
    Err("built without the feature `longhaul`".into())
}

/// Does what this program does as a process of its own, if it was started for that.
pub(crate) fn part(name: &OsStr, arguments: &[OsString]) -> Option<Result<(), Failure>> {
    Some(match name.to_str()? {
        FETCH => fetch::fetch(arguments),
        MEASURE => measure::measure(arguments),
        SERVE => server::serve(),
        _ => return None,
    })
}

const FETCH: &str = "fetch-download";
const MEASURE: &str = "measure-download";
const SERVE: &str = "serve-download";

/// Bytes that stay free on a file system.
const ROOM: u64 = 64 << 20;

/// The only goal that is a least value.
const TIMES: &str = "times one connection";

/// Longhaul's goals, and what was seen of them.
#[derive(Default)]
struct Goals(Vec<Row>);

impl Goals {
    /// At most so much of a value, or at least so much of the times that it is faster.
    fn add(&mut self, name: &str, goal: f64, tracks: &[Track<'_>], value: table::Value) {
        let row = Row::new(name).one("goal", Unit::Ratio, goal);
        let own = tracks.iter().filter(|track| track.subject.name.starts_with(fetch::LONGHAUL));
        // Of all its rows the best: they differ in what the caller asked for.
        let seen = own.filter_map(|own| table::median(own, tracks.first()?, value));
        let best = if name == TIMES { f64::max } else { f64::min };
        self.0.push(match seen.reduce(best) {
            Some(seen) => row.one("seen", Unit::Ratio, seen),
            None => row.none("seen"),
        });
    }
}

fn versions(nginx: Option<&std::path::Path>) -> String {
    let programs = [(nginx.map(Into::into), "-v"), (tools::find("curl"), "--version"), (tools::find("aria2c"), "-v")];
    let versions = programs.into_iter().filter_map(|(program, flag)| tools::version(&program?, flag));
    versions.collect::<Vec<_>>().join(", ")
}
