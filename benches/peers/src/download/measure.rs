//! Measure: one run of one program, in a process of its own between that program and the bench: whatever the system says
//! about the children of that process is about that program alone.

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::Failure;
use crate::cpu;

/// What one run took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    /// Seconds from its start to its end.
    pub(super) wall: f64,
    /// Seconds until its file was on the disk too.
    pub(super) synced: f64,
    /// Seconds of user and system time.
    pub(super) cpu: f64,
    /// Bytes of memory at most.
    pub(super) peak: f64,
}

/// Runs a program, for so long at most. Returns its cost, or why it failed.
pub(super) fn run(program: &Command, target: &Path, at_most: Duration, scratch: &Path) -> Result<Cost, Failure> {
    let errors = scratch.join("stderr");
    let mut command = Command::new(env::current_exe()?);
    command.arg(super::MEASURE).arg(at_most.as_millis().to_string()).arg(target);
    command.arg(program.get_program()).args(program.get_args());
    command.env("no_proxy", "127.0.0.1").env("NO_PROXY", "127.0.0.1");
    let output = command.stdin(Stdio::null()).stderr(File::create(&errors)?).output()?;
    let text = String::from_utf8_lossy(&std::fs::read(&errors)?).into_owned();
    let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no error was shown");
    let said: String = last.chars().take(200).collect();
    let seen: Value = serde_json::from_slice(&output.stdout).map_err(|_| said.clone())?;
    let value = |name| seen.get(name).and_then(Value::as_f64).ok_or("no such number");
    match seen.get("code").and_then(Value::as_i64) {
        Some(0) => {}
        Some(code) => return Err(format!("exit code {code}: {said}").into()),
        None => return Err(format!("not done after {} s", at_most.as_secs()).into()),
    }
    Ok(Cost { wall: value("wall")?, synced: value("synced")?, cpu: value("cpu")?, peak: value("peak")? })
}

/// Is the process between: `MILLISECONDS TARGET PROGRAM ARGUMENT..`.
pub(super) fn measure(arguments: &[OsString]) -> Result<(), Failure> {
    let [at_most, target, program, arguments @ ..] = arguments else { return Err("nothing to measure".into()) };
    let at_most = Duration::from_millis(at_most.to_str().ok_or("no number")?.parse()?);
    let begun = Instant::now();
    let mut child = Command::new(program).args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
    let pid = Pid::from_raw(i32::try_from(child.id())?);
    let (done, over) = mpsc::channel::<()>();
    let watch = thread::spawn(move || {
        if over.recv_timeout(at_most) == Err(mpsc::RecvTimeoutError::Timeout) {
            let _ = kill(pid, Signal::SIGKILL);
        }
    });
    let status = child.wait()?;
    let wall = begun.elapsed();
    drop(done);
    // The other thread has seen the end, and kills nobody else.
    let _ = watch.join();
    let target = Path::new(target);
    if target.is_file() {
        File::open(target)?.sync_all()?;
    }
    let synced = begun.elapsed();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let (cpu, peak) = (cpu::of(&usage)?, usage.max_rss() << 10);
    let (wall, synced) = (wall.as_secs_f64(), synced.as_secs_f64());
    let code = status.code();
    println!("{}", json!({"wall": wall, "synced": synced, "cpu": cpu.as_secs_f64(), "peak": peak, "code": code}));
    Ok(())
}
