//! The routes of Sitecore Send, and the limits of those that have one.

use std::time::Duration;

use http::Method;

use crate::testing::services::head::Head;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route {
    /// The name of the route, by which its requests are counted.
    pub(super) name: &'static str,
    pub(super) limit: Option<(u32, Duration)>,
}

impl Route {
    /// Returns the route of a request below `/v3/`, as JSON; `None` for an unknown one.
    pub(super) fn of(head: &Head) -> Option<Self> {
        let path = head.path().strip_prefix("/v3/")?.strip_suffix(".json")?;
        let parts: Vec<&str> = path.split('/').collect();
        let (name, limit) = match (head.method(), parts.as_slice()) {
            (&Method::GET, ["campaigns", _, "stats", _]) => ("stats", Some((2, 60))),
            (&Method::POST, ["subscribers", _, "subscribe"]) => ("subscribe", Some((10, 10))),
            (&Method::POST, ["subscribers", _, "subscribe_many"]) => ("subscribe_many", Some((2, 10))),
            (&Method::POST, ["subscribers", "unsubscribe"]) => ("unsubscribe", Some((20, 10))),
            (&Method::POST, ["subscribers", _, "unsubscribe"]) => ("unsubscribe from list", Some((20, 10))),
            (&Method::POST, ["subscribers", _, _, "unsubscribe"]) => ("unsubscribe from campaign", Some((20, 10))),
            (&Method::DELETE, ["subscribers", _, "delete"]) => ("delete", Some((40, 10))),
            (&Method::DELETE, ["subscribers", _, "delete_many"]) => ("delete_many", Some((8, 10))),
            (&Method::POST, ["campaigns", "transactional", "send"]) => ("transactional", Some((6, 1))),
            (&Method::GET, ["lists"]) => ("lists", None),
            _ => return None,
        };
        Some(Self { name, limit: limit.map(|(count, seconds)| (count, Duration::from_secs(seconds))) })
    }
}
