//! This program once more, for a test that has to outlive a process.

use std::path::Path;
use std::process::{Command, Stdio};

/// Runs `test` of `module`, which is the caller's `module_path!()`, alone in a process of its own.
pub(crate) fn again(program: impl AsRef<Path>, module: &str, test: &str) -> Command {
    // The harness leaves out the name of the crate.
    let module = module.split_once("::").expect("a module inside the crate").1;
    let mut command = Command::new(program.as_ref());
    command.args(["--exact", &format!("{module}::{test}")]).stdout(Stdio::null()).stderr(Stdio::null());
    command
}
