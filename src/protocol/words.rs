//! State, and what the words of services mean.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

/// The class of a task's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum State {
    /// The service has it and has not begun.
    Accepted,
    /// The service works on it.
    Running,
    /// It is done.
    Succeeded,
    /// It is done, and part of it failed.
    PartiallySucceeded,
    /// The service says that it failed.
    Failed,
    /// The service says that it was canceled.
    Canceled,
    /// The service says that it, or its result, is too old.
    Expired,
}

impl State {
    /// Whether the task has ended.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        !matches!(self, Self::Accepted | Self::Running)
    }

    /// Whether there is a result: succeeded, or partially so.
    #[must_use]
    pub const fn has_result(self) -> bool {
        matches!(self, Self::Succeeded | Self::PartiallySucceeded)
    }

    /// Its name, as in serialized form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::PartiallySucceeded => "partially_succeeded",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::Expired => "expired",
        }
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word without what services vary: case, spaces, `_` and `-`.
pub(super) fn plain(word: &str) -> String {
    word.chars().filter(|c| !matches!(c, ' ' | '_' | '-')).flat_map(char::to_lowercase).collect()
}

/// The words of a protocol that was written by hand, however they are spelled there.
pub(super) fn plain_keys<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, State>, D::Error> {
    let written = BTreeMap::<String, State>::deserialize(from)?;
    Ok(written.into_iter().map(|(word, state)| (plain(&word), state)).collect())
}

/// The words that mean the same wherever they were seen. `terminated`, `ready`, `active`, `deleted`, `ok` and
/// `available` are left to profiles: services disagree on them.
pub(super) fn common(plain: &str) -> Option<State> {
    Some(match plain {
        "succeeded" | "success" | "successful" | "completed" | "complete" | "done" | "finished" | "fulfilled"
        | "jobcomplete" => State::Succeeded,
        "partiallysucceeded"
        | "partialsuccess"
        | "partiallyfailed"
        | "completedwitherrors"
        | "completedwithpartialresults"
        | "succeededwithissues" => State::PartiallySucceeded,
        "failed" | "failure" | "error" | "errored" | "faulted" | "timedout" | "rejected" => State::Failed,
        "expired" => State::Expired,
        "canceled" | "cancelled" | "dismissed" | "aborted" | "revoked" => State::Canceled,
        "notstarted" | "new" | "accepted" | "created" | "submitted" | "initialized" | "pending" | "queued"
        | "inqueue" | "scheduled" | "waiting" | "open" | "uploadcomplete" => State::Accepted,
        "running" | "started" | "inprogress" | "processing" | "working" | "executing" | "initializing"
        | "preparing" | "canceling" | "cancelling" | "creating" | "updating" | "deleting" | "provisioning" => {
            State::Running
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_common_words_however_they_are_spelled() {
        for (word, state) in [
            ("Succeeded", Some(State::Succeeded)),
            ("FULFILLED", Some(State::Succeeded)),
            ("JobComplete", Some(State::Succeeded)),
            ("Completed With Partial_Results", Some(State::PartiallySucceeded)),
            ("TimedOut", Some(State::Failed)),
            ("timed_out", Some(State::Failed)),
            ("Cancelled", Some(State::Canceled)),
            ("CANCELED", Some(State::Canceled)),
            ("In progress", Some(State::Running)),
            ("in-queue", Some(State::Accepted)),
            ("Expired", Some(State::Expired)),
            ("ready", None),
            ("active", None),
            ("42", None),
            ("", None),
        ] {
            assert_eq!(common(&plain(word)), state, "{word}");
        }
    }
}
