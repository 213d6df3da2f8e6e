//! Heartbeats: signs of life in a long wait.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Sleep;

use super::Task;

/// Signs of life between polls.
pub(super) struct Beat {
    every: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<T> Task<T> {
    /// Tells the last update again whenever a wait gives nothing new for this long, so that a stream shows life between
    /// polls that are far apart ([`Update::is_heartbeat`](crate::Update::is_heartbeat)). Nothing is sent for it.
    pub fn heartbeat(mut self, every: Duration) -> Self {
        self.beat = Some(Box::new(Beat { every: every.max(SHORTEST_BEAT), timer: None }));
        self
    }

    pub(super) fn poll_beat(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(beat) = &mut self.beat else { return Poll::Pending };
        let timer = beat.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(beat.every)));
        ready!(timer.as_mut().poll(cx));
        beat.timer = None;
        Poll::Ready(())
    }

    pub(super) fn beat_anew(&mut self) {
        if let Some(beat) = &mut self.beat {
            beat.timer = None;
        }
    }
}

/// More often than this a heartbeat is noise.
const SHORTEST_BEAT: Duration = Duration::from_millis(10);
