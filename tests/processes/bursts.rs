//! Requests of throttles in the test's own process, made as soon as a limit lets them.

use std::time::{Duration, Instant};

use longhaul::limits::{Priority, RequestKey};
use longhaul::{Limit, Throttle};

use crate::redis_server::Redis;

/// When requests were made, under a limit of 15 a second.
#[derive(Default)]
pub(crate) struct Bursts(Vec<Instant>);

impl Bursts {
    /// Another process that shares the limit by a server.
    pub(crate) async fn throttle(url: &str) -> Throttle {
        let throttle = Throttle::redis(url, "test").await.unwrap();
        throttle.add_limit(Limit::per_second(15)).unwrap();
        throttle
    }

    /// Waits until the server has all slots, because no process holds any.
    pub(crate) async fn until_all_lie_in(redis: &Redis) {
        while slots_in(redis) < 15 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    pub(crate) async fn send(&mut self, throttle: &Throttle, count: usize) {
        for _ in 0..count {
            let mut permit = throttle.acquire(Priority::Call, &RequestKey::new()).await.unwrap();
            self.0.push(Instant::now());
            permit.answered();
        }
    }

    /// Forgets all but the last requests.
    pub(crate) fn keep(&mut self, last: usize) {
        self.0.drain(..self.0.len() - last);
    }

    /// Returns the most requests in a window that begins with any but the first ones.
    pub(crate) fn most_after(&self, first: usize) -> usize {
        let within = |at: &Instant| self.0.iter().filter(|other| *other >= at && **other - *at < WINDOW).count();
        self.0[first..].iter().map(within).max().unwrap_or(0)
    }
}

/// Returns how many slots lie in the only window of a server.
fn slots_in(redis: &Redis) -> u64 {
    // The pauses and budgets of the throttle lie in keys of their own.
    const SUM: &str = "local sum = 0 for _, key in ipairs(redis.call('KEYS', '*')) do \
        local value = redis.pcall('GET', key) \
        local is_packed, window = pcall(cmsgpack.unpack, type(value) == 'string' and value or '') \
        for _, group in ipairs(is_packed and type(window) == 'table' and window.free or {}) do sum = sum + group[2] end \
        end return sum";
    redis.ask(&format!("EVAL \"{SUM}\" 0")).trim_start_matches(':').trim().parse().unwrap()
}

const WINDOW: Duration = Duration::from_secs(1);
