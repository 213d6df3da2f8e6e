//! Event: what happens in the throttle and the transport, for those who watch and count.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use crate::message::Class;

/// One thing that happened in a [`Throttle`](crate::Throttle): [`Throttle::events`](crate::Throttle::events).
///
/// `limit` is a limit as [`Limit`](crate::Limit) shows itself, with the name of its account if that has one; or the route
/// or the account that pauses, where no declared limit explains a refusal. No event holds a secret.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A request stands in the queue.
    Waiting {
        /// What it is for.
        class: Class,
        /// The limit that admits it last.
        limit: Arc<str>,
        /// How many stand before it there.
        ahead: u32,
        /// How long it waits at least.
        at_least: Duration,
    },
    /// A request that stood in the queue may go.
    Granted {
        /// What it is for.
        class: Class,
        /// How long it stood in the queue.
        waited: Duration,
    },
    /// A turn was not taken within 20 ms, because its future is alive and not polled, and went to the next.
    PassedOver {
        /// What it is for.
        class: Class,
    },
    /// A request cannot go before its deadline, and failed.
    TooLate {
        /// What it is for.
        class: Class,
        /// The limit that admits it last.
        limit: Arc<str>,
    },
    /// The service refused a request for load: 429 or 503.
    Refused {
        /// What it answered.
        status: StatusCode,
        /// Method and URL, without the query.
        request: Arc<str>,
        /// The label of the credential, if there is one.
        credential: Option<Arc<str>>,
        /// The limit, or the route, that now pauses.
        limit: Arc<str>,
        /// Who spent the budget.
        blame: Blame,
    },
    /// All under a limit are stopped.
    Paused {
        /// The limit or the route.
        limit: Arc<str>,
        /// For how long.
        during: Duration,
    },
    /// A limit that nobody declared was found, or is stated by the service.
    Learned {
        /// The limit.
        limit: Arc<str>,
    },
    /// A learned limit no longer holds: it is looked for again.
    Unlearned {
        /// The limit.
        limit: Arc<str>,
    },
    /// A soft limit is passed.
    Exceeded {
        /// The limit.
        limit: Arc<str>,
    },
    /// Something of an answer was not understood, and not used.
    Ignored {
        /// What it was, shortened.
        what: Arc<str>,
    },
    /// The wall clock was set back: a calendar day goes on with what it has counted.
    ClockSetBack,
    /// The watcher was slow: so many events were dropped, the oldest first.
    Missed {
        /// How many.
        count: u64,
    },
}

/// Who spent the budget when a service refuses for load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Blame {
    /// We did: no limit is known that would have held us back.
    Ours,
    /// Somebody else did: all that is known of the limits was kept. Another process or application spends the same
    /// budget, or the service allows less than was declared.
    Foreign,
}

/// One thing that is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mark {
    Sent { class: Class },
    Answered { status: StatusCode },
    Broke,
    Retrying,
    Waited { queued: Duration },
    Paused,
}

/// Where marks go. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Marks(Arc<dyn Fn(Mark) + Send + Sync>);

impl Marks {
    pub(crate) fn to(sink: impl Fn(Mark) + Send + Sync + 'static) -> Self {
        Self(Arc::new(sink))
    }

    pub(crate) fn tell(&self, mark: Mark) {
        (self.0)(mark);
    }
}

impl fmt::Debug for Marks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Marks")
    }
}
