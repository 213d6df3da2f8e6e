//! Started: a Redis server of a test.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// An empty server on a free port, which ends with its test.
pub(crate) struct StartedServer {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl StartedServer {
    /// Starts the program that `LONGHAUL_REDIS` names; `None` without it, and the test is skipped.
    pub(crate) fn start() -> Option<Self> {
        let Ok(program) = std::env::var("LONGHAUL_REDIS") else {
            eprintln!("skipped: tests/run.sh names the program of the server");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new(program)
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(Self { child, port, _folder: folder })
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

impl Drop for StartedServer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
