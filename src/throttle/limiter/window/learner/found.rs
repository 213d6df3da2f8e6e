//! Found: a limit that was found out, kept and probed.

use std::time::Duration;

use crate::throttle::limiter::window::sliding::Sliding;
use crate::throttle::time::Tick;

/// A window that was found out.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) window: Sliding,
    /// Since when one more is tried, by how many, and when next.
    pub(super) probing: Option<Tick>,
    step: u32,
    probe_at: Tick,
    pub(super) was_full: bool,
    /// Between what was admitted and what was not.
    narrows: bool,
    /// When one was refused without a probe, which happens: where the network bunches requests together.
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

    /// What is known to be admitted.
    pub(super) fn known(&self) -> u32 {
        let probed = if self.probing.is_some() { self.step } else { 0 };
        self.window.count().saturating_sub(probed).max(1)
    }

    /// Tries one more, when it is time and everything is used.
    pub(super) fn probe(&mut self, now: Tick) {
        if self.probing.is_none() && now >= self.probe_at && self.was_full {
            self.window.change(self.window.count().saturating_add(self.step));
            (self.probing, self.was_full) = (Some(now), false);
        }
    }

    /// A request was accepted: one that was sent a full window after the probe began is an answer to it.
    pub(super) fn succeed(&mut self, sent: Tick, now: Tick) -> bool {
        if self.probing.is_none_or(|since| !self.was_full || sent < since + self.window.length()) {
            return false;
        }
        (self.probing, self.probe_at) = (None, now);
        self.step = if self.narrows { (self.step / 2).max(1) } else { self.step.saturating_mul(2) };
        true
    }

    /// Takes a refusal in. `counted` were accepted in the window before it. Gives the pause, where the limit is another
    /// from now on.
    pub(super) fn refuse(&mut self, counted: u32, now: Tick) -> Option<Tick> {
        let (known, length) = (self.known(), self.window.length());
        let was_probing = self.probing.take().is_some();
        // The service did not count it, as a rule.
        self.window.forget_last();
        // Far too many are halved at once; one too many is tried again when it may have changed.
        self.narrows = was_probing && self.step > 1;
        self.step = if self.narrows { self.step / 2 } else { 1 };
        self.probe_at = now + if self.narrows { length } else { PROBE };
        if was_probing {
            // One too many, or several: as many are admitted as are counted.
            self.window.change(counted.clamp(known, self.window.count()));
            self.warned = None;
            return (self.window.count() != known).then_some(0);
        }
        let is_second = self.warned.replace(now).is_some_and(|warned| now < warned + WARNED * length);
        if !is_second {
            self.window.change(known);
            return None;
        }
        // The limit has come down, or somebody else spends it.
        let (count, pause) =
            if counted > 0 && counted < known { (counted, 0) } else { ((known * 7 / 10).max(1), length / 2) };
        self.window.change(count);
        Some(pause)
    }
}

/// A found limit is tried again every 10 seconds, while it is used up.
pub(super) const PROBE: Tick = 10 * 1_000_000_000;
/// Two refusals within so many windows are no chance.
const WARNED: Tick = 4;
