//! A service that counts arrivals strictly, in a sliding window, and answers a few milliseconds later.
//!
//! A datagram of one byte is a request of the process with that number; a longer one is a report of it, which is noted.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

pub(crate) struct Service {
    socket: UdpSocket,
    count: usize,
    window: Duration,
    /// The requests that were served within the window.
    arrivals: VecDeque<Instant>,
    /// All requests within the window, and their processes.
    recent: VecDeque<(Instant, u8)>,
    answers: VecDeque<(Instant, SocketAddr)>,
    pub(crate) served: usize,
    pub(crate) refused: usize,
    /// The most requests in any window.
    pub(crate) most: usize,
    /// The requests of each process.
    pub(crate) by: [usize; 256],
    pub(crate) reports: Vec<(u8, String)>,
}

impl Service {
    pub(crate) fn new(count: usize, window: Duration) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(2))).unwrap();
        Self {
            socket,
            count,
            window,
            arrivals: VecDeque::new(),
            recent: VecDeque::new(),
            answers: VecDeque::new(),
            served: 0,
            refused: 0,
            most: 0,
            by: [0; 256],
            reports: Vec::new(),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    /// Serves until a condition holds.
    pub(crate) fn serve(&mut self, mut is_over: impl FnMut(&Self) -> bool) {
        let (mut heard, mut served) = (Instant::now(), self.served);
        let began = heard;
        while !is_over(self) {
            if self.served > served {
                (heard, served) = (Instant::now(), self.served);
            }
            assert!(heard.elapsed() < PATIENCE, "nothing arrives any longer, after {served}: {:?}", self.reports);
            assert!(began.elapsed() < 4 * PATIENCE, "the condition never holds: {:?}", self.reports);
            let mut datagram = [0; 512];
            let arrived = self.socket.recv_from(&mut datagram);
            let now = Instant::now();
            while self.answers.front().is_some_and(|(due, _)| *due <= now) {
                let (_, to) = self.answers.pop_front().unwrap();
                drop(self.socket.send_to(&[0], to));
            }
            match arrived {
                Ok((1, from)) => {
                    self.count_in(datagram[0], now);
                    self.answers.push_back((now + Duration::from_millis(15), from));
                }
                Ok((length, _)) => {
                    let text = String::from_utf8_lossy(&datagram[1..length]).into_owned();
                    self.reports.push((datagram[0], text));
                }
                Err(error) => assert!(is_nothing(&error), "{error}"),
            }
        }
    }

    pub(crate) fn serve_for(&mut self, length: Duration) {
        let began = Instant::now();
        self.serve(|_| began.elapsed() >= length);
    }

    /// Returns how many requests of these processes the window has.
    pub(crate) fn in_window(&self, is_of: impl Fn(u8) -> bool) -> usize {
        self.recent.iter().filter(|(_, member)| is_of(*member)).count()
    }

    /// Returns whether one of these processes reported this.
    pub(crate) fn has_report(&self, is_of: impl Fn(u8) -> bool, text: &str) -> bool {
        self.reports.iter().any(|(member, report)| is_of(*member) && report.contains(text))
    }

    fn count_in(&mut self, member: u8, now: Instant) {
        let is_old = |at: &Instant| now.duration_since(*at) >= self.window;
        while self.arrivals.front().is_some_and(is_old) {
            self.arrivals.pop_front();
        }
        while self.recent.front().is_some_and(|(at, _)| is_old(at)) {
            self.recent.pop_front();
        }
        self.recent.push_back((now, member));
        self.most = self.most.max(self.recent.len());
        self.by[usize::from(member)] += 1;
        if self.arrivals.len() >= self.count {
            self.refused += 1;
        } else {
            self.arrivals.push_back(now);
            self.served += 1;
        }
    }
}

/// Nothing is quiet for so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process that was killed leaves an address to which nothing can be sent.
fn is_nothing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset
    )
}
