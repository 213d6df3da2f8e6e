//! The strict sliding window: no more than a number of arrivals within any span of time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Every limit of the service at once. An arrival is admitted by all of them or by none.
#[derive(Debug, Default)]
pub(super) struct Windows {
    windows: Vec<Window>,
}

impl Windows {
    pub(super) fn new(limits: &[(u32, Duration)]) -> Self {
        let windows = limits.iter().map(|&(limit, per)| Window::new(limit, per));
        Self { windows: windows.collect() }
    }

    /// Replaces all limits by one. Arrivals that were admitted under the old ones still count.
    pub(super) fn replace(&mut self, limit: u32, per: Duration) {
        let longest = self.windows.drain(..).max_by_key(|window| window.per);
        let admitted = longest.map(|window| window.admitted).unwrap_or_default();
        self.windows.push(Window { admitted, ..Window::new(limit, per) });
    }

    /// Returns how long the strictest limit stays closed; `None` if all admit.
    pub(super) fn shut_for(&mut self, now: Instant) -> Option<Duration> {
        self.windows.iter_mut().filter_map(|window| window.shut_for(now)).max()
    }

    /// Admits an arrival, or returns how long the strictest limit stays closed.
    ///
    /// A refused arrival leaves no trace, so it never makes the wait longer.
    pub(super) fn admit(&mut self, now: Instant) -> Result<(), Duration> {
        if let Some(wait) = self.shut_for(now) {
            return Err(wait);
        }
        for window in &mut self.windows {
            window.admitted.push_back(now);
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Window {
    limit: usize,
    per: Duration,
    /// The admitted arrivals in `(now - per, now]`, oldest first.
    admitted: VecDeque<Instant>,
}

impl Window {
    fn new(limit: u32, per: Duration) -> Self {
        Self { limit: usize::try_from(limit).unwrap_or(usize::MAX), per, admitted: VecDeque::new() }
    }

    fn shut_for(&mut self, now: Instant) -> Option<Duration> {
        while let Some(&oldest) = self.admitted.front()
            && now.saturating_duration_since(oldest) >= self.per
        {
            self.admitted.pop_front();
        }
        if self.admitted.len() < self.limit {
            return None;
        }
        let age = self.admitted.front().map_or(Duration::ZERO, |&oldest| now.saturating_duration_since(oldest));
        Some(self.per.saturating_sub(age))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn admits_everything_without_a_limit() {
        let mut windows = Windows::new(&[]);
        let now = Instant::now();
        assert!((0..1_000).all(|_| windows.admit(now).is_ok()));
    }

    #[test]
    fn opens_exactly_one_span_after_the_oldest_arrival() {
        let mut windows = Windows::new(&[(2, SECOND)]);
        let start = Instant::now();
        assert_eq!(windows.admit(start), Ok(()));
        assert_eq!(windows.admit(start + millis(400)), Ok(()));
        assert_eq!(windows.admit(start + millis(900)), Err(millis(100)));
        let just_before = start + SECOND - Duration::from_nanos(1);
        assert_eq!(windows.admit(just_before), Err(Duration::from_nanos(1)));
        assert_eq!(windows.admit(start + SECOND), Ok(()));
        assert_eq!(windows.admit(start + SECOND), Err(millis(400)));
    }

    #[test]
    fn does_not_count_what_it_refused() {
        let mut windows = Windows::new(&[(1, SECOND)]);
        let start = Instant::now();
        assert_eq!(windows.admit(start), Ok(()));
        for late in 1..10 {
            assert!(windows.admit(start + millis(100 * late)).is_err());
        }
        assert_eq!(windows.admit(start + SECOND), Ok(()));
    }

    #[test]
    fn is_refused_by_the_strictest_of_several_limits_and_counted_by_none() {
        let mut windows = Windows::new(&[(3, SECOND), (1, millis(100))]);
        let start = Instant::now();
        assert_eq!(windows.admit(start), Ok(()));
        assert_eq!(windows.admit(start + millis(50)), Err(millis(50)));
        assert_eq!(windows.admit(start + millis(100)), Ok(()));
        assert_eq!(windows.admit(start + millis(200)), Ok(()));
        assert_eq!(windows.admit(start + millis(300)), Err(millis(700)));
    }

    #[test]
    fn never_holds_more_than_the_limit_in_any_window() {
        let mut random = fastrand::Rng::with_seed(7);
        for limit in [1_u32, 3, 10] {
            let mut windows = Windows::new(&[(limit, SECOND)]);
            let (mut now, mut admitted) = (Instant::now(), Vec::new());
            for _ in 0..2_000 {
                now += millis(random.u64(0..150));
                if windows.admit(now).is_ok() {
                    admitted.push(now);
                }
            }
            let limit = limit as usize;
            assert!(admitted.len() > limit);
            for pair in admitted.windows(limit + 1) {
                assert!(pair[limit] - pair[0] >= SECOND);
            }
        }
    }

    #[test]
    fn a_limit_that_replaces_others_counts_what_they_admitted() {
        let mut windows = Windows::new(&[(9, millis(10)), (3, SECOND)]);
        let start = Instant::now();
        assert!((0..3).all(|_| windows.admit(start).is_ok()));
        windows.replace(4, 2 * SECOND);
        assert_eq!((windows.admit(start), windows.admit(start)), (Ok(()), Err(2 * SECOND)));
        windows.replace(5, 2 * SECOND);
        assert_eq!(windows.admit(start), Ok(()));
        windows.replace(2, 2 * SECOND);
        assert_eq!(windows.admit(start + SECOND), Err(SECOND));
    }

    #[test]
    fn a_limit_of_nothing_refuses_all_and_no_span_refuses_none() {
        let now = Instant::now();
        assert_eq!(Windows::new(&[(0, SECOND)]).admit(now), Err(SECOND));
        let mut windows = Windows::new(&[(1, Duration::ZERO)]);
        assert!((0..10).all(|_| windows.admit(now).is_ok()));
    }
}
