//! A scripted service and what it was asked.

use http::{HeaderMap, HeaderName, HeaderValue};
use longhaul::Client;
use longhaul::testing::{Canned, Recorded, Script, reply};

/// A client of a scripted service, as it is by default.
pub(crate) fn client(service: &Script) -> Client {
    service.client().build().unwrap()
}

/// What a submit is answered with.
pub(crate) fn accepted() -> Canned {
    reply(202).header("location", "/v1/tasks/7")
}

/// The requests so far: method, path and query.
pub(crate) fn asked(service: &Script) -> Vec<String> {
    let line = |seen: &Recorded| {
        let query = seen.url().query().map(|query| format!("?{query}")).unwrap_or_default();
        format!("{} {}{query}", seen.method(), seen.url().path())
    };
    service.requests().iter().map(line).collect()
}

pub(crate) fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let header =
        |(name, value): &(&str, &str)| (name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap());
    pairs.iter().map(header).collect()
}
