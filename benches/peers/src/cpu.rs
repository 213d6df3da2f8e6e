//! CPU: the processor time that this process has used.

use std::time::Duration;

use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeVal;

use crate::Failure;

/// User and system time of all threads so far.
pub(crate) fn used() -> Result<Duration, Failure> {
    of(&getrusage(UsageWho::RUSAGE_SELF)?)
}

/// User and system time together.
pub(crate) fn of(usage: &Usage) -> Result<Duration, Failure> {
    Ok(duration(usage.user_time())? + duration(usage.system_time())?)
}

fn duration(time: TimeVal) -> Result<Duration, Failure> {
    Ok(Duration::from_secs(time.tv_sec().try_into()?) + Duration::from_micros(time.tv_usec().try_into()?))
}
