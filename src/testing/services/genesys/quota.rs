//! The limits per token: counted in fixed windows, in general and for single microservices.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// All limits of the service, and how much each token has used of them.
///
/// A request counts towards the limit of the longest prefix that its path begins with, and to no other; a path without
/// such a prefix counts towards the general limit. A window begins with the first request that it counts. Refused
/// requests count, too.
#[derive(Debug)]
pub(super) struct Quotas {
    general: u32,
    prefixes: Vec<(String, u32)>,
    window: Duration,
    used: HashMap<(String, Option<usize>), Counter>,
}

#[derive(Debug)]
struct Counter {
    since: Instant,
    used: u32,
}

/// The state of the limit that counts a request, after the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) used: u32,
    pub(super) allowed: u32,
    /// How long the window still lasts.
    pub(super) reset: Duration,
    /// The prefix that the limit counts; `None` for the general limit.
    pub(super) prefix: Option<String>,
}

impl Usage {
    pub(super) const fn is_over(&self) -> bool {
        self.used > self.allowed
    }
}

impl Quotas {
    pub(super) fn new(general: u32, prefixes: Vec<(String, u32)>, window: Duration) -> Self {
        Self { general, prefixes, window, used: HashMap::new() }
    }

    pub(super) const fn window(&self) -> Duration {
        self.window
    }

    /// Changes the general limit. Requests that were counted stay counted.
    pub(super) const fn set_general(&mut self, calls: u32) {
        self.general = calls;
    }

    /// Changes the limit of a prefix, or adds one.
    pub(super) fn set_prefix(&mut self, prefix: &str, calls: u32) {
        match self.prefixes.iter_mut().find(|(known, _)| known == prefix) {
            Some((_, own)) => *own = calls,
            None => self.prefixes.push((prefix.to_owned(), calls)),
        }
    }

    /// Counts a request of a token.
    pub(super) fn count(&mut self, token: &str, path: &str, now: Instant) -> Usage {
        self.usage(token, path, 1, now)
    }

    /// Returns the state of the limit that counted a request, as its answer states it.
    pub(super) fn look(&mut self, token: &str, path: &str, now: Instant) -> Usage {
        self.usage(token, path, 0, now)
    }

    fn usage(&mut self, token: &str, path: &str, more: u32, now: Instant) -> Usage {
        let matching = self.prefixes.iter().enumerate().filter(|(_, (prefix, _))| path.starts_with(prefix.as_str()));
        let longest = matching.max_by_key(|(_, (prefix, _))| prefix.len());
        let (allowed, prefix) = match longest {
            Some((_, (prefix, calls))) => (*calls, Some(prefix.clone())),
            None => (self.general, None),
        };
        let key = (token.to_owned(), longest.map(|(at, _)| at));
        let counter = self.used.entry(key).or_insert(Counter { since: now, used: 0 });
        if now.saturating_duration_since(counter.since) >= self.window {
            *counter = Counter { since: now, used: 0 };
        }
        counter.used = counter.used.saturating_add(more);
        let age = now.saturating_duration_since(counter.since);
        Usage { used: counter.used, allowed, reset: self.window.saturating_sub(age), prefix }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn counts_each_token_and_each_microservice_apart() {
        let now = Instant::now();
        let analytics = ("/api/v2/analytics/".to_owned(), 1);
        let mut quotas = Quotas::new(2, vec![analytics], MINUTE);
        let mut is_over = |token, path| quotas.count(token, path, now).is_over();
        assert_eq!([is_over("a", "/api/v2/analytics/x"), is_over("a", "/api/v2/analytics/y")], [false, true]);
        assert_eq!(["/api/v2/users", "/x", "/y"].map(|path| is_over("a", path)), [false, false, true]);
        assert!(!is_over("b", "/api/v2/analytics/x"));
    }

    #[test]
    fn the_longest_prefix_counts() {
        let now = Instant::now();
        let prefixes = [("/a/", 5), ("/a/b/", 7)].map(|(prefix, calls)| (prefix.to_owned(), calls));
        let mut quotas = Quotas::new(9, prefixes.to_vec(), MINUTE);
        let mut allowed = |path| quotas.count("t", path, now).allowed;
        assert_eq!(["/a/c", "/a/b/c", "/b"].map(&mut allowed), [5, 7, 9]);
    }

    #[test]
    fn a_window_begins_with_its_first_request_and_counts_refusals() {
        let start = Instant::now();
        let mut quotas = Quotas::new(1, Vec::new(), MINUTE);
        let mut at = |secs| {
            let usage = quotas.count("t", "/", start + Duration::from_secs(secs));
            (usage.used, usage.reset.as_secs())
        };
        assert_eq!([at(0), at(18), at(59), at(60), at(119)], [(1, 60), (2, 42), (3, 1), (1, 60), (2, 1)]);
    }

    #[test]
    fn a_limit_can_change_within_a_window() {
        let now = Instant::now();
        let mut quotas = Quotas::new(1, Vec::new(), MINUTE);
        quotas.count("t", "/", now);
        quotas.set_general(3);
        let usage = quotas.count("t", "/", now);
        assert_eq!((usage.used, usage.allowed), (2, 3));
        quotas.set_prefix("/p", 4);
        quotas.set_prefix("/p", 5);
        assert_eq!(quotas.count("t", "/p/x", now).allowed, 5);
    }
}
