//! Measures longhaul beside its peers, each in its documented best use.

mod budget;
mod cpu;
mod download;
mod draw;
mod exact;
mod fair;
#[cfg(feature = "longhaul")]
mod fleet;
mod heap;
mod learn;
mod machine;
mod permit_cost;
mod pipeline;
mod polls;
mod queue_server;
mod report;
mod server;
#[cfg(feature = "longhaul")]
mod services;
mod spread;
mod subject;
mod subjects;
mod tasks;
mod waiters;

use std::env;
use std::error::Error;
use std::ffi::OsString;

use lexopt::{Arg, Parser, ValueExt};

use heap::Counting;
use report::Report;

#[global_allocator]
static HEAP: Counting = Counting;

type Failure = Box<dyn Error + Send + Sync>;

/// How long a bench may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    /// Up to a minute.
    Short,
    /// As long as it is worth.
    Long,
}

impl Length {
    fn pick<T>(self, short: T, long: T) -> T {
        match self {
            Self::Short => short,
            Self::Long => long,
        }
    }
}

struct Bench {
    name: &'static str,
    about: &'static str,
    run: fn(&mut Report, Length) -> Result<(), Failure>,
}

const BENCHES: &[Bench] = &[
    Bench { name: "permit-cost", about: "ns per permit where nothing waits", run: permit_cost::run },
    Bench { name: "waiters", about: "10,000 and 100,000 waiters: CPU, polls, order, memory", run: waiters::run },
    Bench { name: "exact", about: "refusals and goodput against a strict sliding window", run: exact::run },
    Bench { name: "queue-server", about: "a burst of 130 at a service that queues", run: queue_server::run },
    Bench { name: "learn", about: "an unknown limit, and one that changes", run: learn::run },
    Bench { name: "polls", about: "polls and lag of tasks, beside the offline optimum", run: polls::run },
    Bench {
        name: "tasks",
        about: "10,000 tasks of one client: memory, CPU, lag, beside loops of tokio",
        run: tasks::run,
    },
    #[cfg(feature = "longhaul")]
    Bench { name: "fleet", about: "1 to 8 processes that share a limit by a file or by Redis", run: fleet::run },
    Bench { name: "fair", about: "polls beside a flood of downloads", run: fair::run },
    Bench { name: "pipeline", about: "requests/s and CPU of a whole request, beside bare reqwest", run: pipeline::run },
    #[cfg(feature = "longhaul")]
    Bench { name: "services", about: "five profiles at simulated services, beside loops by hand", run: services::run },
    Bench {
        name: "download-connections",
        about: "how many connections a file gets over time",
        run: download::connections,
    },
    Bench { name: "download", about: "a large file, beside a raw reader and other tools", run: download::run },
];

fn main() -> Result<(), Failure> {
    // Not for people: `download` and `fleet` start their parts so, and the arguments of some are those of other programs.
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    #[cfg(feature = "longhaul")]
    if let Some(done) = arguments.split_first().and_then(|(name, rest)| fleet::part(name, rest)) {
        return done;
    }
    if let Some(done) = arguments.split_first().and_then(|(name, rest)| download::part(name, rest)) {
        return done;
    }
    let mut parser = Parser::from_args(arguments);
    let (mut name, mut json, mut length) = (None, None::<OsString>, Length::Short);
    let (mut only, mut requests) = (None::<String>, None::<u32>);
    let mut rest = Vec::new();
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("json") => json = Some(parser.value()?),
            Arg::Long("long") => length = Length::Long,
            Arg::Long("only") => only = Some(parser.value()?.string()?),
            Arg::Long("requests") => requests = Some(parser.value()?.parse()?),
            Arg::Value(value) if name.is_none() => name = Some(value.string()?),
            Arg::Value(value) if matches!(name.as_deref(), Some("draw" | "links")) => rest.push(value),
            other => return Err(other.unexpected().into()),
        }
    }
    let name = name.ok_or(USAGE)?;
    match &*name {
        // Not for people: `pipeline` starts its server so.
        "serve" => return pipeline::serve(),
        "draw" => return draw::run(&rest),
        "links" => return draw::links(&rest),
        "list" => {
            list();
            return Ok(());
        }
        _ => {}
    }
    // For callgrind: so many requests of one subject, and nothing else.
    if let (Some(only), Some(requests), "pipeline") = (&only, requests, &*name) {
        return pipeline::send(only, requests);
    }
    let bench = BENCHES.iter().find(|bench| bench.name == name).ok_or("no such bench; `list` lists them")?;
    let mut report = Report::begin(bench.name, json.as_deref())?;
    (bench.run)(&mut report, length)
}

const USAGE: &str =
    "usage: NAME [--json FILE] [--long], or pipeline --only SUBJECT --requests N; `list` lists the names";

fn list() {
    for bench in BENCHES {
        println!("{:<14}{}", bench.name, bench.about);
    }
    println!("no benches:");
    println!("{:<14}pictures of the results, as SVG: draw DIR_OF_JSON DIR_OF_PICTURES", "draw");
    println!("{:<14}pictures as link definitions for rustdoc: links PICTURE..", "links");
}
