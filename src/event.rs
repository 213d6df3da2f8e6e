//! Event: what happens in the throttle and the transport, for those who watch and count.

mod alert;
mod line;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::stream::{self, Stream, StreamExt};
use http::{Method, StatusCode};
use tokio::sync::broadcast;
use tokio::time::Instant;
use url::Url;

use crate::message::{Priority, Request};

pub use alert::{Alert, AlertKind, Severity};

/// One thing that happened in a [`Throttle`](crate::Throttle) ([`Throttle::events`](crate::Throttle::events)) or in a
/// client ([`Client::events`](crate::Client::events)).
///
/// `limit` is a limit as [`Limit`](crate::Limit) shows itself, with the name of its account if that has one; or the route
/// or the account that pauses, where no declared limit explains a refusal. No event holds a secret. `Display` is one line, such
/// as "paused for 3.0s: `60 per 60s of the account`".
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A request stands in the queue.
    Waiting {
        /// What it is for.
        class: Priority,
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
        class: Priority,
        /// How long it stood in the queue.
        waited: Duration,
    },
    /// A turn was not taken within 20 ms, because its future is alive and not polled, and went to the next.
    PassedOver {
        /// What it is for.
        class: Priority,
    },
    /// A request cannot go before its deadline, and failed.
    TooLate {
        /// What it is for.
        class: Priority,
        /// The limit that admits it last.
        limit: Arc<str>,
    },
    /// The service refused a request for load: 429 or 503.
    Refused {
        /// What it answered, or what an [envelope](crate::retries::EnvelopeRule) reads the answer as.
        status: StatusCode,
        /// Method and URL, without the query.
        request: Arc<str>,
        /// The label of the credential, if there is one.
        credential: Option<Arc<str>>,
        /// The limit, or the route, that now pauses.
        limit: Arc<str>,
        /// Who spent the budget.
        cause: RefusalCause,
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
    /// A request is repeated, after a pause outside of any limit's slot. A poll that fails is none: its task tells of it by
    /// a [warning](crate::Update::warning), and polls again.
    Retrying {
        /// Method and URL, without the query.
        request: Arc<str>,
        /// What failed.
        reason: RetryReason,
        /// How many attempts there were.
        attempts: u32,
        /// How long it pauses before.
        pause: Duration,
    },
    /// A token was fetched or refreshed, and is used from now on.
    Refreshed {
        /// The label of the credential.
        credential: Arc<str>,
        /// How long it is good for, if that is known.
        valid_for: Option<Duration>,
    },
    /// A token could not be fetched or refreshed.
    RefreshFailed {
        /// The label of the credential.
        credential: Arc<str>,
        /// Why, without secrets.
        why: Arc<str>,
        /// Somebody has to log in again. A client's secret that is wrong is not told by it, but in `why`.
        needs_login: bool,
    },
    /// The answer to a request took long, or there was none for long:
    /// [`slow_after`](crate::ClientBuilder::slow_after).
    Slow {
        /// Method and URL, without the query.
        request: Arc<str>,
        /// How long it took to the headers of the answer.
        took: Duration,
    },
    /// Little is left of a limit: 80 % are used (of 5 or more), or fewer than 10 are left of a budget that the service states. It is
    /// told when that begins, and again after it was over for two minutes (less than 60 % used).
    NearLimit {
        /// The limit.
        limit: Arc<str>,
        /// How much is used: requests, or bytes for a limit of bytes.
        used: u64,
        /// How much it allows; `None` where the service states only what is left.
        of: Option<u64>,
        /// How much is left.
        left: u64,
    },
    /// The state of a task has a word that neither the protocol nor this crate knows, and it stays the same for as long as
    /// the protocol is [patient](crate::Protocol::patience). The wait goes on.
    UnknownWord {
        /// The task's id at the service, if it has one.
        task: Option<Arc<str>>,
        /// The word. [`Protocol::word`](crate::Protocol::word) gives it a meaning.
        word: Arc<str>,
    },
    /// Something that people should look at.
    Alert(Alert),
    /// The watcher was slow: so many events were dropped, the oldest first.
    Missed {
        /// How many.
        count: u64,
    },
}

/// Who spent the budget when a service refuses for load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefusalCause {
    /// No limit was known that would have held the request back: none is declared or stated, or the declared one is higher
    /// than the one that the service states with the refusal.
    NoKnownLimit,
    /// All known limits were kept. Another process or application spends the same budget, or the service allows less than
    /// was declared.
    WithinKnownLimits,
}

/// So many events are kept for a watcher that is slow.
pub(crate) const KEPT: usize = 1024;

/// The events of a client or a throttle, as they happen: [`Client::events`](crate::Client::events) and
/// [`Throttle::events`](crate::Throttle::events). It ends with the last clone of what it watches.
#[must_use = "streams do nothing unless polled"]
pub struct Events(Pin<Box<dyn Stream<Item = Event> + Send>>);

impl Events {
    /// The events of a channel from now on; a watcher that is slow is told how many it missed.
    pub(crate) fn from_channel(events: broadcast::Receiver<Event>) -> Self {
        Self(Box::pin(stream::unfold(events, async |mut events| match events.recv().await {
            Ok(event) => Some((event, events)),
            Err(broadcast::error::RecvError::Lagged(count)) => Some((Event::Missed { count }, events)),
            Err(broadcast::error::RecvError::Closed) => None,
        })))
    }

    /// The same events, each changed on its way.
    pub(crate) fn change(self, change: impl FnMut(Event) -> Event + Send + 'static) -> Self {
        Self(Box::pin(self.map(change)))
    }

    /// The events of two sources, as they come.
    pub(crate) fn and(self, other: Self) -> Self {
        Self(Box::pin(stream::select(self, other)))
    }
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.0.as_mut().poll_next(cx)
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}

/// Why a request is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RetryReason {
    /// Refused for load: 429, 503, or what an envelope says is one.
    Throttled,
    /// An answer that may pass: 408, 425, 5xx but 501 and 505.
    Transient,
    /// No connection was made.
    Unsent,
    /// The connection broke, or no answer came in time.
    Lost,
    /// The token was refused, and another was fetched.
    Unauthorized,
}

impl RetryReason {
    /// Its name, as metrics and logs have it: `throttled`, `transient`, `unsent`, `lost`, `unauthorized`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::Transient => "transient",
            Self::Unsent => "unsent",
            Self::Lost => "lost",
            Self::Unauthorized => "unauthorized",
        }
    }
}

impl fmt::Display for RetryReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One thing that is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mark<'a> {
    /// A request goes out, after it stood in the queue.
    Sent {
        class: Priority,
        queued: Duration,
    },
    /// The headers of its answer are here.
    Answered {
        asked: Asked<'a>,
        status: StatusCode,
        took: Duration,
    },
    /// There is no answer.
    Broke {
        asked: Asked<'a>,
        unsent: bool,
        took: Duration,
    },
    /// It was refused for load; `is_new`: all under the limit were going, and are stopped.
    Refused {
        limit: &'a str,
        cause: RefusalCause,
        is_new: bool,
        /// The limit is a declared one, which was kept.
        kept: bool,
    },
    Retrying {
        asked: Asked<'a>,
        reason: RetryReason,
        attempts: u32,
        pause: Duration,
    },
    Refreshed {
        credential: &'a str,
        valid_for: Option<Duration>,
        took: Duration,
    },
    RefreshFailed {
        credential: &'a str,
        why: &'a str,
        needs_login: bool,
    },
    /// A token was forgotten.
    LoggedOut {
        credential: &'a str,
        /// Only a login gives another.
        needs_login: bool,
    },
    /// A word that nobody knows stays the same.
    UnknownWord {
        task: Option<&'a str>,
        word: &'a str,
    },
    /// A task came into a state, out of another; `None`: it was begun, or is dropped before its end.
    Task {
        was: Option<&'static str>,
        is: Option<&'static str>,
    },
    /// A task runs for long. The number tells it from all others that live.
    Long {
        number: u64,
        name: &'a str,
        age: Duration,
    },
    /// It does not run any more, or nobody waits for it.
    NoLonger {
        number: u64,
    },
}

/// A request, for those who count.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) class: Priority,
    pub(crate) method: &'a Method,
    pub(crate) url: &'a Url,
    /// Where somebody made it out already.
    pub(crate) route: Option<&'a str>,
}

impl<'a> Asked<'a> {
    pub(crate) const fn of(request: &'a Request) -> Self {
        Self { class: request.priority(), method: request.method(), url: request.url(), route: None }
    }

    pub(crate) const fn on(mut self, route: Option<&'a str>) -> Self {
        self.route = route;
        self
    }
}

/// Where marks go. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Marks(Arc<dyn Fn(Mark<'_>, Instant) + Send + Sync>);

impl Marks {
    pub(crate) fn to(sink: impl Fn(Mark<'_>, Instant) + Send + Sync + 'static) -> Self {
        Self(Arc::new(sink))
    }

    pub(crate) fn tell(&self, mark: Mark<'_>) {
        self.tell_at(mark, Instant::now());
    }

    /// For who has looked at the clock already.
    pub(crate) fn tell_at(&self, mark: Mark<'_>, now: Instant) {
        (self.0)(mark, now);
    }
}

impl fmt::Debug for Marks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Marks")
    }
}
