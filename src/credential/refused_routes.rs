//! RefusedRoutes: routes that refuse every token of a login.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use tokio::time::Instant;

use crate::message::{Request, write_route};

/// A route by its hash, without ids: a thousand resources that refuse every token are one route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RefusedRoute(u64);

impl RefusedRoute {
    pub(super) fn from_request(request: &Request) -> Self {
        let mut route = String::new();
        let url = request.url();
        write_route(&mut route, Some(request.method()), url.host_str().unwrap_or_default(), url.path());
        let mut hasher = DefaultHasher::new();
        route.hash(&mut hasher);
        Self(hasher.finish())
    }
}

/// Routes that answered 401 to a fresh token too. The login lacks a right there, and no other token changes that soon:
/// without this record, each request to such a route would cost a refresh.
#[derive(Debug, Default)]
pub(super) struct RefusedRoutes(Vec<(RefusedRoute, Instant)>);

impl RefusedRoutes {
    /// Returns whether the route refused a fresh token a short while ago.
    pub(super) fn contains(&mut self, route: RefusedRoute, now: Instant) -> bool {
        self.0.retain(|(_, until)| *until > now);
        self.0.iter().any(|(known, _)| *known == route)
    }

    pub(super) fn insert(&mut self, route: RefusedRoute, now: Instant) {
        if self.0.len() < MOST_ROUTES {
            self.0.push((route, now + IN_VAIN));
        }
    }
}

/// How long the refusal of a fresh token counts.
pub(super) const IN_VAIN: Duration = Duration::from_secs(30);
/// No more routes than this refuse a token that others accept.
const MOST_ROUTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_a_route_for_half_a_minute_and_not_more_than_64() {
        let (mut routes, now) = (RefusedRoutes::default(), Instant::now());
        routes.insert(RefusedRoute(1), now);
        assert!(routes.contains(RefusedRoute(1), now) && !routes.contains(RefusedRoute(2), now));
        assert!(routes.contains(RefusedRoute(1), now + IN_VAIN - Duration::from_millis(1)));
        assert!(!routes.contains(RefusedRoute(1), now + IN_VAIN));
        for route in 0..100 {
            routes.insert(RefusedRoute(route), now);
        }
        assert!(routes.contains(RefusedRoute(63), now) && !routes.contains(RefusedRoute(64), now));
    }
}
