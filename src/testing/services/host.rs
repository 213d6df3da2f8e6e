//! What stands before a service: ports on loopback, the lock, the log, the counts, the latency.

use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use tokio::net::TcpListener;
use url::Url;

use super::answer::Answer;
use super::head::Head;
use super::vendor::{Vendor, Verdict};
use crate::testing::counts::Counts;
use crate::testing::seen::{Seen, Side};
use crate::testing::server::{Body, Server};

/// The ports of a service that is about to start: its URLs must be known before.
#[derive(Debug)]
pub(super) struct Ports {
    listeners: Vec<(Side, TcpListener)>,
}

impl Ports {
    /// Opens one port of 127.0.0.1 for each side.
    pub(super) async fn open(sides: &[Side]) -> io::Result<Self> {
        let mut listeners = Vec::new();
        for &side in sides {
            listeners.push((side, TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?));
        }
        Ok(Self { listeners })
    }

    /// Returns the URL of a path of one side; an error for a side that has no port.
    pub(super) fn url(&self, side: Side, path: &str) -> io::Result<Url> {
        let listener = self.listeners.iter().find(|(found, _)| *found == side);
        let (_, listener) = listener.ok_or(io::ErrorKind::AddrNotAvailable)?;
        Url::parse(&format!("http://{}{path}", listener.local_addr()?)).map_err(io::Error::other)
    }
}

/// A running service. Dropping it stops its servers.
#[derive(Debug)]
pub(super) struct Host<V> {
    shared: Arc<Shared<V>>,
    _servers: Vec<Server>,
}

#[derive(Debug)]
struct Shared<V> {
    started: Instant,
    latency: Duration,
    book: Mutex<Book<V>>,
}

/// All mutable data, under one lock: requests are counted, admitted and logged in one order.
#[derive(Debug)]
struct Book<V> {
    vendor: V,
    counts: Counts,
    log: Vec<Seen>,
}

impl<V: Vendor> Host<V> {
    /// Starts a service on these ports. A request arrives after half of the latency.
    pub(super) fn start(ports: Ports, latency: Duration, vendor: V) -> Self {
        let book = Mutex::new(Book { vendor, counts: Counts::default(), log: Vec::new() });
        let shared = Arc::new(Shared { started: Instant::now(), latency, book });
        let server = |(side, listener)| {
            let shared = shared.clone();
            Server::start(listener, move |request, _| answer(shared.clone(), side, request))
        };
        let servers = ports.listeners.into_iter().map(server).collect();
        Self { shared, _servers: servers }
    }

    pub(super) fn counts(&self) -> Counts {
        self.shared.book().counts
    }

    pub(super) fn log(&self) -> Vec<Seen> {
        self.shared.book().log.clone()
    }

    /// Lets a test look at the service, or change it.
    pub(super) fn vendor<T>(&self, job: impl FnOnce(&mut V) -> T) -> T {
        job(&mut self.shared.book().vendor)
    }
}

impl<V: Vendor> Shared<V> {
    fn book(&self) -> MutexGuard<'_, Book<V>> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Logs a request at the moment of its arrival, and returns its index in the log and the decision.
    fn arrive(&self, head: &Head) -> (usize, Verdict) {
        let book = &mut *self.book();
        let now = Instant::now();
        book.counts.misplaced_credentials += u64::from(book.vendor.is_misplaced(head));
        book.log.push(Seen {
            side: head.side(),
            method: head.method().clone(),
            path: head.path().to_owned(),
            status: None,
            at: now.saturating_duration_since(self.started),
            header_names: head.headers().keys().cloned().collect(),
        });
        (book.log.len() - 1, book.vendor.arrive(head, &mut book.counts, now))
    }
}

async fn answer<V: Vendor>(
    shared: Arc<Shared<V>>,
    side: Side,
    request: Request<Incoming>,
) -> io::Result<Response<Body>> {
    pause(shared.latency / 2).await;
    let (parts, body) = request.into_parts();
    let head = Head::new(side, parts);
    let (entry, verdict) = shared.arrive(&head);

    // Read even if it is refused: a connection with an unread body could not be reused.
    let body = Limited::new(body, LONGEST_BODY).collect().await;
    if let Verdict::Hold(wait) = verdict {
        pause(wait).await;
    }
    pause(shared.latency / 2).await;

    let book = &mut *shared.book();
    let answer = match (verdict, body) {
        (Verdict::Refuse(answer), _) => answer,
        (_, Err(_)) => Answer::empty(StatusCode::PAYLOAD_TOO_LARGE),
        (_, Ok(body)) => book.vendor.answer(&head, &body.to_bytes(), &mut book.counts, Instant::now()),
    };
    if let Some(seen) = book.log.get_mut(entry) {
        seen.status = Some(answer.status());
    }
    Ok(answer.into_response(book.vendor.wall()))
}

/// Sleeps, but not for zero: that would still cost a tick of the timer.
async fn pause(wait: Duration) {
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
}

const LONGEST_BODY: usize = 16 * 1024 * 1024;
