//! A limit whose server keeps a number of requests that come too soon, and starts them later, one after another.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Starts at once what the sliding window has room for, then keeps `places` requests and starts them evenly, at the
/// rate of the window. Whatever comes while all places are taken is refused.
#[derive(Debug)]
pub(super) struct Queue {
    count: u32,
    per: Duration,
    places: usize,
    /// The starts within the last window, and those to come, in order.
    starts: VecDeque<Instant>,
}

/// A request that found all places taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Queue {
    pub(super) fn new(count: u32, per: Duration, places: usize) -> Self {
        Self { count: count.max(1), per, places, starts: VecDeque::new() }
    }

    /// Returns how long a request that arrives now has to wait for its start. A refused one leaves no trace.
    pub(super) fn admit(&mut self, now: Instant) -> Result<Duration, Full> {
        while self.starts.front().is_some_and(|&start| now.saturating_duration_since(start) >= self.per) {
            self.starts.pop_front();
        }
        let waiting = self.starts.iter().rev().take_while(|&&start| start > now).count();
        let is_open = u32::try_from(self.starts.len()).is_ok_and(|started| started < self.count);
        let start = match self.starts.back() {
            Some(&last) if waiting > 0 || !is_open => {
                if waiting >= self.places {
                    return Err(Full);
                }
                last.max(now) + self.per / self.count
            }
            _ => now,
        };
        self.starts.push_back(start);
        Ok(start.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn starts_fifteen_at_once_and_a_hundred_evenly_and_refuses_the_rest() {
        let (mut queue, now) = (Queue::new(15, SECOND, 100), Instant::now());
        for _ in 0..15 {
            assert_eq!(queue.admit(now), Ok(Duration::ZERO));
        }
        for held in 1..=100 {
            assert_eq!(queue.admit(now), Ok(SECOND / 15 * held));
        }
        for _ in 0..15 {
            assert_eq!(queue.admit(now), Err(Full));
        }
        let later = now + SECOND / 15;
        assert_eq!(queue.admit(later), Ok(SECOND / 15 * 100));
        assert_eq!(queue.admit(later), Err(Full));
    }

    #[test]
    fn is_as_open_as_at_first_a_window_after_the_last_start() {
        let (mut queue, now) = (Queue::new(2, SECOND, 1), Instant::now());
        assert_eq!(
            [(); 4].map(|()| queue.admit(now)),
            [Ok(Duration::ZERO), Ok(Duration::ZERO), Ok(SECOND / 2), Err(Full)]
        );
        let later = now + SECOND / 2 + SECOND;
        assert_eq!(
            [(); 4].map(|()| queue.admit(later)),
            [Ok(Duration::ZERO), Ok(Duration::ZERO), Ok(SECOND / 2), Err(Full)]
        );
    }
}
