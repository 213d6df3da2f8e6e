//! Strict sliding windows, counted for each key by itself: an API key, a tenant, a route.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::testing::window::Windows;

#[derive(Debug)]
pub(super) struct Keyed {
    limits: Vec<(u32, Duration)>,
    windows: HashMap<String, Windows>,
}

impl Keyed {
    /// Returns windows of these limits, all of which must admit.
    pub(super) fn new(limits: Vec<(u32, Duration)>) -> Self {
        Self { limits, windows: HashMap::new() }
    }

    /// Admits an arrival for `key`, or returns how long the strictest limit stays closed for it.
    pub(super) fn admit(&mut self, key: &str, now: Instant) -> Result<(), Duration> {
        if let Some(windows) = self.windows.get_mut(key) {
            return windows.admit(now);
        }
        self.windows.entry(key.to_owned()).or_insert_with(|| Windows::new(&self.limits)).admit(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_leaves_the_others_their_own() {
        let mut keyed = Keyed::new(vec![(1, Duration::from_secs(1))]);
        let now = Instant::now();
        assert_eq!(keyed.admit("a", now), Ok(()));
        assert_eq!(keyed.admit("b", now), Ok(()));
        assert_eq!(keyed.admit("a", now), Err(Duration::from_secs(1)));
    }
}
