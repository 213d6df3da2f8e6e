//! Renew: the source of a fresh link after one has expired.

use futures::future::BoxFuture;

use crate::error::Error;
use crate::redact::SecretUrl;

/// A source of fresh links to the same result. A task's outcome provides them, by asking the status again.
pub(crate) trait Renew: Send + Sync {
    fn renew(&self) -> BoxFuture<'static, Result<Renewed, Error>>;
}

/// A fresh link.
pub(crate) struct Renewed {
    pub(crate) link: SecretUrl,
    /// Whether a foreign origin named the link.
    pub(crate) is_bare: bool,
}
