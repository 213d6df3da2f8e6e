//! Fixed windows, each opened by the first call after the last one's end, and counted for each key by itself.

use std::collections::HashMap;
use std::time::{Duration, Instant};

#[derive(Debug, Default)]
pub(super) struct Fixed {
    windows: HashMap<String, Window>,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    first: Instant,
    admitted: u32,
}

impl Fixed {
    /// Admits a call for `key`, or returns when the first call of its window came. A refused call leaves no trace.
    pub(super) fn admit(&mut self, key: &str, limit: u32, per: Duration, now: Instant) -> Result<(), Instant> {
        let fresh = Window { first: now, admitted: 0 };
        let window = self.windows.entry(key.to_owned()).or_insert(fresh);
        if now.saturating_duration_since(window.first) >= per {
            *window = fresh;
        }
        if window.admitted >= limit {
            return Err(window.first);
        }
        window.admitted += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_opens_with_a_call_and_ends_after_its_span() {
        let (mut fixed, start, second) = (Fixed::default(), Instant::now(), Duration::from_secs(1));
        let mut admit = |key, millis| fixed.admit(key, 2, second, start + Duration::from_millis(millis));
        assert_eq!(admit("a", 300), Ok(()));
        assert_eq!(admit("a", 1_299), Ok(()));
        assert_eq!(admit("a", 1_299), Err(start + Duration::from_millis(300)));
        assert_eq!(admit("b", 1_299), Ok(()));
        assert_eq!((admit("a", 1_300), admit("a", 1_300)), (Ok(()), Ok(())));
        assert_eq!(admit("a", 1_301), Err(start + Duration::from_millis(1_300)));
    }
}
