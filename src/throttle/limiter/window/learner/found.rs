//! Found: a limit that was found, kept and probed.

use std::time::Duration;

use crate::throttle::limiter::window::sliding::Sliding;
use crate::throttle::time::Tick;

/// A window that was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) window: Sliding,
    /// Since when one more request is tried; by how many, and when next.
    pub(super) probing: Option<Tick>,
    step: u32,
    probe_at: Tick,
    pub(super) was_full: bool,
    /// Whether the search narrows down between an admitted count and a refused count.
    narrows: bool,
    /// When a request was refused without a probe, which happens if the network bunches requests together.
    warned: Option<Tick>,
}

impl Found {
    pub(super) fn new(count: u32, window: Duration, probe_at: Tick) -> Self {
        Self {
            window: Sliding::new(count.max(1), window),
            probing: None,
            step: 1,
            probe_at,
            was_full: false,
            narrows: false,
            warned: None,
        }
    }

    /// Returns the count that is known to be admitted.
    pub(super) fn known(&self) -> u32 {
        let probed = if self.probing.is_some() { self.step } else { 0 };
        self.window.count().saturating_sub(probed).max(1)
    }

    /// Keeps another count from now on. A probe goes on above it.
    pub(super) fn keep(&mut self, count: u32) {
        let probed = if self.probing.is_some() { self.step } else { 0 };
        self.window.change(count.max(1).saturating_add(probed));
    }

    /// Tries one more request, when a probe is due and everything is used.
    pub(super) fn probe(&mut self, now: Tick) {
        if self.probing.is_none() && now >= self.probe_at && self.was_full {
            self.window.change(self.window.count().saturating_add(self.step));
            (self.probing, self.was_full) = (Some(now), false);
        }
    }

    /// Records an accepted request: a request that was sent a full window after the probe began answers the probe.
    pub(super) fn succeed(&mut self, sent: Tick, now: Tick) -> bool {
        if self.probing.is_none_or(|since| !self.was_full || sent < since + self.window.length()) {
            return false;
        }
        (self.probing, self.probe_at) = (None, now);
        self.step = if self.narrows { (self.step / 2).max(1) } else { self.step.saturating_mul(2) };
        true
    }

    /// Records a refusal; `counted` requests were accepted in the window before it. Returns the pause if the limit
    /// changes.
    pub(super) fn refuse(&mut self, counted: u32, now: Tick) -> Option<Tick> {
        let (known, length) = (self.known(), self.window.length());
        let was_probing = self.probing.take().is_some();
        // Usually the service did not count the refused request.
        self.window.forget_last();
        // A probe of many is halved at once; a probe of one is tried again once the limit may have changed.
        self.narrows = was_probing && self.step > 1;
        self.step = if self.narrows { self.step / 2 } else { 1 };
        self.probe_at = now + if self.narrows { length } else { PROBE };
        if was_probing {
            // The probe was too high by one or several: the count is the number that was accepted.
            self.window.change(counted.clamp(known, self.window.count()));
            self.warned = None;
            return (self.window.count() != known).then_some(0);
        }
        let is_second = self.warned.replace(now).is_some_and(|warned| now < warned + WARNED * length);
        if !is_second {
            self.window.change(known);
            return None;
        }
        // The limit was lowered, or another client uses it.
        let (count, pause) =
            if counted > 0 && counted < known { (counted, 0) } else { ((known * 7 / 10).max(1), length / 2) };
        self.window.change(count);
        Some(pause)
    }
}

/// A found limit is probed every 10 seconds, while it is fully used.
pub(super) const PROBE: Tick = 10 * 1_000_000_000;
/// Two refusals within this many windows are no coincidence.
const WARNED: Tick = 4;
