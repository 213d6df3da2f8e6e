//! Server: answers that nginx does not give, from a process of its own: connections that end early, that are slow, and
//! bytes that stand nowhere.

use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;

use super::content;
use super::pace::Pace;
use super::request::{Answer, Request};
use crate::Failure;

/// The server's process; it ends with this.
pub(super) struct Server {
    process: Child,
    address: String,
}

/// What a path asks for: `/<kind>/<length>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Each connection ends after [`CUT`] bytes of bodies.
    Cut,
    /// Each connection has [`RATE`].
    Capped,
    /// Each connection has [`RATE`], and all together have [`SHARED_RATE`].
    Shared,
    /// As fast as they can be sent, without a file.
    Made,
}

impl Kind {
    const ALL: [(&'static str, Self); 4] =
        [("cut", Self::Cut), ("capped", Self::Capped), ("shared", Self::Shared), ("made", Self::Made)];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }

    fn of(path: &str) -> Option<(Self, u64)> {
        let (name, length) = path.strip_prefix('/')?.split_once('/')?;
        let (_, kind) = Self::ALL.iter().find(|(of, _)| *of == name)?;
        Some((*kind, length.parse().ok()?))
    }
}

/// Bytes of bodies before a connection ends.
pub(super) const CUT: u64 = 32 << 20;

/// Bytes of a second on one connection.
const RATE: f64 = (20 << 20) as f64;

/// Bytes of a second on all connections together: more than four of them can use, and not enough for eight.
const SHARED_RATE: f64 = (70 << 20) as f64;

static ALL: Mutex<Pace> = Mutex::new(Pace::new(SHARED_RATE));

impl Server {
    /// Starts this program anew, as the server.
    pub(super) fn start() -> Result<Self, Failure> {
        let mut command = Command::new(env::current_exe()?);
        let mut process = command.arg(super::SERVE).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut address = String::new();
        BufReader::new(process.stdout.take().ok_or("no standard output")?).read_line(&mut address)?;
        Ok(Self { process, address: address.trim().to_owned() })
    }

    pub(super) fn url(&self, kind: Kind, length: u64) -> String {
        format!("http://{}/{}/{length}", self.address, kind.name())
    }

    /// The bytes that were sent since the last call, heads and bodies.
    pub(super) fn sent(&self) -> Result<u64, Failure> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.write_all(b"GET /sent HTTP/1.1\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer.trim().parse()?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its standard input ends, and so does it.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// Is the server, until standard input ends.
pub(super) fn serve() -> Result<(), Failure> {
    thread::spawn(|| {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    for stream in listener.incoming() {
        let stream = stream?;
        thread::spawn(move || {
            // A client may go whenever it likes.
            let _ = Connection::new(&stream).and_then(Connection::run);
            let _ = stream.shutdown(Shutdown::Write);
            // What a client still sends would make the end of the connection a reset, which loses bytes.
            let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
            let _ = io::copy(&mut &stream, &mut io::sink());
        });
    }
    Ok(())
}

static SENT: AtomicU64 = AtomicU64::new(0);

struct Connection<'a> {
    stream: &'a TcpStream,
    /// Bytes of bodies until it is cut.
    left: u64,
    pace: Pace,
    /// What is sent next.
    block: Vec<u8>,
}

impl<'a> Connection<'a> {
    fn new(stream: &'a TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let mut block = vec![0; PIECE];
        content::fill(0, &mut block);
        Ok(Self { stream, left: CUT, pace: Pace::new(RATE), block })
    }

    fn run(mut self) -> io::Result<()> {
        let mut reader = BufReader::new(self.stream);
        while let Some(request) = Request::read(&mut reader)? {
            if request.path == "/sent" {
                return write!(self.stream, "{}", SENT.swap(0, Ordering::Relaxed));
            }
            let Some((kind, length)) = Kind::of(&request.path) else {
                self.send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")?;
                continue;
            };
            let answer = request.answer(length);
            let date = Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
            self.send(answer.head(&date).as_bytes())?;
            if !request.head_only && !self.body(kind, &answer)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Sends a body. Returns whether the connection goes on.
    fn body(&mut self, kind: Kind, answer: &Answer) -> io::Result<bool> {
        let (mut at, end) = answer.bytes();
        while at < end {
            let mut length = (end - at).min(PIECE as u64);
            if kind == Kind::Cut {
                length = length.min(self.left);
                self.left -= length;
            }
            let mut block = std::mem::take(&mut self.block);
            let piece = block.split_at_mut(usize::try_from(length).unwrap_or(PIECE)).0;
            if matches!(kind, Kind::Capped | Kind::Shared) {
                self.pace.wait(length);
            }
            if kind == Kind::Shared {
                Pace::wait_for_all(&ALL, length);
            }
            if kind != Kind::Made {
                content::fill(at, piece);
            }
            let sent = self.send(piece);
            self.block = block;
            sent?;
            at += length;
            if kind == Kind::Cut && self.left == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn send(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let sent = { self.stream }.write(bytes)?;
            SENT.fetch_add(sent as u64, Ordering::Relaxed);
            bytes = bytes.get(sent..).unwrap_or_default();
        }
        Ok(())
    }
}

/// Bytes that are made and sent at once.
const PIECE: usize = 256 << 10;
