//! Processes of a test: this program once more, for a test that has to outlive a process, and programs of others.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::folder::turn;

/// Runs `test` of `module`, which is the caller's `module_path!()`, alone in a process of its own.
pub(crate) fn again(program: impl AsRef<Path>, module: &str, test: &str) -> Command {
    // The harness leaves out the name of the crate.
    let module = module.split_once("::").expect("a module inside the crate").1;
    let mut command = Command::new(program.as_ref());
    command.args(["--exact", &format!("{module}::{test}")]).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Starts a process while no test beside this one has a `Folder`: a child holds the file locks of its parent until its
/// exec.
pub(crate) fn spawn(command: &mut Command) -> Child {
    let _turn = turn();
    command.spawn().unwrap()
}

/// Sends a signal to a process, such as `STOP`.
#[cfg(unix)]
pub(crate) fn signal(child: &Child, name: &str) {
    let sent = spawn(Command::new("kill").args([&format!("-{name}"), &child.id().to_string()])).wait();
    assert!(sent.unwrap().success(), "the process has ended");
}

/// Kills a process: it has no chance to give anything back.
pub(crate) fn kill(child: &mut Child) {
    drop(child.kill());
    drop(child.wait());
}
