//! Machine: where and with what this was measured, in one line.

use std::fs;
use std::thread;

use jiff::Timestamp;

/// Date, CPU, cores, compiler and the versions of all that is measured.
pub(crate) fn describe() -> String {
    let date = Timestamp::now().strftime("%Y-%m-%d").to_string();
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown CPU", |(_, model)| model.trim());
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let versions: Vec<_> = MEASURED.iter().map(|name| format!("{name} {}", locked(name).unwrap_or("?"))).collect();
    format!("{date}; {cpu}, {cores} cores; {}; {}", env!("PEERS_RUSTC"), versions.join(", "))
}

fn locked(name: &str) -> Option<&'static str> {
    let heading = format!("name = \"{name}\"\n");
    let (_, rest) = LOCK.split_once(&heading)?;
    rest.lines().next()?.strip_prefix("version = \"")?.strip_suffix('"')
}

const LOCK: &str = include_str!("../Cargo.lock");

const MEASURED: [&str; 15] = [
    "longhaul",
    "governor",
    "leaky-bucket",
    "tower",
    "async-rate-limiter",
    "reqwest",
    "reqwest-middleware",
    "reqwest-retry",
    "azure_core",
    "google-cloud-lro",
    "object_store",
    "fast-down",
    "gosh-dl",
    "rusty-cat",
    "tokio",
];
