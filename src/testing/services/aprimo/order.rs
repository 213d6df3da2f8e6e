//! One order: a task of Aprimo.

use std::time::{Duration, Instant};

/// How an order ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OrderEnd {
    /// `Success`.
    #[default]
    Success,
    /// `PartiallyFailed`: all files but the last are delivered.
    PartiallyFailed,
    /// `Failed`, with a message.
    Failed,
    /// `Cancelled`.
    Cancelled,
}

#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) id: String,
    pub(super) end: OrderEnd,
    /// The number of ordered files.
    pub(super) files: usize,
    /// What a link must hold to be good.
    pub(super) signature: String,
    pub(super) begun: Instant,
    pub(super) duration: Duration,
    /// How often its status was written.
    pub(super) written: usize,
}

impl Order {
    pub(super) fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.begun) >= self.duration
    }

    /// Returns the number of files that are delivered in the end.
    pub(super) fn delivered(&self) -> usize {
        match self.end {
            OrderEnd::Success => self.files,
            OrderEnd::PartiallyFailed => self.files.saturating_sub(1),
            OrderEnd::Failed | OrderEnd::Cancelled => 0,
        }
    }

    /// Returns the word of the status, in the spelling that is next: as the samples have it, as the documents have it,
    /// in capitals.
    pub(super) fn write_status(&mut self, now: Instant) -> String {
        let elapsed = now.saturating_duration_since(self.begun);
        let word = match self.end {
            _ if elapsed < self.duration / 4 => "Pending",
            _ if elapsed < self.duration / 2 => "Queued",
            _ if !self.is_over(now) => "Executing",
            OrderEnd::Success => "Success",
            OrderEnd::PartiallyFailed => "PartiallyFailed",
            OrderEnd::Failed => "Failed",
            OrderEnd::Cancelled => "Cancelled",
        };
        self.written += 1;
        match self.written % 3 {
            1 => word.to_owned(),
            2 => word.to_lowercase(),
            _ => word.to_uppercase(),
        }
    }

    /// Returns the bytes of a file.
    pub(super) fn file(&self, number: usize) -> Option<String> {
        (number < self.delivered()).then(|| format!("file {number} of order {}\n", self.id).repeat(64))
    }
}
