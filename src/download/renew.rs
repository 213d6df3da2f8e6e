//! Renew: where a fresh link comes from when one has expired.

use futures::future::BoxFuture;

use crate::error::Error;
use crate::redact::SecretUrl;

/// Gives a fresh link to the same result. A task's outcome does, by asking the status again.
pub(crate) trait Renew: Send + Sync {
    fn renew(&self) -> BoxFuture<'static, Result<Renewed, Error>>;
}

/// A fresh link.
pub(crate) struct Renewed {
    pub(crate) link: SecretUrl,
    /// A foreign origin named it.
    pub(crate) is_bare: bool,
}
