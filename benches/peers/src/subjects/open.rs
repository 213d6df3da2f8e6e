//! Open: no limiter.

use crate::subject::{Ask, Limiter};

/// Lets everything through.
pub(crate) struct Open;

impl Limiter for Open {
    type Permit = ();

    async fn acquire(&self, _: Ask) {}
}
