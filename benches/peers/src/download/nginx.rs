//! Nginx: serves files at full speed, and counts what it sends.

use std::env;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Failure;

/// nginx over one folder. It ends with this.
pub(super) struct Nginx {
    process: Child,
    port: u16,
    log: PathBuf,
    /// How much of the log was read.
    read: u64,
}

impl Nginx {
    /// Where the program is, if it is.
    pub(super) fn program() -> Option<PathBuf> {
        if let Some(named) = env::var_os("LONGHAUL_NGINX") {
            return Some(named.into());
        }
        super::tools::find("nginx")
    }

    pub(super) fn start(program: &Path, folder: &Path) -> Result<Self, Failure> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let shown = folder.display();
        let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {shown}/{kind};\n"))
            .concat();
        let settings = format!(
            "daemon off; worker_processes 1; pid {shown}/pid; error_log {shown}/errors;
             events {{ worker_connections 1024; }}
             http {{
                 log_format sent '$bytes_sent';
                 access_log {shown}/log sent;
                 {paths}
                 sendfile on; tcp_nopush on; keepalive_requests 100000;
                 server {{ listen 127.0.0.1:{port} backlog=1024; root {shown}; }}
             }}"
        );
        let file = folder.join("nginx.conf");
        fs::write(&file, settings)?;
        let mut command = Command::new(program);
        // Its log is not open yet when it complains about that.
        command.arg("-c").arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let nginx = Self { process: command.spawn()?, port, log: folder.join("log"), read: 0 };
        for _ in 0..100 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(nginx);
            }
            thread::sleep(Duration::from_millis(50));
        }
        let errors = fs::read_to_string(folder.join("errors")).unwrap_or_default();
        Err(format!("nginx did not come up: {errors}").into())
    }

    pub(super) fn url(&self, file: &str) -> String {
        format!("http://127.0.0.1:{}/{file}", self.port)
    }

    /// The bytes that were sent since the last call, heads and bodies: nginx writes a line at the end of a request.
    pub(super) fn sent(&mut self) -> Result<u64, Failure> {
        // Longer than nginx needs to see that a client is gone.
        thread::sleep(Duration::from_millis(20));
        let mut log = File::open(&self.log)?;
        log.seek(SeekFrom::Start(self.read))?;
        let mut lines = String::new();
        self.read += log.read_to_string(&mut lines)? as u64;
        lines.lines().map(|line| Ok(line.parse::<u64>()?)).sum()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // The master ends its worker on this signal.
        if let Ok(pid) = i32::try_from(self.process.id()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        let _ = self.process.wait();
    }
}
