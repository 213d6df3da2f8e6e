//! The settings of a simulated Aprimo.

use std::io;
use std::time::Duration;

use super::Aprimo;

/// Builds an [`Aprimo`].
#[derive(Clone, Debug)]
#[must_use = "a service must be started"]
pub struct AprimoBuilder {
    pub(super) per_second: u32,
    pub(super) places: usize,
    pub(super) duration: Duration,
    pub(super) at_once_every: usize,
    pub(super) token_life: Duration,
    pub(super) latency: Duration,
}

impl Default for AprimoBuilder {
    fn default() -> Self {
        Self {
            per_second: 15,
            places: 100,
            duration: Duration::from_millis(500),
            at_once_every: 0,
            token_life: Duration::from_secs(600),
            latency: Duration::ZERO,
        }
    }
}

impl AprimoBuilder {
    /// Sets how many requests of the tenant start within a second; 15 by default.
    pub fn per_second(mut self, count: u32) -> Self {
        self.per_second = count;
        self
    }

    /// Sets how many requests that come too soon the service keeps, to answer them later; 100 by default.
    pub fn queue(mut self, places: usize) -> Self {
        self.places = places;
        self
    }

    /// Sets how long an order takes; half a second by default.
    pub fn order_duration(mut self, duration: Duration) -> Self {
        self.duration = duration;
        self
    }

    /// Finishes every `k`-th order in the answer to its submit; 0, the default, none. An order with `disableProcessing`
    /// `Yes` always is.
    pub fn at_once_every(mut self, k: usize) -> Self {
        self.at_once_every = k;
        self
    }

    /// Sets how long an access token lives; ten minutes by default, as assumed: it is not documented.
    pub fn token_life(mut self, life: Duration) -> Self {
        self.token_life = life;
        self
    }

    /// Sets how long a request takes beside its time in the queue; 0 by default. It arrives after half of it.
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// Starts the service on three free ports of 127.0.0.1.
    ///
    /// Must be called in a tokio runtime with I/O and time, on which the service then runs.
    ///
    /// # Errors
    /// The error of the system when it was asked for a port.
    pub async fn start(self) -> io::Result<Aprimo> {
        Aprimo::launch(self).await
    }
}
