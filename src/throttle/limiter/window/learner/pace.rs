//! Pace: a rate that grows until a refusal.

use std::time::Duration;

use crate::throttle::time::{Opening, Tick};

/// An even rate.
#[derive(Debug)]
pub(super) struct Pace {
    rate: f64,
    next_at: Tick,
    /// When the growth began: at the last refusal.
    since: Tick,
    /// The rate at the last refusal; none in slow start.
    refused_at: Option<f64>,
    /// How many requests were sent since the second began, and in the previous second.
    used: u32,
    second: Tick,
    used_before: u32,
}

impl Pace {
    pub(super) fn new(rate: f64, now: Tick) -> Self {
        Self { rate, next_at: 0, since: now, refused_at: None, used: 0, second: now, used_before: 0 }
    }

    pub(super) fn opening(&mut self, now: Tick) -> Opening {
        self.grow(now);
        // A timer ticks each millisecond.
        let burst = period(self.rate).saturating_mul(1_000_000 / period(self.rate).max(1));
        if self.next_at <= now + burst { Opening::Open } else { Opening::At(self.next_at - burst) }
    }

    pub(super) fn take(&mut self, now: Tick) {
        self.used += 1;
        self.next_at = self.next_at.max(now) + period(self.rate);
    }

    pub(super) fn grow(&mut self, now: Tick) {
        let seconds_past = now.saturating_sub(self.second) / SECOND;
        if seconds_past > 0 {
            // A rate that was not used proves nothing.
            self.used_before = if seconds_past == 1 { self.used } else { 0 };
            let is_used = f64::from(self.used_before) >= 0.7 * self.rate;
            if self.refused_at.is_none() && is_used {
                self.rate *= 2.0;
            }
            (self.second, self.used) = (now, 0);
        }
        if let Some(most) = self.refused_at {
            let age = seconds(now.saturating_sub(self.since));
            let back = (most * (1.0 - DECREASE) / CUBIC).cbrt();
            let grown = CUBIC * (age - back).powi(3) + most;
            let used = f64::from(self.used.max(self.used_before));
            self.rate = grown.min((2.0 * used).max(most)).max(FLOOR);
        }
    }

    pub(super) fn refuse(&mut self, measured: f64, now: Tick) {
        let most = measured.min(self.rate).max(FLOOR);
        (self.refused_at, self.since) = (Some(most), now);
        self.rate = most * DECREASE;
        self.next_at = now + period(self.rate);
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate is from 1 up")]
fn period(rate: f64) -> Tick {
    (1e9 / rate.max(0.001)) as Tick
}

fn seconds(tick: Tick) -> f64 {
    Duration::from_nanos(tick).as_secs_f64()
}

const SECOND: Tick = 1_000_000_000;
/// The initial rate, in requests a second.
pub(super) const FLOOR: f64 = 2.0;
/// The share of the admitted rate that remains after a refusal.
const DECREASE: f64 = 0.9;
/// How steeply the rate grows again (RFC 9438, 5).
const CUBIC: f64 = 0.4;
