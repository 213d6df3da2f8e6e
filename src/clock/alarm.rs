//! Alarm: waits for a moment, even if it is polled in another runtime than before.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::{Handle, Id};
use tokio::time::{Instant, Sleep, sleep_until};

/// A timer that can be moved to another moment, and to another runtime.
///
/// tokio's own timer belongs to the runtime in which it was created. Polled in another runtime, it stalls, or panics
/// when the first runtime ends.
#[derive(Debug, Default)]
pub(crate) struct Alarm(Option<(Id, Pin<Box<Sleep>>)>);

impl Alarm {
    /// Returns ready from `at` on; before that, the task is woken at `at`.
    pub(crate) fn poll_at(&mut self, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
        if at <= Instant::now() {
            return Poll::Ready(());
        }
        let here = Handle::current().id();
        if self.0.as_ref().is_some_and(|(made_in, _)| *made_in != here) {
            self.0 = None;
        }
        let (_, sleep) = self.0.get_or_insert_with(|| (here, Box::pin(sleep_until(at))));
        if sleep.deadline() != at {
            sleep.as_mut().reset(at);
        }
        sleep.as_mut().poll(cx)
    }
}
