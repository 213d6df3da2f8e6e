//! Latency: how long responses took.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;

/// How long responses took, from the send to their headers, without the wait in the throttle's queue.
///
/// Average and maximum are exact. Half, 95 % and 99 % of the responses took no longer than the percentiles, which are
/// accurate to 1 % or 64 µs (HDR histograms). Requests without a response are left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    count: u64,
    average: Duration,
    p50: Duration,
    p95: Duration,
    p99: Duration,
    max: Duration,
}

impl Latency {
    /// Returns the number of responses.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Returns the average; zero if there were no responses, as all other values.
    #[must_use]
    pub const fn average(&self) -> Duration {
        self.average
    }

    /// Returns the median.
    #[must_use]
    pub const fn p50(&self) -> Duration {
        self.p50
    }

    /// Returns the 95th percentile.
    #[must_use]
    pub const fn p95(&self) -> Duration {
        self.p95
    }

    /// Returns the 99th percentile.
    #[must_use]
    pub const fn p99(&self) -> Duration {
        self.p99
    }

    /// Returns the longest latency.
    #[must_use]
    pub const fn max(&self) -> Duration {
        self.max
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.count == 0 {
            return f.write_str("no answers");
        }
        let Self { average, p50, p95, p99, max, .. } = self;
        write!(f, "average {average:.1?}, p50 {p50:.1?}, p95 {p95:.1?}, p99 {p99:.1?}, max {max:.1?}")
    }
}

/// The data of latencies.
#[derive(Clone, Debug)]
pub(super) struct Timing {
    /// In microseconds. `None` would be a histogram that cannot be created, which the constants exclude.
    values: Option<Histogram<u32>>,
    count: u64,
    sum: Duration,
    max: Duration,
}

impl Timing {
    /// Creates percentiles within 1 %, in some kilobytes.
    pub(super) fn fine() -> Self {
        Self::new(2)
    }

    /// Creates percentiles within 10 %, in some hundred bytes.
    pub(super) fn rough() -> Self {
        Self::new(1)
    }

    fn new(digits: u8) -> Self {
        let mut values = Histogram::new_with_bounds(FINEST, 2 * FINEST, digits).ok();
        if let Some(values) = &mut values {
            // The histogram grows with the longest value.
            values.auto(true);
        }
        Self { values, count: 0, sum: Duration::ZERO, max: Duration::ZERO }
    }

    pub(super) fn record(&mut self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(LONGEST).min(LONGEST);
        if let Some(values) = &mut self.values {
            // A growing histogram accepts every value.
            let _ = values.record(micros);
        }
        self.count += 1;
        self.sum = self.sum.saturating_add(took);
        self.max = self.max.max(took);
    }

    pub(super) fn add(&mut self, other: &Self) {
        if let (Some(values), Some(others)) = (&mut self.values, &other.values) {
            let _ = values.add(others);
        }
        self.count += other.count;
        self.sum = self.sum.saturating_add(other.sum);
        self.max = self.max.max(other.max);
    }

    pub(super) fn latency(&self) -> Latency {
        let quantile = |quantile| {
            let value = self.values.as_ref().map_or(0, |values| values.value_at_quantile(quantile));
            Duration::from_micros(value).min(self.max)
        };
        let average = self.sum.as_nanos().checked_div(self.count.into()).unwrap_or(0);
        Latency {
            count: self.count,
            average: Duration::from_nanos(u64::try_from(average).unwrap_or(u64::MAX)),
            p50: quantile(0.50),
            p95: quantile(0.95),
            p99: quantile(0.99),
            max: self.max,
        }
    }
}

/// Microseconds that are not distinguished: 64.
const FINEST: u64 = 64;
/// An hour; longer values are counted as this.
const LONGEST: u64 = 60 * 60 * 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn percentiles_are_within_one_percent_and_the_rest_is_exact() {
        let mut timing = Timing::fine();
        (1..=1000).for_each(|ms| timing.record(millis(ms)));
        let latency = timing.latency();
        assert_eq!(
            (latency.count(), latency.average(), latency.max()),
            (1000, Duration::from_micros(500_500), millis(1000))
        );
        for (told, is) in [(latency.p50(), 500), (latency.p95(), 950), (latency.p99(), 990)] {
            assert!(told >= millis(is) && told <= millis(is) + millis(is) / 100, "{told:?} is {is} ms");
        }
        assert_eq!(latency.to_string(), "average 500.5ms, p50 501.8ms, p95 950.3ms, p99 991.2ms, max 1.0s");
    }

    #[test]
    fn days_and_nothing_are_taken_too() {
        let mut timing = Timing::fine();
        assert_eq!(timing.latency(), Latency::default());
        timing.record(Duration::ZERO);
        assert_eq!(timing.latency().p99(), Duration::ZERO);
        timing.record(Duration::from_secs(1_000_000));
        assert_eq!(timing.latency().max(), Duration::from_secs(1_000_000));
        assert!(timing.latency().p99() >= Duration::from_secs(60 * 60));
        let values = timing.values.as_ref().unwrap();
        assert!(values.distinct_values() * size_of::<u32>() <= 12 << 10, "{}", values.distinct_values());
    }

    #[test]
    fn rough_ones_add_up() {
        let (mut sum, mut other) = (Timing::rough(), Timing::rough());
        (0..10).for_each(|_| sum.record(millis(100)));
        (0..10).for_each(|_| other.record(millis(30_000)));
        sum.add(&other);
        let latency = sum.latency();
        assert_eq!((latency.count(), latency.max()), (20, millis(30_000)));
        assert!(latency.p50() >= millis(100) && latency.p50() < millis(110), "{latency}");
        assert_eq!(latency.p99(), millis(30_000));
    }
}
