//! Refresh: the future that requests await while a token is fetched.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures::FutureExt;
use futures::future::Shared;
use tokio::sync::oneshot;

/// A refresh in progress. The future resolves when the refresh is over, whatever its result; its callers then check the
/// state again.
#[derive(Clone, Debug)]
pub(super) struct Refresh(Shared<oneshot::Receiver<()>>);

/// The other end of a [`Refresh`]: dropping it wakes all waiting tasks.
#[derive(Debug)]
pub(super) struct RefreshEnd {
    _dropped: oneshot::Sender<()>,
}

impl Refresh {
    pub(super) fn new() -> (RefreshEnd, Self) {
        let (sender, receiver) = oneshot::channel();
        (RefreshEnd { _dropped: sender }, Self(receiver.shared()))
    }
}

impl Future for Refresh {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        // Nothing is ever sent: the end of the channel is the signal.
        self.0.poll_unpin(context).map(drop)
    }
}
