//! Server: a service in this process, behind a network that takes its time.

mod network;
mod queueing;
mod strict;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use tokio::time::{Instant, sleep};

use crate::subject::Answer;

pub(crate) use network::Network;
pub(crate) use queueing::Queueing;
pub(crate) use strict::Strict;

/// How a service decides about an arrival.
pub(crate) trait Admit: Send + 'static {
    fn arrive(&mut self, now: Instant) -> Verdict;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Served,
    Queued(Duration),
    Refused,
}

impl Verdict {
    pub(crate) const fn answer(self) -> Answer {
        match self {
            Self::Served | Self::Queued(_) => Answer::Accepted,
            Self::Refused => Answer::Refused,
        }
    }
}

/// A service with its network.
pub(crate) struct Server<A> {
    admit: Mutex<A>,
    network: Network,
}

impl<A: Admit> Server<A> {
    pub(crate) const fn new(admit: A, network: Network) -> Self {
        Self { admit: Mutex::new(admit), network }
    }

    /// The way there, the verdict, its delay, the way back.
    pub(crate) async fn ask(&self, rng: &mut Rng) -> Verdict {
        sleep(self.network.way(rng)).await;
        let verdict = self.lock().arrive(Instant::now());
        if let Verdict::Queued(delay) = verdict {
            sleep(delay).await;
        }
        sleep(self.network.way(rng)).await;
        verdict
    }

    /// The service, to look into it or to change it.
    pub(crate) fn lock(&self) -> MutexGuard<'_, A> {
        self.admit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
