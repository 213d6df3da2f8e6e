//! The limit of bytes: no more than a number of them within any span of time, as far as lengths are known in advance.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A window of the bytes that the API received and sent.
///
/// The length of an answer is known only when it is sent, so the window can be overdrawn: it then refuses until enough
/// of its bytes are old.
#[derive(Debug, Default)]
pub(super) struct Bytes {
    limit: Option<(u64, Duration)>,
    /// The bytes in `(now - per, now]`, oldest first.
    passed: VecDeque<(Instant, u64)>,
    total: u64,
}

impl Bytes {
    pub(super) fn new(limit: Option<(u64, Duration)>) -> Self {
        Self { limit, ..Self::default() }
    }

    /// Changes the limit. Bytes that were counted stay counted.
    pub(super) fn set(&mut self, limit: Option<(u64, Duration)>) {
        self.limit = limit;
        if limit.is_none() {
            (self.passed, self.total) = (VecDeque::new(), 0);
        }
    }

    /// Returns how long the window refuses; `None` if it admits.
    pub(super) fn shut_for(&mut self, now: Instant) -> Option<Duration> {
        let (limit, per) = self.limit?;
        while let Some(&(at, bytes)) = self.passed.front()
            && now.saturating_duration_since(at) >= per
        {
            self.passed.pop_front();
            self.total -= bytes;
        }
        let mut left = self.total;
        let mut shut = None;
        for (at, bytes) in &self.passed {
            if left < limit {
                break;
            }
            left -= bytes;
            shut = Some(per.saturating_sub(now.saturating_duration_since(*at)));
        }
        // A limit of nothing stays closed with nothing passed, too.
        if limit == 0 { Some(shut.unwrap_or(per)) } else { shut }
    }

    /// Counts bytes that pass now.
    pub(super) fn pass(&mut self, bytes: usize, now: Instant) {
        if self.limit.is_some() {
            let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
            self.passed.push_back((now, bytes));
            self.total = self.total.saturating_add(bytes);
        }
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
    fn admits_until_the_bytes_are_used_up_and_again_once_enough_are_old() {
        let start = Instant::now();
        let mut bytes = Bytes::new(Some((100, SECOND)));
        assert_eq!(bytes.shut_for(start), None);
        bytes.pass(60, start);
        assert_eq!(bytes.shut_for(start + millis(100)), None);
        bytes.pass(60, start + millis(100));
        assert_eq!(bytes.shut_for(start + millis(300)), Some(millis(700)));
        assert_eq!(bytes.shut_for(start + SECOND), None);
    }

    #[test]
    fn one_long_answer_shuts_the_window_until_it_is_old() {
        let start = Instant::now();
        let mut bytes = Bytes::new(Some((100, SECOND)));
        bytes.pass(10, start);
        bytes.pass(1_000, start + millis(500));
        assert_eq!(bytes.shut_for(start + millis(600)), Some(millis(900)));
        assert_eq!(bytes.shut_for(start + millis(1_500)), None);
    }

    #[test]
    fn the_limit_can_change_and_go() {
        let start = Instant::now();
        let mut bytes = Bytes::new(None);
        bytes.pass(1_000, start);
        bytes.set(Some((100, SECOND)));
        assert_eq!(bytes.shut_for(start), None);
        bytes.pass(100, start);
        assert_eq!(bytes.shut_for(start), Some(SECOND));
        bytes.set(Some((101, SECOND)));
        assert_eq!(bytes.shut_for(start), None);
        bytes.set(None);
        assert_eq!(bytes.shut_for(start), None);
        bytes.set(Some((0, SECOND)));
        assert_eq!(bytes.shut_for(start), Some(SECOND));
    }
}
