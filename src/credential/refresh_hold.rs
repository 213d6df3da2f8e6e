//! RefreshHold: the right to refresh, across processes, from its beginning to any end.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{Either, select};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};

use super::exclusive::RefreshLease;
use super::store::CredentialStore;
use super::store_error::{StoreError, in_time, within};

/// A lease that is renewed while its work is under way. A hold that is dropped is released in the background: its work
/// panicked. If its runtime ended, the lease ends by itself, and its own process may take it again before that.
pub(super) struct RefreshHold {
    store: Arc<dyn CredentialStore>,
    /// `None` once it is released.
    lease: Option<RefreshLease>,
    /// The end of the lease if nothing renews it: counted from before the store was asked, so earlier than the store's.
    until: Instant,
}

impl RefreshHold {
    pub(super) fn new(store: Arc<dyn CredentialStore>, lease: RefreshLease, asked: Instant) -> Self {
        Self { store, lease: Some(lease), until: asked + LEASE }
    }

    /// Returns whether enough time is left to begin a refresh.
    pub(super) fn suffices(&self) -> bool {
        self.until.saturating_duration_since(Instant::now()) >= REFRESH
    }

    /// Does the work, and renews the lease meanwhile. The work goes on even if the lease is lost: it may be about to
    /// receive the only valid token.
    pub(super) async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        match select(pin!(work), pin!(self.renew())).await {
            Either::Left((done, _)) => done,
            Either::Right((never, _)) => match never {},
        }
    }

    async fn renew(&self) -> Infallible {
        let mut pause = LEASE / 3;
        loop {
            sleep(pause).await;
            pause = LEASE / 3;
            let (Some(store), Some(lease)) = (self.store.exclusive(), self.lease.clone()) else { continue };
            match within(RENEWAL, store.renew(lease, LEASE)).await {
                Ok(true) => {}
                Ok(false) => {
                    tracing::warn!(
                        "another process has taken over the refresh of a token, which is still under way here"
                    );
                    return std::future::pending().await;
                }
                Err(error) => {
                    tracing::warn!(%error, "the lock of a token could not be renewed");
                    pause = RENEWAL;
                }
            }
        }
    }

    /// Gives the right to the next process.
    pub(super) async fn release(mut self) {
        if let Some(lease) = self.lease.take() {
            log(in_time(release(self.store.clone(), lease)).await);
        }
    }
}

impl Drop for RefreshHold {
    fn drop(&mut self) {
        if let (Some(lease), Ok(runtime)) = (self.lease.take(), Handle::try_current()) {
            let store = self.store.clone();
            runtime.spawn(async { log(in_time(release(store, lease)).await) });
        }
    }
}

async fn release(store: Arc<dyn CredentialStore>, lease: RefreshLease) -> Result<(), StoreError> {
    match store.exclusive() {
        Some(store) => store.release(lease).await,
        None => Ok(()),
    }
}

/// A lock that is not released ends by itself.
fn log(released: Result<(), StoreError>) {
    if let Err(error) = released {
        tracing::debug!(%error, "the lock of a token could not be released");
    }
}

/// A renewal that fails is made again before the lease is over.
const RENEWAL: Duration = Duration::from_secs(5);
/// The longest that one request for a token takes, and so the least time that has to be left when it begins.
const REFRESH: Duration = Duration::from_secs(30);
/// Twice as long. The time after which other processes take over from one that died.
pub(super) const LEASE: Duration = Duration::from_secs(60);
