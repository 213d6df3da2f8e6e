//! Tools: programs of others, each with the options that its manual advises.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Failure;

/// A program, if it is there.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    let paths = env::var_os("PATH").unwrap_or_default();
    let mut folders = env::split_paths(&paths).chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from));
    folders.find_map(|folder| Some(folder.join(name)).filter(|path| path.is_file()))
}

/// The first line that it prints about its version.
pub(super) fn version(program: &Path, flag: &str) -> Option<String> {
    let output = Command::new(program).arg(flag).output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    let line = String::from_utf8_lossy(&text).lines().next()?.to_owned();
    // Up to the first number: what follows is about its libraries.
    let words: Vec<_> = line.split(' ').collect();
    let number = words.iter().position(|word| word.contains('.'))?;
    Some(words.get(..=number)?.join(" ").replace("nginx version: nginx/", "nginx ").replace(" version ", " "))
}

/// `-C -` goes on where a file ends.
pub(super) fn curl(program: &Path, url: &str, target: &Path, again: u64) -> Command {
    let mut command = Command::new(program);
    command.args(["--disable", "--silent", "--show-error", "--fail", "--output"]).arg(target);
    if again > 0 {
        let again = again.to_string();
        command.args(["--continue-at", "-", "--retry-all-errors", "--retry-delay", "1", "--retry", &again]);
    }
    command.arg(url);
    command
}

/// Without allocation, as its manual advises where a file system has no fallocate; splits of 1 MiB, because the default
/// of 20 MiB makes fewer connections of a short file than were asked for.
pub(super) fn aria2(program: &Path, url: &str, target: &Path, connections: u32) -> Result<Command, Failure> {
    let (folder, name) = (target.parent().ok_or("no folder")?, target.file_name().ok_or("no name")?);
    let mut command = Command::new(program);
    command.args(["--no-conf", "--quiet", "--file-allocation=none", "--min-split-size=1M", "--max-tries=0"]);
    command.args(["--console-log-level=error", "--download-result=hide", "--summary-interval=0"]);
    command.arg(format!("--max-connection-per-server={connections}")).arg(format!("--split={connections}"));
    command.arg("--dir").arg(folder).arg("--out").arg(name).arg(url);
    Ok(command)
}
