//! Heartbeats: signs of life in a long wait.

use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Instant;

use super::Task;
use crate::clock::Alarm;

/// Signs of life between polls.
pub(super) struct Beat {
    every: Duration,
    next: Option<Instant>,
    alarm: Alarm,
}

impl<T> Task<T> {
    /// Repeats the last update whenever a wait brings nothing new for this long, so that a stream shows life between
    /// polls that are far apart ([`Update::is_heartbeat`](crate::Update::is_heartbeat)). A heartbeat sends no request.
    pub fn heartbeat(mut self, every: Duration) -> Self {
        self.beat = Some(Box::new(Beat { every: every.max(SHORTEST_BEAT), next: None, alarm: Alarm::default() }));
        self
    }

    pub(super) fn poll_beat(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(beat) = &mut self.beat else { return Poll::Pending };
        beat.next = beat.next.or_else(|| Instant::now().checked_add(beat.every));
        let Some(next) = beat.next else { return Poll::Pending };
        ready!(beat.alarm.poll_at(next, cx));
        beat.next = None;
        Poll::Ready(())
    }

    pub(super) fn beat_anew(&mut self) {
        if let Some(beat) = &mut self.beat {
            beat.next = None;
        }
    }
}

/// A shorter interval between heartbeats is noise.
const SHORTEST_BEAT: Duration = Duration::from_millis(10);
