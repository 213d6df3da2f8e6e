//! A TCP proxy in front of a server: the network between it and a process, which can be cut, held up or slow.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) struct Proxy {
    port: u16,
    way: Arc<Mutex<Way>>,
}

/// The state of the network.
#[derive(Clone, Copy)]
struct Way {
    target: u16,
    delay: Duration,
    flow: Flow,
    /// All connections of an earlier time are ended.
    age: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Open,
    /// Connections are made, and their bytes wait, as packets do that are sent again until they arrive.
    Held,
    /// Connections end at once.
    Cut,
    /// The test has ended.
    Over,
}

impl Proxy {
    pub(crate) fn new(target: u16) -> Self {
        Self::with_delay(target, Duration::ZERO)
    }

    /// A network in which each byte takes so long, in both directions.
    pub(crate) fn with_delay(target: u16, delay: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let way = Arc::new(Mutex::new(Way { target, delay, flow: Flow::Open, age: 0 }));
        let ways = way.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, now) = (client.unwrap(), *lock(&ways));
                if now.flow == Flow::Over {
                    return;
                }
                if now.flow != Flow::Cut
                    && let Ok(server) = TcpStream::connect(("127.0.0.1", now.target))
                {
                    carry(&client, &server, &ways, now.age);
                    carry(&server, &client, &ways, now.age);
                }
            }
        });
        Self { port, way }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Ends all connections, and lets none begin; bytes on their way are lost.
    pub(crate) fn cut(&self) {
        self.change(|way| (way.flow, way.age) = (Flow::Cut, way.age + 1));
    }

    /// Lets nothing pass, and tells nobody.
    pub(crate) fn hold(&self) {
        self.change(|way| way.flow = Flow::Held);
    }

    /// Lets everything pass again; what was held up arrives.
    pub(crate) fn mend(&self) {
        self.change(|way| way.flow = Flow::Open);
    }

    /// Ends all connections, and leads new ones to another server.
    pub(crate) fn switch(&self, target: u16) {
        self.change(|way| (way.target, way.flow, way.age) = (target, Flow::Open, way.age + 1));
    }

    fn change(&self, change: impl FnOnce(&mut Way)) {
        change(&mut lock(&self.way));
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.change(|way| (way.flow, way.age) = (Flow::Over, way.age + 1));
        // Wakes the thread that listens.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

fn lock(way: &Mutex<Way>) -> MutexGuard<'_, Way> {
    way.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Carries the bytes of one direction, in a thread of its own.
fn carry(from: &TcpStream, to: &TcpStream, way: &Arc<Mutex<Way>>, age: u32) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    let way = way.clone();
    thread::spawn(move || {
        to.set_nodelay(true).unwrap();
        let (mut carried, mut some, mut has_ended) = (VecDeque::new(), vec![0; 64 << 10], false);
        loop {
            let now = *lock(&way);
            if now.age != age || (has_ended && carried.is_empty()) {
                break;
            }
            let patience = Duration::from_millis(if carried.is_empty() { 20 } else { 2 });
            from.set_read_timeout(Some(patience)).unwrap();
            match from.read(&mut some) {
                Ok(0) => {
                    has_ended = true;
                    thread::sleep(patience);
                }
                Ok(length) => carried.push_back((Instant::now() + now.delay, some[..length].to_vec())),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => has_ended = true,
            }
            while now.flow == Flow::Open && carried.front().is_some_and(|(due, _)| *due <= Instant::now()) {
                if to.write_all(&carried.pop_front().unwrap().1).is_err() {
                    has_ended = true;
                    carried.clear();
                }
            }
        }
        drop(from.shutdown(Shutdown::Both));
        drop(to.shutdown(Shutdown::Both));
    });
}
