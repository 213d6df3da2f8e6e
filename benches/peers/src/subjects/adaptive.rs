//! Adaptive: the client rate limiter of the AWS SDKs' retry mode `adaptive`, written from its published description.
//!
//! A token bucket that is off until the first refusal. Its rate follows CUBIC: a refusal cuts it to 0.7, then it grows
//! back along a cubic curve, never to more than twice the rate that was measured.
//! <https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html>

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Backoff;
use super::backoff::Attempt;
use crate::subject::{Answer, Ask, Limiter, Permit};

/// The limiter that all workers share, and each one's own backoff, which most SDKs keep on top of it.
pub(crate) struct Adaptive {
    rate: Arc<Shared>,
    backoff: Option<Backoff>,
}

/// What all workers of one client share.
pub(crate) struct Shared {
    start: Instant,
    rate: Mutex<Rate>,
}

impl Adaptive {
    /// What all workers share.
    pub(crate) fn shared() -> Arc<Shared> {
        Arc::new(Shared { start: Instant::now(), rate: Mutex::new(Rate::default()) })
    }

    /// One worker: with the backoff of the mode `standard` (20 seconds at most), as the mode is described.
    pub(crate) fn worker(shared: &Arc<Shared>, seed: u64) -> Self {
        Self { rate: shared.clone(), backoff: Some(Backoff::new(Duration::from_secs(20), seed)) }
    }

    /// One worker: the limiter's delay takes the backoff's place, as in the SDK for Rust.
    pub(crate) fn worker_without_backoff(shared: &Arc<Shared>) -> Self {
        Self { rate: shared.clone(), backoff: None }
    }
}

impl Limiter for Adaptive {
    type Permit = Sent;

    async fn acquire(&self, ask: Ask) -> Sent {
        let attempt = match &self.backoff {
            Some(backoff) => Some(backoff.acquire(ask).await),
            None => None,
        };
        loop {
            let wait = self.rate.with(Rate::take);
            let Some(wait) = wait else { break };
            sleep(wait.max(Duration::from_millis(1))).await;
        }
        Sent { rate: self.rate.clone(), attempt }
    }
}

impl Shared {
    fn with<T>(&self, act: impl FnOnce(&mut Rate, f64) -> T) -> T {
        let now = self.start.elapsed().as_secs_f64();
        act(&mut self.rate.lock().unwrap_or_else(PoisonError::into_inner), now)
    }
}

pub(crate) struct Sent {
    rate: Arc<Shared>,
    attempt: Option<Attempt>,
}

impl Permit for Sent {
    fn answered(self, answer: Answer) {
        self.rate.with(|rate, now| rate.heard(answer, now));
        if let Some(attempt) = self.attempt {
            attempt.answered(answer);
        }
    }
}

/// All in requests and seconds.
#[derive(Default)]
struct Rate {
    enabled: bool,
    fill_rate: f64,
    capacity: f64,
    most: f64,
    filled_at: Option<f64>,
    measured: f64,
    measured_until: f64,
    requests: u32,
    last_max: f64,
    refused_at: f64,
}

impl Rate {
    /// Takes a token, or tells for how long there is none.
    fn take(&mut self, now: f64) -> Option<Duration> {
        if !self.enabled {
            return None;
        }
        self.fill(now);
        if self.capacity >= 1.0 {
            self.capacity -= 1.0;
            return None;
        }
        Some(Duration::from_secs_f64((1.0 - self.capacity) / self.fill_rate))
    }

    fn heard(&mut self, answer: Answer, now: f64) {
        self.measure(now);
        let calculated = match answer {
            Answer::Accepted => self.regrown(now),
            Answer::Refused => {
                let rate = if self.enabled { self.measured.min(self.fill_rate) } else { self.measured };
                (self.last_max, self.refused_at, self.enabled) = (rate, now, true);
                rate * BETA
            }
        };
        self.fill(now);
        let rate = calculated.min(2.0 * self.measured);
        self.fill_rate = rate.max(MIN_FILL_RATE);
        self.most = rate.max(MIN_CAPACITY);
        self.capacity = self.capacity.min(self.most);
    }

    /// The cubic curve that passes the last maximum when its time window is over.
    fn regrown(&self, now: f64) -> f64 {
        let window = (self.last_max * (1.0 - BETA) / SCALE_CONSTANT).cbrt();
        SCALE_CONSTANT.mul_add((now - self.refused_at - window).powi(3), self.last_max)
    }

    /// Smooths the rate of requests over half seconds.
    fn measure(&mut self, now: f64) {
        let bucket = (now * 2.0).floor() / 2.0;
        self.requests += 1;
        if bucket > self.measured_until {
            let current = f64::from(self.requests) / (bucket - self.measured_until);
            self.measured = current.mul_add(SMOOTH, self.measured * (1.0 - SMOOTH));
            (self.requests, self.measured_until) = (0, bucket);
        }
    }

    fn fill(&mut self, now: f64) {
        let since = self.filled_at.map_or(0.0, |at| now - at);
        self.capacity = since.mul_add(self.fill_rate, self.capacity).min(self.most);
        self.filled_at = Some(now);
    }
}

const BETA: f64 = 0.7;
const SCALE_CONSTANT: f64 = 0.4;
const SMOOTH: f64 = 0.8;
const MIN_FILL_RATE: f64 = 0.5;
const MIN_CAPACITY: f64 = 1.0;

#[cfg(test)]
mod tests {
    use super::*;

    /// The sequence by which the SDKs test theirs.
    #[test]
    fn follows_the_published_sequence() {
        let mut rate = Rate::default();
        for (now, answer, measured, fill_rate) in [
            (0.2, Answer::Accepted, 0.0, 0.5),
            (0.4, Answer::Accepted, 0.0, 0.5),
            (0.6, Answer::Accepted, 4.8, 0.5),
            (0.8, Answer::Accepted, 4.8, 0.5),
            (1.0, Answer::Accepted, 4.16, 0.5),
            (1.2, Answer::Accepted, 4.16, 0.69),
            (1.4, Answer::Accepted, 4.16, 1.10),
            (1.6, Answer::Accepted, 5.63, 1.63),
            (1.8, Answer::Accepted, 5.63, 2.33),
            (2.0, Answer::Refused, 4.32, 3.02),
            (2.2, Answer::Accepted, 4.32, 3.48),
            (2.4, Answer::Accepted, 4.32, 3.82),
            (2.6, Answer::Accepted, 5.66, 4.05),
            (2.8, Answer::Accepted, 5.66, 4.20),
            (3.0, Answer::Accepted, 4.33, 4.28),
            (3.2, Answer::Refused, 4.33, 2.99),
            (3.4, Answer::Accepted, 4.33, 3.45),
        ] {
            rate.heard(answer, now);
            assert!((rate.measured - measured).abs() < 0.011, "{now}: measured {}", rate.measured);
            assert!((rate.fill_rate - fill_rate).abs() < 0.011, "{now}: {}", rate.fill_rate);
        }
    }
}
