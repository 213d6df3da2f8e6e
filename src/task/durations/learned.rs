//! LearnedDurations: how long tasks took, as data.

use serde::{Deserialize, Serialize};

use super::span::Span;

/// How long the tasks of a client took, by kind and size class, as returned by
/// [`Client::durations`](crate::Client::durations). The value is Serde data. It holds no secrets unless the name of a
/// kind or of a size class is one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LearnedDurations(pub(super) Vec<TaskDurations>);

/// How long the last tasks of one kind and size class took: [`LearnedDurations::tasks`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskDurations {
    pub(super) kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) size_class: Option<String>,
    /// Oldest first, in milliseconds.
    pub(super) spans: Vec<Span>,
}

impl LearnedDurations {
    /// Returns whether nothing was learned.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The durations of each kind and size class, in the order of their names.
    pub fn tasks(&self) -> impl Iterator<Item = &TaskDurations> {
        self.0.iter()
    }
}

impl TaskDurations {
    /// The kind of the tasks in the profile; for tasks without a kind, the name of their protocol.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The size class of the tasks ([`TaskBuilder::size_class`](crate::TaskBuilder::size_class)).
    #[must_use]
    pub fn size_class(&self) -> Option<&str> {
        self.size_class.as_deref()
    }

    /// The number of durations: those of the last 96 tasks at most.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.spans.len()
    }
}
