//! State, and the meaning of services' words.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, de};

/// The class of a task's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum State {
    /// The service has accepted the task and has not begun.
    Accepted,
    /// The service is working on the task.
    Running,
    /// The task is done.
    Succeeded,
    /// The task is done, and part of it failed.
    PartiallySucceeded,
    /// The service reports that the task failed.
    Failed,
    /// The service reports that the task was canceled.
    Canceled,
    /// The service reports that the task, or its result, is too old.
    Expired,
}

impl State {
    /// Returns whether the task has ended.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        !matches!(self, Self::Accepted | Self::Running)
    }

    /// Returns whether there is a result: succeeded, or partially succeeded.
    #[must_use]
    pub const fn has_result(self) -> bool {
        matches!(self, Self::Succeeded | Self::PartiallySucceeded)
    }

    /// Returns the name of the state, as in serialized form.
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

/// Returns a word without the variations between services: case, spaces, `_` and `-`.
pub(super) fn plain(word: &str) -> String {
    word.chars().filter(|c| !matches!(c, ' ' | '_' | '-')).flat_map(char::to_lowercase).collect()
}

/// Parses the words of a handwritten protocol, in any spelling. One word with two meanings is an error.
pub(super) fn plain_keys<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, State>, D::Error> {
    let written = BTreeMap::<String, State>::deserialize(from)?;
    let mut words = BTreeMap::new();
    for (word, state) in written {
        if let Some(other) = words.insert(plain(&word), state).filter(|other| *other != state) {
            let why =
                format!("the word `{word}` means both {other} and {state}: case, spaces, `_` and `-` do not matter");
            return Err(de::Error::custom(why));
        }
    }
    Ok(words)
}

/// Returns the meaning of the words that mean the same in every known service. `terminated`, `ready`, `active`,
/// `deleted`, `ok` and `available` are left to profiles: services disagree on them.
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
