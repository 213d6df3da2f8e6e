//! Outage: the use of a shared limit while its store cannot be reached.

use serde::{Deserialize, Serialize};

/// The use of a limit that several processes share, while this process cannot reach their store.
///
/// A process always goes on with the slots that it holds until its lease ends (3 seconds for a file, 10 for Redis). The
/// policy begins then. It makes no difference for a throttle that is not shared.
///
/// A process cannot distinguish "the store is down" from "I am cut off from it". If it is cut off, the other processes
/// use its slots a while after its lease; a process that goes on then uses slots that are lent to others as well. The
/// policies differ in what this may cost:
///
/// | policy | N is the count of the window | the most that the service sees |
/// | --- | --- | --- |
/// | `Closed` | nothing is sent until the store answers | N |
/// | `Share` | each process keeps to its even share | N while no process reaches the store; N + ⌈N / processes⌉ if one process is cut off |
/// | `Open` | each process sends up to N | N × processes |
///
/// With `Share`, a process that joined within a third of a lease before the store was lost may be unknown to the others,
/// whose shares are then too large: add its share.
///
/// As data, a policy is `"closed"`, `"share"` or `"open"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outage {
    /// Requests wait until the store answers, or fail at their deadlines. The default, because it is the only policy
    /// under which the declared limit is never exceeded.
    #[default]
    Closed,
    /// The process goes on with its share: the count divided by the number of processes, as the store stated them last.
    /// Of the slots that it holds it keeps as many. A process that holds fewer makes up the rest once everything that
    /// was sent before has left the window: after the lease, a second, and the length of the window. A process that did
    /// not share the window when the store was lost keeps to `Closed`, because no share is known to it.
    Share,
    /// The process goes on as if it were alone. For limits that are worth less than the requests that they hold back.
    Open,
}

impl Outage {
    pub(super) const fn is_closed(&self) -> bool {
        matches!(self, Self::Closed)
    }
}
