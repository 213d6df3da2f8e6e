//! ExclusiveStore: a store that lets one process at a time refresh a token.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;

use super::store_error::StoreError;
use super::token::Token;

/// A store that lets one process at a time refresh its token, for all processes that share the login.
///
/// [`CredentialStore::exclusive`](super::CredentialStore::exclusive) returns it. The stores of this crate implement it:
/// `FileStore`, `RedisCredentialStore` and [`MemoryStore`](super::MemoryStore). Implement it for a database:
///
/// - The record of the token has a *generation*: a number that each save and each removal changes. It should grow, also
///   over a loss of data: a time in microseconds is a good first one. Generation 0 is that of a store without any
///   record.
/// - The lock has an owner, a fence and an end. Measure its end by the store's own clock; no method passes a time, all
///   pass durations.
/// - [`replace`](ExclusiveStore::replace) compares the generation, *not the lock*: a holder that comes late may own the
///   only token that is still valid.
///
/// Each method is one transaction. A call that is repeated with the same arguments, because its answer was lost, must
/// do no harm.
///
/// # How a credential uses it
/// A token that is due is read again. If its generation is another one, the process uses it and refreshes nothing.
/// Otherwise the process takes the lock for 60 seconds, reads once more, refreshes, replaces, and releases; it renews
/// the lock while it refreshes, and begins no refresh with less than 30 seconds left. Meanwhile the other processes use
/// the token that they have, or wait: they read the store again at a nudge, and at least once a second.
///
/// # Errors
/// An error must leave the record unchanged. Its text is shown, and must contain no secret. Without an answer from the
/// store, a credential refreshes nothing, and uses its token until that expires.
///
/// # Cancel safety
/// A caller may drop each future. The change may then be made or not, but not in part.
pub trait ExclusiveStore: Send + Sync {
    /// Returns the token that was saved last, and its generation.
    fn read(&self) -> BoxFuture<'_, Result<StoredToken, StoreError>>;

    /// Stores a token in place of that of this generation, or nothing if the store has another generation. `None` is a
    /// logout. The change must be durable when this method returns.
    fn replace(&self, generation: u64, token: Option<Token>) -> BoxFuture<'_, Result<Replaced, StoreError>>;

    /// Takes the right to refresh for this time, if no other owner has it. An owner that has it already gets it again.
    fn lock(&self, owner: Arc<str>, time: Duration) -> BoxFuture<'_, Result<RefreshTurn, StoreError>>;

    /// Holds the right for this time from now on. Returns `false` if another owner has taken it over.
    ///
    /// The default returns `true`: for a lock that lasts until it is released or its process ends.
    fn renew(&self, lease: RefreshLease, time: Duration) -> BoxFuture<'_, Result<bool, StoreError>> {
        let _ = (lease, time);
        Box::pin(std::future::ready(Ok(true)))
    }

    /// Gives the right back, unless another owner has it already.
    fn release(&self, lease: RefreshLease) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Waits until the token or the lock may have changed. The future counts from its creation, and may end too early,
    /// too late or never: a nudge only saves time.
    ///
    /// The default never ends.
    fn changed(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::pending())
    }
}

/// A token as a store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredToken {
    generation: u64,
    token: Option<Token>,
}

impl StoredToken {
    /// Creates the answer of a store: a token of a generation, or `None` after a logout.
    #[must_use]
    pub const fn new(generation: u64, token: Option<Token>) -> Self {
        Self { generation, token }
    }

    /// Creates the answer of a store that has no record: nothing was ever saved, or the store lost its data.
    #[must_use]
    pub const fn nothing() -> Self {
        Self { generation: 0, token: None }
    }

    /// Returns the generation, which each change of the token changes.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// Returns the token; `None` if there is none.
    #[must_use]
    pub const fn token(&self) -> Option<&Token> {
        self.token.as_ref()
    }

    /// Returns whether the store has no record at all.
    pub(super) const fn is_nothing(&self) -> bool {
        self.generation == 0
    }
}

/// The outcome of a [`replace`](ExclusiveStore::replace).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Replaced {
    /// The store has the token, under this generation.
    Done(u64),
    /// The store had another generation, and still has it.
    Outdated(StoredToken),
}

/// The outcome of a [`lock`](ExclusiveStore::lock).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum RefreshTurn {
    /// The caller may refresh.
    Granted(RefreshLease),
    /// Another owner may.
    Taken {
        /// The rest of that owner's time; `None` if its lock has no end.
        left: Option<Duration>,
    },
}

/// The right of one owner to refresh a token, for a time. A lease with an older fence than the lock's is over.
#[derive(Clone)]
pub struct RefreshLease {
    owner: Arc<str>,
    fence: u64,
    is_takeover: bool,
    kept: Option<Arc<dyn Any + Send + Sync>>,
}

impl RefreshLease {
    /// Creates a lease: for implementations of a store.
    #[must_use]
    pub const fn new(owner: Arc<str>, fence: u64) -> Self {
        Self { owner, fence, is_takeover: false, kept: None }
    }

    /// Marks that the time of an owner before has ended without a release: that owner may be late, and have a token
    /// that it could not save yet.
    #[must_use]
    pub const fn taken_over(mut self) -> Self {
        self.is_takeover = true;
        self
    }

    /// Adds a value that lives as long as the lease, such as a locked file. The lease is dropped after its release, and
    /// also where a panic or the end of a runtime leaves it unreleased.
    #[must_use]
    pub fn keeping(mut self, value: impl Send + Sync + 'static) -> Self {
        self.kept = Some(Arc::new(value));
        self
    }

    /// Returns the owner: a random name for each credential of each process.
    #[must_use]
    pub const fn owner(&self) -> &Arc<str> {
        &self.owner
    }

    /// Returns the fence, a number that grows whenever the lock changes hands.
    #[must_use]
    pub const fn fence(&self) -> u64 {
        self.fence
    }

    pub(super) const fn is_takeover(&self) -> bool {
        self.is_takeover
    }
}

impl fmt::Debug for RefreshLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshLease")
            .field("owner", &self.owner)
            .field("fence", &self.fence)
            .field("is_takeover", &self.is_takeover)
            .finish_non_exhaustive()
    }
}
