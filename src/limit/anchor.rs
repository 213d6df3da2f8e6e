//! Anchor: the moment from which a request's slot runs.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::seconds;

/// The moment from which a request's slot in a window runs. The slot is free again one window later.
///
/// A service counts *arrivals*, which the client cannot see: a request arrives at some time between its send and its
/// response. The choice of an anchor trades a little throughput against refusals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Anchor {
    /// The receipt of the response headers. No window of the service is ever exceeded, whatever the network does,
    /// because the arrival lies before this moment. The cost is throughput: window / (window + mean round trip) of the
    /// limit, 95 % for one second and 50 ms.
    #[default]
    Response,
    /// The receipt of the response headers, less 0.9 of the smallest round trip of the last minute or two: a request
    /// cannot have arrived as late as its response. The throughput is about window / (window + mean - 0.9 smallest
    /// round trip) of the limit, for a refusal in some ten thousand requests. Nothing is credited before 64 round trips
    /// are known.
    ResponseLessRoundTrip,
    /// The send plus a guard. The limit holds if the travel times of requests differ by no more than the guard.
    SendPlus(#[serde(with = "seconds")] Duration),
    /// The send. The whole limit is used, and refusals follow if the network bunches requests together: 15 to 25 % were
    /// measured against a strict window. Suits services that queue.
    Send,
}

impl Anchor {
    pub(super) const fn is_response(&self) -> bool {
        matches!(self, Self::Response)
    }
}
