//! Boot: the clock that all processes of one machine share, and the run of the machine.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::throttle::slots::{Micros, micros};

/// The clock of a store in a file: the wall clock when the machine was first seen after its start, and from then on the
/// time since the start. A wall clock that is set does not move it. Where the system does not tell the time since its
/// start, this is the wall clock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BootClock {
    /// The run of the machine.
    boot: String,
    /// The time of the store, less the time since the start.
    offset: Micros,
}

impl BootClock {
    /// Returns the time of the store, and the run of the machine. `latest`: the latest time that was read so far.
    pub(super) fn read(&mut self, latest: Micros) -> (Micros, &str) {
        let (boot, since) = (boot(), since_boot());
        if self.boot != boot || self.offset == 0 {
            self.boot = boot;
            self.offset = micros(wall()).max(latest).saturating_sub(since);
        }
        let now = if since == 0 { micros(wall()) } else { self.offset.saturating_add(since) };
        (now, &self.boot)
    }
}

/// Returns the wall clock, in milliseconds since 1970.
pub(super) fn wall_millis() -> i64 {
    i64::try_from(wall().as_millis()).unwrap_or(i64::MAX / 4)
}

fn wall() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// Returns the time since the start of the machine, with the time that it slept.
#[cfg(target_os = "linux")]
fn since_boot() -> Micros {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::try_from(time).map_or(0, micros)
}

#[cfg(not(target_os = "linux"))]
const fn since_boot() -> Micros {
    0
}

/// Returns a text that changes with each start of the machine, where the system has one.
#[cfg(target_os = "linux")]
fn boot() -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    boot.trim().to_owned()
}

#[cfg(not(target_os = "linux"))]
fn boot() -> String {
    "?".into()
}
