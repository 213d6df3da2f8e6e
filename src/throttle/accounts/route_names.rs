//! RouteNames: the name of a request's route, to which its responses are attributed.

use std::sync::Arc;

use crate::message::write_route;
use crate::throttle::request::RequestFacts;

/// Creates the names of routes. Most requests go to the same route as the one before, and share its name.
#[derive(Debug, Default)]
pub(super) struct RouteNames {
    last: Arc<str>,
    /// A buffer for the name that is compared.
    text: String,
}

impl RouteNames {
    /// Returns the name of a request's route.
    pub(super) fn name(&mut self, request: &RequestFacts<'_>) -> Arc<str> {
        self.text.clear();
        write_route(&mut self.text, request.method, request.host, request.path);
        if *self.last != *self.text {
            self.last = self.text.as_str().into();
        }
        self.last.clone()
    }
}
