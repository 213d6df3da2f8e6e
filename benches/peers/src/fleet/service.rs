//! Service: counts the arrivals of all processes in a strict window, and those of each process.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use crate::budget::{Budget, Window};
use crate::server::{Admit, Strict, Verdict};

/// A service on loopback, which ends with this.
pub(super) struct Service {
    state: Arc<Mutex<State>>,
    accepts: AbortHandle,
    pub(super) address: SocketAddr,
}

struct State {
    strict: Strict,
    counts: Counts,
}

#[derive(Clone, Default)]
pub(super) struct Counts {
    /// Of each process.
    pub(super) served: Vec<u32>,
    pub(super) refused: u32,
}

impl Counts {
    pub(super) fn and(mut self, other: Self) -> Self {
        for (this, other) in self.served.iter_mut().zip(other.served) {
            *this += other;
        }
        self.refused += other.refused;
        self
    }
}

impl Service {
    pub(super) async fn start(limit: Window, members: usize) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let counts = Counts { served: vec![0; members], refused: 0 };
        let strict = Strict::new(&Budget::per(limit.count, limit.length));
        let state = Arc::new(Mutex::new(State { strict, counts }));
        let seen = state.clone();
        let accepts = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, seen.clone()));
            }
        });
        Ok(Self { state, accepts: accepts.abort_handle(), address })
    }

    pub(super) fn counts(&self) -> Counts {
        lock(&self.state).counts.clone()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.accepts.abort();
    }
}

/// The first byte of a connection is the number of its process; each other one is a request.
async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let member = usize::from(stream.read_u8().await?);
    loop {
        stream.read_u8().await?;
        let verdict = lock(&state).arrive(member);
        stream.write_u8(u8::from(verdict == Verdict::Served)).await?;
    }
}

impl State {
    fn arrive(&mut self, member: usize) -> Verdict {
        let verdict = self.strict.arrive(Instant::now());
        match (verdict, self.counts.served.get_mut(member)) {
            (Verdict::Served, Some(served)) => *served += 1,
            _ => self.counts.refused += 1,
        }
        verdict
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
