//! Redis: a server for some cells, and how often it was asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use crate::Failure;

/// A server on a free port, which keeps nothing on disk; it ends with this.
pub(super) struct Redis {
    process: Child,
    port: u16,
    begun: Instant,
}

impl Redis {
    /// Returns the version of the program, if there is one.
    pub(super) fn version() -> Option<String> {
        let told = Command::new(PROGRAM).arg("--version").output().ok()?;
        let told = String::from_utf8(told.stdout).ok()?;
        let version = told.split_whitespace().find_map(|word| word.strip_prefix("v="))?;
        Some(format!("redis-server {version}"))
    }

    pub(super) async fn start(folder: &Path) -> Result<Self, Failure> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let process = Command::new(PROGRAM)
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .current_dir(folder)
            .stdout(Stdio::null())
            .spawn()?;
        let redis = Self { process, port, begun: Instant::now() };
        for _ in 0..200 {
            if redis.ask("PING").is_ok() {
                return Ok(redis);
            }
            sleep(Duration::from_millis(50)).await;
        }
        Err("the Redis server does not answer".into())
    }

    pub(super) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Waits until the server has run for so long that it cannot have forgotten slots, as a throttle requires of a new one.
    pub(super) async fn settle(&self, window: Duration) {
        sleep_until(self.begun + LAPSE + window).await;
    }

    /// How many scripts were called so far: one for each ask.
    pub(super) fn calls(&self) -> Result<u64, Failure> {
        let stats = self.ask("INFO commandstats")?;
        let of = |line: &str| line.split_once("calls=")?.1.split(',').next()?.parse::<u64>().ok();
        Ok(stats.lines().filter(|line| line.starts_with("cmdstat_eval")).filter_map(of).sum())
    }

    /// Sends an inline command, and returns a simple string or a bulk string.
    fn ask(&self, command: &str) -> Result<String, Failure> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "{command}\r\n")?;
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        reader.read_line(&mut head)?;
        match head.trim().strip_prefix('$') {
            Some(length) => {
                let mut bulk = vec![0; length.parse()?];
                reader.read_exact(&mut bulk)?;
                Ok(String::from_utf8(bulk)?)
            }
            None if head.starts_with('+') => Ok(head),
            None => Err(format!("the Redis server said {head:?}").into()),
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The longest that a lease can last, and a bit.
const LAPSE: Duration = Duration::from_secs(14);

const PROGRAM: &str = "redis-server";
