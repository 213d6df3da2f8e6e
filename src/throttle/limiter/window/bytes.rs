//! Bytes: a window of bandwidth.

use std::collections::VecDeque;
use std::time::Duration;

use crate::throttle::time::{Opening, Tick, nanos};

/// A number of bytes in any stretch of a length. The cost of a request is known only as its bytes arrive, so each
/// request in flight is assumed to cost the average. An overdraft is paid off.
#[derive(Debug)]
pub(in crate::throttle) struct Bytes {
    limit: u64,
    length: Tick,
    /// The charges, oldest first; charges that are close in time share the newest time among them.
    charged: VecDeque<Charge>,
    sum: u64,
    out: u64,
    /// The number of finished requests; `cost` is their total cost.
    over: u64,
    cost: u64,
}

#[derive(Debug)]
struct Charge {
    since: Tick,
    newest: Tick,
    bytes: u64,
}

impl Bytes {
    pub(super) fn new(limit: u64, length: Duration) -> Self {
        let length = nanos(length);
        Self { limit, length, charged: VecDeque::new(), sum: 0, out: 0, over: 0, cost: 0 }
    }

    pub(super) const fn change(&mut self, limit: u64) {
        self.limit = limit;
    }

    pub(super) fn opening(&mut self, now: Tick) -> Opening {
        self.settle(now);
        // Before any request has finished, each is assumed to cost an eighth of the window.
        let each = self.cost.checked_div(self.over).unwrap_or(self.limit / 8);
        let expected = self.out.saturating_mul(each);
        let mut left = self.sum.saturating_add(expected);
        if left < self.limit {
            return Opening::Open;
        }
        for charge in &self.charged {
            left = left.saturating_sub(charge.bytes);
            if left < self.limit {
                return Opening::At(charge.newest + self.length);
            }
        }
        // The window opens when a request in flight ends.
        Opening::Closed
    }

    pub(super) const fn take(&mut self) {
        self.out += 1;
    }

    pub(super) const fn refund(&mut self) {
        self.out = self.out.saturating_sub(1);
    }

    pub(super) const fn finish(&mut self) {
        self.refund();
        self.over = self.over.saturating_add(1);
    }

    pub(super) fn charge(&mut self, bytes: u64, now: Tick) {
        self.settle(now);
        self.sum = self.sum.saturating_add(bytes);
        self.cost = self.cost.saturating_add(bytes);
        match self.charged.back_mut() {
            Some(last) if now < last.since + self.length / BUCKETS => {
                last.newest = now;
                last.bytes = last.bytes.saturating_add(bytes);
            }
            _ => self.charged.push_back(Charge { since: now, newest: now, bytes }),
        }
    }

    pub(super) fn use_of(&mut self, now: Tick) -> f64 {
        self.settle(now);
        #[expect(clippy::cast_precision_loss, reason = "a share")]
        let (sum, limit) = (self.sum as f64, self.limit.max(1) as f64);
        sum / limit
    }

    /// Returns how many bytes are used, and the limit.
    pub(super) fn amounts(&mut self, now: Tick) -> (u64, u64) {
        self.settle(now);
        (self.sum, self.limit)
    }

    pub(super) const fn length(&self) -> Tick {
        self.length
    }

    fn settle(&mut self, now: Tick) {
        while let Some(first) = self.charged.front()
            && first.newest + self.length <= now
        {
            self.sum = self.sum.saturating_sub(first.bytes);
            self.charged.pop_front();
        }
    }
}

/// A window is divided into this many parts: it holds back half a percent longer at most.
const BUCKETS: Tick = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admits_until_it_is_overdrawn_and_again_when_that_is_paid_off() {
        let mut bytes = Bytes::new(100, Duration::from_nanos(256_000));
        bytes.take();
        bytes.charge(60, 0);
        bytes.finish();
        assert_eq!(bytes.opening(10), Opening::Open);
        bytes.charge(30, 999);
        bytes.charge(90, 5000);
        assert_eq!(bytes.opening(6000), Opening::At(256_999), "180 less 90");
        bytes.charge(50, 7000);
        assert_eq!(bytes.opening(7000), Opening::At(261_000), "230 less 90 is too much still");
        assert_eq!(bytes.opening(261_000), Opening::Open);
        bytes.change(50);
        assert_eq!(bytes.opening(261_000), Opening::At(263_000));
        // 230 of one request are the average: no request is admitted beside another.
        bytes.change(200);
        assert_eq!(bytes.opening(300_000), Opening::Open);
        bytes.take();
        assert_eq!(bytes.opening(300_000), Opening::Closed);
        bytes.refund();
        (0..1_000_000).for_each(|at| bytes.charge(1, 300_000 + at));
        assert!(bytes.charged.len() <= 257, "{}", bytes.charged.len());
    }
}
