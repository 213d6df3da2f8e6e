//! One line of a service's log.

use std::time::Duration;

use http::{HeaderName, Method, StatusCode};

/// A request that a [`Simulator`] or another simulated service has received.
///
/// The record contains no header values and no query, so it may be printed anywhere.
///
/// [`Simulator`]: super::Simulator
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub(super) side: Side,
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) status: Option<StatusCode>,
    pub(super) at: Duration,
    pub(super) header_names: Vec<HeaderName>,
}

/// One of the origins of a [`Simulator`] or another simulated service.
///
/// [`Simulator`]: super::Simulator
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Side {
    /// The API: submits, polls, cancels and the like.
    Api,
    /// The storage: results, behind signed links.
    Storage,
    /// The token endpoint: logins, refreshes, revocations.
    Token,
}

impl Seen {
    /// Returns the origin that the request went to.
    pub const fn side(&self) -> Side {
        self.side
    }

    /// Returns the method.
    pub const fn method(&self) -> &Method {
        &self.method
    }

    /// Returns the path, without its query.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the status of the answer; `None` before there is one, if the client hung up first, or if there never is
    /// one.
    pub const fn status(&self) -> Option<StatusCode> {
        self.status
    }

    /// Returns when the request arrived, counted from the start of the simulator.
    pub const fn at(&self) -> Duration {
        self.at
    }

    /// Returns the names of the request's headers, in lower case, each once.
    pub fn header_names(&self) -> &[HeaderName] {
        &self.header_names
    }
}
