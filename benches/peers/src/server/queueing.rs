//! Queueing: a service that serves a burst at once, delays what follows to its rate, and refuses the rest.

use std::time::Duration;

use tokio::time::Instant;

use super::{Admit, Verdict};
use crate::budget::Window;

/// A leaky bucket, as nginx has it with `rate`, `burst` (the window's count plus the queue) and `delay` (the count):
/// <https://nginx.org/en/docs/http/ngx_http_limit_req_module.html>.
pub(crate) struct Queueing {
    window: Window,
    queue: u32,
    /// Requests that have not leaked yet, at that time.
    level: f64,
    at: Option<Instant>,
}

impl Queueing {
    pub(crate) const fn new(window: Window, queue: u32) -> Self {
        Self { window, queue, level: 0.0, at: None }
    }
}

impl Admit for Queueing {
    fn arrive(&mut self, now: Instant) -> Verdict {
        let step = self.window.step().as_secs_f64();
        let since = self.at.map_or(Duration::ZERO, |at| now.duration_since(at));
        self.level = (self.level - since.as_secs_f64() / step).max(0.0);
        self.at = Some(now);
        let over = self.level + 1.0 - f64::from(self.window.count);
        if over > f64::from(self.queue) + ROUNDING {
            return Verdict::Refused;
        }
        self.level += 1.0;
        if over <= ROUNDING { Verdict::Served } else { Verdict::Queued(Duration::from_secs_f64(over * step)) }
    }
}

/// Of sums of floating-point numbers.
const ROUNDING: f64 = 1e-6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serves_15_at_once_100_late_and_refuses_15_of_130() {
        let now = Instant::now();
        let mut service = Queueing::new(Window { count: 15, length: Duration::from_secs(1) }, 100);
        let verdicts: Vec<_> = (0..130).map(|_| service.arrive(now)).collect();
        assert!(verdicts.iter().take(15).all(|&verdict| verdict == Verdict::Served));
        let delay = |verdict: &Verdict| match verdict {
            Verdict::Queued(delay) => Some(delay.as_secs_f64()),
            Verdict::Served | Verdict::Refused => None,
        };
        let late: Vec<_> = verdicts.iter().filter_map(delay).collect();
        assert_eq!(late.len(), 100);
        assert!(late.is_sorted() && (late.iter().copied().fold(0.0, f64::max) - 100.0 / 15.0).abs() < 1e-3);
        assert_eq!(verdicts.iter().filter(|&&verdict| verdict == Verdict::Refused).count(), 15);
        assert!(matches!(service.arrive(now + Duration::from_secs(1)), Verdict::Queued(_)));
        assert_eq!(service.arrive(now + Duration::from_secs(20)), Verdict::Served);
    }
}
