//! A server of tests/servers that python runs. It says its URL first, and ends with its standard input.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};

pub(crate) struct Server {
    process: Child,
    /// What it says; it may die of a closed pipe.
    _said: BufReader<ChildStdout>,
    pub(crate) url: String,
}

impl Server {
    /// `None` where `tests/run.sh` has not installed it.
    pub(crate) fn start(program: &str) -> Option<Self> {
        let python = std::env::var_os("LONGHAUL_PYTHON")?;
        let program = format!("{}/tests/servers/{program}", env!("CARGO_MANIFEST_DIR"));
        let mut process = Command::new(python)
            .args(["-B", &program])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(process.stdout.take().unwrap());
        let url = said.by_ref().lines().map_while(Result::ok).find(|line| line.starts_with("http://127.0.0.1:"));
        let url = url.unwrap_or_else(|| panic!("{program} did not come up"));
        Some(Self { process, _said: said, url })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}
