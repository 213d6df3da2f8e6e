//! A Redis server of a test, which keeps nothing on the disk. The tests with a server need `LONGHAUL_REDIS`, its program,
//! which tests/run.sh finds.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::child::{kill, spawn};
#[cfg(target_os = "linux")]
use crate::clock::Clock;
use crate::folder::plain::Folder;

pub(crate) struct Redis {
    port: u16,
    child: Child,
    arguments: Vec<&'static str>,
    environment: Vec<(&'static str, OsString)>,
    folder: Folder,
    #[cfg(target_os = "linux")]
    clock: Clock,
}

impl Redis {
    /// Starts a server, if its program is named. On Linux it believes to have run for an hour: a younger one lends nothing
    /// at first.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    pub(crate) fn start_with(arguments: &[&'static str]) -> Option<Self> {
        if std::env::var_os("LONGHAUL_REDIS").is_none() {
            eprintln!("skipped: tests/run.sh finds the program of a Redis server");
            return None;
        }
        #[cfg(target_os = "linux")]
        let (clock, environment) = {
            let clock = Clock::new(-3600);
            let environment = clock.environment();
            (clock, environment)
        };
        #[cfg(not(target_os = "linux"))]
        let environment = Vec::new();
        let (folder, arguments) = (Folder::new(), arguments.to_vec());
        for _ in 0..9 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            // A program beside this one may take the port first.
            if let Some(child) = run(port, &arguments, &environment, &folder) {
                #[cfg(target_os = "linux")]
                clock.set(0);
                return Some(Self {
                    port,
                    child,
                    arguments,
                    environment,
                    folder,
                    #[cfg(target_os = "linux")]
                    clock,
                });
            }
        }
        panic!("no server can be started with {arguments:?}");
    }

    /// Sets the server's clock so many seconds from the machine's.
    #[cfg(target_os = "linux")]
    pub(crate) fn set_clock(&self, seconds: i64) {
        self.clock.set(seconds);
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Gives the server a command, and does not wait for the answer of one that stops it.
    pub(crate) fn tell(&self, command: &str) {
        if command.starts_with("DEBUG") || command.starts_with("CLIENT") {
            drop(self.connect(command));
        } else {
            self.ask(command);
        }
    }

    /// Returns a field of a section of the server's description of itself.
    pub(crate) fn info(&self, section: &str, field: &str) -> String {
        let text = self.ask(&format!("INFO {section}"));
        let value = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        value.map(|value| value.trim().to_owned()).unwrap_or_default()
    }

    /// Gives the server a command, and returns its answer.
    pub(crate) fn ask(&self, command: &str) -> String {
        let mut stream = self.connect(command);
        let mut text = Vec::new();
        while !is_whole(&text) {
            let mut some = [0; 4096];
            let length = stream.read(&mut some).unwrap();
            assert!(length > 0, "the server hangs up");
            text.extend_from_slice(&some[..length]);
        }
        String::from_utf8(text).unwrap()
    }

    fn connect(&self, command: &str) -> TcpStream {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(format!("{command}\r\n").as_bytes()).unwrap();
        stream
    }

    pub(crate) fn kill(&mut self) {
        kill(&mut self.child);
    }

    /// Starts the server again, empty.
    pub(crate) fn start_empty(&mut self) {
        self.kill();
        for _ in 0..50 {
            if let Some(child) = run(self.port, &self.arguments, &self.environment, &self.folder) {
                self.child = child;
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("the port of the server is taken");
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs a server, and returns when it takes connections; `None` if it ends.
fn run(port: u16, arguments: &[&str], environment: &[(&str, OsString)], folder: &Folder) -> Option<Child> {
    let mut command = Command::new(std::env::var_os("LONGHAUL_REDIS").unwrap());
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
    command.args(["--enable-debug-command", "yes", "--repl-diskless-sync-delay", "0"]).args(arguments);
    command.envs(environment.iter().map(|(name, value)| (name, value))).current_dir(folder.path());
    let mut child = spawn(command.stdout(Stdio::null()));
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if child.try_wait().unwrap().is_some() {
            return None;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Some(child)
}

/// Whether an answer is complete: a long string is `$LENGTH`, and so many bytes.
fn is_whole(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    match text.strip_prefix('$').map(|text| text.split_once("\r\n")) {
        Some(Some((length, body))) => length.parse().is_ok_and(|length: usize| body.len() >= length + 2),
        Some(None) => false,
        None => text.ends_with("\r\n"),
    }
}
