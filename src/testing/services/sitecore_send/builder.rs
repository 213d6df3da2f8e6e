//! The settings of a simulated Sitecore Send.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use super::SitecoreSend;
use super::desk::Desk;
use crate::testing::services::fixed::Fixed;
use crate::testing::services::wall::Wall;

/// Builds a [`SitecoreSend`].
#[derive(Clone, Debug)]
#[must_use = "a service must be started"]
pub struct SitecoreSendBuilder {
    shrink: u32,
    wall: Wall,
    rounds_down: bool,
    latency: Duration,
}

impl Default for SitecoreSendBuilder {
    fn default() -> Self {
        Self { shrink: 1, wall: Wall::default(), rounds_down: false, latency: Duration::ZERO }
    }
}

impl SitecoreSendBuilder {
    /// Makes every window shorter by this factor; 1 by default. The counts of requests stay the same.
    pub fn shrink_windows(mut self, factor: u32) -> Self {
        self.shrink = factor;
        self
    }

    /// Sets whether the times of a refusal are rounded down to whole seconds, so that whoever waits until then may come up
    /// to a second too soon; by default they are rounded up.
    pub fn round_down(mut self, down: bool) -> Self {
        self.rounds_down = down;
        self
    }

    /// Puts the service's clock ahead of that of the machine; not by default.
    pub fn clock_ahead(mut self, by: Duration) -> Self {
        self.wall = Wall::ahead(by);
        self
    }

    /// Puts the service's clock behind that of the machine; not by default.
    pub fn clock_behind(mut self, by: Duration) -> Self {
        self.wall = Wall::behind(by);
        self
    }

    /// Sets how long a request takes; 0 by default. It arrives after half of it.
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// Starts the service on a free port of 127.0.0.1.
    ///
    /// Must be called in a tokio runtime with I/O and time, on which the service then runs.
    ///
    /// # Errors
    /// The error of the system when it was asked for a port.
    pub async fn start(self) -> io::Result<SitecoreSend> {
        let desk = Desk {
            keys: BTreeSet::new(),
            windows: Fixed::default(),
            shrink: self.shrink,
            wall: self.wall,
            rounds_down: self.rounds_down,
            throttle_next: 0,
        };
        SitecoreSend::launch(desk, self.latency).await
    }
}
