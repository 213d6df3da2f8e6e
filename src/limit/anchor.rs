//! Anchor: the moment that a request's slot runs from.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::seconds;

/// The moment that a request's slot in a window runs from. One window later it is free again.
///
/// A service counts *arrivals*, and those are not seen from here: a request arrives somewhere between its send and its
/// answer. The choice trades a little throughput against refusals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Anchor {
    /// The receipt of the answer's headers: no window of the service is ever passed, whatever the network does, because
    /// the arrival lies before it. It costs throughput: window / (window + mean round trip) of the limit, 95 % for one
    /// second and 50 ms.
    #[default]
    Response,
    /// The same, less 0.9 of the smallest round trip of the last minute or two: a request cannot have arrived as late
    /// as its answer. About window / (window + mean - 0.9 smallest round trip) of the limit, for a refusal in some ten
    /// thousand; nothing is credited before 64 round trips are known.
    ResponseLessRoundTrip,
    /// The send plus a guard. It is kept where no request takes longer to arrive than another by more than the guard.
    SendPlus(#[serde(with = "seconds")] Duration),
    /// The send. The whole limit is used, and refusals follow where the network bunches requests together: 15 to 25 %
    /// were measured against a strict window. For services that queue.
    Send,
}

impl Anchor {
    pub(super) const fn is_response(&self) -> bool {
        matches!(self, Self::Response)
    }
}
