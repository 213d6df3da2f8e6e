//! Endpoint: the requests to one route, or to one host.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use super::latency::{Latency, Timing};
use super::tally::Tally;

/// The requests to one route or one host, and their results.
///
/// A route is method, host and path, with `*` for segments that look like ids: `GET api.example.com/v1/tasks/*`. 256
/// routes and 64 hosts are distinguished; further ones are counted as one endpoint called `other`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    name: Arc<str>,
    tally: Tally,
    latency: Latency,
}

impl Endpoint {
    /// Returns the route or the host.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the number of requests that were answered, or broke.
    #[must_use]
    pub const fn requests(&self) -> u64 {
        self.tally.all()
    }

    /// Returns the number of responses below 400.
    #[must_use]
    pub const fn succeeded(&self) -> u64 {
        self.tally.succeeded
    }

    /// Returns the number of 429 and 503 responses.
    #[must_use]
    pub const fn throttled(&self) -> u64 {
        self.tally.throttled
    }

    /// Returns the number of other responses from 400 on.
    #[must_use]
    pub const fn failed(&self) -> u64 {
        self.tally.failed
    }

    /// Returns the number of attempts without a response.
    #[must_use]
    pub const fn broken(&self) -> u64 {
        self.tally.broken
    }

    /// Returns the share of requests that were answered below 400, from 0 to 1.
    #[must_use]
    pub fn success_rate(&self) -> Option<f64> {
        self.tally.success_rate()
    }

    /// Returns the latency of its responses. In a [`Summary`](super::Summary) the percentiles are within 10 %.
    #[must_use]
    pub const fn latency(&self) -> &Latency {
        &self.latency
    }
}

/// Endpoints by name, up to a maximum.
#[derive(Clone, Debug)]
pub(super) struct Endpoints {
    most: usize,
    places: HashMap<Arc<str>, usize>,
    entries: Vec<Entry>,
    /// The place that was counted last.
    last: usize,
}

#[derive(Clone, Debug)]
struct Entry {
    name: Arc<str>,
    tally: Tally,
    timing: Timing,
    /// The counts of the day so far.
    day: (Tally, Timing),
}

impl Endpoints {
    pub(super) fn new(most: usize) -> Self {
        Self { most, places: HashMap::new(), entries: Vec::new(), last: 0 }
    }

    /// Returns the place of an endpoint, which keeps it. Endpoints beyond the maximum share one place.
    pub(super) fn place(&mut self, name: &str) -> usize {
        // Most requests go to the same endpoint as the one before.
        if self.entries.get(self.last).is_none_or(|last| *last.name != *name) {
            self.last = match self.places.get(name) {
                Some(at) => *at,
                None => self.add(name),
            };
        }
        self.last
    }

    /// Returns the name under which a place is counted.
    pub(super) fn name(&self, place: usize) -> Option<&Arc<str>> {
        self.entries.get(place).map(|entry| &entry.name)
    }

    /// Counts a response, or a request without one.
    pub(super) fn count(&mut self, place: usize, status: Option<StatusCode>, took: Duration) {
        let Some(entry) = self.entries.get_mut(place) else {
            return debug_assert!(false, "a place that was not given");
        };
        entry.tally.count(status);
        entry.day.0.count(status);
        if status.is_some() {
            entry.timing.record(took);
            entry.day.1.record(took);
        }
    }

    /// Returns all endpoints, the most used first.
    pub(super) fn all(&self) -> Vec<Endpoint> {
        sorted(self.entries.iter().map(|entry| (entry, &entry.tally, &entry.timing)))
    }

    /// Returns the endpoints that were used this day, the most used first.
    pub(super) fn of_the_day(&self) -> Vec<Endpoint> {
        let used = self.entries.iter().filter(|entry| entry.day.0.all() > 0);
        sorted(used.map(|entry| (entry, &entry.day.0, &entry.day.1)))
    }

    pub(super) fn begin_day(&mut self) {
        self.entries.iter_mut().for_each(|entry| entry.day = (Tally::default(), Timing::rough()));
    }

    fn add(&mut self, name: &str) -> usize {
        let is_full = self.entries.len() >= self.most;
        let name = if is_full { OTHER } else { name };
        if let (true, Some(at)) = (is_full, self.places.get(name)) {
            return *at;
        }
        let name: Arc<str> = name.into();
        self.entries.push(Entry {
            name: name.clone(),
            tally: Tally::default(),
            timing: Timing::fine(),
            day: (Tally::default(), Timing::rough()),
        });
        self.places.insert(name, self.entries.len() - 1);
        self.entries.len() - 1
    }
}

fn sorted<'a>(entries: impl Iterator<Item = (&'a Entry, &'a Tally, &'a Timing)>) -> Vec<Endpoint> {
    let told = |(entry, tally, timing): (&Entry, &Tally, &Timing)| Endpoint {
        name: entry.name.clone(),
        tally: *tally,
        latency: timing.latency(),
    };
    let mut endpoints: Vec<Endpoint> = entries.map(told).collect();
    endpoints.sort_by(|a, b| b.requests().cmp(&a.requests()).then_with(|| a.name.cmp(&b.name)));
    endpoints
}

/// The endpoint of requests beyond the maximum.
pub(super) const OTHER: &str = "other";

#[cfg(test)]
mod tests {
    use super::*;

    fn count(endpoints: &mut Endpoints, name: &str, status: Option<StatusCode>, took: Duration) {
        let place = endpoints.place(name);
        endpoints.count(place, status, took);
    }

    #[test]
    fn what_is_beyond_the_most_is_counted_as_one() {
        let mut endpoints = Endpoints::new(2);
        for name in ["a", "b", "c", "d", "a", "other"] {
            count(&mut endpoints, name, Some(StatusCode::OK), Duration::from_millis(5));
        }
        count(&mut endpoints, "d", None, Duration::from_secs(60));
        let told: Vec<_> =
            endpoints.all().iter().map(|one| (one.name().to_owned(), one.requests(), one.broken())).collect();
        assert_eq!(told, [("other".into(), 4, 1), ("a".into(), 2, 0), ("b".into(), 1, 0)]);
        assert_eq!(endpoints.all()[0].latency().max(), Duration::from_millis(5), "what broke has no latency");
    }

    #[test]
    fn a_day_begins_at_nothing_and_the_whole_goes_on() {
        let mut endpoints = Endpoints::new(2);
        count(&mut endpoints, "a", Some(StatusCode::OK), Duration::from_millis(5));
        endpoints.begin_day();
        assert!(endpoints.of_the_day().is_empty());
        count(&mut endpoints, "a", Some(StatusCode::OK), Duration::from_millis(5));
        assert_eq!((endpoints.of_the_day()[0].requests(), endpoints.all()[0].requests()), (1, 2));
    }
}
