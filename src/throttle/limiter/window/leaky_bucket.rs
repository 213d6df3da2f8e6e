//! Leaky bucket: a rate for a service that queues early requests.

use std::time::Duration;

use crate::throttle::time::{Opening, Tick, nanos};

/// A burst of `count`, then one request each `period`, counted from the send, with a bound on the requests in flight.
#[derive(Debug)]
pub(in crate::throttle) struct LeakyBucket {
    count: u32,
    period: Tick,
    /// When the service has processed all requests that were sent, at its rate.
    taken_in_at: Tick,
    /// The most requests that the service can hold.
    hold: u32,
    /// The most requests that may be in flight; at most `hold`.
    cap: u32,
}

impl LeakyBucket {
    pub(super) fn new(count: u32, length: Duration, queue: u32) -> Self {
        let length = nanos(length);
        let hold = count.saturating_add(queue);
        Self { count, period: length.div_ceil(u64::from(count.max(1))).max(1), taken_in_at: 0, hold, cap: hold }
    }

    /// Changes the numbers. Requests that were sent stay counted.
    pub(super) fn change(&mut self, count: u32, length: Duration, queue: u32) {
        *self = Self { taken_in_at: self.taken_in_at, ..Self::new(count, length, queue) };
    }

    pub(super) fn opening(&self, in_flight: u32, now: Tick) -> Opening {
        if in_flight >= self.cap {
            return Opening::Closed;
        }
        match self.opens_at(1, self.taken_in_at) {
            at if at <= now => Opening::Open,
            at => Opening::At(at),
        }
    }

    pub(super) fn not_before(&self, ahead: u32, now: Tick) -> Tick {
        self.opens_at(ahead.saturating_add(1), self.taken_in_at.max(now)).max(now)
    }

    pub(super) fn take(&mut self, now: Tick) {
        self.taken_in_at = self.taken_in_at.max(now).saturating_add(self.period);
    }

    pub(super) const fn refund(&mut self) {
        self.taken_in_at = self.taken_in_at.saturating_sub(self.period);
    }

    pub(super) fn use_of(&self, now: Tick) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a share")]
        let (due, period) = (self.taken_in_at.saturating_sub(now) as f64, self.period as f64);
        due / period / f64::from(self.count.max(1))
    }

    /// Returns how much of the burst is used, and the limit.
    pub(super) fn amounts(&self, now: Tick) -> (u64, u64) {
        (self.taken_in_at.saturating_sub(now).div_ceil(self.period), self.count.into())
    }

    pub(super) fn length(&self) -> Tick {
        self.period.saturating_mul(self.count.into())
    }

    /// Returns how many requests the rate processes within `time`.
    fn within(&self, time: Tick) -> u32 {
        u32::try_from(time / self.period).unwrap_or(u32::MAX)
    }

    /// Adjusts the cap by latency, which reveals a queue at the service: enough requests are in flight to keep the
    /// service busy, and 4 to 8 more wait in its queue (after TCP Vegas). The service's queue stays short, even if
    /// other clients fill it.
    pub(in crate::throttle) fn follow_latency(&mut self, smallest: Tick, round_trip: Tick, in_flight: u32) {
        let queued = u64::from(in_flight) * round_trip.saturating_sub(smallest) / round_trip.max(1);
        match queued {
            0..4 => self.set_cap(self.cap.saturating_add(1)),
            4..=8 => {}
            _ => self.set_cap(self.cap.min(in_flight).saturating_sub(1).max(self.within(smallest).saturating_add(4))),
        }
    }

    /// Sets the cap: at least one, at most the number that the service can hold.
    fn set_cap(&mut self, cap: u32) {
        self.cap = cap.clamp(1, self.hold);
    }

    /// Returns when `need` more requests fit, if the service has processed all that was sent at `taken_in_at`.
    fn opens_at(&self, need: u32, taken_in_at: Tick) -> Tick {
        let burst = u64::from(self.count).saturating_mul(self.period);
        let needed = u64::from(need).saturating_mul(self.period);
        taken_in_at.saturating_add(needed).saturating_sub(burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bursts_once_then_keeps_the_rate_and_the_cap() {
        let mut bucket = LeakyBucket::new(10, Duration::from_nanos(1000), 5);
        for _ in 0..10 {
            assert_eq!(bucket.opening(0, 500), Opening::Open);
            bucket.take(500);
        }
        assert_eq!(bucket.opening(10, 500), Opening::At(600));
        assert_eq!(bucket.not_before(4, 500), 1000);
        bucket.refund();
        assert_eq!(bucket.opening(10, 500), Opening::Open);
        bucket.take(500);
        assert_eq!(bucket.opening(15, 9000), Opening::Closed, "all that the service can hold is on its way");
        assert_eq!(bucket.opening(14, 9000), Opening::Open);
        bucket.set_cap(3);
        assert_eq!(bucket.opening(3, 9000), Opening::Closed);
        bucket.set_cap(99);
        assert_eq!(bucket.cap, 15);
    }
}
