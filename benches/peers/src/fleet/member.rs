//! Member: one process of the fleet, which is this program started anew.

use std::env;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use tokio::runtime::Builder;

use super::orders::Orders;
use super::work::{READY, work};
use crate::Failure;

/// A process, which ends with this.
pub(super) struct Member {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Member {
    /// Starts the process, which then waits.
    pub(super) fn start(orders: &Orders) -> Result<Self, Failure> {
        let mut process = Command::new(env::current_exe()?)
            .args([NAME, &orders.to_text()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = process.stdin.take();
        let output = BufReader::new(process.stdout.take().ok_or("no standard output")?);
        Ok(Self { process, input, output })
    }

    /// Waits until the process has its throttle and its connections.
    pub(super) fn ready(&mut self) -> Result<(), Failure> {
        if self.line()?.trim() == READY { Ok(()) } else { Err("a process of the fleet did not start".into()) }
    }

    pub(super) fn go(&mut self) -> Result<(), Failure> {
        Ok(self.input.as_mut().ok_or("no standard input")?.write_all(b"go\n")?)
    }

    /// Waits until the last arrival of an open loop has its permit, and returns the waits of all.
    pub(super) fn waits(&mut self) -> Result<Vec<Duration>, Failure> {
        let wait = |micros: &str| Ok(Duration::from_micros(micros.parse()?));
        self.line()?.split_whitespace().map(wait).collect()
    }

    /// Whether the process still runs.
    pub(super) fn is_alive(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    fn line(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        if line.ends_with('\n') { Ok(line) } else { Err("a process of the fleet ended early".into()) }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // Its standard input ends, and so does it.
        drop(self.input.take());
        let _ = self.process.wait();
    }
}

/// Is a member, where the arguments say so.
pub(super) fn run(name: &OsString, arguments: &[OsString]) -> Option<Result<(), Failure>> {
    (name == NAME).then(|| {
        let orders = arguments.first().and_then(|text| Orders::of(text.to_str()?));
        let orders = orders.ok_or("a process of the fleet cannot read its orders")?;
        Builder::new_current_thread().enable_all().build()?.block_on(work(orders))
    })
}

const NAME: &str = "fleet-member";
